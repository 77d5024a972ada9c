//! The runtime of asynchronous calls. The first of them starts it; it ends when nobody needs it any more.
//!
//! Its thread is named `pay88-io` and blocks all signals. So do its threads that look names up. It ends by itself
//! once no handle was open for [`KEPT_UNUSED`] and no work is left. The next call starts another one. Nothing is
//! joined at exit. A forked child gets a runtime of its own. If the system has no thread to give, there is no panic
//! and no output: the call that asked gets an error.
//!
//! It has one thread, because a call costs mostly the waking of threads. With several threads a call would be handed
//! from the thread that was woken to the thread that waits for the network.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Handle, Id};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::platform::above_stdio::StdioOccupied;
use crate::platform::process::{PerProcess, Process};
use crate::platform::thread::spawn_quiet;

/// Threads that look names up.
const BLOCKING: usize = 2;
const STACK: usize = 512 * 1024;
const NAME: &str = "pay88-io";

/// How long it is kept when no handle is open. A program that makes a handle for each piece of work finds it again.
pub(crate) const KEPT_UNUSED: Duration = Duration::from_secs(45);

static RUNTIME: Keeper = Keeper::new(KEPT_UNUSED);

/// Starts the runtime if there is none.
///
/// # Errors
/// Why there can be none: the system gave no thread, or no event queue.
pub(crate) fn start() -> io::Result<()> {
    RUNTIME.with_work().map(drop)
}

/// Runs a future in this process's runtime, which lives until the future has ended.
///
/// # Errors
/// As [`start`]. The future is then dropped.
pub(crate) fn spawn<F>(future: F) -> io::Result<JoinHandle<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Whether the caller is in a task of a tokio runtime of its own that can wait for sockets and for time. Never in a
/// forked child, whose thread is still in the runtime of its parent.
///
/// tokio tells which of its drivers a runtime has only by a panic where one is missing. So in a program whose panics
/// abort it, this is always false. In any other, the first runtime that lacks a driver costs one message of the
/// program's panic hook, and no further runtime is tried.
pub(crate) fn callers_can_wait() -> bool {
    /// No descriptor, so the system refuses it, and nothing is registered.
    struct Nothing;
    impl AsRawFd for Nothing {
        fn as_raw_fd(&self) -> RawFd {
            -1
        }
    }
    thread_local! {
        static KNOWN: Cell<Option<Id>> = const { Cell::new(None) };
    }
    static SAW_ONE_WITHOUT: AtomicBool = AtomicBool::new(false);
    // Before anything of tokio is asked.
    if Process::may_have_inherited() {
        return false;
    }
    let Ok(handle) = Handle::try_current() else {
        return false;
    };
    let id = Some(handle.id());
    if KNOWN.get() == id {
        return true;
    }
    if cfg!(panic = "abort") || SAW_ONE_WITHOUT.load(Ordering::Relaxed) {
        return false;
    }
    let tried = catch_unwind(|| {
        drop(tokio::time::sleep(Duration::ZERO));
        // SAFETY: no descriptor is handed over that could be closed while it is registered.
        drop(unsafe { AsyncFd::register(Nothing) });
    });
    match tried {
        Ok(()) => KNOWN.set(id),
        Err(_) => SAW_ONE_WITHOUT.store(true, Ordering::Relaxed),
    }
    tried.is_ok()
}

/// Counts a handle that was opened in this process, or that a child uses.
pub(crate) fn attach() {
    RUNTIME.attach();
}

/// Counts a handle that was closed.
pub(crate) fn detach() {
    RUNTIME.detach();
}

/// Keeps a runtime as long as it is used.
struct Keeper {
    current: PerProcess<Mutex<Option<Arc<Runtime>>>>,
    /// How many handles are open.
    handles: PerProcess<AtomicUsize>,
    /// How long it is kept without a handle.
    kept: Duration,
}

