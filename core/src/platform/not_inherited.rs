//! Closes descriptors in forked children that must not keep them, because a lock on them would outlive this process.
//!
//! Promises: the child closes them before `fork` returns there, and drops nothing that it inherited. Nobody waits long for
//! a fork, and no fork waits. A fork that calls no handlers (a bare system call) leaves them open in its child.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use crate::platform::process::Process;

/// An entry without a descriptor.
const NONE: i32 = -1;

/// An entry of a list that only grows, to the most descriptors that were ever held at once. So a handler can go
/// through it at any moment.
struct Entry {
    descriptor: AtomicI32,
    next: *const Entry,
}

static FIRST: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// Counts the forks of this process: how many were begun in the upper half, and how many are under way in the lower.
static FORKS: AtomicU64 = AtomicU64::new(0);

const BEGUN: u64 = 1 << 32;
const UNDER_WAY: u64 = BEGUN - 1;

/// How often a descriptor is opened again because a fork happened in between, or a fork that is under way is waited for, each time
/// for a millisecond. The fork of a large process takes several.
const ATTEMPTS: u32 = 20;
const FORK_TIME: Duration = Duration::from_millis(1);

/// Holds a value that is closed in a forked child, and here when it is dropped.
pub(crate) struct NotInherited<T: AsRawFd> {
    value: ManuallyDrop<T>,
    entry: &'static Entry,
    process: Process,
}

impl<T: AsRawFd> NotInherited<T> {
    /// Holds what `open` opens, if it opens anything. `None` also if forks happen in between again and again.
    ///
    /// A child that is forked between the opening and the entry in the list keeps the descriptor, and with it a lock
    /// that is taken later. So what was opened around a fork is closed again before it is used.
    ///
    /// # Errors
    /// Those of `open`.
    pub(crate) fn open<E>(
        mut open: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<NotInherited<T>>, E> {
        for _ in 0..ATTEMPTS {
            // This also installs the handlers.
            let process = Process::current();
            let before = FORKS.load(Ordering::SeqCst);
            if before & UNDER_WAY != 0 {
                std::thread::sleep(FORK_TIME);
                continue;
            }
            let Some(value) = open()? else {
                return Ok(None);
            };
            let entry = Entry::taken(value.as_raw_fd());
            let value = ManuallyDrop::new(value);
            if FORKS.load(Ordering::SeqCst) == before {
                return Ok(Some(NotInherited {
                    value,
                    entry,
                    process,
                }));
            }
            // This may be a child that was forked by a signal handler, where the descriptor is closed already.
            if entry.descriptor.swap(NONE, Ordering::SeqCst) != NONE {
                drop(ManuallyDrop::into_inner(value));
            }
        }
        Ok(None)
    }

    /// Whether this process opened it.
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
        // In a child it is closed, and its number may belong to another descriptor.
        if self.is_own() {
            self.entry.descriptor.store(NONE, Ordering::Release);
            // SAFETY: it is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

impl Entry {
    fn taken(descriptor: i32) -> &'static Entry {
        for entry in entries() {
            let free = &entry.descriptor;
            if free
                .compare_exchange(NONE, descriptor, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                return entry;
            }
        }
        let entry = Box::leak(Box::new(Entry {
            descriptor: AtomicI32::new(descriptor),
            next: ptr::null(),
        }));
        let mut first = FIRST.load(Ordering::Acquire);
        loop {
            entry.next = first;
            match FIRST.compare_exchange(first, entry, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return entry,
                Err(other) => first = other,
            }
        }
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    let mut next = FIRST.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: what is in the list was leaked, and no entry changes after it came there but for its atomic.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        Some(entry)
    })
}

/// For the handler before a fork.
pub(crate) fn fork_begins() {
    FORKS.fetch_add(BEGUN + 1, Ordering::SeqCst);
}

/// For the handler in the parent after a fork, also if the fork failed.
pub(crate) fn fork_ended() {
    FORKS.fetch_sub(1, Ordering::SeqCst);
}

/// For the handler in a forked child, which may do little else: closes what the child inherited.
pub(crate) fn close_all() {
    // Only the parent has forks of other threads under way.
    FORKS.fetch_and(!UNDER_WAY, Ordering::SeqCst);
    for entry in entries() {
        let descriptor = entry.descriptor.swap(NONE, Ordering::AcqRel);
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

    /// Other tests of this process fork meanwhile, and nothing is opened as long as one of them does.
    fn opened() -> NotInherited<File> {
        let open = || NotInherited::open(|| File::open("/proc/self/stat").map(Some)).unwrap();
        (0..10_000)
            .find_map(|_| {
                open().or_else(|| {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    None
                })
            })
            .unwrap()
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
