//! One token for the processes of a host: a sealed record in memory, which all of them read and one at a time writes.
//!
//! Promises: a reader sees a whole record or none. Nothing is mapped, renamed over, trusted or written to a disk. Never
//! waits for anybody. What the record says and who may write is up to [`local`](super::local).
//!
//! Nothing stays open between two uses. So a key takes a page of memory and no descriptor.
//!
//! The file has a header of 64 bytes, which says when the file was last written. Then come the slots, each with its
//! length and one sealed record. Two slots share the first page. A record that is too long for them uses the first
//! slot up to the third, or the third, which take memory only while they are needed. A writer never touches the
//! newest record, so a torn write leaves the record before it.

pub(crate) mod directory;
mod file;
mod lock;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::directory::Taken;
use self::directory::{Directories, Directory, NAMES, Owner, failed};
pub(super) use self::lock::FileLock;
use crate::config::credentials::ApiKey;
use crate::platform::above_stdio::above_stdio;
use crate::refresh::record::HostRecord;
use crate::store::seal::{OVERHEAD, Sealer};
use crate::time::BootTime;

/// The first bytes of every record's file, and the version of the format that is read here.
const MAGIC: &[u8; 8] = b"88PAYREC";
const MAJOR: u32 = 2;

const HEADER: usize = 64;
const LENGTH: usize = 4;

/// The size of a file with a short record.
const PAGE: u64 = 4096;

/// The largest size of a record's file, in bytes.
const FILE_SIZE: u64 = 64 * 1024;

/// Where a record may begin, and where it ends at the latest. The first two are in the first page. The first one
/// extends over the second one where that is free.
const SLOTS: [Range<u64>; 3] = [
    HEADER as u64..LARGE,
    HEADER as u64 + (PAGE - HEADER as u64) / 2..PAGE,
    LARGE..FILE_SIZE,
];
const LARGE: u64 = HEADER as u64 + (FILE_SIZE - HEADER as u64) / 2;

/// The files of one key's record.
pub(crate) struct HostFiles {
    directories: Directories,
    sealer: Sealer,
    base_url: String,
    merchant_id: String,
    /// The record's file as it was last found.
    path: Option<PathBuf>,
    /// The name for that owner. It stays the same as long as the process lives.
    name: Option<(Owner, String)>,
}

/// The two files, as they are at their paths now.
struct Files {
    directory: Directory,
    lock_path: PathBuf,
    record_path: PathBuf,
    /// It is made with the first write.
    record: Option<File>,
    /// The names that come first but belong to others.
    taken: Vec<Taken>,
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// This process was stopped or slow, and others may have gone on.
    Late,
    /// The record cannot be used; the reason.
    Lost(String),
}

/// What is where a record is kept.
pub(super) enum Found {
    /// Nobody has written there yet.
    Nothing,
    Record(Arc<HostRecord>),
    /// There was a record, and nothing of it can be read.
    Lost,
}

/// Files that a leader is about to write to.
pub(super) struct Opened {
    files: Files,
    /// Where in the file the newest record is.
    newest: Range<u64>,
}

/// What the slots hold.
struct Slots {
    best: Option<HostRecord>,
    /// Where in the file `best` is.
    at: Range<u64>,
}

impl HostFiles {
    /// `None` only if the machine's cryptography fails.
    pub(crate) fn new(
        key: &ApiKey,
        directories: Directories,
        base_url: &str,
        merchant_id: &str,
    ) -> Option<HostFiles> {
        Some(HostFiles {
            directories,
            sealer: Sealer::of(key)?,
            base_url: base_url.to_owned(),
            merchant_id: merchant_id.to_owned(),
            path: None,
            name: None,
        })
    }

    /// The record's file, once it is known.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    /// The newest record. Needs no lock.
    pub(super) fn read(&mut self) -> Result<Found, String> {
        let files = self.files()?;
        self.read_slots(&files).map(Found::from)
    }

