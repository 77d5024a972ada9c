//! Request limits over a minute and an hour, sliding or by the clock. It counts what it is told of and decides nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Windows;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How many requests are allowed; 0 is no limit.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) per_minute: u32,
    pub(crate) per_hour: u32,
    pub(crate) windows: Windows,
}

/// Where a holder stands: the window that leaves it least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// When the window next gives something back, since 1970.
    pub(crate) reset: Duration,
}

/// The requests that one holder of a limit made within the last hour.
#[derive(Default)]
pub(crate) struct Budget {
    taken: VecDeque<Duration>,
}

impl Budget {
    /// Counts a request made at `now`.
    pub(crate) fn take(&mut self, now: Duration) {
        while self
            .taken
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= HOUR)
        {
            self.taken.pop_front();
        }
        self.taken.push_back(now);
    }

    /// When the next request is allowed, if not now.
    pub(crate) fn free_at(&self, now: Duration, limit: Limit) -> Option<Duration> {
        windows(limit)
            .filter_map(|(max, length)| {
                let inside: Vec<Duration> = self.inside(now, length, limit.windows).collect();
                let over = inside.len().checked_sub(max as usize)?;
                Some(match limit.windows {
                    Windows::Sliding => *inside.get(over)? + length,
                    Windows::Fixed => window_start(now, length) + length,
                })
            })
            .max()
    }

    /// Where the holder stands at `now`; `None` where nothing is limited.
    pub(crate) fn standing(&self, now: Duration, limit: Limit) -> Option<Standing> {
        windows(limit)
            .map(|(max, length)| {
                let mut inside = self.inside(now, length, limit.windows).peekable();
                let reset = match (limit.windows, inside.peek()) {
                    (Windows::Sliding, Some(oldest)) => *oldest + length,
                    (Windows::Sliding, None) => now + length,
                    (Windows::Fixed, _) => window_start(now, length) + length,
                };
                let used = u32::try_from(inside.count()).unwrap_or(u32::MAX);
                Standing {
                    limit: max,
                    remaining: max.saturating_sub(used),
                    reset,
                }
            })
            .min_by_key(|standing| standing.remaining)
    }

    fn inside(
        &self,
        now: Duration,
        length: Duration,
        windows: Windows,
    ) -> impl Iterator<Item = Duration> + '_ {
        self.taken.iter().copied().filter(move |at| match windows {
            Windows::Sliding => now.saturating_sub(*at) < length,
            Windows::Fixed => window_start(*at, length) == window_start(now, length),
        })
    }
}

fn windows(limit: Limit) -> impl Iterator<Item = (u32, Duration)> {
    [(limit.per_minute, MINUTE), (limit.per_hour, HOUR)]
        .into_iter()
        .filter(|(max, _)| *max > 0)
}

fn window_start(at: Duration, length: Duration) -> Duration {
    Duration::from_secs(at.as_secs() / length.as_secs() * length.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLIDING: Limit = Limit {
        per_minute: 2,
        per_hour: 3,
        windows: Windows::Sliding,
    };
    const FIXED: Limit = Limit {
        windows: Windows::Fixed,
        ..SLIDING
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn taken(times: &[u64]) -> Budget {
        let mut budget = Budget::default();
        times.iter().for_each(|time| budget.take(at(*time)));
        budget
    }

    #[test]
    fn a_sliding_window_frees_a_slot_when_its_oldest_request_is_a_minute_old() {
        let budget = taken(&[3650, 3700]);
        assert_eq!(budget.free_at(at(3701), SLIDING), Some(at(3710)));
        assert_eq!(budget.free_at(at(3709), SLIDING), Some(at(3710)));
        assert_eq!(budget.free_at(at(3710), SLIDING), None);
    }

    #[test]
    fn a_fixed_window_frees_all_at_the_turn_of_the_minute() {
        let budget = taken(&[3658, 3659]);
        assert_eq!(budget.free_at(at(3659), FIXED), Some(at(3660)));
        assert_eq!(budget.free_at(at(3660), FIXED), None);
    }

    #[test]
    fn the_hour_holds_when_the_minute_is_free() {
        let budget = taken(&[3600, 3700, 3800]);
        assert_eq!(budget.free_at(at(4000), SLIDING), Some(at(7200)));
        assert_eq!(budget.free_at(at(7199), FIXED), Some(at(7200)));
        assert_eq!(budget.free_at(at(7200), SLIDING), None);
    }

    #[test]
    fn requests_beyond_the_limit_move_the_time_to_come_back() {
        let budget = taken(&[3600, 3610, 3620]);
        let limit = Limit {
            per_hour: 0,
            ..SLIDING
        };
        assert_eq!(budget.free_at(at(3621), limit), Some(at(3670)));
    }

    #[test]
    fn the_standing_is_that_of_the_tighter_window() {
        let budget = taken(&[3600, 3700]);
        let standing = budget.standing(at(3701), SLIDING);
        assert_eq!(
            standing,
            Some(Standing {
                limit: 2,
                remaining: 1,
                reset: at(3760)
            })
        );
        let unlimited = Limit {
            per_minute: 0,
            per_hour: 0,
            ..SLIDING
        };
        assert_eq!(budget.standing(at(3701), unlimited), None);
    }
}
