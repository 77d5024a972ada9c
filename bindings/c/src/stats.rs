//! Counts of a manager. Reached by name, so that a new count is no new function.

use std::ffi::c_char;

use pay88::Stats;
use serde_json::Value;

use crate::boundary::boundary;
use crate::text::{MAX_NAME, text};
use crate::view::{Terminated, pay88_str};

/// What a manager had done at one moment. It never changes. Any thread may read and release it.
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

/// One number, by its name. NaN for an unknown name. Later releases may add some.
///
///   "manager_id"           the number of the manager
///   "hits"                 cached tokens that were handed out
///   "waits"                callers that had to wait for a token
///   "refreshes"            attempts to get a new token
///   "refreshes_failed"     attempts that brought no token
///   "tokens_issued"        tokens that 88Pay granted to this manager
///   "tokens_shared"        tokens that were taken over from other processes
///   "calls"                calls that were begun
///   "calls_repeated"       how often a call was sent again
///   "calls_failed"         calls that ended without an answer
///   "calls_answered_401"   calls that ended with status 401; also "..._403", "..._404", "..._422" and "..._429"
///   "calls_answered_4xx"   calls that ended with any status of 400 to 499
///   "calls_answered_5xx"   calls that ended with a status of 500 or above
///   "generation"           the number of the cached token; 0 if there is none
///   "token_age"            seconds since that token was asked for, by whichever process; NaN if there is none
///   "token_valid_for"      seconds for which that token will still be handed out
///   "budget_left_minute"   tokens that may still be asked for in this minute
///   "budget_left_hour"     tokens that may still be asked for in this hour
///   "budget_split"         among how many hosts the budget is divided while no store can be used; otherwise 1
///   "hosts"                how many hosts share the token, as far as this one knows; 0 without a store
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_stats_value(
    stats: Option<&pay88_stats>,
    name: *const c_char,
    name_len: usize,
) -> f64 {
    boundary!(value, || {
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_NAME, "name") }.ok()?;
        stats?.values.get(name)?.as_f64()
    })
}

/// All numbers of pay88_stats_value() as one JSON object, and these. Each of the last four is a text or null.
/// Followed by a NUL. Has no secret.
///
///   "hold"             the failure of the token endpoint that is remembered: null, or an object with its "class" and the
///                      seconds "left" for which it stops new token requests
///   "share"            who shares the token: "process", "host" or "fleet"
///   "share_path"       the file in which the processes of the host share it
///   "share_degraded"   why they cannot share
///   "store"            the fleet's store that was used last
///   "store_degraded"   why no store can be used
#[unsafe(no_mangle)]
pub extern "C" fn pay88_stats_json(stats: Option<&pay88_stats>) -> pay88_str {
    boundary!(value, || Some(stats?.json.view()))
}

/// Releases the snapshot. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_stats_release(stats: Option<Box<pay88_stats>>) {
    boundary!(release(stats));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pay88::{Config, TokenManager};

    use super::*;

    #[test]
    fn the_header_has_every_statistic_and_no_other() -> pay88::Result<()> {
        let config = Config::without_environment()
            .with("api_key", "sk_test_sandbox_statistics")?
            .with("merchant_id", "MCH-COL-STATS")?
            .with("share", "process")?;
        let stats = pay88_stats::from(TokenManager::new(config)?.stats());
        let names = stats.values.as_object().into_iter().flatten();

        let rows = include_str!("stats.rs").lines();
        let rows = rows.filter_map(|line| line.strip_prefix("///   \""));
        let mut documented = BTreeSet::new();
        for row in rows {
            let mut quoted = row.split('"').step_by(2);
            documented.extend(quoted.next().map(str::to_owned));
            let others = quoted.filter_map(|name| name.strip_prefix("..."));
            documented.extend(others.map(|name| format!("calls_answered{name}")));
        }
        assert_eq!(documented, names.map(|(name, _)| name.clone()).collect());
        Ok(())
    }
}
