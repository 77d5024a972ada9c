//! A clock that all clients of a Memcached have in common, made from the life that is left to one of its items.
//!
//! Memcached counts whole seconds, by a timer that also moves the ends of its items. This clock counts the same
//! ticks, so a reading is behind by up to one of them. Earlier readings of a process make it more exact: each reading
//! bounds the difference between this clock and the host's boot time from both sides, and the bounds are intersected.
//!
//! Promises: the bounds hold as long as the server's timer is not late by more than [`LATE`]. After it was, they hold
//! again with the first reading. Never reads a wall clock.

use std::sync::{Arc, Mutex, PoisonError};

use super::session::StoreTime;
use crate::platform::process::PerProcess;
use crate::time::BootTime;

/// Names the clock. So a clock that was lost, and what was written by it, is never mistaken for the next one.
pub(super) type Epoch = [u8; 8];

/// A millisecond, in the unit of this module.
const MILLI: i64 = 1000;

/// The time between two ticks, in microseconds.
const TICK: i64 = 1000 * MILLI;

/// How late a tick may be, in microseconds.
const LATE: i64 = 150 * MILLI;

/// How fast the ticks and boot time may drift apart, in microseconds a millisecond. Each tick is set after the one
/// before it was handled, so all are a little late.
const DRIFT: i64 = 2;

/// What each process has read of one server's clock.
pub(super) struct ServerClock(PerProcess<Arc<MemcachedClock>>);

impl ServerClock {
    pub(super) fn new() -> ServerClock {
        ServerClock(PerProcess::new())
    }

    pub(super) fn of_this_process(&self) -> Arc<MemcachedClock> {
        self.0.get_or_make(Arc::default).clone()
    }
}

/// What one process knows of the clock.
#[derive(Default)]
pub(super) struct MemcachedClock(Mutex<Option<Estimate>>);

/// The clock is boot time, plus something between `least` and `most` microseconds.
#[derive(Clone, Copy)]
struct Estimate {
    epoch: Epoch,
    least: i64,
    most: i64,
    at: BootTime,
}

impl MemcachedClock {
    /// The time at `answered`, if the server had counted so many seconds at some moment since `asked`.
    pub(super) fn read(
        &self,
        epoch: Epoch,
        seconds: u64,
        asked: BootTime,
        answered: BootTime,
    ) -> StoreTime {
        let ticked = seconds as i64 * TICK;
        let at = answered.0 as i64 * MILLI;
        // Boot time is cut to milliseconds.
        let mut now = Estimate {
            epoch,
            least: ticked - (at + MILLI),
            most: ticked + TICK + LATE - asked.0 as i64 * MILLI,
            at: answered,
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = known.filter(|before| before.epoch == epoch) {
            let drift = before.at.until(answered).as_millis() as i64 * DRIFT;
            let least = now.least.max(before.least - drift);
            let most = now.most.min(before.most + drift);
            // The readings contradict each other: one tick was very late, and the newer reading is right.
            if least <= most {
                (now.least, now.most) = (least, most);
            }
        }
        *known = Some(now);
        StoreTime {
            earliest: ((at + now.least) / MILLI).max(0) as u64,
            latest: ((at + now.most) / MILLI + 2).max(0) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server whose clock says 5,000,000 when boot time is `boot`.
    struct Server {
        boot: u64,
    }

    impl Server {
        fn true_time(&self, boot: u64) -> u64 {
            boot - self.boot + 5_000_000
        }

        /// Asks at that boot time; the answer comes `took` later and was made on half the way.
        fn ask(&self, clock: &MemcachedClock, epoch: u8, boot: u64, took: u64) -> StoreTime {
            let seconds = self.true_time(boot + took / 2) / 1000;
            clock.read([epoch; 8], seconds, BootTime(boot), BootTime(boot + took))
        }
    }

    fn assert_holds(time: StoreTime, truth: u64) {
        assert!(
            time.earliest <= truth && truth <= time.latest,
            "{time:?} {truth}"
        );
    }

    fn width(time: StoreTime) -> u64 {
        time.latest - time.earliest
    }

    #[test]
    fn one_reading_is_right_within_a_tick() {
        for phase in 0..1000 {
            let server = Server {
                boot: 70_000 + phase,
            };
            let time = server.ask(&MemcachedClock::default(), 1, 900_000, 4);
            assert_holds(time, server.true_time(900_004));
            assert!(width(time) <= 1160, "{time:?}");
        }
    }

    #[test]
    fn readings_at_other_phases_of_the_tick_narrow_it_and_stay_right() {
        let server = Server { boot: 70_123 };
        let clock = MemcachedClock::default();
        let mut last = u64::MAX;
        for reading in 0..20 {
            let boot = 900_000 + reading * 1_050;
            let time = server.ask(&clock, 1, boot, 2);
            assert_holds(time, server.true_time(boot + 2));
            last = width(time);
        }
        // Late ticks, the phases that were not read, and what may have drifted since.
        assert!(last <= 150 + 50 + 4 * 21 + 4, "{last}");
    }

    #[test]
    fn ticks_that_drift_are_followed() {
        let clock = MemcachedClock::default();
        // Each tick is a millisecond late, for half an hour.
        for reading in 0..40_u64 {
            let boot = 900_000 + reading * 47_030;
            let true_time = (boot - 70_000) * 1000 / 1001;
            let answered = BootTime(boot + 2);
            let time = clock.read([1; 8], true_time / 1000, BootTime(boot), answered);
            assert_holds(time, (boot + 2 - 70_000) * 1000 / 1001);
        }
    }

    #[test]
    fn after_a_jump_the_newer_reading_counts() {
        let clock = MemcachedClock::default();
        let before = Server { boot: 70_000 };
        before.ask(&clock, 1, 900_000, 2);
        // The server stood still for 20 seconds without noticing, as after a stop of its process.
        let after = Server { boot: 90_000 };
        assert_holds(after.ask(&clock, 1, 930_000, 2), after.true_time(930_002));
    }

    #[test]
    fn another_epoch_is_another_clock() {
        let clock = MemcachedClock::default();
        let (one, other) = (Server { boot: 70_000 }, Server { boot: 70_400 });
        one.ask(&clock, 1, 900_390, 2);
        let time = other.ask(&clock, 2, 900_400, 2);
        assert!(width(time) > 1000, "{time:?}");
        assert_holds(time, other.true_time(900_402));
    }
}
