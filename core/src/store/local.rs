//! The record of one key as a process reads and writes it: in the files of the host, or in its own memory.
//!
//! Promises: a writer holds the lock of its term, and writes nothing once another term has begun; where other processes
//! may have gone on, also nothing once its time is over. If a record was cut, removed or replaced, it is made anew from
//! what this process remembers. If nothing is remembered, the minute's tokens count as spent. What could not be written
//! is written as soon as it can be. Never waits for anybody; what is only remembered waits for no I/O of others either.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::host::{FileLock, Found, HostFiles, Taken, Unwritten};
use super::memory::{Memory, MemoryLock};
use crate::platform::clock::Clock;
use crate::policy::rate_limit::Counts;
use crate::refresh::record::HostRecord;
use crate::time::BootTime;

/// A process that takes the lock must write within this time. After that another process may take over.
const ANNOUNCED_WITHIN: Duration = Duration::from_millis(500);

/// The record of one key.
pub(crate) struct LocalRecord {
    clock: Clock,
    per_minute: u32,
    /// Locked while it is read or written, before `known`.
    medium: Mutex<Medium>,
    /// Never locked during I/O: those who hold the account's lock add to it.
    known: Mutex<Known>,
}

/// What this process knows of the record.
#[derive(Default)]
struct Known {
    /// The newest that it has seen or written.
    record: Option<Arc<HostRecord>>,
    /// It has something that is not in the medium.
    unwritten: bool,
}

/// Where the record is kept.
pub(crate) enum Medium {
    Files(Box<HostFiles>),
    Memory(Arc<Memory>),
}

/// The right to write the record, until it expires.
pub(crate) struct WriteLease {
    lock: LockGuard,
    term: u64,
    /// After this nothing is written where other processes go on without this one.
    until: BootTime,
}

/// The lock that the lease rests on.
enum LockGuard {
    File(FileLock),
    Memory(#[allow(dead_code, reason = "held until it is dropped")] MemoryLock),
}

impl LocalRecord {
    pub(crate) fn new(medium: Medium, per_minute: u32, clock: Clock) -> LocalRecord {
        LocalRecord {
            clock,
            per_minute,
            medium: Mutex::new(medium),
            known: Mutex::default(),
        }
    }

    fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, once it is known.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match &*self.medium() {
            Medium::Files(files) => files.path(),
            Medium::Memory(_) => None,
        }
    }

