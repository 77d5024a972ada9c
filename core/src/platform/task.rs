//! Asynchronous work on the library's own threads.
//!
//! Promises: the result is delivered exactly once, also after a cancel and after a panic. Nothing runs before
//! [`Task::start`]. Work that was started before a fork goes on in the parent only, also if the code that takes a
//! result forks. Never blocks.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::error::{Error, Outcome, Result, by_system, internal, panicked};
use crate::platform::cancel::CancelFlag;
use crate::platform::process::{LeftToParent, foreign};
use crate::platform::runtime;

/// Holds a call that is prepared but not started, for bindings. `prepare_token` and `prepare_request` make it.
/// [`Task::start`] starts it; dropping it instead drops the call.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let task = pay88::ffi::prepare_token(&manager, None, move |result| sender.send(result).unwrap())?;
/// let canceler = task.canceler();
/// task.start();
/// let token = receiver.recv().unwrap()?;
/// canceler.cancel(); // Too late to do anything.
/// assert_eq!(token.expires_in(), 60);
/// # Ok::<(), pay88::Error>(())
/// ```
#[must_use = "a task does nothing until it is started"]
pub struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    cancel: Arc<CancelFlag>,
}

/// Cancels a [`Task`]. It is cheap to clone, and does nothing once the task is done. See [`Task`] for an example.
#[derive(Clone, Debug)]
pub struct Canceler(Arc<CancelFlag>);

impl Canceler {
    /// Ends the task soon with `canceled`, unless its result is there already. Never waits.
    pub fn cancel(&self) {
        self.0.raise();
    }
}

/// The work and the receiver of its result, in one place that is never moved again.
struct Running<T, W, F: FnOnce(Result<T>)> {
    work: Pin<Box<W>>,
    /// Present until it is called.
    done: Option<F>,
    /// What is known of the request if the work never gives a result.
    outcome: Outcome,
    /// The same, once the work has begun.
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
        // `done` is the caller's code, and so is the waker that it may wake.
        foreign(|| {
            // It is not polled again after a panic, so nobody ever sees it half done.
            let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
            let result = ready!(
                polled
                    .unwrap_or_else(|panic| { Poll::Ready(Err(panicked(&*panic, self.outcome))) })
            );
            if let Some(done) = self.done.take() {
                done(result);
            }
            Poll::Ready(())
        })
    }
}

impl<T, W, F: FnOnce(Result<T>)> Drop for Running<T, W, F> {
    fn drop(&mut self) {
        // The runtime dropped the work without a result.
        if let Some(done) = self.done.take() {
            let dropped = internal("A task of the library was dropped.");
            done(Err(dropped.with_outcome(self.outcome)));
        }
    }
}

impl Task {
    /// `once_begun` is what is known of the request if work that has begun never gives a result.
    pub(crate) fn new<T, W>(
        once_begun: Outcome,
        done: impl FnOnce(Result<T>) + Send + 'static,
        work: impl FnOnce(Arc<CancelFlag>) -> W,
    ) -> Result<Task>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        // Started now, so that the caller of this function gets the error; `start` cannot fail.
        runtime::start().map_err(|why| {
            by_system("Asynchronous calls cannot start: no thread for them", &why)
        })?;
        let cancel = Arc::new(CancelFlag::default());
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

    /// Gives a handle that cancels the task.
    pub fn canceler(&self) -> Canceler {
        Canceler(self.cancel.clone())
    }

    /// Starts the work on the library's threads.
    pub fn start(self) {
        // Not the runtime that it was prepared with: that may have been another process's, or may have ended. Without
        // a runtime the work is dropped, and `done` learns of it.
        let _ = runtime::spawn(self.future);
    }

    /// Starts a task and waits for it in any executor. Dropping the waiter cancels the task. `forked` gives the error
    /// for a child that was forked meanwhile.
    pub(crate) async fn awaited<T: Send + 'static>(
        forked: impl Fn() -> Error + Unpin,
        prepare: impl FnOnce(Box<dyn FnOnce(Result<T>) + Send>) -> Result<Task>,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let task = prepare(Box::new(move |result| {
            // Nobody listens any more, because the waiter was dropped.
            let _ = sender.send(result);
        }))?;
        let waiting = Waiting {
            canceler: task.canceler(),
            receiver: LeftToParent::new(receiver),
            forked,
        };
        task.start();
        waiting.await
    }
}

/// A started task, as its waiter sees it.
struct Waiting<T, E> {
    canceler: Canceler,
    /// A forked child neither reads nor drops it: the parent's thread may have been using it.
    receiver: LeftToParent<oneshot::Receiver<Result<T>>>,
    forked: E,
}

impl<T, E: Fn() -> Error + Unpin> Future for Waiting<T, E> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if !self.receiver.is_own() {
            return Poll::Ready(Err((self.forked)()));
        }
        let received = ready!(Pin::new(&mut *self.receiver).poll(context));
        Poll::Ready(received.unwrap_or_else(|_| {
            // A forked child knows as much of the request as the waiter here.
            let outcome = (self.forked)().outcome();
            let ended = internal("A task of the library ended without a result.");
            Err(ended.with_outcome(outcome))
        }))
    }
}