struct Runtime {
    handle: Handle,
    /// How many spawned futures have not ended. Raised only while the runtime is the current one, and under that
    /// lock.
    work: AtomicUsize,
    /// When the last handle was closed, or the last future has ended.
    used: Mutex<Instant>,
    /// Its thread waits until it is told that nobody uses it. Otherwise it counts the time already, and is not woken.
    parked: AtomicBool,
    /// Notified when nobody uses this runtime any more, or when it lost the race to be the first.
    unused: Notify,
}

/// Keeps the runtime until it is dropped.
struct Work {
    keeper: &'static Keeper,
    runtime: Arc<Runtime>,
}

impl Keeper {
    const fn new(kept: Duration) -> Keeper {
        Keeper {
            current: PerProcess::new(),
            handles: PerProcess::new(),
            kept,
        }
    }

    fn handles(&self) -> &AtomicUsize {
        self.handles.get_or_make(|| AtomicUsize::new(0))
    }

    fn attach(&self) {
        self.handles().fetch_add(1, Ordering::SeqCst);
    }

    fn detach(&self) {
        if self.handles().fetch_sub(1, Ordering::SeqCst) != 1 {
            return;
        }
        // A child leaves alone what it inherited.
        let inherited = self.current.get().is_none();
        if !inherited && let Some(runtime) = self.current().clone() {
            runtime.rest();
        }
    }

    fn spawn<F>(&'static self, future: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work = self.with_work()?;
        let handle = work.runtime.handle.clone();
        Ok(handle.spawn(async move {
            let _work = work;
            future.await
        }))
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Runtime>>> {
        self.current.lock()
    }

    /// The runtime, with one more piece of work. It is started if there is none.
    fn with_work(&'static self) -> io::Result<Work> {
        if let Some(runtime) = &*self.current() {
            return Ok(self.work_of(runtime));
        }
        let started = self.start()?;
        let mut current = self.current();
        let Some(first) = &*current else {
            *current = Some(started.runtime.clone());
            return Ok(started);
        };
        let work = self.work_of(first);
        drop(current);
        started.end_lost();
        Ok(work)
    }

    /// To be called under the lock.
    fn work_of(&'static self, runtime: &Arc<Runtime>) -> Work {
        runtime.work.fetch_add(1, Ordering::SeqCst);
        Work {
            keeper: self,
            runtime: runtime.clone(),
        }
    }

    /// With a piece of work, so that it does not end before it is the current one, however long that takes.
    fn start(&'static self) -> io::Result<Work> {
        let (tell, started) = mpsc::channel();
        // Built by the quiet thread that it runs on: those for names inherit its blocked signals.
        spawn_quiet(NAME, STACK, move || {
            let built = StdioOccupied::new().and_then(|_occupied| {
                Builder::new_current_thread()
                    .max_blocking_threads(BLOCKING)
                    .thread_name(NAME)
                    .thread_stack_size(STACK)
                    .enable_all()
                    .build()
            });
            let tokio = match built {
                Ok(tokio) => tokio,
                Err(e) => {
                    let _ = tell.send(Err(e));
                    return;
                }
            };
            let runtime = Arc::new(Runtime {
                handle: tokio.handle().clone(),
                work: AtomicUsize::new(1),
                used: Mutex::new(Instant::now()),
                parked: AtomicBool::new(false),
                unused: Notify::new(),
            });
            let _ = tell.send(Ok(runtime.clone()));
            tokio.block_on(self.until_unused(&runtime));
            tokio.shutdown_background();
        })?;
        match started.recv() {
            Ok(Ok(runtime)) => Ok(Work {
                keeper: self,
                runtime,
            }),
            Ok(Err(e)) => Err(e),
            // It ended before it said anything.
            Err(_) => Err(io::Error::other("the system refused one")),
        }
    }

    /// Ends when nobody uses this runtime, nor will. It is called from the start on, because a handle may have been
    /// closed before the runtime was there.
    async fn until_unused(&self, runtime: &Arc<Runtime>) {
        loop {
            let left = self.kept.saturating_sub(runtime.idle());
            if !left.is_zero() {
                // It is woken before its time only if it lost the race.
                let _ = timeout(left, runtime.unused.notified()).await;
                if runtime.is_lost(&self.current()) {
                    return;
                }
                continue;
            }
            if self.give_up(runtime) {
                return;
            }
            if runtime.parked.load(Ordering::SeqCst) {
                runtime.unused.notified().await;
            }
        }
    }

    /// Whether nobody has used it for long enough, nor will: from now on a call starts another one.
    fn give_up(&self, runtime: &Arc<Runtime>) -> bool {
        let mut current = self.current();
        if runtime.is_lost(&current) {
            return true;
        }
        // Set before the look, so that whoever ends its use behind that look wakes the thread.
        runtime.parked.store(true, Ordering::SeqCst);
        if self.handles().load(Ordering::SeqCst) > 0 || runtime.has_work() {
            return false;
        }
        runtime.parked.store(false, Ordering::SeqCst);
        let unused = runtime.idle() >= self.kept;
        if unused {
            *current = None;
        }
        unused
    }
}

impl Runtime {
    /// Nobody uses it any more, as far as is known: from now on its time is counted.
    fn rest(&self) {
        *self.used() = Instant::now();
        if self.parked.swap(false, Ordering::SeqCst) {
            self.unused.notify_one();
        }
    }