    /// The record as it is now. Needs no lock.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn read(&self) -> Result<HostRecord, String> {
        let mut medium = self.medium();
        match medium.read()? {
            Found::Lost => self.repair(&mut medium, None),
            found if self.known().unwritten => self.repair(&mut medium, Some(found)),
            found => Ok(self.known().learn(found)),
        }
    }

    /// The path of the record's file, or where it would be; the names before it that others have taken; and the
    /// record. Makes, repairs and remembers nothing.
    ///
    /// # Errors
    /// Why there can be no record.
    pub(crate) fn peek(&self) -> Result<(PathBuf, Vec<Taken>, HostRecord), String> {
        let Medium::Files(files) = &mut *self.medium() else {
            return Err("nothing is shared".to_owned());
        };
        let (path, taken, found) = files.peek()?;
        let record = match found {
            Found::Nothing => HostRecord::default(),
            Found::Record(record) => Arc::unwrap_or_clone(record),
            Found::Lost => self.unknown(),
        };
        Ok((path, taken, record))
    }

    /// The other users of this machine who have records of their own where this user's is.
    pub(crate) fn other_users(&self) -> Vec<u32> {
        match &*self.medium() {
            Medium::Files(files) => files.other_users(),
            Medium::Memory(_) => Vec::new(),
        }
    }

    /// What this process remembers of the record, for when the record cannot be used. Waits for no I/O.
    pub(crate) fn remembered(&self) -> HostRecord {
        let known = self.known().record.clone();
        known.map(Arc::unwrap_or_clone).unwrap_or_default()
    }

    /// What was counted for that key, as far as it can be read or is remembered. A request that may be under way counts from
    /// the latest instant at which it can have been that. Repairs nothing.
    pub(crate) fn counts(&self) -> Counts {
        let mut record = match self.medium().read() {
            Ok(Found::Lost) | Err(_) => self.remembered(),
            Ok(found) => self.known().learn(found),
        };
        record.common.end_unfinished(self.clock.boot());
        record.common.counts
    }

    /// Counts for that key too what was spent on another one. In this process alone, until it can be written. Waits for no
    /// I/O.
    pub(crate) fn count(&self, spent: &Counts) {
        let mut known = self.known();
        let mut record = known.record.take().unwrap_or_default();
        Arc::make_mut(&mut record).common.counts.merge(spent);
        (known.record, known.unwritten) = (Some(record), true);
    }

    /// Keeps the record in this process alone, until it can be written. Waits for no I/O.
    pub(crate) fn remember(&self, record: &HostRecord) {
        let mut record = record.clone();
        let mut known = self.known();
        known.add_unwritten(&mut record);
        (known.record, known.unwritten) = (Some(Arc::new(record)), true);
    }

    /// Takes the lock of that term, and gives the lease and the record as it is then; `None` if somebody else has the
    /// lock.
    ///
    /// # Errors
    /// Why the record cannot be used.
    pub(crate) fn try_lease(&self, term: u64) -> Result<Option<(WriteLease, HostRecord)>, String> {
        let mut medium = self.medium();
        let Some((lock, found)) = medium.try_lock(term)? else {
            return Ok(None);
        };
        let lease = self.lease(lock, term);
        let record = match found {
            Found::Lost => self.lost(),
            found => self.known().learn(found),
        };
        Ok(Some((lease, record)))
    }

    /// Writes the record, which then is the newest. With `done_by` the lead lasts until then.
    ///
    /// # Errors
    /// Nothing was written.
    pub(crate) fn write(
        &self,
        lease: &mut WriteLease,
        record: &mut HostRecord,
    ) -> Result<(), Unwritten> {
        self.put(&mut self.medium(), lease, record)
    }

    fn lease(&self, lock: LockGuard, term: u64) -> WriteLease {
        WriteLease {
            lock,
            term,
            until: self.clock.boot().plus(ANNOUNCED_WITHIN),
        }
    }

    fn put(
        &self,
        medium: &mut Medium,
        lease: &mut WriteLease,
        record: &mut HostRecord,
    ) -> Result<(), Unwritten> {
        self.known().add_unwritten(record);
        let written = match (medium, &mut lease.lock) {
            (Medium::Files(files), LockGuard::File(lock)) => {
                let (opened, found) = files.open(lock, lease.term, record)?;
                follow(found.as_ref(), lease.term, record)?;
                let now = in_time(&self.clock, lease.until)?;
                // What cannot be written is remembered here all the same, because it was spent.
                let written = self.will_be_known(record);
                files.write(&opened, record, now).map_err(Unwritten::Lost)?;
                written
            }
            (Medium::Memory(memory), _) => {
                follow(memory.record().as_deref(), lease.term, record)?;
                if memory.is_timed {
                    in_time(&self.clock, lease.until)?;
                }
                let written = self.will_be_known(record);
                memory.write(Some(written.clone()));
                written
            }
            (Medium::Files(_), LockGuard::Memory(_)) => return Err(Unwritten::Late),
        };
        self.is_written(&written);
        lease.until = record.done_by.unwrap_or(lease.until);
        Ok(())
    }

    /// The record that is about to be written.
    fn will_be_known(&self, record: &mut HostRecord) -> Arc<HostRecord> {
        let mut known = self.known();
        known.add_unwritten(record);
        let written = Arc::new(record.clone());
        (known.record, known.unwritten) = (Some(written.clone()), true);
        written
    }

    /// That record is in the medium. What was counted since it was to be written is not.
    fn is_written(&self, written: &Arc<HostRecord>) {
        let mut known = self.known();
        let newest = known.record.as_ref();
        if newest.is_some_and(|newest| Arc::ptr_eq(newest, written)) {
            known.unwritten = false;
        }
    }

    /// The first process that notices a lost record writes a new one. A process that has something that is not in the
    /// medium writes it. If somebody leads meanwhile, the leader does so at its end.
    fn repair(&self, medium: &mut Medium, found: Option<Found>) -> Result<HostRecord, String> {
        let is_lost = found.is_none();
        let mut record = self.known().learn(found.unwrap_or(Found::Nothing));
        let Ok(Some((lock, _))) = medium.try_lock(record.term) else {
            return Ok(record);
        };
        if is_lost {
            record = self.lost();
        }
        let mut lease = self.lease(lock, record.term);
        match self.put(medium, &mut lease, &mut record) {
            Err(Unwritten::Lost(reason)) if is_lost => Err(reason),
            // What others have written can still be read.
            _ => Ok(record),
        }
    }

    /// The medium holds no record any more.
    fn lost(&self) -> HostRecord {
        let unknown = Found::Record(Arc::new(self.unknown()));
        self.known().learn(unknown)
    }

    /// Nobody knows what was spent in the last minute, so all of it counts as spent.
    fn unknown(&self) -> HostRecord {
        let mut found = HostRecord::default();
        found
            .common
            .counts
            .spend_minute(self.clock.boot(), self.per_minute);
        found
    }
}

impl Known {
    /// The record that was found, with what this process remembers if that is newer.
    fn learn(&mut self, found: Found) -> HostRecord {
        let mut record = match found {
            Found::Record(record) => record,
            Found::Nothing | Found::Lost => Arc::default(),
        };
        if let Some(known) = &self.record
            && (self.unwritten || known.newer_than(&record))
        {
            Arc::make_mut(&mut record).recall(known);
        }
        self.record = Some(record.clone());
        Arc::unwrap_or_clone(record)
    }

    /// Adds what may have been counted since the record was read.
    fn add_unwritten(&self, record: &mut HostRecord) {
        if let Some(known) = self.record.as_ref().filter(|_| self.unwritten) {
            record.common.counts.merge(&known.common.counts);
        }
    }
}

