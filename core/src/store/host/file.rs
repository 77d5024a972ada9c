//! Opens and makes the two files of a record, and trusts nothing that somebody else may have put there.
//!
//! Promises: no link is followed, no pipe or device is waited for. A file appears as a whole and with its rights, or
//! not at all. It never replaces another one.

use std::ffi::CString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::directory::{Owner, failed};
use crate::platform::above_stdio::{StdioOccupied, above_stdio};
use crate::platform::random;
use crate::time::BootTime;

/// How the names of all files begin that are made here.
pub(crate) const PREFIX: &str = "pay88-";

/// What the name of a record's lock file adds to that of the record.
pub(crate) const LOCK: &str = ".lock";

/// After this time nothing in a record matters any more: it is much longer than the hour of the limits.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3 * 3600);

/// Where in its file a record says when it was last written: boot time, in eight bytes.
pub(super) const WRITTEN_AT: u64 = 12;

/// A process looks for forgotten files no more often than that.
const SWEPT_EVERY: Duration = Duration::from_secs(600);

/// What is at a path.
pub(crate) enum Found<T> {
    Fit(T),
    Missing,
    /// Something else; it is left alone.
    Foreign,
}

pub(crate) fn open(path: &Path, owner: Owner) -> Result<Found<File>, String> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
        .and_then(above_stdio);
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            return match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(Found::Missing),
                Some(libc::ELOOP | libc::EISDIR | libc::ENXIO | libc::EACCES | libc::EPERM) => {
                    Ok(Found::Foreign)
                }
                _ => Err(failed(path, &error)),
            };
        }
    };
    let found = file.metadata().map_err(|error| failed(path, &error))?;
    Ok(match fits(&found, owner) {
        true => Found::Fit(file),
        // It was removed between the two checks.
        false if found.nlink() == 0 => Found::Missing,
        false => Found::Foreign,
    })
}

/// What is at the path, without opening it.
pub(crate) fn inspect(path: &Path, owner: Owner) -> Result<Found<()>, String> {
    match fs::symlink_metadata(path) {
        Ok(found) if fits(&found, owner) => Ok(Found::Fit(())),
        Ok(_) => Ok(Found::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
        Err(error) => Err(failed(path, &error)),
    }
}

fn fits(file: &Metadata, owner: Owner) -> bool {
    file.is_file() && owner.has(file) && file.mode() & 0o7777 == owner.mode() && file.nlink() == 1
}

/// Makes a file with that content. `None` if there is something at the path by now.
pub(crate) fn create(path: &Path, owner: Owner, content: &[u8]) -> Result<Option<File>, String> {
    let unfinished = beside(path)?;
    let made = (|| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&unfinished)
            .and_then(above_stdio)?;
        if let Owner::Group(gid) = owner {
            std::os::unix::fs::fchown(&file, None, Some(gid))?;
        }
        file.set_permissions(fs::Permissions::from_mode(owner.mode()))?;
        write(&file, content, 0)?;
        match rename_to_free(&unfinished, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            result => result.map(|()| Some(file)),
        }
    })();
    if !matches!(made, Ok(Some(_))) {
        // Nobody knows whether it was made at all.
        let _ = fs::remove_file(&unfinished);
    }
    made.map_err(|error: io::Error| failed(path, &error))
}

/// Writes all of it there. Writes nothing if memory or the process's limit for files does not allow all of it.
pub(crate) fn write(file: &File, content: &[u8], at: u64) -> io::Result<()> {
    let length = content.len() as u64;
    if length == 0 {
        return Ok(());
    }
    // Beyond its limit the system would send SIGXFSZ, which would end the process.
    if at + length > limit() {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    // All room is reserved first, so that nothing is written in part.
    reserve(file, at, length)?;
    file.write_all_at(content, at)
}

/// No file may become longer in this process, in bytes.
fn limit() -> u64 {
    let mut limit = std::mem::MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limit` is a valid place for one rlimit.
    match unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) } {
        // SAFETY: getrlimit succeeded and so has filled it in.
        0 => unsafe { limit.assume_init() }.rlim_cur,
        _ => u64::MAX,
    }
}

fn reserve(file: &File, at: u64, length: u64) -> io::Result<()> {
    let (at, length) = (at as libc::off_t, length as libc::off_t);
    loop {
        // SAFETY: the descriptor is open as long as `file` is borrowed.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), at, length) } {
            0 => return Ok(()),
            libc::EINTR => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Reads at most that much, from that position on.
pub(crate) fn read(file: &File, most: usize, at: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; most];
    let mut length = 0;
    while length < most {
        match file.read_at(&mut content[length..], at + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(length);
    Ok(content)
}

/// Now and then removes files that this user left in the directory hours ago, under names as they are made here.
/// Whoever needs such a file again makes it anew.
pub(crate) fn sweep(directory: &Path, now: BootTime) {
    static SWEPT: AtomicU64 = AtomicU64::new(0);
    let last = SWEPT.load(Ordering::Relaxed);
    if last > 0 && now < BootTime(last).plus(SWEPT_EVERY) {
        return;
    }
    SWEPT.store(now.0.max(1), Ordering::Relaxed);
    sweep_now(directory, now);
}

pub(super) fn sweep_now(directory: &Path, now: BootTime) {
    let old = |found: &Metadata| {
        let age = found.modified().ok().and_then(|at| at.elapsed().ok());
        found.is_file() && age.is_some_and(|age| age > FORGOTTEN_AFTER)
    };
    // Somebody may have set the wall clock, so that records in use seem old.
    let written_lately =
        |path: &Path| written_at(path).is_some_and(|at| now < at.plus(FORGOTTEN_AFTER));
    // The directory stays open while it is read.
    let Ok(_streams) = StdioOccupied::new() else {
        return;
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let Some((hidden, rest)) = ours.and_then(|name| name.split_at_checked(32)) else {
            continue;
        };
        let is_old = entry.metadata().is_ok_and(|found| old(&found));
        if !is_old || !hidden.bytes().all(|b| b.is_ascii_hexdigit()) {
            continue;
        }
        match rest.strip_prefix(LOCK) {
            // A lock file is never written to, so it is removed with its record.
            Some(number) if directory.join(format!("{PREFIX}{hidden}{number}")).exists() => {}
            Some(_) => drop(fs::remove_file(entry.path())),
            None if written_lately(&entry.path()) => {}
            None => {
                // Other members of the group remove theirs themselves.
                if fs::remove_file(entry.path()).is_ok() {
                    let lock = format!("{PREFIX}{hidden}{LOCK}{rest}");
                    let _ = fs::remove_file(directory.join(lock));
                }
            }
        }
    }
}

/// What the file says of that; `None` if it cannot be read.
fn written_at(path: &Path) -> Option<BootTime> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    let written_at = read(&file, 8, WRITTEN_AT).ok()?;
    Some(BootTime(u64::from_le_bytes(written_at.try_into().ok()?)))
}

fn beside(path: &Path) -> Result<PathBuf, String> {
    let number = random::number().ok_or("the system gives no random numbers")?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:016x}"));
    Ok(PathBuf::from(name))
}

/// Renames unless something is there; the old glibc that is built against has no name for it.
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (from, to) = (text(from)?, text(to)?);
    // SAFETY: both texts end with a zero byte and live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
