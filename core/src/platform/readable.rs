//! A descriptor that tells a program's own loop that there is something to take.
//!
//! Promises: it is readable from [`Readable::set`] to [`Readable::clear`], each of which is one system call; it is
//! close-on-exec, does not block, and is 3 or higher. A forked child has a copy, which it may close and does not use.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::above_stdio::above_stdio;
use crate::platform::process::Process;

/// Can be waited for with `poll(2)`. Whoever has it sets it when what it stands for gets its first element, clears it when
/// the last one was taken, and closes it, all under the lock of that.
#[derive(Debug)]
pub struct Readable {
    number: i32,
    open: AtomicBool,
    process: Process,
}

impl Readable {
    /// Opens one that is not readable.
    ///
    /// # Errors
    /// The system gives no descriptor.
    pub fn open() -> io::Result<Readable> {
        // SAFETY: takes no pointers.
        let number = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system just gave this number to us alone.
        let opened = above_stdio(unsafe { OwnedFd::from_raw_fd(number) })?;
        Ok(Readable {
            number: opened.into_raw_fd(),
            open: AtomicBool::new(true),
            process: Process::current(),
        })
    }

    /// Whether this process opened it. If not, it tells another process something.
    pub fn is_own(&self) -> bool {
        self.process.is_current()
    }

    /// Makes it readable, unless it is closed. To be called once until it is cleared.
    pub fn set(&self) {
        let one = 1_u64.to_ne_bytes();
        if self.open.load(Ordering::Acquire) {
            // It cannot fail: the counter was 0.
            // SAFETY: whoever closes it has the lock that the caller has, and the bytes are readable.
            unsafe { libc::write(self.number, one.as_ptr().cast(), one.len()) };
        }
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: whoever takes has not closed it, it does not block, and the bytes may be written to.
        unsafe { libc::read(self.number, count.as_mut_ptr().cast(), count.len()) };
    }

    /// Closes it, in a forked child the child's copy. It is not to be used after that. Dropping it does the same.
    pub fn close(&self) {
        if self.open.swap(false, Ordering::AcqRel) {
            // SAFETY: it came from the system, and is closed once.
            unsafe { libc::close(self.number) };
        }
    }
}

impl AsRawFd for Readable {
    fn as_raw_fd(&self) -> i32 {
        self.number
    }
}

impl Drop for Readable {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;

    fn is_readable(descriptor: i32) -> bool {
        let mut poll = libc::pollfd {
            fd: descriptor,
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry, which may be written to.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 && poll.revents == libc::POLLIN }
    }

    #[test]
    fn it_is_readable_from_set_to_clear() {
        let readable = Readable::open().unwrap();
        let states = [
            is_readable(readable.as_raw_fd()),
            {
                readable.set();
                is_readable(readable.as_raw_fd())
            },
            {
                readable.clear();
                is_readable(readable.as_raw_fd())
            },
        ];
        assert_eq!(states, [false, true, false]);
    }

    #[test]
    fn no_program_that_is_started_has_it_and_no_read_blocks() {
        let readable = Readable::open().unwrap();
        // SAFETY: asks for flags only.
        let flags = unsafe {
            (
                libc::fcntl(readable.as_raw_fd(), libc::F_GETFD),
                libc::fcntl(readable.as_raw_fd(), libc::F_GETFL),
            )
        };
        assert!(flags.0 & libc::FD_CLOEXEC != 0 && flags.1 & libc::O_NONBLOCK != 0);
    }

    #[test]
    fn a_child_that_closes_its_copy_leaves_the_parents_as_it_is() {
        let readable = Readable::open().unwrap();
        readable.set();
        let status = in_a_child(|| {
            readable.close();
            i32::from(readable.is_own()) + i32::from(is_readable(readable.as_raw_fd())) * 2
        });
        assert_eq!(status, 0);
        assert!(readable.is_own() && is_readable(readable.as_raw_fd()));
    }
}
