//! Faults that a test asks for: a panic, an action at a step of a refresh, less time for a refresh.
//!
//! Exists in builds with the feature `test-hooks` only, never in a shipped one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static PANICS: AtomicU32 = AtomicU32::new(0);

/// Lets the next `times` calls panic inside the library.
pub fn panic_in_calls(times: u32) {
    PANICS.store(times, Ordering::SeqCst);
}

/// How far a refresh of a shared token has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshStep {
    /// It has the lock, and has written nothing yet.
    Locked,
    /// Its counted request, and the time by which it will be done, are in the record. It has sent nothing yet.
    Announced,
    /// The answer has come. It has written nothing of it yet.
    Answered,
    /// The result is in the record, and it still has the lock.
    Published,
}

type AtStep = (RefreshStep, Box<dyn FnMut() + Send>);

static AT_STEP: Mutex<Option<AtStep>> = Mutex::new(None);
static REFRESH_MILLIS: AtomicU64 = AtomicU64::new(0);

/// Runs `f`, on the refresh's own thread, whenever a refresh of this process comes to that step.
pub fn at_refresh_step(step: RefreshStep, f: impl FnMut() + Send + 'static) {
    let mut at = AT_STEP.lock().unwrap_or_else(PoisonError::into_inner);
    *at = Some((step, Box::new(f)));
}

/// From now on a refresh of this process takes at most that long, instead of 20 s.
pub fn shorten_refresh(time: Duration) {
    REFRESH_MILLIS.store(time.as_millis() as u64, Ordering::SeqCst);
}

pub(crate) fn refresh_time() -> Option<Duration> {
    match REFRESH_MILLIS.load(Ordering::SeqCst) {
        0 => None,
        millis => Some(Duration::from_millis(millis)),
    }
}

pub(crate) fn reached(step: RefreshStep) {
    let mut at = AT_STEP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((wanted, f)) = at.as_mut()
        && *wanted == step
    {
        f();
    }
}

#[allow(clippy::panic)]
pub(crate) fn panic_if_asked() {
    if PANICS
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
    {
        panic!("provoked by a test");
    }
}
