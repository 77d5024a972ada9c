//! The sandbox's own time. Token life, limits, `Date` and the log use this clock and no other. It never sleeps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the sandbox gets its time from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's wall clock.
    #[default]
    System,
    /// A clock that stands still until a test moves it.
    Virtual(VirtualClock),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> SystemTime {
        match self {
            Clock::System => SystemTime::now(),
            Clock::Virtual(clock) => clock.now(),
        }
    }

    /// The time now since 1970, which all rules are computed in.
    pub(crate) fn unix(&self) -> Duration {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// A clock that only tests move. Clones share one time.
#[derive(Clone, Debug)]
pub struct VirtualClock(Arc<Mutex<SystemTime>>);

impl VirtualClock {
    /// A clock that shows `start`.
    pub fn new(start: SystemTime) -> Self {
        VirtualClock(Arc::new(Mutex::new(start)))
    }

    /// The time it shows.
    pub fn now(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it forward. A step beyond what the platform can represent is not taken.
    pub fn advance(&self, step: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(step).unwrap_or(*now);
    }

    /// Sets it, forward or back.
    pub fn set(&self, time: SystemTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

/// Starts at 2026-01-01T00:00:00Z.
impl Default for VirtualClock {
    fn default() -> Self {
        VirtualClock::new(UNIX_EPOCH + Duration::from_secs(1_767_225_600))
    }
}