    /// The path of the record's file, or where it would be; the names before it that others have taken; and the
    /// record. Makes nothing.
    pub(super) fn peek(&mut self) -> Result<(PathBuf, Vec<Taken>, Found), String> {
        let files = self.find(false)?;
        let found = self.read_slots(&files)?.into();
        Ok((files.record_path, files.taken, found))
    }

    pub(super) fn other_users(&self) -> Vec<u32> {
        self.directories.other_users(euid())
    }

    /// Takes the lock of that term, and reads the record then; `None` if somebody else has the lock.
    pub(super) fn try_lock(&mut self, term: u64) -> Result<Option<(FileLock, Found)>, String> {
        // Once more if the files were replaced before they were locked.
        for _ in 0..3 {
            let files = self.files()?;
            let Some(lock) = lock::try_lock(&files.lock_path, files.directory.owner, term)? else {
                return Ok(None);
            };
            let files = self.files()?;
            if lock.is_at(&files.lock_path) {
                return Ok(Some((lock, self.read_slots(&files)?.into())));
            }
        }
        Ok(None)
    }

    /// The files for the leader of that term, who is about to write `record`, and the record that is there.
    pub(super) fn open(
        &mut self,
        lock: &mut FileLock,
        term: u64,
        record: &HostRecord,
    ) -> Result<(Opened, Option<HostRecord>), Unwritten> {
        let files = self.files().map_err(Unwritten::Lost)?;
        let lock_replaced = !lock.is_at(&files.lock_path);
        if lock_replaced {
            // Whoever locks the new file is the leader.
            let new = lock::try_lock(&files.lock_path, files.directory.owner, term);
            *lock = new.map_err(Unwritten::Lost)?.ok_or(Unwritten::Late)?;
        }
        let slots = self.read_slots(&files).map_err(Unwritten::Lost)?;
        let (found, newest) = slots.map_or((None, 0..0), |slots| (slots.best, slots.at));
        if lock_replaced && found.as_ref().is_some_and(|found| found.newer_than(record)) {
            // Or has led already.
            return Err(Unwritten::Late);
        }
        Ok((Opened { files, newest }, found))
    }

    /// Writes the record so that it does not touch the newest one.
    pub(super) fn write(
        &self,
        opened: &Opened,
        record: &HostRecord,
        now: BootTime,
    ) -> Result<(), String> {
        let slot = self.slot(record, now)?;
        self.store(&opened.files, &opened.newest, &slot, now)
    }

    /// The record with its length before it, sealed.
    fn slot(&self, record: &HostRecord, now: BootTime) -> Result<Vec<u8>, String> {
        let plain = record.to_bytes(now);
        let length = plain.len() + OVERHEAD;
        let most = SLOTS[0].end - SLOTS[0].start;
        if plain.is_empty() || (LENGTH + length) as u64 > most {
            return Err("the token is too long to be shared".to_owned());
        }
        let sealed = self
            .sealer
            .seal(&self.seal_context(), &plain)
            .ok_or("the system gives no random numbers")?;
        let mut slot = (length as u32).to_le_bytes().to_vec();
        slot.extend_from_slice(&sealed);
        Ok(slot)
    }

    /// Writes the slot so that it does not touch what is at `newest`.
    fn store(
        &self,
        files: &Files,
        newest: &Range<u64>,
        slot: &[u8],
        now: BootTime,
    ) -> Result<(), String> {
        let path = &files.record_path;
        let at =
            position_for(slot.len() as u64, newest).ok_or("the token is too long to be shared")?;
        let write = |file: &File| -> io::Result<()> {
            let found = file.metadata()?.len();
            if found < PAGE {
                // The file was cut. What is left of it stays.
                file::write(file, &vec![0; (PAGE - found) as usize], found)?;
                file::write(file, &header(now), 0)?;
            }
            file::write(file, &now.0.to_le_bytes(), file::WRITTEN_AT)?;
            file::write(file, slot, at)?;
            // Space that no record needs any more is given back. A reader looks there first, so it is given back
            // last.
            let needed = match at + slot.len() as u64 {
                ..=PAGE => PAGE,
                _ => FILE_SIZE,
            };
            match found > needed {
                true => file.set_len(needed),
                false => Ok(()),
            }
        };
        if let Some(file) = &files.record {
            return write(file).map_err(|error| failed(path, &error));
        }
        let mut content = header(now).to_vec();
        content.extend_from_slice(slot);
        content.resize(content.len().max(PAGE as usize), 0);
        file::sweep(&files.directory.path, now);
        let made = file::create(path, files.directory.owner, &content)?;
        made.map(drop)
            .ok_or_else(|| format!("{}: another file came there", path.display()))
    }

