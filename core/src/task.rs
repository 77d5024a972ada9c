//! Asynchronous work on the library's own threads.
//!
//! Promises: the result is delivered exactly once, also after a cancel and after a panic; nothing runs before
//! [`Task::start`]. Never blocks.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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

/// The work and whom its result is for, in one place that is never moved again.
struct Running<T, W, F: FnOnce(Result<T>)> {
    work: Pin<Box<W>>,
    /// Until it is called.
    done: Option<F>,
    _gives: PhantomData<fn(T)>,
}

impl<T, W, F: FnOnce(Result<T>)> Unpin for Running<T, W, F> {}

impl<T, W, F> Future for Running<T, W, F>
where
    W: Future<Output = Result<T>>,
    F: FnOnce(Result<T>),
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // Not polled again after a panic, so nothing half done is ever looked at.
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
        let result =
            ready!(polled.unwrap_or_else(|panic| Poll::Ready(Err(Error::panicked(&*panic)))));
        if let Some(done) = self.done.take() {
            done(result);
        }
        Poll::Ready(())
    }
}

impl<T, W, F: FnOnce(Result<T>)> Drop for Running<T, W, F> {
    fn drop(&mut self) {
        // The runtime dropped it without a result.
        if let Some(done) = self.done.take() {
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
        let running = Running {
            work: Box::pin(work(cancel.clone())),
            done: Some(done),
            _gives: PhantomData,
        };
        Ok(Task {
            runtime,
            future: Box::pin(running),
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
