//! One token for the processes of a host: a sealed record in memory that all of them read and one at a time writes.
//!
//! Promises: who reads sees a whole record or none; who writes holds the lock of its turn and is in time, or writes
//! nothing; a file that was cut, removed or replaced is made anew from what this process remembers, and where nothing
//! is left the minute's budget counts as spent; what could not be written is written as soon as it can be. Nothing is
//! mapped, renamed over, trusted or written to a disk. Never waits for anybody.
//!
//! The file: 64 bytes of header, then two slots, each with its length and one sealed record. Writers take the slots in
//! turn, so that a torn write leaves the record before it.

mod file;
mod lock;
#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod place;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::file::{FILE_SIZE, Found};
use self::lock::{Held, LockFile};
use self::place::{Directory, NAMES, Place, failed, numbered};
use crate::clock::{BootTime, Clock};
use crate::credentials::ApiKey;
use crate::record::Record;
use crate::seal::{OVERHEAD, Sealer};

/// The first bytes of every record's file, and the release of the format that is read here.
const MAGIC: &[u8; 8] = b"88PAYREC";
const MAJOR: u32 = 1;

const HEADER: u64 = 64;
const SLOT: u64 = (FILE_SIZE - HEADER) / 2;
const LENGTH: usize = 4;

/// Who takes the lock writes within this time; afterwards it is another's turn.
const ANNOUNCED_WITHIN: Duration = Duration::from_millis(500);

/// The shared record of one key.
pub(crate) struct HostRecord {
    place: Place,
    sealer: Sealer,
    base_url: String,
    merchant_id: String,
    per_minute: u32,
    clock: Clock,
    state: Mutex<State>,
    /// It is played there, not in files.
    #[cfg(test)]
    memory: Option<Arc<memory::Memory>>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    /// The newest record that this process has seen or written.
    known: Option<Record>,
    /// There is something in it that is not in the file.
    unwritten: bool,
}

#[derive(Clone)]
struct Open {
    euid: u32,
    directory: Directory,
    lock_path: PathBuf,
    lock: Arc<LockFile>,
    record_path: PathBuf,
    /// It was opened under the name that is tried first; another name is looked for anew each time, so that all who
    /// share the record meet again once the first is free.
    settled: bool,
    /// Made with the first writing.
    record: Option<Arc<File>>,
}

/// The right to write, as long as it is not late.
pub(crate) struct Lead {
    held: Grip,
    turn: u64,
    /// Later nothing is written: others go on without this process.
    until: BootTime,
}

/// The lock that is held.
enum Grip {
    File(Held),
    #[cfg(test)]
    Memory(#[allow(dead_code, reason = "held until it is dropped")] memory::Lock),
}

/// Why nothing was written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// This process was stopped or slow, and others may have gone on.
    Late,
    /// The tier cannot be had; the reason.
    Lost(String),
}

/// What the two slots hold.
struct Slots {
    best: Option<Record>,
    /// Where the next record goes.
    free: u64,
}

