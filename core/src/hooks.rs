//! Faults and time for tests. Only in builds with the feature `test-hooks`, never in a shipped one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::Clock;
pub use crate::clock::VirtualClock;
use crate::config::Config;
use crate::error::Result;
use crate::token_manager::TokenManager;

static PANICS: AtomicU32 = AtomicU32::new(0);

/// The next so many calls panic inside the library.
pub fn panic_in_calls(times: u32) {
    PANICS.store(times, Ordering::SeqCst);
}

/// Builds a manager whose time is `clock`'s. Deadlines and pauses stay real.
///
/// # Errors
/// As [`TokenManager::new`].
pub fn manager_with_clock(config: Config, clock: Arc<VirtualClock>) -> Result<TokenManager> {
    TokenManager::with_clock(config, Clock::Virtual(clock))
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
