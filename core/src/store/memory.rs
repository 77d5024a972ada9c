//! A record in memory, with the rules of the real lock: for a process that shares nothing.
//!
//! Promises: of all that try to lock one term, one has the lock until it frees it. No file is opened. Never decides who
//! writes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::host::Found;
use crate::refresh::record::HostRecord;

/// What stands in for the two files.
#[derive(Default)]
pub(crate) struct Memory {
    contents: Mutex<Contents>,
    /// It stands for the files of several processes, as in the simulation: who is late writes nothing. A process by itself
    /// has nobody who goes on meanwhile, but the refresh of a later term, which it sees.
    pub(crate) is_timed: bool,
}

#[derive(Default)]
struct Contents {
    record: Option<Arc<HostRecord>>,
    /// The terms that are locked.
    held: Vec<u64>,
}

/// A lock. Dropping it frees it.
pub(crate) struct MemoryLock {
    memory: Arc<Memory>,
    term: u64,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self) -> Option<Arc<HostRecord>> {
        self.contents().record.clone()
    }

    pub(super) fn found(&self) -> Found {
        self.record().map_or(Found::Nothing, Found::Record)
    }

    pub(crate) fn write(&self, record: Option<Arc<HostRecord>>) {
        self.contents().record = record;
    }

    /// Takes the lock of that term; `None` if somebody has it.
    pub(crate) fn try_lock(self: &Arc<Self>, term: u64) -> Option<MemoryLock> {
        let mut contents = self.contents();
        if contents.held.contains(&term) {
            return None;
        }
        contents.held.push(term);
        Some(MemoryLock {
            memory: self.clone(),
            term,
        })
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut contents = self.memory.contents();
        contents.held.retain(|term| *term != self.term);
    }
}
