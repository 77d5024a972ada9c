//! Faults that a test asks for: a panic, something to do at a step of a refresh, less time for one.
//!
//! Only in builds with the feature `test-hooks`, never in a shipped one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static PANICS: AtomicU32 = AtomicU32::new(0);

/// The next so many calls panic inside the library.
pub fn panic_in_calls(times: u32) {
    PANICS.store(times, Ordering::SeqCst);
}

/// Where a refresh of a shared token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshStep {
    /// It has the lock, and nothing is written yet.
    Locked,
    /// Its slot and the time by which it will be done are in the record; nothing is sent yet.
    Announced,
    /// The answer has come, and nothing of it is written yet.
    Answered,
    /// The result is in the record, and the lock is still held.
    Published,
}

type AtStep = (RefreshStep, Box<dyn FnMut() + Send>);

static AT_STEP: Mutex<Option<AtStep>> = Mutex::new(None);
static REFRESH_MILLIS: AtomicU64 = AtomicU64::new(0);

/// Runs `f` whenever a refresh of this process gets to that step, on its thread.
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
