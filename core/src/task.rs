//! Asynchronous work on the library's own threads.
//!
//! Promises: the result is delivered exactly once, also after a cancel and after a panic; nothing runs before
//! [`Task::start`]; what was started before a fork goes on in the parent alone, also where the code that takes a result forks.
//! Never blocks.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::process::{Process, foreign};
use crate::runtime;
use crate::signal::Signal;

/// Prepared work.
#[must_use = "a task does nothing until it is started"]
pub struct Task {
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
        // `done` is the caller's, and so is the waker that it may wake.
        foreign(|| {
            // Not polled again after a panic, so nothing half done is ever looked at.
            let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
            let result =
                ready!(polled.unwrap_or_else(|panic| Poll::Ready(Err(Error::panicked(&*panic)))));
            if let Some(done) = self.done.take() {
                done(result);
            }
            Poll::Ready(())
        })
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
        // So that whoever prepares is told; `start` cannot fail.
        runtime::handle()
            .map_err(|why| Error::internal(format!("Asynchronous calls cannot start: {why}.")))?;
        let cancel = Arc::new(Signal::default());
        let running = Running {
            work: Box::pin(work(cancel.clone())),
            done: Some(done),
            _gives: PhantomData,
        };
        Ok(Task {
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
        // Not the one that it was prepared with, which may have been another process's. Without any it is dropped, which
        // delivers that.
        if let Ok(runtime) = runtime::handle() {
            runtime.spawn(self.future);
        }
    }

    /// Starts a task and waits for it in any executor; a waiter that is dropped cancels it. `forked` is what a child gets
    /// that was forked meanwhile.
    pub(crate) async fn awaited<T: Send + 'static>(
        forked: impl Fn() -> Error + Unpin,
        prepare: impl FnOnce(Box<dyn FnOnce(Result<T>) + Send>) -> Result<Task>,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let task = prepare(Box::new(move |result| {
            // Nobody listens any more: the waiter was dropped.
            let _ = sender.send(result);
        }))?;
        let waiting = Waiting {
            begun_in: Process::current(),
            canceler: task.canceler(),
            receiver: ManuallyDrop::new(receiver),
            forked,
        };
        task.start();
        waiting.await
    }
}

/// A started task, as seen by the one who waits for it.
struct Waiting<T, E> {
    begun_in: Process,
    canceler: Canceler,
    /// In a forked child neither looked at nor dropped: the parent's thread may have been at it.
    receiver: ManuallyDrop<oneshot::Receiver<Result<T>>>,
    forked: E,
}

impl<T, E: Fn() -> Error + Unpin> Future for Waiting<T, E> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if !self.begun_in.is_current() {
            return Poll::Ready(Err((self.forked)()));
        }
        let received = ready!(Pin::new(&mut *self.receiver).poll(context));
        Poll::Ready(received.unwrap_or_else(|_| {
            Err(Error::internal(
                "A task of the library ended without a result.",
            ))
        }))
    }
}

impl<T, E> Drop for Waiting<T, E> {
    fn drop(&mut self) {
        if self.begun_in.is_current() {
            self.canceler.cancel();
            // SAFETY: dropped once, here, and not used after this.
            unsafe { ManuallyDrop::drop(&mut self.receiver) };
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
