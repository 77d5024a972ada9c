//! Remembered failures of the token endpoint. While a failure is remembered, callers get it again and 88Pay is not asked.
//!
//! Promises: a 429 is remembered as long as the server said. Rejected credentials are tried again after 5 s; the pause
//! doubles up to 5 minutes. After any other failure the pause is short, with jitter. It is longer if each attempt costs a slot
//! of the budget, so that an outage of 88Pay does not use up the hour, however many hosts there are. A pure data structure on
//! boot time.

use std::time::Duration;

use crate::error::Error;
use crate::policy::token_response::{Class, Rejection};
use crate::time::BootTime;

/// If so many hosts fail one after the other, 88Pay has an outage. If one host fails alone, its network may be the cause.
const IN_A_ROW: u32 = 3;

/// Pauses that double with each failure in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExponentialBackoff {
    first: Duration,
    longest: Duration,
}

impl ExponentialBackoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> ExponentialBackoff {
        ExponentialBackoff { first, longest }
    }

    /// The pause after a failure, if `before` others came just before it.
    pub(crate) fn pause(self, before: u32) -> Duration {
        self.first
            .saturating_mul(1 << before.min(16))
            .min(self.longest)
    }

    /// Pauses that are so many times as long.
    fn times(self, times: u32) -> ExponentialBackoff {
        ExponentialBackoff {
            first: self.first.saturating_mul(times),
            longest: self.longest.saturating_mul(times),
        }
    }
}

impl Class {
    /// The pauses after a failure of this class. An attempt of which nothing was written costs no slot, so they are shorter.
    fn pauses(self, unsent: bool) -> ExponentialBackoff {
        let (first, longest) = match self {
            Class::Temporary if unsent => (1, 16),
            Class::Temporary => (1, 60),
            _ => (5, 300),
        };
        ExponentialBackoff::new(Duration::from_secs(first), Duration::from_secs(longest))
    }
}

/// Callers that give up do so in a row if no more time than this lies between them.
const GIVEN_UP_IN_A_ROW: Duration = Duration::from_secs(60);

/// One remembered failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) class: Class,
    /// When the failure happened.
    pub(crate) at: BootTime,
    pub(crate) until: BootTime,
    pub(crate) error: Error,
    /// How many failures of this class came in a row, with this one.
    pub(crate) streak: u32,
}

impl Backoff {
    /// The back-off after one more failure. See [`Backoffs::note`].
    pub(crate) fn after(
        before: Option<&Backoff>,
        now: BootTime,
        rejection: &Rejection,
        jitter: f64,
        shares: u32,
    ) -> Backoff {
        let class = rejection.class;
        let streak = before
            .filter(|backoff| backoff.class == class)
            .map_or(0, |backoff| backoff.streak)
            .saturating_add(1);
        let mut pauses = class.pauses(rejection.unsent);
        if class == Class::Temporary && !rejection.unsent {
            // All hosts together take no more slots than one would.
            pauses = pauses.times(shares);
        }
        let doubled = pauses.pause(streak - 1);
        let pause = match (class, rejection.error.retry_after()) {
            (Class::RateLimited, Some(asked)) => asked,
            (Class::Temporary, _) => doubled.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0),
            _ => doubled,
        };
        Backoff {
            class,
            at: now,
            until: now.plus(pause),
            error: rejection.error.clone(),
            streak,
        }
    }

    /// The error of the failure, with the time that is left; `None` if it is over.
    pub(crate) fn check(&self, now: BootTime) -> Option<Error> {
        let left = (now < self.until).then(|| now.until(self.until))?;
        Some(self.error.clone().with_retry_after(left))
    }

    /// The back-off of all hosts after one more failure. `of_the_same`: the host that failed before has failed again.
    pub(crate) fn among_hosts(
        mut before: Option<Backoff>,
        of_the_same: bool,
        now: BootTime,
        rejection: &Rejection,
        jitter: f64,
    ) -> Backoff {
        if let Some(before) = before.as_mut().filter(|_| of_the_same) {
            // As long as one host fails alone, its network may be the cause.
            before.streak = before.streak.saturating_sub(1);
        }
        Backoff::after(before.as_ref(), now, rejection, jitter, 1)
    }
}

