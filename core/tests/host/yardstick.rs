//! How late this machine is, measured while a test runs. Stores are given 250 ms, callers a second, and tokens of tests often last no
//! longer: where a busy machine takes that away, the library rightly does something else than what the test is about.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A thread that is this late, where each exchange wakes several, takes a good part of what a store is given.
const LATE: Duration = Duration::from_millis(40);

const NAP: Duration = Duration::from_millis(5);

/// As much as a handshake with a store takes in a debug build.
const WORK: Duration = Duration::from_millis(6);

const ATTEMPTS: u32 = 12;

/// When this machine was last so late, and by how much.
static LAST: Mutex<Option<(Instant, Duration)>> = Mutex::new(None);

/// How often each who watches has looked.
static LOOKS: OnceLock<Vec<Arc<AtomicU64>>> = OnceLock::new();

/// From now on threads measure how late others come to run: one on each processor, since one of them may stand still alone. A
/// thread that sleeps is preferred when it wakes, so one that has work to do is looked at as well.
fn watch() -> &'static [Arc<AtomicU64>] {
    LOOKS.get_or_init(|| {
        let naps = processors().into_iter().map(|only| {
            watcher(move || {
                pin(&only);
                || nap()
            })
        });
        let works = watcher(|| {
            || {
                thread::sleep(6 * NAP);
                work()
            }
        });
        naps.chain([works]).collect()
    })
}

/// A thread that looks again and again; gives the count of its looks. `begin` is run there.
fn watcher<Look: Fn() -> Duration>(
    begin: impl FnOnce() -> Look + Send + 'static,
) -> Arc<AtomicU64> {
    let looks = Arc::new(AtomicU64::new(0));
    let count = looks.clone();
    thread::spawn(move || {
        let look = begin();
        loop {
            let late = look();
            if late >= LATE {
                *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), late));
            }
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    looks
}

fn nap() -> Duration {
    let begun = Instant::now();
    thread::sleep(NAP);
    begun.elapsed() - NAP
}

fn work() -> Duration {
    let (begun, done) = (Instant::now(), processor_time() + WORK);
    while processor_time() < done {}
    begun.elapsed().saturating_sub(WORK)
}

/// The processors that this process may use, each by itself.
fn processors() -> Vec<libc::cpu_set_t> {
    // SAFETY: a set is plain bits, and all of them may be 0.
    let empty: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let mut usable = empty;
    // SAFETY: writes to `usable` alone, which is that large.
    unsafe { libc::sched_getaffinity(0, size_of_val(&usable), &mut usable) };
    let numbers = 0..libc::CPU_SETSIZE as usize;
    // SAFETY: the number is smaller than a set is.
    let usable = numbers.filter(|number| unsafe { libc::CPU_ISSET(*number, &usable) });
    usable
        .map(|number| {
            let mut only = empty;
            // SAFETY: the number is smaller than a set is.
            unsafe { libc::CPU_SET(number, &mut only) };
            only
        })
        .collect()
}

/// From now on this thread runs on those processors alone.
fn pin(processors: &libc::cpu_set_t) {
    // SAFETY: reads `processors` alone, which is that large.
    let pinned = unsafe { libc::sched_setaffinity(0, size_of_val(processors), processors) };
    assert_eq!(pinned, 0, "{}", std::io::Error::last_os_error());
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

/// How late this machine was since then, if it was. A test may run again, and fail, before those who watch do: so each looks twice
/// more first, once to end the look that it is at.
fn late_since(begun: Instant, looks: &[Arc<AtomicU64>]) -> Option<Duration> {
    let enough = |count: &Arc<AtomicU64>| count.load(Ordering::SeqCst) + 2;
    let enough: Vec<u64> = looks.iter().map(enough).collect();
    while !looks
        .iter()
        .zip(&enough)
        .all(|(count, enough)| count.load(Ordering::SeqCst) >= *enough)
    {
        thread::sleep(NAP);
    }
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.filter(|(at, _)| *at >= begun).map(|(_, late)| late)
}

/// Runs a test, and again where it failed while this machine was late. On a machine that is in time its first failure counts.
pub(crate) fn in_time(test: impl Fn()) {
    let looks = watch();
    for attempt in 1.. {
        let begun = Instant::now();
        let Err(failure) = catch_unwind(AssertUnwindSafe(&test)) else {
            return;
        };
        match late_since(begun, looks) {
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
