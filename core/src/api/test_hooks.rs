//! Faults and time for tests. Only in builds with the feature `test-hooks`, never in a shipped one.

use std::sync::Arc;

use crate::api::token_manager::TokenManager;
use crate::config::Config;
use crate::error::Result;
use crate::platform::clock::Clock;
pub use crate::platform::fault_injection::{
    RefreshStep, at_refresh_step, panic_in_calls, shorten_refresh,
};
pub use crate::platform::virtual_clock::VirtualClock;

/// Builds a manager whose time is `clock`'s. Deadlines and pauses stay real.
///
/// # Errors
/// As [`TokenManager::new`].
pub fn manager_with_clock(config: Config, clock: Arc<VirtualClock>) -> Result<TokenManager> {
    // What others share has the time of the machine.
    let config = config.with("share", "process")?;
    TokenManager::with_clock(config, Clock::Virtual(clock))
}