    /// What a record is sealed for.
    fn seal_context(&self) -> [&[u8]; 5] {
        const FORMAT: [u8; 4] = MAJOR.to_le_bytes();
        let (base_url, merchant_id) = (self.base_url.as_bytes(), self.merchant_id.as_bytes());
        [b"host", b"record", &FORMAT, base_url, merchant_id]
    }

    fn read_slots(&self, files: &Files) -> Result<Option<Slots>, String> {
        match &files.record {
            Some(file) => self
                .slots(file)
                .map_err(|error| failed(&files.record_path, &error)),
            None => Ok(Some(Slots {
                best: None,
                at: 0..0,
            })),
        }
    }

    /// The newest record; `None` if none can be read.
    fn slots(&self, file: &File) -> io::Result<Option<Slots>> {
        // A reader may meet a writer at one slot after the other. That is soon over.
        for _ in 0..3 {
            // This one first: it is removed only when there is a newer one in the first page.
            let large = match file.metadata()?.len() > LARGE {
                true => self.read_slot(file, &[], 2)?,
                false => None,
            };
            let page = file::read(file, PAGE as usize, 0)?;
            let mut found = vec![large, self.read_slot(file, &page, 0)?];
            found.push(self.read_slot(file, &page, 1)?);
            let newest = found.into_iter().flatten().reduce(|best, other| {
                match other.0.newer_than(&best.0) {
                    true => other,
                    false => best,
                }
            });
            if let Some((record, at)) = newest {
                return Ok(Some(Slots {
                    best: Some(record),
                    at,
                }));
            }
        }
        Ok(None)
    }

    /// The record in that slot, and where it is. `page` is the beginning of the file, as far as it was read.
    fn read_slot(
        &self,
        file: &File,
        page: &[u8],
        number: usize,
    ) -> io::Result<Option<(HostRecord, Range<u64>)>> {
        let slot = &SLOTS[number];
        let read = |range: Range<u64>| match page.get(range.start as usize..range.end as usize) {
            Some(part) => Ok(part.to_vec()),
            None => file::read(file, (range.end - range.start) as usize, range.start),
        };
        let begin = slot.start + LENGTH as u64;
        let Ok(length) = read(slot.start..begin)?.try_into() else {
            return Ok(None);
        };
        let end = begin + u64::from(u32::from_le_bytes(length));
        if end > slot.end {
            return Ok(None);
        }
        // A record that was cut does not open.
        let sealed = read(begin..end)?;
        let plain = self.sealer.open(&self.seal_context(), &sealed);
        let record = plain.and_then(|plain| HostRecord::from_bytes(&plain));
        Ok(record.map(|record| (record, slot.start..end)))
    }

    fn files(&mut self) -> Result<Files, String> {
        let files = self.find(true)?;
        self.path = Some(files.record_path.clone());
        Ok(files)
    }

