//! Keeps every descriptor of the library at 3 or higher.
//!
//! A host may have closed its standard input, output or error. The system gives their numbers to whatever is opened
//! next. What the host then writes to its standard error would go into that file or connection.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// The first number that is not a standard stream.
const LOWEST: i32 = 3;

/// Moves a descriptor that was just opened to 3 or higher, close-on-exec. Makes no system call if it is there
/// already.
///
/// # Errors
/// `EMFILE` if the process has no descriptor left. What was opened is then closed.
pub(crate) fn above_stdio<T: AsRawFd + From<OwnedFd>>(opened: T) -> io::Result<T> {
    if opened.as_raw_fd() >= LOWEST {
        return Ok(opened);
    }
    // SAFETY: duplicates a descriptor that is open as long as `opened` lives.
    let moved = unsafe { libc::fcntl(opened.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST) };
    if moved < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just gave this number to us alone.
    Ok(T::from(unsafe { OwnedFd::from_raw_fd(moved) }))
}

/// Occupies the standard streams that are closed, as long as it lives. It is for code that opens descriptors which
/// cannot be moved: a runtime, the system's resolver, a crate.
///
/// Meanwhile the host can neither read nor write there, as if the stream were still closed. A stream that the host
/// opens itself meanwhile (`dup2`) stays open.
#[must_use = "the numbers are free again once it is dropped"]
pub(crate) struct StdioOccupied(Vec<Held>);

struct Held {
    file: File,
    /// Which file it was when it was opened: device and inode.
    was: (u64, u64),
}

impl StdioOccupied {
    /// # Errors
    /// `EMFILE` if the process has no descriptor left.
    pub(crate) fn new() -> io::Result<StdioOccupied> {
        let mut held = Vec::new();
        while let Some(closed) = (0..LOWEST).find(|&fd| is_closed(fd)) {
            // An epoll descriptor needs no path, and reading and writing it fail at once.
            // SAFETY: a plain system call.
            let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the system just gave this number to us alone.
            let file = unsafe { File::from_raw_fd(fd) };
            let was = identity(&file)?;
            held.push(Held { file, was });
            // Another thread of the host has closed or taken a stream meanwhile, which is its own business.
            if fd > closed {
                break;
            }
        }
        held.retain(|held| held.file.as_raw_fd() < LOWEST);
        Ok(StdioOccupied(held))
    }
}

impl Drop for StdioOccupied {
    fn drop(&mut self) {
        for Held { file, was } in self.0.drain(..) {
            if identity(&file).is_ok_and(|is| is == was) {
                drop(file);
            } else {
                // The host has closed or replaced it.
                let _ = file.into_raw_fd();
            }
        }
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn is_closed(fd: i32) -> bool {
    // SAFETY: asks for flags only; a closed descriptor gives EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) < 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;

    /// Closes the standard streams of a child of its own.
    fn without_stdio(child: impl FnOnce() -> bool) {
        let status = in_a_child(|| {
            // SAFETY: nothing of this child uses them.
            unsafe {
                libc::close(0);
                libc::close(1);
                libc::close(2);
            }
            i32::from(!child())
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn what_is_opened_moves_above_the_standard_streams_and_leaves_them_closed() {
        without_stdio(|| {
            let Ok(opened) = File::open("/proc/self/status") else {
                return false;
            };
            let low = opened.as_raw_fd() == 0;
            let Ok(moved) = above_stdio(opened) else {
                return false;
            };
            // SAFETY: asks for flags only.
            let flags = unsafe { libc::fcntl(moved.as_raw_fd(), libc::F_GETFD) };
            let closes_on_exec = flags & libc::FD_CLOEXEC != 0;
            low && moved.as_raw_fd() >= LOWEST && closes_on_exec && (0..LOWEST).all(is_closed)
        });
    }

    #[test]
    fn occupied_streams_take_nothing_of_the_host_and_are_closed_again() {
        without_stdio(|| {
            let Ok(occupied) = StdioOccupied::new() else {
                return false;
            };
            let mut byte = 0_u8;
            // SAFETY: one byte that is valid for reading and writing.
            let refused = unsafe {
                libc::write(2, (&raw const byte).cast(), 1) < 0
                    && libc::read(0, (&raw mut byte).cast(), 1) < 0
            };
            let above = File::open("/proc/self/status").is_ok_and(|f| f.as_raw_fd() >= LOWEST);
            drop(occupied);
            refused && above && (0..LOWEST).all(is_closed)
        });
    }

    #[test]
    fn a_stream_that_the_host_opens_meanwhile_stays_its_own() {
        without_stdio(|| {
            let (Ok(occupied), Ok(log)) = (StdioOccupied::new(), File::open("/proc/self/status"))
            else {
                return false;
            };
            // SAFETY: plain system calls on descriptors of this child.
            let replaced = unsafe { libc::dup2(log.as_raw_fd(), 1) == 1 && libc::close(2) == 0 };
            drop(occupied);
            replaced && is_closed(0) && !is_closed(1) && is_closed(2)
        });
    }

    #[test]
    fn open_streams_are_left_alone() {
        let status = in_a_child(|| {
            let (Ok(occupied), true) = (StdioOccupied::new(), !(0..LOWEST).any(is_closed)) else {
                return 1;
            };
            drop(occupied);
            i32::from((0..LOWEST).any(is_closed))
        });
        assert_eq!(status, 0);
    }
}
