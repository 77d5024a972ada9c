//! Single flight: any number of callers wait for one refresh.
//!
//! Promises: everybody who waits is told the same result; each has a deadline of its own; one that gives up leaves the
//! flight and the others alone. Never holds its lock while a caller's code runs.

use std::future::poll_fn;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::error::Error;
use crate::manager::token::Token;
use crate::platform::cancel::ASK_EVERY;

/// What a flight brought.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    Token(Token),
    Failed(Error),
    /// The credentials were changed meanwhile, or who flew it gave up: look again.
    Superseded,
}

/// One refresh that is under way.
pub(crate) struct Flight {
    pub(crate) attempt: u64,
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    landing: Option<Landing>,
    wakers: Vec<Waker>,
}

/// A wait that ended before the flight did.
pub(crate) enum GaveUp {
    Deadline,
    Stopped,
}

impl Flight {
    pub(crate) fn new(attempt: u64) -> Flight {
        Flight {
            attempt,
            state: Mutex::default(),
            landed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody. The first landing counts.
    pub(crate) fn land(&self, landing: Landing) {
        let wakers = {
            let mut state = self.state();
            state.landing.get_or_insert(landing);
            std::mem::take(&mut state.wakers)
        };
        self.landed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits on this thread. `stop` is asked at least every 50 ms, with nothing locked.
    pub(crate) fn wait(
        &self,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Landing, GaveUp> {
        loop {
            {
                let mut state = self.state();
                let slice = ASK_EVERY.min(deadline.saturating_duration_since(Instant::now()));
                if state.landing.is_none() && !slice.is_zero() {
                    state = self
                        .landed
                        .wait_timeout(state, slice)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                if let Some(landing) = &state.landing {
                    return Ok(landing.clone());
                }
            }
            if stop() {
                return Err(GaveUp::Stopped);
            }
            if Instant::now() >= deadline {
                return Err(GaveUp::Deadline);
            }
        }
    }

    /// What it brought, if it has landed.
    #[cfg(test)]
    pub(crate) fn landed(&self) -> Option<Landing> {
        self.state().landing.clone()
    }

    /// Waits in a task.
    pub(crate) async fn landing(&self) -> Landing {
        poll_fn(|context| {
            let mut state = self.state();
            if let Some(landing) = &state.landing {
                return Poll::Ready(landing.clone());
            }
            if !state
                .wakers
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                state.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
