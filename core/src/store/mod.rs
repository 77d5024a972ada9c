//! Where a token, its counts and its failures are shared: the tiers of the option `share`.
//!
//! Promises: if a tier cannot be used, this process goes on alone. The reason is reported once, until it changes. A
//! forked child opens everything anew. Never decides when a token is asked for.

pub(crate) mod fleet;
pub(crate) mod host;
pub(crate) mod local;
pub(crate) mod memory;
mod seal;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::config::credentials::ApiKey;
use crate::config::settings::Settings;
use crate::config::share::Share;
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;
use crate::store::fleet::Fleet;
use crate::store::host::HostFiles;
use crate::store::host::directory::Directories;
use crate::store::local::{LocalRecord, Medium};

/// What was done with the host's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Read,
    Write,
}

/// The records of a manager: one for each of its keys.
pub(crate) struct Store {
    share: Share,
    make_record: MakeRecord,
    fleet: Option<Arc<Fleet>>,
    state: PerProcess<Mutex<State>>,
}

/// Makes the record of a key.
pub(crate) type MakeRecord = Box<dyn Fn(&ApiKey) -> LocalRecord + Send + Sync>;

#[derive(Default)]
struct State {
    /// The newest comes last.
    records: Vec<(ApiKey, Arc<LocalRecord>)>,
    /// The keys that are in use, once some are dropped.
    kept: Option<Vec<ApiKey>>,
    /// Why this process goes on alone: what failed, and the reason.
    degraded: Option<(Use, String)>,
    /// The store that was used last, and why no store can be used.
    store: Option<String>,
    store_degraded: Option<String>,
}

impl Store {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Store {
        let (base_url, merchant_id) = (settings.base_url.clone(), settings.merchant_id.clone());
        let (directories, fleet) = match &settings.share {
            Share::Process => (None, None),
            Share::Host { dir, stores } => {
                let (base_url, merchant_id) = (base_url.as_str(), merchant_id.as_str());
                let fleet = || Arc::new(Fleet::new(stores, base_url, merchant_id, clock.clone()));
                let directories = Directories::new(dir.clone(), settings.runtime_dir.clone());
                (Some(directories), (!stores.is_empty()).then(fleet))
            }
        };
        let per_minute = settings.tokens_per_minute;
        let make_record = move |key: &ApiKey| {
            let files = directories.clone().and_then(|directories| {
                HostFiles::new(key, directories, base_url.as_str(), merchant_id.as_str())
            });
            // A process that shares nothing keeps it in memory; so does one whose machine's cryptography fails.
            let medium = files.map_or_else(Medium::default, |files| Medium::Files(Box::new(files)));
            LocalRecord::new(medium, per_minute, clock.clone())
        };
        Store::of(settings.share.clone(), Box::new(make_record), fleet)
    }

    pub(crate) fn of(share: Share, make_record: MakeRecord, fleet: Option<Arc<Fleet>>) -> Store {
        Store {
            share,
            make_record,
            fleet,
            state: PerProcess::new(),
        }
    }

    /// The stores through which other hosts share too.
    pub(crate) fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The record of all who use that key.
    pub(crate) fn record(&self, key: &ApiKey) -> Arc<LocalRecord> {
        let mut state = self.state();
        let mut records = state.records.iter();
        if let Some((_, record)) = records.find(|(known, _)| known == key) {
            return record.clone();
        }
        let record = Arc::new((self.make_record)(key));
        // A refresh that was begun with a key that is dropped by now has its record for itself.
        if state.kept.as_ref().is_none_or(|kept| kept.contains(key)) {
            state.records.push((key.clone(), record.clone()));
        }
        record
    }

    /// Drops the records of all other keys, for good.
    pub(crate) fn keep<'a>(&self, keys: impl Iterator<Item = &'a ApiKey>) {
        let keys: Vec<ApiKey> = keys.cloned().collect();
        let mut state = self.state();
        state.records.retain(|(key, _)| keys.contains(key));
        state.kept = Some(keys);
    }

    /// Notes how a use of the host's record went: `Err(reason)` if this process goes on alone. Returns whether that
    /// has to be reported.
    pub(crate) fn note_use(&self, how: Use, result: Result<(), &str>) -> bool {
        let mut state = self.state();
        match result {
            Ok(()) => {
                // A record that can be read may still not be writable.
                state.degraded.take_if(|(failed, _)| *failed <= how);
                false
            }
            Err(reason) => {
                let known = state.degraded.as_ref();
                let news = known.is_none_or(|(_, known)| known != reason);
                state.degraded = Some((how, reason.to_owned()));
                news
            }
        }
    }

    /// Notes how a refresh fared with the fleet's stores: which store it used, or why none can be used. Returns
    /// whether that has to be reported.
    pub(crate) fn note_stores(&self, result: Result<Option<&str>, &str>) -> bool {
        let mut state = self.state();
        match result {
            Ok(store) => {
                state.store_degraded = None;
                state.store = store.map(str::to_owned).or(state.store.take());
                false
            }
            Err(reason) => {
                let news = state.store_degraded.as_deref() != Some(reason);
                state.store_degraded = Some(reason.to_owned());
                news
            }
        }
    }

    /// The store that this process used last, why no store can be used, and how many hosts share the token.
    pub(crate) fn fleet_status(&self, key: &ApiKey) -> (Option<String>, Option<String>, u32) {
        let hosts = self
            .fleet()
            .map_or(0, |_| self.record(key).remembered().common.hosts);
        let state = self.state();
        (state.store.clone(), state.store_degraded.clone(), hosts)
    }

    /// The tier that is set, the file of its record, and why this process goes on alone.
    pub(crate) fn status(&self) -> (&'static str, Option<PathBuf>, Option<String>) {
        let (record, reason) = {
            let state = self.state();
            let record = state.records.last().map(|(_, record)| record.clone());
            let reason = state.degraded.as_ref().map(|(_, reason)| reason.clone());
            (record, reason)
        };
        // It may be in use, which rotations must not wait for.
        let path = record.and_then(|record| record.path());
        (self.share.name(), path, reason)
    }
}
