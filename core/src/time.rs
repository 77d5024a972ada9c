//! Instants as values: what the clocks of a machine said.
//!
//! The life of a token is counted on the monotonic *and* on the wall clock. Limits and back-offs are counted on boot
//! time, which goes on while the machine sleeps. Never reads a clock.

use std::time::Duration;

/// What the two coarse clocks say, in nanoseconds since their own beginnings. That is exact enough for the life of a
/// token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// CLOCK_MONOTONIC_COARSE: cannot be set, stands still while the machine is suspended.
    pub(crate) mono: u64,
    /// CLOCK_REALTIME_COARSE: can be set, goes on while the machine is suspended.
    pub(crate) wall: u64,
}

impl Reading {
    /// This reading, later on both clocks.
    pub(crate) fn plus(self, by: Duration) -> Reading {
        let by = nanos(by);
        Reading {
            mono: self.mono.saturating_add(by),
            wall: self.wall.saturating_add(by),
        }
    }

    /// This reading, earlier on both clocks.
    pub(crate) fn minus(self, by: Duration) -> Reading {
        let by = nanos(by);
        Reading {
            mono: self.mono.saturating_sub(by),
            wall: self.wall.saturating_sub(by),
        }
    }

    /// Whether either clock has reached `end`.
    pub(crate) fn reached(self, end: Reading) -> bool {
        self.mono >= end.mono || self.wall >= end.wall
    }

    /// How long until the first of the two clocks reaches `end`.
    pub(crate) fn until(self, end: Reading) -> Duration {
        Duration::from_nanos(
            end.mono
                .saturating_sub(self.mono)
                .min(end.wall.saturating_sub(self.wall)),
        )
    }
}

/// Boot time: CLOCK_BOOTTIME plus a day, in milliseconds. All processes of a host have this clock in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct BootTime(pub(crate) u64);

impl BootTime {
    pub(crate) fn plus(self, by: Duration) -> BootTime {
        BootTime(
            self.0
                .saturating_add(by.as_millis().min(u128::from(u64::MAX)) as u64),
        )
    }

    /// Zero if `later` has passed.
    pub(crate) fn until(self, later: BootTime) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().min(u128::from(u64::MAX)) as u64
}