impl HostRecord {
    /// `None` only if the machine's cryptography fails.
    pub(crate) fn new(
        key: &ApiKey,
        place: Place,
        base_url: &str,
        merchant_id: &str,
        per_minute: u32,
        clock: Clock,
    ) -> Option<HostRecord> {
        Some(HostRecord {
            place,
            sealer: Sealer::of(key)?,
            base_url: base_url.to_owned(),
            merchant_id: merchant_id.to_owned(),
            per_minute,
            clock,
            state: Mutex::default(),
            #[cfg(test)]
            memory: None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, once it is known.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let state = self.state();
        state.open.as_ref().map(|open| open.record_path.clone())
    }

    /// The record as it is now. Needs no lock.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn read(&self) -> Result<Record, String> {
        let mut state = self.state();
        #[cfg(test)]
        if let Some(memory) = &self.memory {
            return Ok(self.learn(&mut state, memory.record()));
        }
        let open = self.ready(&mut state)?;
        match self.look(&open)? {
            Some(slots) if !state.unwritten => Ok(self.learn(&mut state, slots.best)),
            found => self.repair(&mut state, &open, found),
        }
    }

    /// The file of the record, or where it would be, and the record as it is. Makes, repairs and remembers nothing.
    ///
    /// # Errors
    /// Why there can be none.
    pub(crate) fn peek(&self) -> Result<(PathBuf, Record), String> {
        let directory = self.place.seek(euid())?;
        let name = self.name(&directory)?;
        for number in 0..NAMES {
            let path = directory.path.join(numbered(&name, number));
            let Found::Fit(file) = file::open(&path, directory.owner)? else {
                continue;
            };
            if !of_another_format(&file) {
                let slots = self.slots(&file, &path)?;
                let found = slots.map_or_else(|| Some(self.unknown()), |slots| slots.best);
                return Ok((path, found.unwrap_or_default()));
            }
        }
        Ok((directory.path.join(name), Record::default()))
    }

    /// The other users of this machine who have records of their own where this user's is.
    pub(crate) fn other_users(&self) -> Vec<u32> {
        self.place.other_users(euid())
    }

    /// What this process remembers of it, where the tier cannot be had.
    pub(crate) fn remembered(&self) -> Record {
        self.state().known.clone().unwrap_or_default()
    }

    /// Keeps it in this process alone, until it can be written.
    pub(crate) fn remember(&self, record: &Record) {
        let mut state = self.state();
        state.known = Some(record.clone());
        state.unwritten = true;
    }

    /// Takes the lock of that turn and gives the record as it is then; `None` if somebody else has it.
    ///
    /// # Errors
    /// Why the tier cannot be had.
    pub(crate) fn try_lead(&self, turn: u64) -> Result<Option<(Lead, Record)>, String> {
        let mut state = self.state();
        #[cfg(test)]
        if let Some(memory) = &self.memory {
            let lead = memory
                .try_lock(turn)
                .map(|held| self.lead(Grip::Memory(held), turn));
            return Ok(lead.map(|lead| (lead, self.learn(&mut state, memory.record()))));
        }
        // Again where the files were replaced between opening and locking.
        for _ in 0..3 {
            let open = self.ready(&mut state)?;
            let Some(held) = open.lock.try_lock(turn) else {
                return Ok(None);
            };
            if !open.is_intact() {
                continue;
            }
            let lead = self.lead(Grip::File(held), turn);
            let record = match self.look(&open)? {
                Some(slots) => self.learn(&mut state, slots.best),
                None => self.lost(&mut state),
            };
            return Ok(Some((lead, record)));
        }
        Ok(None)
    }

    /// Writes the record, which then is the newest. With `done_by` the lead lasts until then.
    ///
    /// # Errors
    /// Nothing was written.
    pub(crate) fn write(&self, lead: &mut Lead, record: &mut Record) -> Result<(), Unwritten> {
        let mut state = self.state();
        self.put(&mut state, lead, record)
    }

    fn lead(&self, held: Grip, turn: u64) -> Lead {
        Lead {
            held,
            turn,
            until: self.clock.boot().plus(ANNOUNCED_WITHIN),
        }
    }

    fn put(
        &self,
        state: &mut State,
        lead: &mut Lead,
        record: &mut Record,
    ) -> Result<(), Unwritten> {
        #[cfg(test)]
        if let Some(memory) = self.memory.clone() {
            lead.follow(memory.record().as_ref(), record)?;
            lead.in_time(self.clock.boot())?;
            state.known = Some(record.clone());
            memory.write(record);
            lead.until = record.done_by.unwrap_or(lead.until);
            return Ok(());
        }
        let open = self.ready(state).map_err(Unwritten::Lost)?;
        let lock_replaced = !lead.held.is_of(&open.lock);
        if lock_replaced {
            // Whoever has the new one leads.
            let held = open.lock.try_lock(lead.turn).ok_or(Unwritten::Late)?;
            lead.held = Grip::File(held);
        }
        let slots = self.look(&open).map_err(Unwritten::Lost)?;
        let free = slots.as_ref().map_or(0, |slots| slots.free);
        let found = slots.and_then(|slots| slots.best);
        if lock_replaced && found.as_ref().is_some_and(|found| found.newer_than(record)) {
            // Or has led already.
            return Err(Unwritten::Late);
        }
        lead.follow(found.as_ref(), record)?;
        let now = self.clock.boot();
        let slot = self.slot(record, now).map_err(Unwritten::Lost)?;
        lead.in_time(now)?;
        // What cannot be written is remembered here all the same: it was spent.
        state.known = Some(record.clone());
        state.unwritten = true;
        self.store(state, &open, free, &slot)
            .map_err(Unwritten::Lost)?;
        state.unwritten = false;
        lead.until = record.done_by.unwrap_or(lead.until);
        Ok(())
    }

    /// The record with its length before it, sealed.
    fn slot(&self, record: &Record, now: BootTime) -> Result<Vec<u8>, String> {
        let plain = record.to_bytes(now);
        let length = plain.len() + OVERHEAD;
        if plain.is_empty() || LENGTH + length > SLOT as usize {
            return Err("the token is too long to be shared".to_owned());
        }
        let sealed = self
            .sealer
            .seal(&self.seal_place(), &plain)
            .ok_or("the system gives no randomness")?;
        let mut slot = (length as u32).to_le_bytes().to_vec();
        slot.extend_from_slice(&sealed);
        Ok(slot)
    }

    fn store(&self, state: &mut State, open: &Open, free: u64, slot: &[u8]) -> Result<(), String> {
        let path = &open.record_path;
        if let Some(record) = &open.record {
            let write = || -> io::Result<()> {
                if record.metadata()?.len() < FILE_SIZE {
                    file::reserve(record, FILE_SIZE)?;
                    record.write_all_at(&header(), 0)?;
                }
                record.write_all_at(slot, HEADER + free * SLOT)
            };
            return write().map_err(|error| failed(path, &error));
        }
        let mut content = header().to_vec();
        content.extend_from_slice(slot);
        file::sweep(&open.directory.path);
        let made = file::create(path, open.directory.owner, FILE_SIZE, &content)?;
        let made = made.ok_or_else(|| format!("{}: another file came there", path.display()))?;
        if let Some(open) = &mut state.open {
            open.record = Some(Arc::new(made));
        }
        Ok(())
    }

    /// What a value is sealed for.
    fn seal_place(&self) -> [&[u8]; 5] {
        const FORMAT: [u8; 4] = MAJOR.to_le_bytes();
        let (base_url, merchant_id) = (self.base_url.as_bytes(), self.merchant_id.as_bytes());
        [b"host", b"record", &FORMAT, base_url, merchant_id]
    }

    fn look(&self, open: &Open) -> Result<Option<Slots>, String> {
        match &open.record {
            Some(file) => self.slots(file, &open.record_path),
            None => Ok(Some(Slots {
                best: None,
                free: 0,
            })),
        }
    }

    /// Both slots; `None` if neither of them can be read.
    fn slots(&self, file: &File, path: &Path) -> Result<Option<Slots>, String> {
        // A reader may meet a writer at both slots, one after the other; that is over at once.
        for _ in 0..3 {
            let mut best: Option<(Record, u64)> = None;
            for number in 0..2 {
                let record = self
                    .read_slot(file, number)
                    .map_err(|error| failed(path, &error))?;
                if let Some(record) = record
                    && best
                        .as_ref()
                        .is_none_or(|(best, _)| record.newer_than(best))
                {
                    best = Some((record, number));
                }
            }
            if let Some((record, number)) = best {
                return Ok(Some(Slots {
                    best: Some(record),
                    free: 1 - number,
                }));
            }
        }
        Ok(None)
    }

    fn read_slot(&self, file: &File, number: u64) -> io::Result<Option<Record>> {
        let at = HEADER + number * SLOT;
        let mut length = [0; LENGTH];
        let mut sealed = Vec::new();
        let result = file.read_exact_at(&mut length, at).and_then(|()| {
            let length = u32::from_le_bytes(length) as usize;
            if length <= SLOT as usize - LENGTH {
                sealed.resize(length, 0);
            }
            file.read_exact_at(&mut sealed, at + LENGTH as u64)
        });
        match result {
            // It was cut.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let plain = self.sealer.open(&self.seal_place(), &sealed);
        Ok(plain.and_then(|plain| Record::from_bytes(&plain)))
    }

    /// What was found, and what this process remembers where that is newer.
    fn learn(&self, state: &mut State, found: Option<Record>) -> Record {
        let mut record = found.unwrap_or_default();
        if let Some(known) = &state.known
            && (state.unwritten || known.newer_than(&record))
        {
            record.recall(known);
        }
        state.known = Some(record.clone());
        record
    }

    /// The first who notices a lost record writes a new one, and who has something that is not in the file tells it;
    /// whoever leads meanwhile does so at its end.
    fn repair(
        &self,
        state: &mut State,
        open: &Open,
        found: Option<Slots>,
    ) -> Result<Record, String> {
        let is_lost = found.is_none();
        let mut record = self.learn(state, found.and_then(|slots| slots.best));
        let Some(held) = open.lock.try_lock(record.turn) else {
            return Ok(record);
        };
        if is_lost {
            record = self.lost(state);
        }
        let mut lead = self.lead(Grip::File(held), record.turn);
        match self.put(state, &mut lead, &mut record) {
            Err(Unwritten::Lost(reason)) if is_lost => Err(reason),
            // What others have written can be read all the same.
            _ => Ok(record),
        }
    }

    /// The file holds no record any more.
    fn lost(&self, state: &mut State) -> Record {
        self.learn(state, Some(self.unknown()))
    }

    /// What was spent in the last minute is not known, so all of it counts.
    fn unknown(&self) -> Record {
        let mut found = Record::default();
        found
            .counts
            .spend_minute(self.clock.boot(), self.per_minute);
        found
    }

    /// The open files, as they are at their paths now.
    fn ready(&self, state: &mut State) -> Result<Open, String> {
        let euid = euid();
        let current = state
            .open
            .as_ref()
            .is_some_and(|open| open.euid == euid && open.settled && open.is_intact());
        if !current {
            state.open = None;
            state.open = Some(self.open(euid)?);
        }
        state
            .open
            .clone()
            .ok_or_else(|| "nothing is open".to_owned())
    }

    fn open(&self, euid: u32) -> Result<Open, String> {
        let (directory, directory_settled) = self.place.find(euid)?;
        let name = self.name(&directory)?;
        for number in 0..NAMES {
            let record_path = directory.path.join(numbered(&name, number));
            let lock_path = directory
                .path
                .join(numbered(&format!("{name}{}", file::LOCK), number));
            let record = match file::open(&record_path, directory.owner)? {
                Found::Fit(file) if of_another_format(&file) => continue,
                Found::Fit(file) => Some(Arc::new(file)),
                Found::Missing => None,
                Found::Foreign => continue,
            };
            let Some(lock) = LockFile::open(&lock_path, directory.owner)? else {
                continue;
            };
            return Ok(Open {
                euid,
                directory,
                lock_path,
                lock,
                record_path,
                settled: directory_settled && number == 0,
                record,
            });
        }
        Err(format!(
            "other files have taken the names in {}",
            directory.path.display()
        ))
    }

    /// Keyed by the API key: who does not know it learns nothing from it.
    fn name(&self, directory: &Directory) -> Result<String, String> {
        let boot = fs::read("/proc/sys/kernel/random/boot_id")
            .map_err(|error| format!("the boot id cannot be read: {error}"))?;
        // Boot time is common to those of one time namespace only.
        let clock = fs::metadata("/proc/self/ns/time").map_or(0, |found| found.ino());
        let owner = format!("{:?}", directory.owner);
        let hidden = self.sealer.name(&[
            self.base_url.as_bytes(),
            self.merchant_id.as_bytes(),
            owner.as_bytes(),
            boot.trim_ascii(),
            &clock.to_le_bytes(),
        ]);
        Ok(format!("{}{hidden}", file::PREFIX))
    }
}

impl Grip {
    fn is_of(&self, lock: &Arc<LockFile>) -> bool {
        match self {
            Grip::File(held) => held.is_of(lock),
            #[cfg(test)]
            Grip::Memory(_) => false,
        }
    }
}

impl Lead {
    /// Makes `record` the one after that which was found.
    fn follow(&self, found: Option<&Record>, record: &mut Record) -> Result<(), Unwritten> {
        if let Some(found) = found {
            if found.turn > self.turn {
                return Err(Unwritten::Late);
            }
            if found.sequence != record.sequence {
                // Nobody else writes under this lock, so the file was set back or replaced.
                record.recall(found);
            }
        }
        record.sequence = record.sequence.saturating_add(1);
        Ok(())
    }

    fn in_time(&self, now: BootTime) -> Result<(), Unwritten> {
        match now < self.until {
            true => Ok(()),
            false => Err(Unwritten::Late),
        }
    }
}

impl Open {
    /// Both paths still lead to the open files.
    fn is_intact(&self) -> bool {
        let owner = self.directory.owner;
        let record = match &self.record {
            Some(file) => file::still(&self.record_path, file, owner),
            None => fs::symlink_metadata(&self.record_path).is_err(),
        };
        record && self.lock.still(&self.lock_path, owner)
    }
}

fn euid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

fn header() -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&MAJOR.to_le_bytes());
    header
}

/// Whether another release wrote it in a way that this one does not know.
fn of_another_format(file: &File) -> bool {
    let mut header = [0; 12];
    file.read_exact_at(&mut header, 0).is_ok()
        && &header[..8] == MAGIC
        && header[8..] != MAJOR.to_le_bytes()
}
