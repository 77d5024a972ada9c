//! How late this machine is, measured while a test runs. Stores are given 250 ms and callers a second: where a busy machine takes them
//! away, the library rightly does something else than what the test is about.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A thread that is this late, where each exchange wakes several, takes a good part of what a store is given.
const LATE: Duration = Duration::from_millis(40);

const ATTEMPTS: u32 = 5;

struct Yardstick {
    over: Arc<AtomicBool>,
    /// Gives the latest that it was.
    thread: JoinHandle<Duration>,
}

impl Yardstick {
    fn begin() -> Yardstick {
        let over = Arc::new(AtomicBool::new(false));
        let its = over.clone();
        let thread = thread::spawn(move || {
            let (nap, mut late) = (Duration::from_millis(5), Duration::ZERO);
            while !its.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(nap);
                late = late.max(begun.elapsed() - nap);
            }
            late
        });
        Yardstick { over, thread }
    }

    fn late(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Runs a test, and again where it failed while this machine was late. On a machine that is in time its first failure counts.
pub(crate) fn in_time(test: impl Fn()) {
    for attempt in 1.. {
        let yardstick = Yardstick::begin();
        let result = catch_unwind(AssertUnwindSafe(&test));
        let late = yardstick.late();
        match result {
            Ok(()) => return,
            Err(failure) if late < LATE || attempt == ATTEMPTS => {
                println!("attempt {attempt}; this machine was {late:?} late");
                resume_unwind(failure)
            }
            Err(_) => println!("this machine was {late:?} late: once more"),
        }
    }
}
