//! The record of a simulated host: in memory, with the rules of the real lock.
//!
//! Promises: of all that try to lock one term, one has the lock until it frees it or dies. Never decides who writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::HostRecord;
use super::directory::Directories;
use crate::config::Settings;
use crate::platform::clock::Clock;
use crate::refresh::record::Record;
use crate::time::BootTime;

/// What stands in for the two files.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    record: Option<Record>,
    /// The terms that are locked.
    held: Vec<u64>,
    /// Grows whenever a reader could see something new.
    changes: u64,
}

/// A lock. Dropping it frees it.
pub(crate) struct Lock {
    memory: Arc<Memory>,
    term: u64,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self) -> Option<Record> {
        self.contents().record.clone()
    }

    pub(crate) fn write(&self, record: &Record) {
        let mut contents = self.contents();
        contents.record = Some(record.clone());
        contents.changes += 1;
    }

    /// The container is gone, and its file with it.
    pub(crate) fn lose(&self) {
        let mut contents = self.contents();
        contents.record = None;
        contents.changes += 1;
    }

    /// When its leader will be done, if one is at work.
    pub(crate) fn done_by(&self) -> Option<BootTime> {
        self.contents().record.as_ref()?.done_by
    }

    pub(crate) fn changes(&self) -> u64 {
        self.contents().changes
    }

    pub(super) fn try_lock(self: &Arc<Self>, term: u64) -> Option<Lock> {
        let mut contents = self.contents();
        if contents.held.contains(&term) {
            return None;
        }
        contents.held.push(term);
        Some(Lock {
            memory: self.clone(),
            term,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut contents = self.memory.contents();
        contents.held.retain(|term| *term != self.term);
        contents.changes += 1;
    }
}

impl HostRecord {
    /// The record of a simulated host, as one of its processes sees it.
    pub(crate) fn fake(
        settings: &Settings,
        memory: Arc<Memory>,
        clock: Clock,
    ) -> Option<HostRecord> {
        let (base_url, merchant_id) = (settings.base_url.as_str(), settings.merchant_id.as_str());
        let place = Directories::new(None, None);
        let per_minute = settings.tokens_per_minute;
        let record = HostRecord::new(
            &settings.api_key,
            place,
            base_url,
            merchant_id,
            per_minute,
            clock,
        )?;
        Some(HostRecord {
            memory: Some(memory),
            ..record
        })
    }
}
