//! Counts of a manager. Reached by name, so that a new count is no new function.

use std::ffi::c_char;

use pay88::Stats;
use serde_json::Value;

use crate::boundary::{release, value};
use crate::text::{MAX_NAME, text};
use crate::view::{Terminated, pay88_str};

/// What a manager had done at one moment. Never changes; may be read and released by any thread.
pub struct pay88_stats {
    values: Value,
    json: Terminated,
}

impl From<Stats> for pay88_stats {
    fn from(stats: Stats) -> pay88_stats {
        let values = stats.to_json();
        pay88_stats {
            json: Terminated::new(&values.to_string()),
            values,
        }
    }
}

/// One number by its name: "manager_id", "hits" (cached tokens handed out), "waits" (callers that had to wait for one),
/// "refreshes", "tokens_issued", "tokens_shared" (taken over from other processes), "refreshes_failed", "calls",
/// "calls_repeated", "calls_failed" (that ended without an answer), "calls_answered_401", "calls_answered_403",
/// "calls_answered_404", "calls_answered_422", "calls_answered_429" (that ended with that status), "calls_answered_4xx" and
/// "calls_answered_5xx" (with any of 400 to 499, or of 500 and above), "generation" (of the token that is kept; 0 if none
/// is), "token_age" (seconds since it was asked for, by whichever process; NaN if none is), "token_valid_for" (seconds),
/// "budget_left_minute",
/// "budget_left_hour" (tokens that may still be asked for), "budget_split" (hosts among which what was left of them is
/// split, while no store can be used; else 1), "hosts" (that share the token, as far as this one knows; 0 without a
/// store). Later releases may add some. NaN for a name that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_stats_value(
    stats: Option<&pay88_stats>,
    name: *const c_char,
    name_len: usize,
) -> f64 {
    value(|| {
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_NAME, "name") }.ok()?;
        stats?.values.get(name)?.as_f64()
    })
}

/// All of them as a JSON object, and: "hold", the remembered failure of the token endpoint: null, or an object with its
/// "class" and the seconds "left"; "share": who shares the token, "process", "host" or "fleet"; "share_path", the file in
/// which the host does, and "share_degraded", why it cannot; "store", the fleet's store that was used last, and
/// "store_degraded", why none can be used; each of these four is a text or null. Followed by a NUL. Holds no secret.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_stats_json(stats: Option<&pay88_stats>) -> pay88_str {
    value(|| Some(stats?.json.view()))
}

/// Releases it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_stats_release(stats: Option<Box<pay88_stats>>) {
    release(stats);
}
