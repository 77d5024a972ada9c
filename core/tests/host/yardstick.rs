//! How late this machine is, measured while a test runs. Stores are given 250 ms, callers a second, and tokens of tests often last no
//! longer: where a busy machine takes that away, the library rightly does something else than what the test is about.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A thread that is this late, where each exchange wakes several, takes a good part of what a store is given.
const LATE: Duration = Duration::from_millis(40);

/// As much as a handshake with a store takes in a debug build.
const WORK: Duration = Duration::from_millis(6);

const ATTEMPTS: u32 = 12;

/// When this machine was last so late, and by how much.
static LAST: Mutex<Option<(Instant, Duration)>> = Mutex::new(None);

/// From now on one thread measures how late others come to run. A thread that sleeps is preferred when it wakes, so a thread
/// that has work to do is looked at as well.
fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        thread::spawn(|| {
            loop {
                let late = nap().max(work());
                if late >= LATE {
                    *LAST.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((Instant::now(), late));
                }
            }
        });
    });
}

fn nap() -> Duration {
    let nap = Duration::from_millis(5);
    let naps = (0..6).map(|_| {
        let begun = Instant::now();
        thread::sleep(nap);
        begun.elapsed() - nap
    });
    naps.max().unwrap()
}

fn work() -> Duration {
    let (begun, done) = (Instant::now(), processor_time() + WORK);
    while processor_time() < done {}
    begun.elapsed().saturating_sub(WORK)
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time` alone.
    let got = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(got, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How late this machine was since then, if it was.
fn late_since(begun: Instant) -> Option<Duration> {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.filter(|(at, _)| *at >= begun).map(|(_, late)| late)
}

/// Runs a test, and again where it failed while this machine was late. On a machine that is in time its first failure counts.
pub(crate) fn in_time(test: impl Fn()) {
    watch();
    for attempt in 1.. {
        let begun = Instant::now();
        let Err(failure) = catch_unwind(AssertUnwindSafe(&test)) else {
            return;
        };
        match late_since(begun) {
            Some(late) if attempt < ATTEMPTS => {
                println!("this machine was {late:?} late: once more");
            }
            late => {
                println!("attempt {attempt}; this machine was late by {late:?}");
                resume_unwind(failure)
            }
        }
    }
}
