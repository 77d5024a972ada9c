//! Values that a forked child must not share with its parent: sockets, locks, threads.
//!
//! A child finds none of the values that it inherited. It makes its own at the first use, and leaves the inherited
//! one alone: never locks it, never drops it. Reading the value takes no lock.

use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use once_cell::race::OnceRef;

use crate::platform::not_inherited;

/// Tells a process from all its parents and children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u64);

/// How many processes of this line of parents and children have used the library, with this one.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// A page that holds this process's number, made once. The system clears it in a child. [`NO_PAGE`] if the system cannot.
/// No thread waits for one that makes it: a child that is forked meanwhile would wait for ever.
static PAGE: OnceRef<'static, AtomicU64> = OnceRef::new();

/// Stands for a page. Only its address counts.
static NO_PAGE: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between the first process that used the library and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The first process of this line that used the library; 0 before that.
static FIRST: AtomicU64 = AtomicU64::new(0);

extern "C" fn before_fork() {
    not_inherited::fork_begins();
}

extern "C" fn after_fork() {
    not_inherited::fork_ended();
}

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    not_inherited::close_all();
}

impl Process {
    /// Makes no system call, except for the first time in a process.
    pub(crate) fn current() -> Process {
        // Not a `Once`: a child that is forked while another thread is in it would wait for ever.
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        if !REGISTERED.load(Ordering::Acquire) {
            // Two threads may both do it, which does no harm; so that neither goes on before the handlers are there.
            // SAFETY: the handlers use atomics and `close` alone, and stay: the library is never unloaded. Without memory
            // for them the number is what is left.
            unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(forked)) };
            REGISTERED.store(true, Ordering::Release);
        }
        // Where two threads make one, that of the second is not used.
        let number = PAGE.get_or_init(|| wiped_page().unwrap_or(&NO_PAGE));
        if ptr::eq(number, &NO_PAGE) {
            let process = Process::by_number();
            process.was_forked();
            return process;
        }
        let known = number.load(Ordering::Relaxed);
        if known != 0 {
            return Process(known);
        }
        let next = COUNTED.fetch_add(1, Ordering::Relaxed) + 1;
        let exchange = number.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed);
        let process = Process(exchange.err().unwrap_or(next));
        process.was_forked();
        process
    }

    /// Whether this process, which is the current one, was forked by one that had used the library. The first process is
    /// remembered by its first call of this, which [`Process::current`] makes.
    fn was_forked(self) -> bool {
        let known = FIRST.compare_exchange(0, self.0, Ordering::Relaxed, Ordering::Relaxed);
        known.is_err_and(|first| first != self.0)
    }

    /// Whether what this process has of tokio can be its parent's. A child must not wait by that: its sockets would get
    /// into the event queue that both have, and the locks in it may be held by threads that the child does not have.
    pub(crate) fn may_have_inherited() -> bool {
        Process::current().was_forked()
    }

    /// The process number alone is not enough: a child may have its parent's number in another namespace, and a
    /// grandchild that of a grandparent that has ended. Nor is the count of forks alone: not every way to fork calls
    /// handlers.
    fn by_number() -> Process {
        let forks = u64::from(FORKS.load(Ordering::Relaxed));
        Process(forks << 32 | u64::from(std::process::id()))
    }

    pub(crate) fn is_current(self) -> bool {
        self == Process::current()
    }
}

/// A page of zeros that is all zeros again in every child. `None` if the system cannot do that: before Linux 4.14,
/// and under emulators that accept any advice and follow none.
fn wiped_page() -> Option<&'static AtomicU64> {
    const LENGTH: usize = 4096;
    // SAFETY: maps memory of its own, which stays, and gives advice about nothing else. Zeros are an atomic number.
    unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(ptr::null_mut(), LENGTH, protection, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        let takes_any = libc::madvise(page, LENGTH, -1) == 0;
        if takes_any || libc::madvise(page, LENGTH, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, LENGTH);
            return None;
        }
        Some(&*page.cast())
    }
}

/// Runs code that is not the library's on a thread of the library: a callback, or a module of the system's resolver.
///
/// That code may fork. The child is a copy of this thread, in the middle of what its parent is doing. If it returns
/// from the code, it waits here for ever. So it repeats nothing, and touches nothing that it inherited.
pub fn foreign<T>(code: impl FnOnce() -> T) -> T {
    /// Runs also if the code panics.
    struct Parent(Process);
    impl Drop for Parent {
        fn drop(&mut self) {
            while !self.0.is_current() {
                // SAFETY: a plain system call.
                unsafe { libc::pause() };
            }
        }
    }
    let _parent = Parent(Process::current());
    code()
}

