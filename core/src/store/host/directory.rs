//! Finds the directory of the record on this machine. It is in memory, and nobody else can write to it.
//!
//! Promises: nothing is kept on a disk. A directory of another user is neither used nor touched. If another user has
//! taken the common name of a user's keys, there are further names, which only holders of the key can know
//! beforehand.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::platform::above_stdio::StdioOccupied;

/// How many names are tried if others have taken some.
pub(crate) const NAMES: u32 = 4;

/// The beginning of the name of a user's own directory. The user's number follows, or a name that comes from the key.
const OWN: &str = "pay88-";

/// Gives the name of the directory that is tried as number `n` after the first.
pub(crate) type HiddenName<'a> = &'a dyn Fn(u32) -> Result<String, String>;

const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// The directories that may hold the record.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    given: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
}

/// A directory that is used, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
}

/// A name that another user has taken, so that a further one is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) path: PathBuf,
    pub(crate) by: u32,
}

impl Taken {
    pub(crate) fn at(path: PathBuf) -> Option<Taken> {
        let by = fs::symlink_metadata(&path).ok()?.uid();
        Some(Taken { path, by })
    }

    /// The reason to report if all names are taken.
    pub(crate) fn all(taken: &[Taken]) -> String {
        let each = |taken: &Taken| format!("{} (user {})", taken.path.display(), taken.by);
        let names: Vec<String> = taken.iter().map(each).collect();
        format!("all names are taken by others: {}", names.join(", "))
    }
}

/// Who owns the files: a user, or a group.
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

impl Directories {
    /// `given` is the directory of `host:<dir>`; `runtime_dir` is the user's own (`$XDG_RUNTIME_DIR`).
    pub(crate) fn new(given: Option<PathBuf>, runtime_dir: Option<PathBuf>) -> Directories {
        Directories { given, runtime_dir }
    }

    /// The directory that is used, and the names before it that are taken. If the directory does not exist it is
    /// made. With `make` unset, only its path is given.
    ///
    /// # Errors
    /// Why there is no such directory.
    pub(crate) fn find(
        &self,
        euid: u32,
        hidden: HiddenName<'_>,
        make: bool,
    ) -> Result<(Directory, Vec<Taken>), String> {
        if let Some(given) = &self.given {
            return shared(given).map(|directory| (directory, Vec::new()));
        }
        let mut reasons = Vec::new();
        // Not the first choice even if the user has a runtime directory: services without access to it, and programs
        // that run after the user has logged out, would be other hosts.
        let runtime_dir = PathBuf::from(format!("/run/user/{euid}"));
        for base in [
            Some(Path::new("/dev/shm")),
            Some(&runtime_dir),
            self.runtime_dir.as_deref(),
        ]
        .into_iter()
        .flatten()
        {
            match own(base, euid, hidden, make) {
                Ok(found) => return Ok(found),
                Err(reason) => reasons.push(reason),
            }
        }
        reasons.dedup();
        Err(reasons.join("; "))
    }

    /// The other users who have directories of their own beside this user's.
    pub(crate) fn other_users(&self, euid: u32) -> Vec<u32> {
        // Whether a name is taken does not matter here.
        let own = self
            .find(euid, &|number| Ok(number.to_string()), false)
            .ok();
        let own = own.filter(|_| self.given.is_none());
        let base = own.as_ref().and_then(|(own, _)| own.path.parent());
        let _streams = StdioOccupied::new();
        let entries = base.and_then(|base| fs::read_dir(base).ok());
        let user = |entry: fs::DirEntry| {
            let (name, found) = (entry.file_name(), entry.metadata().ok()?);
            let (name, uid) = (name.to_str()?.strip_prefix(OWN)?, found.uid());
            let hidden = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            // A name that somebody else has taken is not a user's directory.
            (found.is_dir() && (hidden || name == uid.to_string()) && uid != euid).then_some(uid)
        };
        let users = entries.into_iter().flatten().flatten().filter_map(user);
        let users: BTreeSet<u32> = users.collect();
        users.into_iter().collect()
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

/// A directory of this user alone. If it does not exist it is made, or with `make` unset only its path is given.
fn own(
    base: &Path,
    euid: u32,
    hidden: HiddenName<'_>,
    make: bool,
) -> Result<(Directory, Vec<Taken>), String> {
    in_memory(base)?;
    let owner = Owner::User(euid);
    let mut taken = Vec::new();
    for number in 0..NAMES {
        let path = base.join(match number {
            0 => format!("{OWN}{euid}"),
            _ => format!("{OWN}{}", hidden(number)?),
        });
        // Most often it exists, so it is looked for first.
        let mut found = fs::symlink_metadata(&path);
        if make
            && let Err(error) = &found
            && error.kind() == io::ErrorKind::NotFound
        {
            match DirBuilder::new().mode(0o700).create(&path) {
                // A umask may have removed some of the rights.
                Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
                    .map_err(|error| failed(&path, &error))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&path, &error)),
            }
            found = fs::symlink_metadata(&path);
        }
        match found {
            Ok(found)
                if found.is_dir() && found.uid() == euid && found.mode() & 0o7777 == 0o700 =>
            {
                return Ok((Directory { path, owner }, taken));
            }
            Ok(found) => taken.push(Taken {
                path,
                by: found.uid(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !make => {
                return Ok((Directory { path, owner }, taken));
            }
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(Taken::all(&taken))
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
