//! The three clocks of a machine, read together.
//!
//! Promises: the life of a token is decided by the monotonic *and* the wall clock, both read coarsely (about 10 ns
//! each). Limits and back-offs are kept on boot time, which goes on while the machine sleeps. Never decides anything.

use std::time::Duration;

use crate::time::{BootTime, Reading};

/// Boot time begins that long before the boot, so that it has instants for what other hosts did in the hour before.
const BEFORE_BOOT: Duration = Duration::from_secs(24 * 3600);

/// Where a manager gets its time from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    #[cfg(any(test, feature = "test-hooks"))]
    Virtual(std::sync::Arc<crate::platform::virtual_clock::VirtualClock>),
}

impl Clock {
    #[inline]
    pub(crate) fn reading(&self) -> Reading {
        match self {
            Clock::System => Reading {
                mono: read(libc::CLOCK_MONOTONIC_COARSE),
                wall: read(libc::CLOCK_REALTIME_COARSE),
            },
            #[cfg(any(test, feature = "test-hooks"))]
            Clock::Virtual(clock) => clock.reading(),
        }
    }

    pub(crate) fn boot(&self) -> BootTime {
        match self {
            Clock::System => since_boot(read(libc::CLOCK_BOOTTIME)),
            #[cfg(any(test, feature = "test-hooks"))]
            Clock::Virtual(clock) => clock.boot(),
        }
    }
}

/// Milliseconds since 1970, for people: in events and statistics.
pub(crate) fn unix_millis() -> u64 {
    read(libc::CLOCK_REALTIME) / 1_000_000
}

fn since_boot(time: u64) -> BootTime {
    BootTime(time / 1_000_000).plus(BEFORE_BOOT)
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one timespec; these clocks exist on every Linux since 2.6.39, and on a
    // failure the zeroed value stands.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_has_just_booted_has_instants_for_what_others_did_in_the_hour_before() {
        let (booted, hour) = (since_boot(0), Duration::from_secs(3600));
        let before = BootTime(booted.0 - hour.as_millis() as u64);
        assert_eq!(
            before.until(since_boot(1_000_000)),
            hour + Duration::from_millis(1)
        );
        assert!(before > BootTime::default(), "no token is as old as that");
    }
}