/// In which process something is counted, where each process counts for itself: a child counts of what it inherited only
/// what it uses.
pub(crate) struct CountedIn(AtomicU64);

impl CountedIn {
    /// It is over.
    const NOWHERE: u64 = u64::MAX;

    pub(crate) fn this_process() -> CountedIn {
        CountedIn(AtomicU64::new(Process::current().0))
    }

    /// Has this process count it from now on, if another one did so far. It is counted before it moves: whoever ends it takes
    /// away only what was counted. If it has ended meanwhile, or another thread has moved it, `uncount` takes that back.
    pub(crate) fn move_here(&self, count: impl FnOnce(), uncount: impl FnOnce()) {
        let (known, here) = (self.0.load(Ordering::Relaxed), Process::current().0);
        if known == here || known == CountedIn::NOWHERE {
            return;
        }
        count();
        let moved = (self.0).compare_exchange(known, here, Ordering::AcqRel, Ordering::Relaxed);
        if moved.is_err() {
            uncount();
        }
    }

    /// It is over. Whether this process has counted it, and now counts one less.
    pub(crate) fn ends_here(&self) -> bool {
        self.0.swap(CountedIn::NOWHERE, Ordering::AcqRel) == Process::current().0
    }
}

/// A value that only the process that made it drops. A forked child leaves it alone: dropping it would take locks that
/// a thread of the parent may have held, or change what the parent uses.
pub(crate) struct LeftToParent<T> {
    value: ManuallyDrop<T>,
    process: Process,
}

impl<T> LeftToParent<T> {
    pub(crate) fn new(value: T) -> LeftToParent<T> {
        LeftToParent {
            value: ManuallyDrop::new(value),
            process: Process::current(),
        }
    }

    /// Whether this process made it.
    pub(crate) fn is_own(&self) -> bool {
        self.process.is_current()
    }
}

impl<T> Deref for LeftToParent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for LeftToParent<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for LeftToParent<T> {
    fn drop(&mut self) {
        if self.is_own() {
            // SAFETY: dropped once, here, and not used after this.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// Holds one `T` for each process that asks, made at the first use.
pub(crate) struct PerProcess<T> {
    current: AtomicPtr<Entry<T>>,
}

struct Entry<T> {
    process: Process,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// This process's value. If there is none yet, `make` makes it. If two threads make one at the same time, the
    /// second is dropped.
    ///
    /// # Errors
    /// Those of `make`. The next call tries again.
    pub(crate) fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let found = self.current.load(Ordering::Acquire);
        if let Some(value) = Self::own(found) {
            return Ok(value);
        }
        let made = Box::into_raw(Box::new(Entry {
            process: Process::current(),
            value: make()?,
        }));
        // Only an empty or an inherited entry is ever replaced, so an entry of this process lives as long as `self`.
        match self
            .current
            .compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire)
        {
            // SAFETY: `made` came from Box::into_raw and is now owned by `self`, which outlives the borrow.
            Ok(_) => Ok(unsafe { &(*made).value }),
            Err(other) => {
                // SAFETY: `made` came from Box::into_raw and was published nowhere.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: whatever another thread of this process put there is an entry that stays.
                Ok(unsafe { &(*other).value })
            }
        }
    }

    /// [`PerProcess::get_or_try_make`], where nothing can fail.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        let Ok(value) = self.get_or_try_make(|| Ok::<_, Infallible>(make()));
        value
    }

    /// This process's value, if it was made already.
    pub(crate) fn get(&self) -> Option<&T> {
        Self::own(self.current.load(Ordering::Acquire))
    }

    fn own<'a>(entry: *mut Entry<T>) -> Option<&'a T> {
        // SAFETY: a non-null entry is a live Box, freed only when the `PerProcess` is dropped.
        let entry = unsafe { entry.as_ref() }?;
        entry.process.is_current().then_some(&entry.value)
    }
}

