//! How many tokens may be asked for: 10 a minute and 100 an hour, counted here before asking.
//!
//! Promises: a slot is taken before a request and given back only if nothing was written to the network; the windows
//! are kept longer than the server's, so that neither a sliding nor a fixed window there can overflow; what the server
//! says of its own count can only lower ours. A pure data structure on boot time.
//!
//! Facts: 10 a minute, 100 an hour, `X-RateLimit-*` on every answer (88Pay documentation, "Rate limits"). Whether
//! refused requests count is not documented: they are counted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::BootTime;

const MINUTE: Duration = Duration::from_secs(60 + 2);
const HOUR: Duration = Duration::from_secs(3600 + 15);

/// Tokens forced by a 401 or by `invalidate` come from a reserve of their own, inside the budget.
const FORCED_PER_HOUR: usize = 20;
const FORCED_APART: Duration = Duration::from_secs(10);

/// A slot that was taken; needed to give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(BootTime);

/// Over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The next slot is free then.
    pub(crate) until: BootTime,
    /// `minute`, `hour` or `forced`: which limit it was.
    pub(crate) limit: &'static str,
}

/// What the server said is left, until it counts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) left: u32,
    /// It is the hour that it was said of, else the minute.
    pub(crate) hourly: bool,
    pub(crate) until: BootTime,
}

/// What was counted, by whoever shares the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// When slots were taken, oldest first, no older than an hour.
    pub(crate) taken: VecDeque<BootTime>,
    pub(crate) forced: VecDeque<BootTime>,
    pub(crate) told: Option<Told>,
}

/// The counts and the limits that this process keeps.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    per_minute: usize,
    per_hour: usize,
    counts: Counts,
}

impl Counts {
    /// Takes over what `other` has and this does not: what was spent stays spent.
    pub(crate) fn merge(&mut self, other: &Counts) {
        for (mine, theirs) in [
            (&mut self.taken, &other.taken),
            (&mut self.forced, &other.forced),
        ] {
            // Both are in order; what both have is the same slot.
            let (mut all, mut theirs) = (VecDeque::new(), theirs.iter().copied().peekable());
            for at in mine.drain(..) {
                while let Some(earlier) = theirs.next_if(|other| *other < at) {
                    all.push_back(earlier);
                }
                theirs.next_if_eq(&at);
                all.push_back(at);
            }
            all.extend(theirs);
            *mine = all;
        }
        // Which was said later is not known; the lower one is safe.
        self.told = [self.told, other.told]
            .into_iter()
            .flatten()
            .min_by_key(|told| told.left);
    }

    /// As many slots as a minute has are spent: nobody knows any more what was.
    pub(crate) fn spend_minute(&mut self, now: BootTime, per_minute: u32) {
        self.taken.extend((0..per_minute).map(|_| now));
    }

    fn forget(&mut self, now: BootTime) {
        for times in [&mut self.taken, &mut self.forced] {
            while times.front().is_some_and(|taken| now >= taken.plus(HOUR)) {
                times.pop_front();
            }
        }
        self.told = self.told.filter(|told| now < told.until);
    }
}

