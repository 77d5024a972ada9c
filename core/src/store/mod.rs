//! Where a token, its counts and its failures are shared: the tiers of the option `share`.
//!
//! Promises: if a tier cannot be used, this process goes on alone. The reason is reported once, until it changes. A
//! forked child opens everything anew. Never decides when a token is asked for.

#[cfg(test)]
pub(crate) mod first_release;
pub(crate) mod fleet;
pub(crate) mod host;
mod seal;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Settings;
use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::share::Share;
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;
use crate::store::fleet::Fleet;
use crate::store::host::HostRecord;
use crate::store::host::directory::Directories;

/// What was done with the host's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Read,
    Write,
}

/// The shared records of a manager: one for each of its keys.
pub(crate) struct Store {
    share: Share,
    directories: Directories,
    base_url: BaseUrl,
    merchant_id: MerchantId,
    per_minute: u32,
    clock: Clock,
    fleet: Option<Arc<Fleet>>,
    state: PerProcess<Mutex<State>>,
    #[cfg(test)]
    is_fake: bool,
}

#[derive(Default)]
struct State {
    records: Vec<(ApiKey, Arc<HostRecord>)>,
    /// Why this process goes on alone: what failed, and the reason.
    degraded: Option<(Use, String)>,
    /// The store that was used last, and why no store can be used.
    store: Option<String>,
    store_degraded: Option<String>,
}

impl Store {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Store {
        let (given, stores) = match &settings.share {
            Share::Host { dir, stores } => (dir.clone(), stores.as_slice()),
            Share::Process => (None, [].as_slice()),
        };
        let (base_url, merchant_id) = (settings.base_url.as_str(), settings.merchant_id.as_str());
        let fleet = || Arc::new(Fleet::new(stores, base_url, merchant_id, clock.clone()));
        Store {
            share: settings.share.clone(),
            directories: Directories::new(given, settings.runtime_dir.clone()),
            base_url: settings.base_url.clone(),
            merchant_id: settings.merchant_id.clone(),
            per_minute: settings.tokens_per_minute,
            fleet: (!stores.is_empty()).then(fleet),
            clock,
            state: PerProcess::new(),
            #[cfg(test)]
            is_fake: false,
        }
    }

    /// One that is played: that record for that key, and those stores.
    #[cfg(test)]
    pub(crate) fn fake(
        settings: &Settings,
        clock: Clock,
        record: HostRecord,
        fleet: Option<Arc<Fleet>>,
    ) -> Store {
        let store = Store {
            fleet,
            is_fake: true,
            ..Store::new(settings, clock)
        };
        let record = (settings.api_key.clone(), Arc::new(record));
        store.state().records.push(record);
        store
    }

    /// Whether anybody shares beside this process. A process with a virtual clock shares with nobody.
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(test)]
        if self.is_fake {
            return true;
        }
        self.share != Share::Process && !self.clock.is_virtual()
    }

    /// The stores through which other hosts share too.
    pub(crate) fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref().filter(|_| self.is_shared())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let Ok(state) = self
            .state
            .get_or_try_make(|| Ok::<_, Infallible>(Mutex::default()));
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of all who use that key; `None` if nothing is shared.
    pub(crate) fn record(&self, key: &ApiKey) -> Option<Arc<HostRecord>> {
        if !self.is_shared() {
            return None;
        }
        let mut state = self.state();
        if let Some((_, record)) = state.records.iter().find(|(known, _)| known == key) {
            return Some(record.clone());
        }
        let record = Arc::new(HostRecord::new(
            key,
            self.directories.clone(),
            self.base_url.as_str(),
            self.merchant_id.as_str(),
            self.per_minute,
            self.clock.clone(),
        )?);
        state.records.push((key.clone(), record.clone()));
        Some(record)
    }

    /// Drops the records of all keys for which `uses` is false.
    pub(crate) fn keep(&self, uses: impl Fn(&ApiKey) -> bool) {
        self.state().records.retain(|(key, _)| uses(key));
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
        let record = self.fleet().and_then(|_| self.record(key));
        let hosts = record.map_or(0, |record| record.remembered().hosts);
        let state = self.state();
        (state.store.clone(), state.store_degraded.clone(), hosts)
    }

    /// The tier that is set, the file of its record, and why this process goes on alone.
    pub(crate) fn status(&self) -> (&'static str, Option<PathBuf>, Option<String>) {
        let state = self.state();
        let path = state.records.last().and_then(|(_, record)| record.path());
        let reason = state.degraded.as_ref().map(|(_, reason)| reason.clone());
        (self.share.name(), path, reason)
    }
}
