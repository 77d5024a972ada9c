//! Where on this machine the record may be: in memory, in a directory that nobody else can write to.
//!
//! Promises: nothing is kept on a disk; a directory of another user is neither used nor touched.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How many names are tried where somebody else has taken one.
pub(crate) const NAMES: u32 = 4;

/// How the name of a user's own directory begins; the user's number follows.
const OWN: &str = "pay88-";

const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// The places that come into question.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    given: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
}

/// A directory that may be used, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
}

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    User(u32),
    Group(u32),
}

impl Owner {
    pub(crate) fn mode(self) -> u32 {
        match self {
            Owner::User(_) => 0o600,
            Owner::Group(_) => 0o660,
        }
    }

    pub(crate) fn has(self, file: &Metadata) -> bool {
        match self {
            Owner::User(uid) => file.uid() == uid,
            Owner::Group(gid) => file.gid() == gid,
        }
    }
}

impl Place {
    /// `given` is the directory of `host:<dir>`, `runtime_dir` the user's own (`$XDG_RUNTIME_DIR`).
    pub(crate) fn new(given: Option<PathBuf>, runtime_dir: Option<PathBuf>) -> Place {
        Place { given, runtime_dir }
    }

    /// The directory to use, made if need be, and whether it has the name that is tried first; or why there is none.
    pub(crate) fn find(&self, euid: u32) -> Result<(Directory, bool), String> {
        self.directory(euid, true)
    }

    /// The directory that is used, or would be made.
    pub(crate) fn seek(&self, euid: u32) -> Result<Directory, String> {
        self.directory(euid, false).map(|(directory, _)| directory)
    }

    /// The other users who have directories of their own beside this user's.
    pub(crate) fn other_users(&self, euid: u32) -> Vec<u32> {
        let own = self.seek(euid).ok().filter(|_| self.given.is_none());
        let base = own.as_ref().and_then(|own| own.path.parent());
        let entries = base.and_then(|base| fs::read_dir(base).ok());
        let user = |entry: fs::DirEntry| {
            let (name, found) = (entry.file_name(), entry.metadata().ok()?);
            let uid = name.to_str()?.strip_prefix(OWN)?.split('.').next()?;
            let uid = uid.parse().ok()?;
            // A name that somebody else has taken is nobody's directory.
            (found.is_dir() && found.uid() == uid && uid != euid).then_some(uid)
        };
        let users = entries.into_iter().flatten().flatten().filter_map(user);
        let users: BTreeSet<u32> = users.collect();
        users.into_iter().collect()
    }

    fn directory(&self, euid: u32, make: bool) -> Result<(Directory, bool), String> {
        if let Some(given) = &self.given {
            return shared(given).map(|directory| (directory, true));
        }
        let mut reasons = Vec::new();
        for base in [Some(Path::new("/dev/shm")), self.runtime_dir.as_deref()]
            .into_iter()
            .flatten()
        {
            match own(base, euid, make) {
                Ok(directory) => return Ok(directory),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons.join("; "))
    }
}

/// A directory that an administrator has made for a group.
fn shared(path: &Path) -> Result<Directory, String> {
    in_memory(path)?;
    let found = fs::metadata(path).map_err(|error| failed(path, &error))?;
    if !found.is_dir() {
        return Err(format!("{} is no directory", path.display()));
    }
    if found.mode() & 0o002 != 0 {
        return Err(format!("anybody may write to {}", path.display()));
    }
    let text = c_text(path)?;
    // SAFETY: `text` ends with a zero byte and lives until the call returns.
    if unsafe {
        libc::faccessat(
            libc::AT_FDCWD,
            text.as_ptr(),
            libc::W_OK | libc::X_OK,
            libc::AT_EACCESS,
        )
    } != 0
    {
        return Err(failed(path, &io::Error::last_os_error()));
    }
    Ok(Directory {
        path: path.to_owned(),
        owner: Owner::Group(found.gid()),
    })
}

/// A directory of this user alone; where there is none it is made, or told where it would be.
fn own(base: &Path, euid: u32, make: bool) -> Result<(Directory, bool), String> {
    in_memory(base)?;
    let owner = Owner::User(euid);
    for number in 0..NAMES {
        let path = base.join(numbered(&format!("{OWN}{euid}"), number));
        if make {
            match DirBuilder::new().mode(0o700).create(&path) {
                // A umask may have taken from it.
                Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
                    .map_err(|error| failed(&path, &error))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, &error)),
            }
        }
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => {
                return Ok((Directory { path, owner }, number == 0));
            }
            Err(error) => return Err(failed(&path, &error)),
        };
        if found.is_dir() && found.uid() == euid && found.mode() & 0o7777 == 0o700 {
            return Ok((Directory { path, owner }, number == 0));
        }
    }
    Err(format!(
        "{OWN}{euid} and its further names in {} are taken by others",
        base.display()
    ))
}

/// The name itself, then with numbers.
pub(crate) fn numbered(name: &str, number: u32) -> String {
    match number {
        0 => name.to_owned(),
        _ => format!("{name}.{number}"),
    }
}

fn in_memory(path: &Path) -> Result<(), String> {
    let text = c_text(path)?;
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `text` ends with a zero byte and `found` is a valid place for one statfs.
    if unsafe { libc::statfs(text.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(failed(path, &io::Error::last_os_error()));
    }
    // SAFETY: statfs succeeded and so has filled it in.
    let kind = unsafe { found.assume_init() }.f_type;
    match kind as u32 {
        TMPFS | RAMFS => Ok(()),
        _ => Err(format!("{} is not in memory (no tmpfs)", path.display())),
    }
}

fn c_text(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| "the path holds a zero byte".to_owned())
}

pub(crate) fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