/// The back-offs of a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoffs {
    /// The last failure, of this process or of others who share the key.
    last: Option<Backoff>,
    /// The failures of several hosts in a row. See [`Backoff::among_hosts`].
    outage: Option<Backoff>,
}

impl Backoffs {
    /// Remembers a failure, and returns for how long. `jitter` is a random number from 0 to 1. `shares`: into how many shares
    /// the budget is divided. Each of these hosts will fail by itself.
    pub(crate) fn note(
        &mut self,
        now: BootTime,
        rejection: &Rejection,
        jitter: f64,
        shares: u32,
    ) -> Duration {
        let backoff = Backoff::after(self.last.as_ref(), now, rejection, jitter, shares);
        let pause = backoff.at.until(backoff.until);
        self.last = Some(backoff);
        pause
    }

    /// Remembers that a caller gave up while its request was under way. The first one may have had little time, and the next
    /// may ask at once. If several do so in a row, 88Pay is slow, and each of them costs a slot.
    pub(crate) fn note_given_up(&mut self, now: BootTime, error: Error, jitter: f64, shares: u32) {
        // What was over long ago says nothing of 88Pay now.
        self.last
            .take_if(|last| last.until.plus(GIVEN_UP_IN_A_ROW) <= now);
        let first = !self.is_temporary();
        let rejection = Rejection {
            error,
            class: Class::Temporary,
            resend: false,
            unsent: false,
            capped: false,
        };
        self.note(now, &rejection, jitter, shares);
        if let Some(last) = self.last.as_mut().filter(|_| first) {
            last.until = now;
        }
    }

    /// The error of the remembered failure, with the time that is left; `None` if 88Pay may be asked.
    pub(crate) fn check(&self, now: BootTime) -> Option<Error> {
        let last = self.last.as_ref().and_then(|backoff| backoff.check(now));
        last.or_else(|| self.outage()?.check(now))
    }

    /// Whether everybody who has the key backs off now.
    pub(crate) fn are_everybodys(&self, now: BootTime) -> bool {
        let last = self.last.as_ref().filter(|backoff| backoff.class.of_key());
        let mut all = [last, self.outage()].into_iter().flatten();
        all.any(|backoff| now < backoff.until)
    }

    /// The back-off of all hosts, once so many have failed that 88Pay has an outage.
    fn outage(&self) -> Option<&Backoff> {
        let outage = self.outage.as_ref();
        outage.filter(|outage| outage.streak >= IN_A_ROW)
    }

