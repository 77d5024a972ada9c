//! A flag for close and cancel, which threads ask and tasks wait for.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use crate::platform::process::PerProcess;

/// How often a caller's interrupt is asked while the caller waits: below the 50 ms that are promised, since a wait ends late
/// rather than early.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(40);

/// Can be raised once, and then stays raised.
pub(crate) struct CancelFlag {
    raised: AtomicBool,
    /// It holds a lock, which a forked child must not inherit.
    waiting: PerProcess<Notify>,
}

impl Default for CancelFlag {
    fn default() -> Self {
        CancelFlag {
            raised: AtomicBool::new(false),
            waiting: PerProcess::new(),
        }
    }
}

impl fmt::Debug for CancelFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelFlag")
            .field(&self.is_raised())
            .finish()
    }
}

impl CancelFlag {
    fn waiting(&self) -> &Notify {
        self.waiting.get_or_make(Notify::new)
    }

    /// Raises it for those who ask. Those who wait are woken by [`CancelFlag::raise`].
    pub(crate) fn mark(&self) {
        self.raised.store(true, Ordering::SeqCst);
    }

    /// Raises it, and wakes those who wait. That runs the code of their wakers.
    pub(crate) fn raise(&self) {
        self.mark();
        self.waiting().notify_waiters();
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// Ends when it is raised.
    pub(crate) async fn raised(&self) {
        let mut notified = pin!(self.waiting().notified());
        // Enlisted first, so that it is not missed if the flag is raised between the check and the wait.
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}

/// What ends a call: its own flag, or that of its handle.
#[derive(Clone, Copy)]
pub(crate) struct Stop<'a> {
    pub(crate) closed: &'a CancelFlag,
    pub(crate) canceled: Option<&'a CancelFlag>,
}

impl Stop<'_> {
    pub(crate) fn is_raised(self) -> bool {
        self.closed.is_raised() || self.canceled.is_some_and(CancelFlag::is_raised)
    }

    /// Ends when one of them is raised.
    pub(crate) async fn raised(self) {
        match self.canceled {
            Some(canceled) => {
                let (Ok(()) | Err(())) = either(canceled.raised(), self.closed.raised()).await;
            }
            None => self.closed.raised().await,
        }
    }
}

/// The result of the future that ends first; of the left one if both have ended.
pub(crate) async fn either<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> Result<A, B> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    std::future::poll_fn(move |context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        right.as_mut().poll(context).map(Err)
    })
    .await
}
