//! Descriptors that a forked child must not keep, since what they stand for would outlive this process in it: locks.
//!
//! Promises: the child closes them before `fork` returns there, and drops nothing that it inherited. A fork that calls no
//! handlers (a bare system call) leaves them open in its child.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use crate::process::Process;

/// A place that holds no descriptor.
const NONE: i32 = -1;

/// One of a list that only grows, to the most that were ever held at once: a handler can go through it at any moment.
struct Place {
    descriptor: AtomicI32,
    next: *const Place,
}

static FIRST: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());

/// Something that is closed in a forked child, and here when it is dropped.
pub(crate) struct NotInherited<T: AsRawFd> {
    value: ManuallyDrop<T>,
    place: &'static Place,
    process: Process,
}

impl<T: AsRawFd> NotInherited<T> {
    pub(crate) fn new(value: T) -> NotInherited<T> {
        // Also sees to it that the handler is there.
        let process = Process::current();
        NotInherited {
            place: Place::taken(value.as_raw_fd()),
            value: ManuallyDrop::new(value),
            process,
        }
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
                .compare_exchange(NONE, descriptor, Ordering::AcqRel, Ordering::Relaxed)
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
            match FIRST.compare_exchange(first, place, Ordering::AcqRel, Ordering::Acquire) {
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

/// For the handler of a forked child, which may do little else than this: closes what it inherited.
pub(crate) fn close_all() {
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
    use crate::test_limits::in_a_child;
    use std::fs::File;

    fn is_open(descriptor: i32) -> bool {
        // SAFETY: asks for flags only; a closed descriptor gives EBADF.
        unsafe { libc::fcntl(descriptor, libc::F_GETFD) >= 0 }
    }

    #[test]
    fn a_child_has_it_closed_and_leaves_what_has_its_number_then_alone() {
        let held = NotInherited::new(File::open("/proc/self/stat").unwrap());
        let more: Vec<_> = (0..3)
            .map(|_| NotInherited::new(File::open("/proc/self/stat").unwrap()))
            .collect();
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
