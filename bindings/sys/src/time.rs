//! Times, as languages and as the ABI have them.

use std::time::Duration;

/// A number of seconds as a language passes it. What is no time at all becomes one that is too long, which the library
/// refuses.
pub fn from_seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// A time as the ABI takes it: rounded up, and 0 only for none.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> u64 {
    let Some(timeout) = timeout else { return 0 };
    let rounded_up = timeout.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(rounded_up).unwrap_or(u64::MAX)
}
