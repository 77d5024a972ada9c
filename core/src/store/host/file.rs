//! Opening and making the two files of a record, so that nothing is trusted that somebody else may have put there.
//!
//! Promises: no link is followed, no pipe or device waited for; a file appears whole, with its rights, or not at all, and
//! never takes the place of another.

use std::ffi::CString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::{Owner, failed};
use crate::random;

/// No file of a record is larger, in bytes.
pub(crate) const FILE_SIZE: u64 = 64 * 1024;

/// How the names of all files begin that are made here.
pub(crate) const PREFIX: &str = "pay88-";

/// What is added to the name of a record for its lock.
pub(crate) const LOCK: &str = ".lock";

/// Nothing that is remembered in a record matters any more after this time: the hour of the budget, and much more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3 * 3600);

/// What is at a path.
pub(crate) enum Found {
    Fit(File),
    Missing,
    /// Something else; it is left alone.
    Foreign,
}

pub(crate) fn open(path: &Path, owner: Owner) -> Result<Found, String> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path);
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
        // It was removed between the two looks at it.
        false if found.nlink() == 0 => Found::Missing,
        false => Found::Foreign,
    })
}

/// Whether the path still leads to the open file, and the file still is what may be used.
pub(crate) fn still(path: &Path, file: &File, owner: Owner) -> bool {
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(open)) => {
            (there.dev(), there.ino()) == (open.dev(), open.ino()) && fits(&there, owner)
        }
        _ => false,
    }
}

fn fits(file: &Metadata, owner: Owner) -> bool {
    file.is_file()
        && owner.has(file)
        && file.mode() & 0o7777 == owner.mode()
        && file.nlink() == 1
        && file.len() <= FILE_SIZE
}

/// Makes a file of `size` bytes that begins with `content`. `None` if there is something at the path by now.
pub(crate) fn create(
    path: &Path,
    owner: Owner,
    size: u64,
    content: &[u8],
) -> Result<Option<File>, String> {
    let unfinished = beside(path)?;
    let made = (|| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&unfinished)?;
        if let Owner::Group(gid) = owner {
            std::os::unix::fs::fchown(&file, None, Some(gid))?;
        }
        file.set_permissions(fs::Permissions::from_mode(owner.mode()))?;
        reserve(&file, size)?;
        file.write_all_at(content, 0)?;
        match rename_to_free(&unfinished, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            result => result.map(|()| Some(file)),
        }
    })();
    if !matches!(made, Ok(Some(_))) {
        // Whether it was made at all is not known.
        let _ = fs::remove_file(&unfinished);
    }
    made.map_err(|error: io::Error| failed(path, &error))
}

/// Gives the file its whole size now, so that no later write lacks room.
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    loop {
        // SAFETY: the descriptor is open as long as `file` is borrowed.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) } {
            0 => return Ok(()),
            libc::EINTR => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Removes what this user has left in the directory hours ago, under names as they are made here. Whoever still has such
/// a file open finds it gone and makes it anew.
pub(crate) fn sweep(directory: &Path) {
    let old = |found: &Metadata| {
        let age = found.modified().ok().and_then(|at| at.elapsed().ok());
        found.is_file() && age.is_some_and(|age| age > FORGOTTEN_AFTER)
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let record = ours.filter(|rest| {
            rest.len() >= 32 && rest.bytes().take(32).all(|b| b.is_ascii_hexdigit())
        });
        // A lock file is never written to; it goes with its record.
        let Some(rest) = record.filter(|rest| !rest.contains(LOCK)) else {
            continue;
        };
        if entry.metadata().is_ok_and(|found| old(&found)) {
            let (hidden, number) = rest.split_at(32);
            let lock = format!("{PREFIX}{hidden}{LOCK}{number}");
            // Of others in the group: they do it themselves.
            if fs::remove_file(entry.path()).is_ok() {
                let _ = fs::remove_file(directory.join(lock));
            }
        }
    }
}

fn beside(path: &Path) -> Result<PathBuf, String> {
    let number = random::number().ok_or("the system gives no randomness")?;
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
