//! Descriptors that a forked child must not keep, since what they stand for would outlive this process in it: locks.
//!
//! Promises: the child closes them before `fork` returns there, and drops nothing that it inherited; nobody waits for a fork,
//! and no fork waits. A fork that calls no handlers (a bare system call) leaves them open in its child.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

use crate::platform::process::Process;

/// A place that holds no descriptor.
const NONE: i32 = -1;

/// One of a list that only grows, to the most that were ever held at once: a handler can go through it at any moment.
struct Place {
    descriptor: AtomicI32,
    next: *const Place,
}

static FIRST: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());

/// The forks of this process: how many there were, in the upper half, and how many are under way now.
static FORKS: AtomicU64 = AtomicU64::new(0);

const BEGUN: u64 = 1 << 32;
const UNDER_WAY: u64 = BEGUN - 1;

/// That often something is opened again because a fork got in between.
const ATTEMPTS: u32 = 8;

/// Something that is closed in a forked child, and here when it is dropped.
pub(crate) struct NotInherited<T: AsRawFd> {
    value: ManuallyDrop<T>,
    place: &'static Place,
    process: Process,
}

impl<T: AsRawFd> NotInherited<T> {
    /// What `open` opens, if it opens anything. `None` also where forks get in between again and again.
    ///
    /// A child that is forked between the opening and the entry in the list keeps the descriptor, and with it a lock that is
    /// taken later. So what was opened around a fork is closed again, before anything was done with it.
    ///
    /// # Errors
    /// Those of `open`.
    pub(crate) fn open<E>(
        mut open: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<NotInherited<T>>, E> {
        for _ in 0..ATTEMPTS {
            // Also sees to it that the handlers are there.
            let process = Process::current();
            let before = FORKS.load(Ordering::SeqCst);
            if before & UNDER_WAY != 0 {
                std::thread::yield_now();
                continue;
            }
            let Some(value) = open()? else {
                return Ok(None);
            };
            let place = Place::taken(value.as_raw_fd());
            let value = ManuallyDrop::new(value);
            if FORKS.load(Ordering::SeqCst) == before {
                return Ok(Some(NotInherited {
                    value,
                    place,
                    process,
                }));
            }
            // This may be the child, of a signal handler, and the descriptor closed already.
            if place.descriptor.swap(NONE, Ordering::SeqCst) != NONE {
                drop(ManuallyDrop::into_inner(value));
            }
        }
        Ok(None)
    }

    /// Whether it is this process that opened it.
    pub(crate) fn is_own(&self) -> bool {
        self.process.is_current()
    }
}

impl<T: AsRawFd> Deref for NotInherited<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: AsRawFd> Drop for NotInherited<T> {
    fn drop(&mut self) {
        // In a child it is closed, and its number may be another's.
        if self.is_own() {
            self.place.descriptor.store(NONE, Ordering::Release);
            // SAFETY: it is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

impl Place {
    fn taken(descriptor: i32) -> &'static Place {
        for place in places() {
            let free = &place.descriptor;
            if free
                .compare_exchange(NONE, descriptor, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                return place;
            }
        }
        let place = Box::leak(Box::new(Place {
            descriptor: AtomicI32::new(descriptor),
            next: ptr::null(),
        }));
        let mut first = FIRST.load(Ordering::Acquire);
        loop {
            place.next = first;
            match FIRST.compare_exchange(first, place, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return place,
                Err(other) => first = other,
            }
        }
    }
}

fn places() -> impl Iterator<Item = &'static Place> {
    let mut next = FIRST.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: what is in the list was leaked, and no place changes after it came there but for its atomic.
        let place = unsafe { next.as_ref() }?;
        next = place.next;
        Some(place)
    })
}

/// For the handler before a fork.
pub(crate) fn fork_begins() {
    FORKS.fetch_add(BEGUN + 1, Ordering::SeqCst);
}

/// For the handler of the parent after a fork, also after one that failed.
pub(crate) fn fork_ended() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

/// For the handler of a forked child, which may do little else than this: closes what it inherited.
pub(crate) fn close_all() {
    // Forks of other threads are under way in the parent alone.
    FORKS.fetch_and(!UNDER_WAY, Ordering::SeqCst);
    for place in places() {
        let descriptor = place.descriptor.swap(NONE, Ordering::AcqRel);
        if descriptor != NONE {
            // SAFETY: it is this child's copy, and whoever held it in the parent does not touch it here.
            unsafe { libc::close(descriptor) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;
    use std::fs::File;

    fn is_open(descriptor: i32) -> bool {
        // SAFETY: asks for flags only; a closed descriptor gives EBADF.
        unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
    }

    fn opened() -> NotInherited<File> {
        let open = || File::open("/proc/self/stat").map(Some);
        NotInherited::open(open).unwrap().unwrap()
    }

    #[test]
    fn what_was_open_before_a_fork_and_in_no_list_yet_is_opened_again_after_it() {
        let status = in_a_child(|| {
            let mut tries = 0;
            let mut missed = 0;
            let opened = NotInherited::open(|| {
                let file = File::open("/proc/self/stat")?;
                tries += 1;
                if tries == 1 {
                    missed = in_a_child(|| i32::from(!is_open(file.as_raw_fd())));
                }
                Ok::<_, std::io::Error>(Some(file))
            });
            let Ok(Some(held)) = opened else {
                return 1;
            };
            let kept = in_a_child(|| i32::from(is_open(held.as_raw_fd())));
            missed * 2 + kept * 4 + i32::from(tries != 2) * 8
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn nothing_is_opened_while_another_thread_forks_and_its_child_forgets_that() {
        let status = in_a_child(|| {
            let tries = |count: &mut u32| {
                *count = 0;
                NotInherited::open(|| {
                    *count += 1;
                    File::open("/proc/self/stat").map(Some)
                })
            };
            let mut count = 0;
            drop(tries(&mut count));
            // As that thread's handlers do.
            fork_begins();
            if !matches!(tries(&mut count), Ok(None)) || count != 0 {
                return 1;
            }
            let in_child = in_a_child(|| i32::from(!matches!(tries(&mut 0), Ok(Some(_)))));
            fork_ended();
            let after = matches!(tries(&mut count), Ok(Some(_))) && count == 1;
            i32::from(!after) * 2 + in_child * 4
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn a_child_has_it_closed_and_leaves_what_has_its_number_then_alone() {
        let held = opened();
        let more: Vec<_> = (0..3).map(|_| opened()).collect();
        let descriptor = held.as_raw_fd();
        let status = in_a_child(|| {
            if is_open(descriptor) || more.iter().any(|held| is_open(held.as_raw_fd())) {
                return 1;
            }
            // SAFETY: copies a descriptor to a number that is free in this child.
            if unsafe { libc::dup2(0, descriptor) } != descriptor || held.is_own() {
                return 2;
            }
            drop(held);
            i32::from(!is_open(descriptor)) * 3
        });
        assert_eq!(status, 0);
        assert!(more.iter().all(|held| is_open(held.as_raw_fd())));
    }
}
