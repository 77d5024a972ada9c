//! The contenders of a token read: the library's cached token, and one read of the clock that a cache would need.

use std::hint::black_box;
use std::thread;

use pay88::{Config, TokenManager};

use crate::job::{Failure, Job, MERCHANT_ID};

/// How many threads read at once.
pub(crate) const THREADS: u64 = 8;

/// A handle for the bench's server.
pub(crate) fn manager(job: &Job) -> Result<TokenManager, Failure> {
    let config = Config::without_environment()
        .with("api_key", &job.api_key)?
        .with("merchant_id", MERCHANT_ID)?
        .with("base_url", &job.base_url)?
        .with("ca_bundle", &job.ca)?
        .with("share", &job.share)?;
    let manager = TokenManager::new(config)?;
    let token = manager.get_token()?;
    if token.access_token() != job.access_token || token.session_id() != job.session_id {
        return Err("the token is another one".into());
    }
    Ok(manager)
}

/// Reads the cached token `times` times on each of `threads` threads.
pub(crate) fn read_token(manager: &TokenManager, threads: u64, times: u64) -> Result<(), Failure> {
    on_threads(threads, || {
        for _ in 0..times {
            drop(black_box(manager.get_token()?));
        }
        Ok(())
    })
}

/// Reads CLOCK_BOOTTIME `times` times on each of `threads` threads.
pub(crate) fn read_clock(threads: u64, times: u64) -> Result<(), Failure> {
    on_threads(threads, || {
        for _ in 0..times {
            let mut time = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: `time` is a valid place for one timespec.
            unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
            black_box(time);
        }
        Ok(())
    })
}

fn on_threads(threads: u64, work: impl Fn() -> Result<(), Failure> + Sync) -> Result<(), Failure> {
    if threads == 1 {
        return work();
    }
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        for thread in started {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}
