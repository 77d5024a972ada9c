//! A clock that moves only when it is told to, for tests and simulations.
//!
//! Exists in tests and in builds with the feature `test-hooks` only, never in a shipped one.

#![allow(unreachable_pub, reason = "public with the feature test-hooks only")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::{BootTime, Reading, nanos};

/// The clocks of a machine, in a test.
#[derive(Debug)]
pub struct VirtualClock(Mutex<(Reading, u64)>);

impl Default for VirtualClock {
    fn default() -> Self {
        const START: u64 = 1_000_000_000_000;
        VirtualClock(Mutex::new((
            Reading {
                mono: START,
                wall: 1_700_000 * START,
            },
            START,
        )))
    }
}

impl VirtualClock {
    fn with<T>(&self, f: impl FnOnce(&mut (Reading, u64)) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn reading(&self) -> Reading {
        self.with(|c| c.0)
    }

    pub(super) fn boot(&self) -> BootTime {
        self.with(|c| BootTime(c.1 / 1_000_000))
    }

    /// A clock of another machine that shows the same.
    #[cfg(test)]
    pub(crate) fn another(&self) -> VirtualClock {
        VirtualClock(Mutex::new(self.with(|c| *c)))
    }

    /// Lets time pass on all clocks.
    pub fn advance(&self, by: Duration) {
        self.with(|c| {
            c.0 = c.0.plus(by);
            c.1 += nanos(by);
        });
    }

    /// Suspends the machine: wall clock and boot time go on, the monotonic clock stands still.
    pub fn suspend(&self, by: Duration) {
        self.with(|c| {
            c.0.wall += nanos(by);
            c.1 += nanos(by);
        });
    }

    /// Sets the wall clock forward or back by so many seconds, as an administrator might.
    pub fn step_wall(&self, seconds: i64) {
        self.with(|c| c.0.wall = c.0.wall.saturating_add_signed(seconds * 1_000_000_000));
    }
}