impl Budget {
    pub(crate) fn new(per_minute: u32, per_hour: u32) -> Budget {
        Budget {
            per_minute: per_minute as usize,
            per_hour: per_hour as usize,
            counts: Counts::default(),
        }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Goes on from what was counted elsewhere.
    pub(crate) fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// Takes a slot for one request that is about to be sent.
    pub(crate) fn take(&mut self, now: BootTime) -> Result<Slot, Refusal> {
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        if let Some(told) = &mut self.counts.told {
            told.left -= 1;
        }
        self.counts.taken.push_back(now);
        Ok(Slot(now))
    }

    /// Nothing of the request was written to the network.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        if let Some(at) = self.counts.taken.iter().rposition(|taken| *taken == slot.0) {
            self.counts.taken.remove(at);
            if let Some(told) = &mut self.counts.told {
                told.left = told.left.saturating_add(1);
            }
        }
    }

    /// Books a token that is forced; the slot itself is taken when the request is sent.
    pub(crate) fn force(&mut self, now: BootTime) -> Result<(), Refusal> {
        self.counts.forget(now);
        let refusal = |until| {
            Err(Refusal {
                until,
                limit: "forced",
            })
        };
        if let Some(last) = self
            .counts
            .forced
            .back()
            .filter(|last| now < last.plus(FORCED_APART))
        {
            return refusal(last.plus(FORCED_APART));
        }
        if self.counts.forced.len() >= FORCED_PER_HOUR {
            return refusal(
                self.counts.forced[self.counts.forced.len() - FORCED_PER_HOUR].plus(HOUR),
            );
        }
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        self.counts.forced.push_back(now);
        Ok(())
    }

    /// `X-RateLimit-Remaining` of a token answer, and when the server counts anew. It can only lower what is left.
    pub(crate) fn told(
        &mut self,
        now: BootTime,
        limit: Option<u32>,
        remaining: u32,
        reset_in: Duration,
    ) {
        // Which of its two windows the server means is not documented; its limit says so where it is the hourly one.
        let hourly = limit.is_some_and(|limit| limit as usize > self.per_minute);
        let window = if hourly { HOUR } else { MINUTE };
        let told = Told {
            left: remaining,
            hourly,
            until: now.plus(reset_in.min(window)),
        };
        match &self.counts.told {
            Some(known) if now < known.until && known.left <= told.left => {}
            _ => self.counts.told = Some(told),
        }
    }

    /// What the server said was said of a key that is no longer used.
    pub(crate) fn forget_told(&mut self) {
        self.counts.told = None;
    }

    /// How many slots there are: in a minute and in an hour.
    pub(crate) fn limits(&self) -> (usize, usize) {
        (self.per_minute, self.per_hour)
    }

    /// Slots left now: in this minute and in this hour.
    pub(crate) fn left(&self, now: BootTime) -> (usize, usize) {
        let used = |window| {
            self.counts
                .taken
                .iter()
                .filter(|taken| now < taken.plus(window))
                .count()
        };
        let mut minute = self.per_minute.saturating_sub(used(MINUTE));
        let mut hour = self.per_hour.saturating_sub(used(HOUR));
        if let Some(told) = self.counts.told.filter(|told| now < told.until) {
            let left = told.left as usize;
            minute = minute.min(left);
            if told.hourly {
                hour = hour.min(left);
            }
        }
        (minute.min(hour), hour)
    }

    /// The limit that is reached, if one is: the one that is free last.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Refusal> {
        self.counts.forget(now);
        let full = |limit: usize, window| {
            let oldest = self
                .counts
                .taken
                .len()
                .checked_sub(limit)
                .map(|index| self.counts.taken[index].plus(window));
            // `taken` may hold more than a minute's worth: only those inside the window fill it.
            oldest.filter(|until| *until > now)
        };
        let told = self
            .counts
            .told
            .filter(|told| told.left == 0)
            .map(|told| Refusal {
                until: told.until,
                limit: "told",
            });
        let minute = full(self.per_minute, MINUTE).map(|until| Refusal {
            until,
            limit: "minute",
        });
        let hour = full(self.per_hour, HOUR).map(|until| Refusal {
            until,
            limit: "hour",
        });
        [told, minute, hour]
            .into_iter()
            .flatten()
            .max_by_key(|refusal| refusal.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: BootTime = BootTime(1_000_000_000);

    fn after(seconds: f64) -> BootTime {
        START.plus(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_eleventh_in_a_minute_is_refused_with_the_time_to_come_back() {
        let mut budget = Budget::new(10, 100);
        for i in 0..10 {
            budget.take(after(f64::from(i))).unwrap();
        }
        assert_eq!(budget.left(after(9.0)), (0, 90));
        let refusal = budget.take(after(10.0)).unwrap_err();
        assert_eq!((refusal.limit, refusal.until), ("minute", after(62.0)));
        assert!(budget.take(after(61.9)).is_err());
        assert!(budget.take(after(62.0)).is_ok());
        assert!(budget.take(after(62.1)).is_err());
    }

    #[test]
    fn the_hundred_and_first_in_an_hour_is_refused_with_the_time_to_come_back() {
        let mut budget = Budget::new(10, 100);
        for i in 0..100 {
            budget.take(after(7.0 * f64::from(i))).unwrap();
        }
        let refusal = budget.take(after(2000.0)).unwrap_err();
        assert_eq!((refusal.limit, refusal.until), ("hour", after(3615.0)));
        assert!(budget.take(after(3615.0)).is_ok());
    }

    #[test]
    fn no_window_of_the_server_overflows_however_it_is_asked() {
        // Greedy: whenever a slot is free it is taken.
        let mut budget = Budget::new(10, 100);
        let mut taken: Vec<f64> = Vec::new();
        for tenth in 0..(3 * 36_000) {
            let t = f64::from(tenth) / 10.0;
            if budget.take(after(t)).is_ok() {
                taken.push(t);
            }
        }
        let most = |window: f64| {
            taken
                .iter()
                .map(|from| {
                    taken
                        .iter()
                        .filter(|t| **t >= *from && **t < from + window)
                        .count()
                })
                .max()
                .unwrap()
        };
        assert!(taken.len() > 200);
        assert_eq!(most(61.9), 10);
        assert_eq!(most(3614.9), 100);
    }

    #[test]
    fn only_a_slot_that_was_given_back_is_free_again() {
        let mut budget = Budget::new(1, 100);
        let slot = budget.take(START).unwrap();
        assert!(budget.take(START).is_err());
        budget.give_back(slot);
        assert!(budget.take(START).is_ok());
        // Also of what the server said is left.
        let mut budget = Budget::new(10, 100);
        budget.told(START, Some(10), 1, Duration::from_secs(30));
        let slot = budget.take(START).unwrap();
        assert!(budget.take(START).is_err());
        budget.give_back(slot);
        assert!(budget.take(START).is_ok());
    }

    #[test]
    fn what_the_server_says_only_lowers_what_is_left() {
        let mut budget = Budget::new(10, 100);
        budget.told(START, Some(10), 50, Duration::from_secs(30));
        assert_eq!(budget.left(START), (10, 100));
        budget.told(START, Some(100), 40, Duration::from_secs(30));
        assert_eq!(budget.left(START), (10, 40));
        budget.told(START, Some(10), 1, Duration::from_secs(30));
        budget.told(START, Some(10), 9, Duration::from_secs(30));
        assert!(budget.take(START).is_ok());
        assert_eq!(budget.take(after(1.0)).unwrap_err().until, after(30.0));
        assert!(budget.take(after(30.0)).is_ok());
        budget.told(after(31.0), None, 0, Duration::from_secs(1 << 40));
        assert_eq!(
            budget.take(after(32.0)).unwrap_err().until,
            after(31.0 + 62.0)
        );
    }

    #[test]
    fn forced_tokens_are_ten_seconds_apart_and_twenty_an_hour() {
        let mut budget = Budget::new(1000, 1000);
        assert!(budget.force(START).is_ok());
        assert_eq!(budget.force(after(9.0)).unwrap_err().until, after(10.0));
        for i in 1..20 {
            assert!(budget.force(after(10.0 * f64::from(i))).is_ok());
        }
        let refusal = budget.force(after(300.0)).unwrap_err();
        assert_eq!((refusal.limit, refusal.until), ("forced", after(3615.0)));
    }
}