    fn idle(&self) -> Duration {
        self.used().elapsed()
    }

    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_work(&self) -> bool {
        self.work.load(Ordering::SeqCst) > 0
    }

    /// Whether another one was the first.
    fn is_lost(&self, current: &Option<Arc<Runtime>>) -> bool {
        let is_current = current.as_ref().is_some_and(|it| ptr::eq(&**it, self));
        !is_current && !self.has_work()
    }
}

impl Work {
    fn end_lost(self) {
        let runtime = self.runtime.clone();
        drop(self);
        runtime.unused.notify_one();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let last = self.runtime.work.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.keeper.handles().load(Ordering::SeqCst) == 0 {
            self.runtime.rest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;
    use std::sync::Weak;
    use std::thread;

    const LONG: Duration = Duration::from_secs(20);

    fn until(what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < LONG, "never: {what}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn is_gone(runtime: &Weak<Runtime>) -> bool {
        runtime.strong_count() == 0
    }

    fn runtime_of(keeper: &'static Keeper) -> Weak<Runtime> {
        Arc::downgrade(&keeper.with_work().unwrap().runtime)
    }

    #[test]
    fn every_call_gets_the_same_runtime_with_named_threads_that_block_all_signals() {
        static KEEPER: Keeper = Keeper::new(LONG);
        let first = runtime_of(&KEEPER);
        assert!(first.ptr_eq(&runtime_of(&KEEPER)));
        let (tx, rx) = mpsc::channel();
        let on_pool = tx.clone();
        let look = || {
            let name = thread::current().name().map(str::to_owned);
            (name, std::fs::read_to_string("/proc/thread-self/status"))
        };
        KEEPER.spawn(async move { tx.send(look()) }).unwrap();
        KEEPER
            .spawn(async move { tokio::task::spawn_blocking(move || on_pool.send(look())).await })
            .unwrap();
        for _ in 0..2 {
            let (name, status) = rx.recv_timeout(LONG).unwrap();
            assert_eq!(name.as_deref(), Some(NAME));
            let status = status.unwrap();
            let blocked = status
                .lines()
                .find_map(|l| l.strip_prefix("SigBlk:"))
                .unwrap();
            let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
            for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGALRM, libc::SIGCHLD] {
                assert_ne!(
                    blocked & (1 << (signal - 1)),
                    0,
                    "signal {signal} is not blocked"
                );
            }
        }
    }

    #[test]
    fn it_ends_when_the_last_handle_has_gone_and_the_next_call_starts_another() {
        static KEEPER: Keeper = Keeper::new(Duration::from_millis(30));
        KEEPER.attach();
        KEEPER.attach();
        let first = runtime_of(&KEEPER);
        KEEPER.detach();
        thread::sleep(Duration::from_millis(150));
        assert!(first.ptr_eq(&runtime_of(&KEEPER)), "a handle is open");
        KEEPER.detach();
        until("it has ended", || is_gone(&first));
        let second = runtime_of(&KEEPER);
        assert!(!second.ptr_eq(&first));
        until("an unused one has ended, too", || is_gone(&second));
    }

    /// Handles of threads that the child does not have are never closed there.
    #[test]
    fn in_a_child_it_ends_though_its_parent_had_handles() {
        static KEEPER: Keeper = Keeper::new(Duration::from_millis(30));
        KEEPER.attach();
        let status = in_a_child(|| {
            KEEPER.attach();
            let its = runtime_of(&KEEPER);
            KEEPER.detach();
            until("it has ended", || is_gone(&its));
            0
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn it_stays_until_the_work_has_ended_that_was_left_when_the_last_handle_went() {
        static KEEPER: Keeper = Keeper::new(Duration::from_millis(30));
        KEEPER.attach();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let work = KEEPER.spawn(ended).unwrap();
        let runtime = runtime_of(&KEEPER);
        KEEPER.detach();
        thread::sleep(Duration::from_millis(150));
        assert!(runtime.ptr_eq(&runtime_of(&KEEPER)) && !work.is_finished());
        end.send(()).unwrap();
        until("it has ended", || is_gone(&runtime));
        assert!(work.is_finished());
    }

    #[test]
    fn handles_that_come_and_go_do_not_wake_it() {
        static KEEPER: Keeper = Keeper::new(LONG);
        let runtime = runtime_of(&KEEPER).upgrade().unwrap();
        let parked = || runtime.handle.metrics().worker_park_count(0);
        until("it rests", || {
            let before = parked();
            thread::sleep(Duration::from_millis(50));
            parked() == before
        });
        let before = parked();
        for _ in 0..20 {
            KEEPER.attach();
            KEEPER.detach();
            thread::sleep(Duration::from_millis(10));
        }
        let woken = parked() - before;
        // Its timer may have been due once.
        assert!(woken <= 2, "{woken}");
    }

    #[test]
    fn one_that_lost_the_race_to_be_the_first_ends_at_once() {
        static KEEPER: Keeper = Keeper::new(LONG);
        let first = runtime_of(&KEEPER);
        let lost = KEEPER.start().unwrap();
        let second = Arc::downgrade(&lost.runtime);
        lost.end_lost();
        let begun = Instant::now();
        until("it has ended", || is_gone(&second));
        assert!(begun.elapsed() < LONG / 2);
        assert!(first.ptr_eq(&runtime_of(&KEEPER)));
    }

    #[test]
    fn one_that_is_slow_to_be_the_first_is_there_all_the_same() {
        static KEEPER: Keeper = Keeper::new(Duration::from_millis(1));
        let started = KEEPER.start().unwrap();
        thread::sleep(Duration::from_millis(100));
        *KEEPER.current() = Some(started.runtime.clone());
        let (tx, rx) = mpsc::channel();
        KEEPER.spawn(async move { tx.send(()) }).unwrap();
        drop(started);
        rx.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn work_that_begins_while_it_ends_is_carried_out() {
        static KEEPER: Keeper = Keeper::new(Duration::from_millis(1));
        let worker = |number: u64| {
            let mut others = 0;
            let mut last = Weak::new();
            for round in 0..200 {
                KEEPER.attach();
                let (tx, rx) = mpsc::channel();
                let work = async move {
                    tokio::time::sleep(Duration::from_micros(100)).await;
                    tx.send(()).unwrap();
                };
                KEEPER.spawn(work).unwrap();
                let now = runtime_of(&KEEPER);
                others += u32::from(!now.ptr_eq(&last));
                last = now;
                rx.recv_timeout(LONG).unwrap();
                KEEPER.detach();
                // Some come back before it ends, some after it, and some at that moment.
                thread::sleep(Duration::from_micros((round + number) * 37 % 60 * 100));
            }
            others
        };
        let workers: Vec<_> = (0..2)
            .map(|number| thread::spawn(move || worker(number)))
            .collect();
        let others: u32 = workers.into_iter().map(|it| it.join().unwrap()).sum();
        println!("{others} times another runtime");
        assert!(others > 20, "{others}");
    }
}
