//! The lock of a record: POSIX record locks on a file of its own, one byte for each turn.
//!
//! Promises: the kernel frees it when its process dies, and a forked child does not keep it; nobody waits for it here;
//! two threads of one process exclude each other too. The file is opened in this module only: closing any descriptor
//! of it would free the locks of the whole process.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::file::{self, Found};
use super::place::Owner;
use crate::process::PerProcess;

/// A lock file, open once in this process.
pub(crate) struct LockFile {
    file: File,
    /// Record locks belong to the process; this keeps its threads apart.
    held: AtomicBool,
}

/// A lock that is held; freed when dropped.
pub(crate) struct Held {
    lock: Arc<LockFile>,
    turn: u64,
}

type Open = Mutex<HashMap<PathBuf, Weak<LockFile>>>;

static OPEN: PerProcess<Open> = PerProcess::new();

impl LockFile {
    /// Opens or makes it; `None` if something else has its name.
    pub(crate) fn open(path: &Path, owner: Owner) -> Result<Option<Arc<LockFile>>, String> {
        let Ok(open) = OPEN.get_or_try_make(|| Ok::<_, Infallible>(Open::default()));
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = open.get(path).and_then(Weak::upgrade)
            && lock.still(path, owner)
        {
            return Ok(Some(lock));
        }
        // Again where it was removed, or made by somebody else, between two looks at it.
        for _ in 0..3 {
            let file = match file::open(path, owner)? {
                Found::Fit(file) => file,
                Found::Foreign => return Ok(None),
                Found::Missing => match file::create(path, owner, 0, &[])? {
                    Some(file) => file,
                    None => continue,
                },
            };
            let lock = Arc::new(LockFile {
                file,
                held: AtomicBool::new(false),
            });
            open.insert(path.to_owned(), Arc::downgrade(&lock));
            return Ok(Some(lock));
        }
        Ok(None)
    }

    pub(crate) fn still(&self, path: &Path, owner: Owner) -> bool {
        file::still(path, &self.file, owner)
    }

    /// Takes the lock of that turn, if it is free.
    pub(crate) fn try_lock(self: &Arc<Self>, turn: u64) -> Option<Held> {
        if self.held.swap(true, Ordering::Acquire) {
            return None;
        }
        if !self.set(turn, libc::F_WRLCK) {
            self.held.store(false, Ordering::Release);
            return None;
        }
        Some(Held {
            lock: self.clone(),
            turn,
        })
    }

    fn set(&self, turn: u64, kind: libc::c_int) -> bool {
        // SAFETY: a zeroed `flock` is a valid value of that plain C struct.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
        lock.l_start = (turn & (i64::MAX as u64 >> 1)) as libc::off_t;
        lock.l_len = 1;
        // SAFETY: the descriptor is open as long as `self` lives, and `lock` is valid for reading. F_SETLK never waits.
        unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLK, &lock) == 0 }
    }
}

impl Held {
    pub(crate) fn is_of(&self, lock: &Arc<LockFile>) -> bool {
        Arc::ptr_eq(&self.lock, lock)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lock.set(self.turn, libc::F_UNLCK);
        self.lock.held.store(false, Ordering::Release);
    }
}
