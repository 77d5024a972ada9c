//! What C passes: durations in milliseconds.

use std::time::Duration;

use pay88::{Error, Result};

/// The longest time that any function waits.
pub(crate) const MAX_MS: u64 = 3_600_000;

/// A time-out; `None` for 0, which leaves it to the manager.
pub(crate) fn timeout(timeout_ms: u64) -> Result<Option<Duration>> {
    if timeout_ms > MAX_MS {
        return Err(Error::invalid(
            format!("The argument timeout_ms is {timeout_ms}."),
            format!("It may be at most {MAX_MS} (an hour)."),
        ));
    }
    Ok((timeout_ms > 0).then(|| Duration::from_millis(timeout_ms)))
}
