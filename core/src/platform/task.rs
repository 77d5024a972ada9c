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

use crate::error::{Error, Outcome, Result};
use crate::platform::cancel::Signal;
use crate::platform::process::{Process, foreign};
use crate::platform::runtime;

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
    /// What is known of its request if it never gives a result.
    outcome: Outcome,
    /// The same, once it has begun.
    once_begun: Outcome,
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
        self.outcome = self.once_begun;
        // `done` is the caller's, and so is the waker that it may wake.
        foreign(|| {
            // Not polled again after a panic, so nothing half done is ever looked at.
            let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
            let result = ready!(polled.unwrap_or_else(|panic| {
                Poll::Ready(Err(Error::panicked(&*panic).with_outcome(self.outcome)))
            }));
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
            let dropped = Error::internal("A task of the library was dropped.");
            done(Err(dropped.with_outcome(self.outcome)));
        }
    }
}

impl Task {
    /// `once_begun` is what is known of the request of work that has begun and never gives a result.
    pub(crate) fn new<T, W>(
        once_begun: Outcome,
        done: impl FnOnce(Result<T>) + Send + 'static,
        work: impl FnOnce(Arc<Signal>) -> W,
    ) -> Result<Task>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        // So that whoever prepares is told; `start` cannot fail.
        runtime::start()
            .map_err(|why| Error::internal(format!("Asynchronous calls cannot start: {why}.")))?;
        let cancel = Arc::new(Signal::default());
        let running = Running {
            work: Box::pin(work(cancel.clone())),
            done: Some(done),
            outcome: Outcome::NotSent,
            once_begun,
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
        // Not the one that it was prepared with, which may have been another process's, or have ended. Without any it is dropped,
        // which delivers that.
        let _ = runtime::spawn(self.future);
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
            // A child that was forked knows as much of the request as who waits here.
            let outcome = (self.forked)().outcome();
            let ended = Error::internal("A task of the library ended without a result.");
            Err(ended.with_outcome(outcome))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::error::ErrorCode;

    /// What a task of that work gives; it is dropped without being started where it is not to `start`.
    fn outcome_of<W>(once_begun: Outcome, start: bool, work: W) -> Outcome
    where
        W: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel();
        let done = move |result| sender.send(result).unwrap();
        let task = Task::new(once_begun, done, |_| work).unwrap();
        match start {
            true => task.start(),
            false => drop(task),
        }
        let given: Result<()> = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        let error = given.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Internal);
        assert!(!error.retryable());
        error.outcome()
    }

    #[test]
    fn nobody_can_tell_what_a_call_did_before_it_panicked() {
        let panics = || async {
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("after it was sent"))
        };
        assert_eq!(
            outcome_of(Outcome::Unknown, true, panics()),
            Outcome::Unknown
        );
        // A token is asked for by another thread, and no call is made.
        assert_eq!(
            outcome_of(Outcome::NotSent, true, panics()),
            Outcome::NotSent
        );
    }

    #[test]
    fn nobody_can_tell_what_a_call_did_before_it_was_dropped() {
        // As the runtime drops what has begun.
        let (sender, receiver) = mpsc::channel();
        let done = move |result: Result<()>| sender.send(result).unwrap();
        let task = Task::new(Outcome::Unknown, done, |_| std::future::pending()).unwrap();
        let mut future = task.future;
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        drop(future);
        let error = receiver.try_recv().unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Internal, Outcome::Unknown)
        );
    }

    #[test]
    fn a_call_that_was_never_started_is_not_sent() {
        let never = std::future::pending();
        assert_eq!(outcome_of(Outcome::Unknown, false, never), Outcome::NotSent);
    }
}
