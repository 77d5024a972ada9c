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

/// How a single flight ended.
#[derive(Clone, Debug)]
pub(crate) enum Completion {
    Token(Token),
    Failed(Error),
    /// The credentials were changed meanwhile, or its leader gave up: look again.
    Superseded,
}

/// One refresh that is under way.
pub(crate) struct SingleFlight {
    pub(crate) attempt: u64,
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Default)]
struct State {
    completion: Option<Completion>,
    wakers: Vec<Waker>,
}

/// A wait that ended before the flight did.
pub(crate) enum GaveUp {
    Deadline,
    Stopped,
}

impl SingleFlight {
    pub(crate) fn new(attempt: u64) -> SingleFlight {
        SingleFlight {
            attempt,
            state: Mutex::default(),
            completed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody. The first completion counts.
    pub(crate) fn complete(&self, completion: Completion) {
        let wakers = {
            let mut state = self.state();
            state.completion.get_or_insert(completion);
            std::mem::take(&mut state.wakers)
        };
        self.completed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it has ended with a token.
    pub(crate) fn has_token(&self) -> bool {
        matches!(self.state().completion, Some(Completion::Token(_)))
    }

    /// Waits on this thread. `stop` is asked at least every 50 ms, with nothing locked.
    pub(crate) fn wait(
        &self,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Completion, GaveUp> {
        loop {
            {
                let mut state = self.state();
                let slice = ASK_EVERY.min(deadline.saturating_duration_since(Instant::now()));
                if state.completion.is_none() && !slice.is_zero() {
                    state = self
                        .completed
                        .wait_timeout(state, slice)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                if let Some(completion) = &state.completion {
                    return Ok(completion.clone());
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

    /// Waits in a task.
    pub(crate) async fn completion(&self) -> Completion {
        poll_fn(|context| {
            // The program's code makes it, so not under the lock.
            let waker = context.waker().clone();
            let mut state = self.state();
            if let Some(completion) = &state.completion {
                return Poll::Ready(completion.clone());
            }
            if !state.wakers.iter().any(|known| known.will_wake(&waker)) {
                state.wakers.push(waker);
            }
            Poll::Pending
        })
        .await
    }
}
