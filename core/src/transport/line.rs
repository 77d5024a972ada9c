//! Who may have a connection: so many requests at a time, first come first served.
//!
//! Threads and tasks stand in one line. Whoever waits has sent nothing, and waits no longer than its own deadline. A
//! request has its place until its connection is back in the pool or closed.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::deadline::Deadline;
use super::reactor::Reactor;
use crate::exchange::{Failure, FailureKind};
use crate::platform::process::LeftToParent;

pub(super) struct Line(Semaphore);

/// The right to have a connection, until it is dropped. The line of a forked child is its own, so a child gives none
/// back.
pub(super) type Place<'a> = LeftToParent<SemaphorePermit<'a>>;

impl Line {
    pub(super) fn new(places: usize) -> Line {
        Line(Semaphore::new(places))
    }

    /// Waits for a place.
    pub(super) async fn enter<R: Reactor>(
        &self,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<Place<'_>, Failure> {
        // The semaphore is fair: while somebody waits, nothing is left for those who only try.
        if let Ok(place) = self.0.try_acquire() {
            return Ok(LeftToParent::new(place));
        }
        deadline.enter("while as many calls as max_connections allows were under way");
        let mut waiting = LeftToParent::new(Box::pin(self.0.acquire()));
        let place = deadline.completed(poll_fn(|cx| waiting.as_mut().poll(cx)));
        place.await?.map(LeftToParent::new).map_err(|e| {
            // Nobody closes it.
            Failure::before_sending(FailureKind::Internal, e.to_string())
        })
    }
}

/// Counts an open connection until it is dropped.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    /// Counts one more.
    pub(super) fn counted(open: &Arc<AtomicUsize>) -> Open {
        open.fetch_add(1, Ordering::Relaxed);
        Open(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