    /// Looks for the files anew each time, so that all who share the record meet again once a name is free. With
    /// `make` the directory is made if there is none.
    fn find(&mut self, make: bool) -> Result<Files, String> {
        let euid = euid();
        let hidden = |number: u32| Ok(self.directory_name(&boot_id()?, euid, number));
        let (directory, mut taken) = self.directories.find(euid, &hidden, make)?;
        let name = self.name(directory.owner)?;
        for number in 0..NAMES {
            let numbered = |name: &str| match number {
                0 => directory.path.join(name),
                _ => directory.path.join(format!("{name}.{number}")),
            };
            let record_path = numbered(&name);
            let lock_path = numbered(&format!("{name}{}", file::LOCK));
            let record = match file::open(&record_path, directory.owner)? {
                file::Found::Fit(file) if of_another_format(&file) => None,
                file::Found::Fit(file) => Some(Some(file)),
                file::Found::Missing => Some(None),
                file::Found::Foreign => None,
            };
            let lock_is_foreign = matches!(
                file::inspect(&lock_path, directory.owner)?,
                file::Found::Foreign
            );
            match record {
                Some(record) if !lock_is_foreign => {
                    return Ok(Files {
                        directory,
                        lock_path,
                        record_path,
                        record,
                        taken,
                    });
                }
                Some(_) => taken.extend(Taken::at(lock_path)),
                None => taken.extend(Taken::at(record_path)),
            }
        }
        Err(Taken::all(&taken))
    }

    /// The name comes from the API key: without the key it tells nothing.
    fn name(&mut self, owner: Owner) -> Result<String, String> {
        if let Some((of, name)) = &self.name
            && *of == owner
        {
            return Ok(name.clone());
        }
        // Only processes of one time namespace have the same boot time.
        let clock = fs::metadata("/proc/self/ns/time").map_or(0, |found| found.ino());
        let hidden = self.sealer.name(&[
            self.base_url.as_bytes(),
            self.merchant_id.as_bytes(),
            format!("{owner:?}").as_bytes(),
            &boot_id()?,
            &clock.to_le_bytes(),
        ]);
        let name = format!("{}{hidden}", file::PREFIX);
        self.name = Some((owner, name.clone()));
        Ok(name)
    }

    /// The name of the directory that is tried as number `number` after those that others have taken. Without the key
    /// nobody can make it first. It changes with each boot, because everybody may see the name in the directory above
    /// it.
    fn directory_name(&self, boot_id: &[u8], euid: u32, number: u32) -> String {
        self.sealer.name(&[
            b"directory",
            self.base_url.as_bytes(),
            self.merchant_id.as_bytes(),
            boot_id,
            &euid.to_le_bytes(),
            &number.to_le_bytes(),
        ])
    }
}

impl From<Option<Slots>> for Found {
    fn from(slots: Option<Slots>) -> Found {
        match slots {
            None => Found::Lost,
            Some(Slots { best: None, .. }) => Found::Nothing,
            Some(Slots {
                best: Some(record), ..
            }) => Found::Record(Arc::new(record)),
        }
    }
}

/// The position for a record of that length, which must not touch what is at `newest`.
fn position_for(length: u64, newest: &Range<u64>) -> Option<u64> {
    let free = |slot: &&Range<u64>| {
        let end = slot.start + length;
        end <= slot.end && (end <= newest.start || newest.end <= slot.start)
    };
    SLOTS.iter().find(free).map(|slot| slot.start)
}

/// A random number that the system has until it is booted again.
fn boot_id() -> Result<Vec<u8>, String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let read = File::open(path)
        .and_then(above_stdio)
        .and_then(|file| file::read(&file, 64, 0));
    let boot_id = read.map_err(|error| failed(path, &error))?;
    Ok(boot_id.trim_ascii().to_vec())
}

fn euid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

fn header(now: BootTime) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&MAJOR.to_le_bytes());
    let at = file::WRITTEN_AT as usize;
    header[at..at + 8].copy_from_slice(&now.0.to_le_bytes());
    header
}

/// Whether another release wrote the file in a format that this one does not know.
fn of_another_format(file: &File) -> bool {
    let header = file::read(file, 12, 0).unwrap_or_default();
    header.len() == 12 && header[..8] == *MAGIC && header[8..] != MAJOR.to_le_bytes()
}