impl<T, E> Drop for Waiting<T, E> {
    fn drop(&mut self) {
        if self.receiver.is_own() {
            self.canceler.cancel();
        }
    }
}

/// Work that is polled by its caller's own tokio runtime. To give up, drop it.
pub(crate) struct Hosted<W, E> {
    /// A forked child neither polls nor drops it: with its sockets it would take its parent's out of the event queue
    /// that both have.
    work: LeftToParent<Pin<Box<W>>>,
    forked: E,
}

impl<W, E> Hosted<W, E> {
    /// `forked` gives the error for a child that was forked meanwhile.
    pub(crate) fn new(forked: E, work: W) -> Hosted<W, E> {
        Hosted {
            work: LeftToParent::new(Box::pin(work)),
            forked,
        }
    }
}

impl<T, W, E> Future for Hosted<W, E>
where
    W: Future<Output = Result<T>>,
    E: Fn() -> Error + Unpin,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if !self.work.is_own() {
            return Poll::Ready(Err((self.forked)()));
        }
        // It is not polled again after a panic, so nobody ever sees it half done.
        let polled = catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(context)));
        if !self.work.is_own() {
            // Code of the program has run meanwhile, such as another task's waker, and has forked. The thread is the
            // program's, so it returns in the child too; the work is the parent's.
            std::mem::forget(polled);
            return Poll::Ready(Err((self.forked)()));
        }
        // A forked child knows as much of the request as the caller after a panic.
        polled.unwrap_or_else(|panic| {
            let outcome = (self.forked)().outcome();
            Poll::Ready(Err(panicked(&*panic, outcome)))
        })
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

    /// The outcome that a task of that work gives. If it is not to `start`, it is dropped without being started.
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
        // Another thread asks for a token, and no call is made.
        assert_eq!(
            outcome_of(Outcome::NotSent, true, panics()),
            Outcome::NotSent
        );
    }

    #[test]
    fn nobody_can_tell_what_a_call_did_before_it_was_dropped() {
        // As the runtime drops work that has begun.
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
    fn a_panic_on_a_runtime_of_the_caller_is_an_error_that_leaves_open_what_the_call_did() {
        let panics = async { std::panic::resume_unwind(Box::new("after it was sent")) };
        let unknown = || crate::policy::errors::forked(Outcome::Unknown);
        let mut hosted = Hosted::new(unknown, panics);
        let polled = Pin::new(&mut hosted).poll(&mut Context::from_waker(std::task::Waker::noop()));
        let Poll::Ready(Err(error)) = polled.map(|result: Result<()>| result) else {
            panic!("it goes on");
        };
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Internal, Outcome::Unknown)
        );
    }

    #[test]
    fn a_child_neither_polls_nor_drops_what_waits_on_its_parents_runtime() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                // SAFETY: ends the child at once; the status tells the parent.
                unsafe { libc::_exit(3) };
            }
        }
        let unknown = || crate::policy::errors::forked(Outcome::Unknown);
        let loud = Loud;
        let mut hosted = Hosted::new(unknown, async move {
            let _loud = loud;
            std::future::pending::<Result<()>>().await
        });
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut hosted).poll(&mut context).is_pending());
        let status = crate::test_support::limits::in_a_child(|| {
            let polled = Pin::new(&mut hosted).poll(&mut context);
            let Poll::Ready(Err(error)) = polled else {
                return 1;
            };
            // SAFETY: nothing of this child uses it any more.
            unsafe { std::ptr::drop_in_place(&mut hosted) };
            i32::from(error.code() != ErrorCode::Forked) * 2
        });
        assert_eq!(status, 0);
        std::mem::forget(hosted);
    }

    #[test]
    fn a_child_that_is_forked_while_its_parents_work_is_polled_is_told_so() {
        let unknown = || crate::policy::errors::forked(Outcome::Unknown);
        // SAFETY: the child leaves by `_exit`.
        let forks = async { Ok(unsafe { libc::fork() }) };
        let mut hosted = Hosted::new(unknown, forks);
        let polled = Pin::new(&mut hosted).poll(&mut Context::from_waker(std::task::Waker::noop()));
        match polled {
            Poll::Ready(Ok(child)) if child > 0 => {
                let mut status = 0;
                // SAFETY: waits for the child that was forked above.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
            polled => {
                let told = matches!(&polled, Poll::Ready(Err(e)) if e.code() == ErrorCode::Forked);
                // SAFETY: leaves the child without running the parent's handlers.
                unsafe { libc::_exit(i32::from(!told)) };
            }
        }
    }

    #[test]
    fn a_call_that_was_never_started_is_not_sent() {
        let never = std::future::pending();
        assert_eq!(outcome_of(Outcome::Unknown, false, never), Outcome::NotSent);
    }
}