impl Default for Medium {
    /// The memory of this process.
    fn default() -> Medium {
        Medium::Memory(Arc::default())
    }
}

impl Medium {
    fn read(&mut self) -> Result<Found, String> {
        Ok(match self {
            Medium::Files(files) => files.read()?,
            Medium::Memory(memory) => memory.found(),
        })
    }

    fn try_lock(&mut self, term: u64) -> Result<Option<(LockGuard, Found)>, String> {
        Ok(match self {
            Medium::Files(files) => files
                .try_lock(term)?
                .map(|(lock, found)| (LockGuard::File(lock), found)),
            Medium::Memory(memory) => memory
                .try_lock(term)
                .map(|lock| (LockGuard::Memory(lock), memory.found())),
        })
    }
}

/// Makes `record` the one that follows the record that was found by the leader of that term.
fn follow(found: Option<&HostRecord>, term: u64, record: &mut HostRecord) -> Result<(), Unwritten> {
    if let Some(found) = found {
        if found.term > term {
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

/// The present, if it is not too late to write.
fn in_time(clock: &Clock, until: BootTime) -> Result<BootTime, Unwritten> {
    let now = clock.boot();
    if now < until {
        Ok(now)
    } else {
        Err(Unwritten::Late)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::platform::virtual_clock::VirtualClock;
    use crate::test_support::limits::in_a_child;

    #[test]
    fn a_process_that_shares_nothing_opens_no_file() {
        let status = in_a_child(|| {
            let limit = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            // SAFETY: a valid limit that lives until the call returns.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
            let record = LocalRecord::new(Medium::default(), 10, Clock::System);
            let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
            assert!(record.try_lease(0).unwrap().is_none(), "one leads");
            contents.common.hosts = 7;
            record.write(&mut lease, &mut contents).unwrap();
            drop(lease);
            assert!(record.try_lease(0).unwrap().is_some());
            i32::from(record.read().unwrap() != contents)
        });
        assert_eq!(status, 0);
    }

    #[test]
    fn what_comes_after_the_machine_slept_is_kept_where_nobody_else_has_gone_on() {
        let clock = Arc::new(VirtualClock::default());
        let record = LocalRecord::new(Medium::default(), 10, Clock::Virtual(clock.clone()));
        let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
        contents.done_by = Some(clock_time(&clock).plus(Duration::from_secs(20)));
        record.write(&mut lease, &mut contents).unwrap();
        clock.suspend(Duration::from_secs(30));
        (contents.done_by, contents.common.hosts) = (None, 7);
        record.write(&mut lease, &mut contents).unwrap();
        assert_eq!(record.read().unwrap().common.hosts, 7);

        // Another refresh of this process has gone on.
        let (mut slept, mut contents) = (lease, contents);
        let (mut next, mut theirs) = record.try_lease(1).unwrap().unwrap();
        theirs.term = 1;
        record.write(&mut next, &mut theirs).unwrap();
        let late = record.write(&mut slept, &mut contents);
        assert!(matches!(late, Err(Unwritten::Late)));
    }

    /// Those who do so hold the account's lock.
    #[test]
    fn what_is_only_remembered_waits_for_nobodys_file() {
        let record = Arc::new(LocalRecord::new(Medium::default(), 10, Clock::System));
        let in_use = record.medium();
        let (done, is_done) = mpsc::channel();
        let theirs = record.clone();
        thread::spawn(move || {
            let mut known = theirs.remembered();
            known.common.hosts = 7;
            theirs.remember(&known);
            let mut spent = Counts::default();
            spent.spend_minute(BootTime(1), 1);
            theirs.count(&spent);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(in_use);
        let seen = record.read().unwrap().common;
        assert_eq!((seen.hosts, seen.counts.taken.len()), (7, 1));
    }

    /// A rotation may count while the record is being written.
    #[test]
    fn what_is_counted_while_a_record_is_written_is_written_next() {
        let clock = Clock::Virtual(Arc::new(VirtualClock::default()));
        let record = LocalRecord::new(Medium::default(), 10, clock);
        let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
        let written = record.will_be_known(&mut contents);
        let mut spent = Counts::default();
        spent.spend_minute(BootTime(1), 1);
        record.count(&spent);
        record.is_written(&written);
        record.write(&mut lease, &mut contents).unwrap();
        drop(lease);
        let (_, seen) = record.try_lease(0).unwrap().unwrap();
        assert_eq!(seen.common.counts.taken.len(), 1);
    }

    /// Who keeps what it has read may have read it before.
    #[test]
    fn what_is_counted_since_a_record_was_read_is_not_lost_when_that_is_kept() {
        let clock = Clock::Virtual(Arc::new(VirtualClock::default()));
        let record = LocalRecord::new(Medium::default(), 10, clock);
        let read = record.read().unwrap();
        let mut spent = Counts::default();
        spent.spend_minute(BootTime(1), 1);
        record.count(&spent);
        record.remember(&read);
        assert_eq!(record.remembered().common.counts.taken.len(), 1);
    }

    fn clock_time(clock: &Arc<VirtualClock>) -> BootTime {
        Clock::Virtual(clock.clone()).boot()
    }
}