    /// Whether the last attempt failed, too, and not because of the key.
    pub(crate) fn is_temporary(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|backoff| backoff.class == Class::Temporary)
    }

    /// The failure that was remembered last, also if it is over.
    pub(crate) fn last(&self) -> Option<&Backoff> {
        self.last.as_ref()
    }

    /// Takes over a failure that others who share the token have met. A failure of the key concerns everybody. Any other one
    /// may come from the network of one process. So only those take it over who waited for that attempt, since `waiting`.
    pub(crate) fn learn(&mut self, shared: Option<&Backoff>, waiting: Option<BootTime>) {
        match shared {
            Some(backoff)
                if backoff.class.of_key() || waiting.is_some_and(|since| backoff.at >= since) =>
            {
                // If it is the failure of this process, the one that it has says more than the record: the attempt.
                if self.last.as_ref().is_none_or(|own| {
                    (own.class, own.at) != (backoff.class, backoff.at)
                        && (own.class.of_key() || own.until <= backoff.until)
                }) {
                    self.last = Some(backoff.clone());
                }
            }
            // The failure of the key is over: somebody got a token since.
            _ => self.last = self.last.take().filter(|own| !own.class.of_key()),
        }
    }

    /// Takes over the failures of several hosts from their store.
    pub(crate) fn learn_outage(&mut self, outage: Option<&Backoff>) {
        self.outage = outage.cloned();
    }

    /// The present back-off, for statistics: the name of the class, and the time that is left.
    pub(crate) fn current(&self, now: BootTime) -> Option<(&'static str, Duration)> {
        let mut all = [self.last.as_ref(), self.outage()].into_iter().flatten();
        let backoff = all.find(|backoff| now < backoff.until)?;
        Some((backoff.class.name(), now.until(backoff.until)))
    }

    /// Forgets all failures: a token was granted, or the credentials changed.
    pub(crate) fn clear(&mut self) {
        *self = Backoffs::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn rejection(class: Class, retry_after: Option<u64>) -> Rejection {
        let mut error = Error::new(ErrorCode::Internal, "m", "h");
        if let Some(seconds) = retry_after {
            error = error.with_retry_after(Duration::from_secs(seconds));
        }
        Rejection {
            error,
            class,
            resend: false,
            unsent: false,
            capped: false,
        }
    }

    #[test]
    fn rejected_credentials_are_asked_about_after_5_s_doubling_to_5_minutes() {
        let mut backoffs = Backoffs::default();
        let mut now = BootTime(0);
        for expected in [5, 10, 20, 40, 80, 160, 300, 300] {
            let pause = backoffs.note(now, &rejection(Class::Unauthorized, None), 0.3, 1);
            assert_eq!(pause.as_secs(), expected);
            assert_eq!(backoffs.check(now).unwrap().retry_after(), Some(pause));
            now = now.plus(pause);
            assert!(backoffs.check(now).is_none());
        }
        assert_eq!(
            backoffs
                .note(now, &rejection(Class::Forbidden, None), 0.0, 1)
                .as_secs(),
            5
        );
        backoffs.clear();
        assert!(backoffs.check(now).is_none());
    }

    #[test]
    fn callers_that_give_up_in_a_row_keep_others_and_the_first_one_keeps_nobody() {
        let mut backoffs = Backoffs::default();
        let mut now = BootTime(0);
        for _ in 0..8 {
            now = now.plus(backoffs.note(now, &rejection(Class::Temporary, None), 1.0, 1));
        }
        let error = || Error::new(ErrorCode::Timeout, "m", "h");
        // Long after an outage that a token of another process has ended.
        now = now.plus(Duration::from_secs(3600));
        backoffs.note_given_up(now, error(), 1.0, 1);
        assert!(backoffs.check(now).is_none());
        now = now.plus(Duration::from_secs(1));
        backoffs.note_given_up(now, error(), 1.0, 1);
        let pause = backoffs.check(now).unwrap().retry_after();
        assert_eq!(pause, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_429_holds_as_long_as_it_says() {
        let mut backoffs = Backoffs::default();
        backoffs.note(
            BootTime(0),
            &rejection(Class::RateLimited, Some(60)),
            0.0,
            1,
        );
        assert!(backoffs.check(BootTime(59_999)).is_some());
        assert!(backoffs.check(BootTime(60_000)).is_none());
    }

    #[test]
    fn who_met_a_failure_tells_it_with_its_attempt_after_reading_of_it_too() {
        let mut own = Backoffs::default();
        let mut met = rejection(Class::Unauthorized, None);
        met.error = met.error.with_attempt(7);
        own.note(BootTime(9), &met, 0.0, 1);
        // The record does not say whose attempt it was.
        let mut written = own.last().cloned();
        written.as_mut().unwrap().error = rejection(Class::Unauthorized, None).error;
        own.learn(written.as_ref(), None);
        assert_eq!(own.check(BootTime(10)).unwrap().attempt(), Some(7));

        // One of others, met since, counts.
        let mut later = written;
        later.as_mut().unwrap().at = BootTime(10);
        own.learn(later.as_ref(), None);
        assert_eq!(own.check(BootTime(11)).unwrap().attempt(), None);
    }

    #[test]
    fn temporary_faults_back_off_shortly_with_jitter() {
        let mut backoffs = Backoffs::default();
        let pause = |backoffs: &mut Backoffs, jitter| {
            backoffs
                .note(BootTime(0), &rejection(Class::Temporary, None), jitter, 1)
                .as_millis()
        };
        assert_eq!(pause(&mut backoffs, 0.0), 500);
        assert_eq!(pause(&mut backoffs, 1.0), 2000);
        for unsent in [true, false] {
            let mut rejection = rejection(Class::Temporary, None);
            rejection.unsent = unsent;
            let longest = (0..40).map(|_| backoffs.note(BootTime(0), &rejection, 1.0, 1).as_secs());
            assert_eq!(longest.max(), Some(if unsent { 16 } else { 60 }));
        }
    }
}