impl<T: Send> PerProcess<Mutex<T>> {
    /// Locks this process's value, which is made at the first use. What a thread that panicked has left is taken as it is.
    pub(crate) fn lock_or_make(&self, make: impl FnOnce() -> T) -> MutexGuard<'_, T> {
        let value = self.get_or_make(|| Mutex::new(make()));
        value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`PerProcess::lock_or_make`] with the default.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T>
    where
        T: Default,
    {
        self.lock_or_make(T::default)
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let entry = *self.current.get_mut();
        // SAFETY: nobody else can hold the entry while `self` is borrowed mutably.
        let inherited = unsafe { entry.as_ref() }.is_none_or(|e| !e.process.is_current());
        if !inherited {
            // SAFETY: it came from Box::into_raw and is dropped once, here.
            drop(unsafe { Box::from_raw(entry) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;
    use std::cell::Cell;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_child_is_told_from_its_parent_and_both_from_a_grandchild() {
        for way in [Process::current, Process::by_number] {
            let first = way();
            assert!(way() == first);
            let status = in_a_child(|| {
                let second = way();
                let told = second != first && way() == second;
                let last = in_a_child(|| i32::from(way() == second || way() == first));
                i32::from(!told) + last
            });
            assert_eq!(status, 0);
            assert!(way() == first);
        }
    }

    /// A handle that a child inherited is closed by one thread while another one begins to use it.
    #[test]
    fn what_a_child_begins_to_count_is_never_less_than_what_it_has_ended() {
        let counted = CountedIn::this_process();
        let status = in_a_child(|| {
            let count = Cell::new(0_i32);
            let ends = || {
                let less = i32::from(counted.ends_here());
                count.set(count.get() - less);
                count.get()
            };
            let mut least = 0;
            counted.move_here(
                || {
                    least = ends();
                    count.set(count.get() + 1);
                },
                || count.set(count.get() - 1),
            );
            i32::from((least, count.get(), ends()) != (0, 0, 0))
        });
        assert_eq!(status, 0);
        let status = in_a_child(|| {
            let moved = Cell::new(0);
            let uncount = || moved.set(-1);
            counted.move_here(|| moved.set(1), uncount);
            counted.move_here(|| moved.set(2), uncount);
            i32::from(moved.get() != 1 || !counted.ends_here() || counted.ends_here())
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn a_value_is_made_once_in_a_process() {
        let place = PerProcess::new();
        let made = AtomicU32::new(0);
        for _ in 0..3 {
            let value = place.get_or_make(|| made.fetch_add(1, Ordering::Relaxed));
            assert_eq!(value, &0);
        }
    }

    #[test]
    fn a_value_that_could_not_be_made_is_tried_again() {
        let place = PerProcess::new();
        assert_eq!(place.get_or_try_make(|| Err("no")), Err("no"));
        assert_eq!(place.get_or_try_make(|| Ok::<_, &str>(7)), Ok(&7));
    }

    #[test]
    fn a_forked_child_makes_its_own_and_drops_nothing_inherited() {
        struct Loud(u32);
        impl Drop for Loud {
            fn drop(&mut self) {
                if self.0 != std::process::id() {
                    // SAFETY: ends the child at once; the status tells the parent what was dropped.
                    unsafe { libc::_exit(3) };
                }
            }
        }
        let make = || Loud(std::process::id());
        let place = PerProcess::new();
        place.get_or_make(make);
        let status = in_a_child(|| {
            let own = place.get_or_make(make).0 == std::process::id();
            drop(place);
            if own { 0 } else { 4 }
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn a_child_that_has_its_parents_number_makes_its_own_too() {
        /// Forks into a process namespace of its own, where the child has number 1. Returns its exit status.
        fn first_of_a_namespace(child: impl FnOnce() -> i32) -> i32 {
            in_a_child(|| {
                // SAFETY: a plain system call.
                match unsafe { libc::unshare(libc::CLONE_NEWPID) } {
                    0 => in_a_child(child),
                    _ => 77,
                }
            })
        }
        let process = || AtomicU32::new(0);
        let status = first_of_a_namespace(|| {
            let place = PerProcess::new();
            let mine = place.get_or_make(process);
            mine.store(std::process::id(), Ordering::Relaxed);
            first_of_a_namespace(|| {
                let own = place.get_or_make(process);
                let number = std::process::id();
                i32::from(number != 1 || own.load(Ordering::Relaxed) != 0)
            })
        });
        match status {
            77 => crate::test_support::skip::leave_out("it needs root"),
            status => assert_eq!(status, 0),
        }
    }
}
