//! Values that a forked child must not share with its parent: sockets, locks, threads.
//!
//! A child finds nothing of what it inherited: it makes its own at the first use, and the inherited
//! one is left as it is (never locked, never dropped). Taking the value takes no lock.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use crate::not_inherited;

/// Which process this is. The number alone does not tell: a child may have its parent's in another namespace, and a
/// grandchild that of a grandparent that is gone. The forks alone do not tell either: not every way to fork calls handlers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    number: u32,
    forks: u32,
}

/// How many forks there were between the first process that used the library and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    not_inherited::close_all();
}

impl Process {
    pub(crate) fn current() -> Process {
        // Not a `Once`: a child that is forked while another thread is in it would wait for ever.
        static COUNTED: AtomicBool = AtomicBool::new(false);
        if !COUNTED.load(Ordering::Relaxed) && !COUNTED.swap(true, Ordering::Relaxed) {
            // SAFETY: the handler uses atomics and `close` alone, and stays: the library is never unloaded. Without memory
            // for it the number is what is left.
            unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        }
        Process {
            number: std::process::id(),
            forks: FORKS.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn is_current(self) -> bool {
        self == Process::current()
    }
}

/// Runs code that is not the library's on a thread of the library: a callback, or a module of the system's resolver.
///
/// That code may fork. The child is a copy of this thread, in the middle of what its parent is doing. If it returns from the code
/// it waits here for ever, so that it repeats nothing, and touches nothing that it inherited.
pub fn foreign<T>(code: impl FnOnce() -> T) -> T {
    /// Also where the code panics.
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

/// One `T` for each process that asks, made at the first use.
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

    /// This process's value; `make` is called when there is none yet. Two threads may both make one
    /// at the first use: the second is dropped.
    ///
    /// # Errors
    /// Those of `make`; the next call tries again.
    pub(crate) fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        let found = self.current.load(Ordering::Acquire);
        if let Some(value) = Self::own(found) {
            return Ok(value);
        }
        let made = Box::into_raw(Box::new(Entry {
            process: Process::current(),
            value: make()?,
        }));
        // Only an empty place or an inherited entry is ever replaced, so an entry of this process
        // stays as long as `self` does.
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

    fn own<'a>(entry: *mut Entry<T>) -> Option<&'a T> {
        // SAFETY: a non-null entry is a live Box, freed only when the `PerProcess` is dropped.
        let entry = unsafe { entry.as_ref() }?;
        entry.process.is_current().then_some(&entry.value)
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
    use crate::test_limits::in_a_child;
    use std::convert::Infallible;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_value_is_made_once_in_a_process() {
        let place = PerProcess::new();
        let made = AtomicU32::new(0);
        for _ in 0..3 {
            let value =
                place.get_or_try_make(|| Ok::<_, Infallible>(made.fetch_add(1, Ordering::Relaxed)));
            assert_eq!(value, Ok(&0));
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
        let make = || Ok::<_, Infallible>(Loud(std::process::id()));
        let place = PerProcess::new();
        let _ = place.get_or_try_make(make);
        let status = in_a_child(|| {
            let own = matches!(place.get_or_try_make(make), Ok(v) if v.0 == std::process::id());
            drop(place);
            if own { 0 } else { 4 }
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn a_child_that_has_its_parents_number_makes_its_own_too() {
        /// Forks into a namespace of its own, where the child is number 1; its exit status.
        fn first_of_a_namespace(child: impl FnOnce() -> i32) -> i32 {
            in_a_child(|| {
                // SAFETY: a plain system call.
                match unsafe { libc::unshare(libc::CLONE_NEWPID) } {
                    0 => in_a_child(child),
                    _ => 77,
                }
            })
        }
        let process = || Ok::<_, Infallible>(AtomicU32::new(0));
        let status = first_of_a_namespace(|| {
            let place = PerProcess::new();
            let Ok(mine) = place.get_or_try_make(process);
            mine.store(std::process::id(), Ordering::Relaxed);
            first_of_a_namespace(|| {
                let Ok(own) = place.get_or_try_make(process);
                let number = std::process::id();
                i32::from(number != 1 || own.load(Ordering::Relaxed) != 0)
            })
        });
        match status {
            77 => crate::left_out::leave_out("it needs root"),
            status => assert_eq!(status, 0),
        }
    }
}
