//! The lock of a record: on a file of its own, one byte for each term.
//!
//! Promises: the kernel frees the lock when its process dies, and a forked child does not keep it. Nobody waits for
//! it here. Processes, threads and several copies of the library in one process exclude each other. It is a lock of
//! the open file description. A record lock would belong to the process: two copies of the library would both have
//! it, and it would end when either of them closes the file.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::directory::{Owner, failed};
use super::file::{self, Found};
use crate::platform::not_inherited::NotInherited;

/// A file lock. Dropping it frees it.
pub(crate) struct FileLock {
    file: NotInherited<File>,
    term: u64,
}

/// Takes the lock of that term, and makes its file if there is none. `None` if somebody else has it, if the file is
/// being replaced, or if this process is forking.
///
/// # Errors
/// Why no lock can be taken there.
pub(crate) fn try_lock(path: &Path, owner: Owner, term: u64) -> Result<Option<FileLock>, String> {
    let open = || match file::open(path, owner)? {
        Found::Fit(file) => Ok(Some(file)),
        Found::Missing => file::create(path, owner, &[]),
        Found::Foreign => Ok(None),
    };
    // Locked only once no child can inherit the file.
    let Some(file) = NotInherited::open(open)? else {
        return Ok(None);
    };
    match set(&file, term, libc::F_WRLCK) {
        Ok(()) => Ok(Some(FileLock { file, term })),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(None),
            _ => Err(failed(path, &error)),
        },
    }
}

fn set(file: &File, term: u64, kind: libc::c_int) -> std::io::Result<()> {
    // SAFETY: a zeroed `flock` is a valid value of that plain C struct; `l_pid` has to be 0 here.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = (term & (i64::MAX as u64 >> 1)) as libc::off_t;
    lock.l_len = 1;
    // SAFETY: the descriptor is open while `file` is borrowed, and `lock` is valid for reading. F_OFD_SETLK never waits.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

impl FileLock {
    /// Whether the lock's file is the one at that path.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match (fs::symlink_metadata(path), self.file.metadata()) {
            (Ok(there), Ok(mine)) => (there.dev(), there.ino()) == (mine.dev(), mine.ino()),
            _ => false,
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing alone may not free it: a process that is just being started from this one may have the file until
        // it runs.
        if self.file.is_own() {
            let _ = set(&self.file, self.term, libc::F_UNLCK);
        }
    }
}
