//! What operations cost, as the clocks of the system tell it.

use std::ops::Add;

/// What some operations cost, in nanoseconds: as time passed, and as processor time of all threads of the process.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Cost {
    pub(crate) fn now() -> Cost {
        Cost {
            wall: read(libc::CLOCK_MONOTONIC),
            cpu: read(libc::CLOCK_PROCESS_CPUTIME_ID),
        }
    }

    /// Answers an order with what was spent since this reading.
    pub(crate) fn tell_since(self) {
        let now = Cost::now();
        println!("{} {}", now.wall - self.wall, now.cpu - self.cpu);
    }

    /// Of one of so many operations that cost this together.
    pub(crate) fn of_one(self, operations: u64) -> Cost {
        Cost {
            wall: self.wall / operations as f64,
            cpu: self.cpu / operations as f64,
        }
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
        }
    }
}

fn read(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one timespec.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
