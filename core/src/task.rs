//! Asynchronous work on the library's own threads.
//!
//! Promises: the result is delivered exactly once, also after a cancel and after a panic; nothing runs before
//! [`Task::start`]. Never blocks.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::runtime;
use crate::signal::Signal;

/// Prepared work.
#[must_use = "a task does nothing until it is started"]
pub struct Task {
    runtime: Handle,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    cancel: Arc<Signal>,
}

/// Cancels a task. Cheap to clone; does nothing once the task is done.
#[derive(Clone, Debug)]
pub struct Canceler(Arc<Signal>);

impl Canceler {
    /// Ends the task soon with `canceled`, unless its result is there already. Never waits.
    pub fn cancel(&self) {
        self.0.raise();
    }
}

/// The result of `work`, or the error that a panic in it becomes.
async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    // Not polled again after a panic, so nothing half done is ever looked at.
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(Error::panicked(&*panic))))
    })
    .await
}

/// Delivers once, also when the runtime drops the task without a result.
struct Delivery<T, F: FnOnce(Result<T>)>(Option<F>, std::marker::PhantomData<fn(T)>);

impl<T, F: FnOnce(Result<T>)> Delivery<T, F> {
    fn deliver(mut self, result: Result<T>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }
}

impl<T, F: FnOnce(Result<T>)> Drop for Delivery<T, F> {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(Error::internal("A task of the library was dropped.")));
        }
    }
}

impl Task {
    pub(crate) fn new<T, W>(
        done: impl FnOnce(Result<T>) + Send + 'static,
        work: impl FnOnce(Arc<Signal>) -> W,
    ) -> Result<Task>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let runtime = runtime::handle()
            .map_err(|why| Error::internal(format!("Asynchronous calls cannot start: {why}.")))?;
        let cancel = Arc::new(Signal::default());
        let work = work(cancel.clone());
        let delivery = Delivery(Some(done), std::marker::PhantomData);
        let future = Box::pin(async move {
            let result = caught(work).await;
            delivery.deliver(result);
        });
        Ok(Task {
            runtime,
            future,
            cancel,
        })
    }

    /// What cancels it.
    pub fn canceler(&self) -> Canceler {
        Canceler(self.cancel.clone())
    }

    /// Lets it run.
    pub fn start(self) {
        self.runtime.spawn(self.future);
    }

    /// Starts a task and waits for it in any executor; a waiter that is dropped cancels it.
    pub(crate) async fn awaited<T: Send + 'static>(
        prepare: impl FnOnce(Box<dyn FnOnce(Result<T>) + Send>) -> Result<Task>,
    ) -> Result<T> {
        struct CancelOnDrop(Canceler);
        impl Drop for CancelOnDrop {
            fn drop(&mut self) {
                self.0.cancel();
            }
        }
        let (sender, receiver) = oneshot::channel();
        let task = prepare(Box::new(move |result| {
            // Nobody listens any more: the waiter was dropped.
            let _ = sender.send(result);
        }))?;
        let _guard = CancelOnDrop(task.canceler());
        task.start();
        receiver.await.unwrap_or_else(|_| {
            Err(Error::internal(
                "A task of the library ended without a result.",
            ))
        })
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
