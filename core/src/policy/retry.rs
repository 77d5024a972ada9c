//! Which calls are sent again.
//!
//! Promises: a call is repeated only if 88Pay cannot have carried it out (a 401, a 429, nothing written) or if repeating does
//! no harm. The library never charges twice. Pure rules.
//!
//! Fact: 88Pay documents no idempotency key and no merchant reference, so a charge repeated after a time-out or a 5xx
//! may charge twice.

use std::time::Duration;

use http::Method;

use crate::exchange::{Failure, FailureKind};
use crate::policy::backoff::ExponentialBackoff;

/// How many times a call is repeated after faults. A repetition after a 401 does not count.
const MOST_REPEATS: u32 = 2;

/// The pause before each of them, with full jitter.
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_millis(500), Duration::from_secs(1));

/// The one POST that only reads ("Balance").
const BALANCE: &str = "/api/balance";

/// What is known of one call: whether repeating it does harm, and how many times it was repeated.
#[derive(Debug)]
pub(crate) struct Retry {
    safe: bool,
    repeats: u32,
}

impl Retry {
    pub(crate) fn new(method: &Method, api_path: &str, marked_safe: bool) -> Retry {
        let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let balance = *method == Method::POST && api_path.trim_end_matches('/') == BALANCE;
        Retry {
            safe: marked_safe || reads || balance,
            repeats: 0,
        }
    }

    pub(crate) fn is_safe(&self) -> bool {
        self.safe
    }

    /// Whether to send again after an answer, and after which pause. `retry_after` is what the answer says.
    pub(crate) fn after_status(
        &mut self,
        status: u16,
        retry_after: Option<Duration>,
        left: Duration,
        jitter: impl FnOnce() -> f64,
    ) -> Option<Duration> {
        match status {
            429 => self.again(left, retry_after.unwrap_or_else(|| self.back_off(jitter()))),
            500 | 502..=504 if self.safe => {
                self.again(left, retry_after.unwrap_or_else(|| self.back_off(jitter())))
            }
            _ => None,
        }
    }

    /// Whether to send again after no answer, and after which pause.
    pub(crate) fn after_failure(
        &mut self,
        failure: &Failure,
        left: Duration,
        jitter: impl FnOnce() -> f64,
    ) -> Option<Duration> {
        let pause = match failure.kind {
            FailureKind::Connect | FailureKind::Cut | FailureKind::Truncated => {
                self.back_off(jitter())
            }
            _ => return None,
        };
        if failure.sent && !self.safe {
            return None;
        }
        self.again(left, pause)
    }

    fn back_off(&self, jitter: f64) -> Duration {
        BACKOFF.pause(self.repeats).mul_f64(jitter.clamp(0.1, 1.0))
    }

    fn again(&mut self, left: Duration, pause: Duration) -> Option<Duration> {
        if self.repeats >= MOST_REPEATS || pause >= left {
            return None;
        }
        self.repeats += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(30);

    fn retry(method: Method, path: &str, marked: bool) -> Retry {
        Retry::new(&method, path, marked)
    }

    fn failure(kind: FailureKind, sent: bool) -> Failure {
        Failure {
            kind,
            sent,
            message: String::new(),
            cause: None,
        }
    }

    #[test]
    fn a_charge_is_repeated_only_where_it_cannot_have_happened() {
        let charge = || retry(Method::POST, "/api/transactions/charges", false);
        for status in [200, 400, 404, 422, 500, 502, 503, 504] {
            assert_eq!(
                charge().after_status(status, None, LEFT, || 1.0),
                None,
                "{status}"
            );
        }
        assert!(
            charge()
                .after_status(429, Some(Duration::from_secs(1)), LEFT, || 1.0)
                .is_some()
        );
        for kind in [
            FailureKind::Timeout,
            FailureKind::Canceled,
            FailureKind::Cut,
            FailureKind::Malformed,
        ] {
            assert_eq!(
                charge().after_failure(&failure(kind, true), LEFT, || 1.0),
                None
            );
        }
        assert!(
            charge()
                .after_failure(&failure(FailureKind::Connect, false), LEFT, || 1.0)
                .is_some()
        );
        assert!(
            charge()
                .after_failure(&failure(FailureKind::Cut, false), LEFT, || 1.0)
                .is_some()
        );
    }

    #[test]
    fn reads_the_balance_and_marked_calls_are_repeated_twice_at_most() {
        for mut safe in [
            retry(Method::GET, "/api/x", false),
            retry(Method::POST, "/api/balance", false),
            retry(Method::POST, "/api/refunds", true),
        ] {
            assert!(safe.after_status(503, None, LEFT, || 1.0).is_some());
            assert!(
                safe.after_failure(&failure(FailureKind::Cut, true), LEFT, || 1.0)
                    .is_some()
            );
            assert!(safe.after_status(503, None, LEFT, || 1.0).is_none());
        }
    }

    #[test]
    fn a_pause_that_does_not_fit_the_deadline_ends_the_call() {
        let mut get = retry(Method::GET, "/x", false);
        assert_eq!(
            get.after_status(429, Some(Duration::from_secs(60)), LEFT, || 1.0),
            None
        );
        assert_eq!(
            get.after_status(429, Some(Duration::from_secs(29)), LEFT, || 1.0),
            Some(Duration::from_secs(29))
        );
    }
}
