//! Connections that wait for their next request, shared by all threads.
//!
//! The last one put back is taken first, so that few are used and the rest grow old. A connection
//! is tested before it is handed out; one that the server closed, that has something unasked for to
//! say, or that idled too long is dropped without a word. Nothing is locked during I/O.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blocking::Connection;

/// More than this many idle connections are not kept.
const MOST_IDLE: usize = 64;

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    since: Duration,
    connection: Connection,
}

impl Pool {
    /// A connection that is alive as far as can be seen without waiting.
    pub(super) fn take(&self, idle_timeout: Duration) -> Option<Connection> {
        loop {
            let Idle {
                since,
                mut connection,
            } = self.lock().pop_back()?;
            if time_awake_or_asleep().saturating_sub(since) <= idle_timeout && connection.is_alive()
            {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose last exchange ended clean.
    pub(super) fn put(&self, connection: Connection, idle_timeout: Duration) {
        let since = time_awake_or_asleep();
        let mut idle = self.lock();
        idle.push_back(Idle { since, connection });
        // The front is the oldest: one that nobody will take any more need not stay open.
        let expired = idle
            .front()
            .is_some_and(|oldest| since.saturating_sub(oldest.since) > idle_timeout);
        let dropped = (expired || idle.len() > MOST_IDLE).then(|| idle.pop_front());
        drop(idle);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time since boot, which goes on while the machine sleeps; a server's idle time does, too.
fn time_awake_or_asleep() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writing, and the clock exists in every Linux that Rust supports.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    debug_assert_eq!(code, 0, "{}", io::Error::last_os_error());
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
