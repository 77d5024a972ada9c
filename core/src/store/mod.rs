//! Where the token, the counts and the failures are shared: the tiers of the option `share`.
//!
//! Promises: a tier that cannot be had never stops this process, which then goes on alone; the reason is told once, until
//! it changes. A forked child opens everything anew. Never decides when a token is asked for.

#[allow(
    dead_code,
    unused_imports,
    reason = "the refresh begins to use it next"
)]
pub(crate) mod fleet;
pub(crate) mod host;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::config::Settings;
use crate::credentials::{ApiKey, MerchantId};
use crate::endpoint::BaseUrl;
use crate::error::Error;
use crate::record::Record;
use crate::store::host::HostRecord;
use crate::store::host::place::Place;
use crate::transport::PerProcess;

/// The option `share`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Process,
    /// The processes of this host: of one user, or of the group of that directory.
    Host(Option<PathBuf>),
}

impl Share {
    pub(crate) fn parse(text: &str) -> Result<Share, Error> {
        let invalid = |why: &str| {
            Error::invalid(
                format!("The option share {why}."),
                "Use `host`, `host:` and the absolute path of a directory on a tmpfs, or `process`.",
            )
        };
        let text = text.trim();
        if text.contains("://") {
            return Err(invalid(
                "names a store, and stores are not in this release; the next one has them",
            ));
        }
        match text.split_once(':') {
            None if text == "host" => Ok(Share::Host(None)),
            None if text == "process" => Ok(Share::Process),
            Some(("host", dir)) if dir.starts_with('/') && !dir.contains(['\0', ',']) => {
                Ok(Share::Host(Some(PathBuf::from(dir))))
            }
            Some(("host", _)) => Err(invalid("has `host:` without an absolute path")),
            _ => Err(invalid("is neither `process` nor `host`")),
        }
    }

    /// `process` or `host`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Share::Process => "process",
            Share::Host(_) => "host",
        }
    }
}

/// What was done with the shared tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    Read,
    Write,
}

/// The shared records of a manager: one for each of its keys.
pub(crate) struct Store {
    share: Share,
    place: Place,
    base_url: BaseUrl,
    merchant_id: MerchantId,
    per_minute: u32,
    clock: Clock,
    state: PerProcess<Mutex<State>>,
}

#[derive(Default)]
struct State {
    records: Vec<(ApiKey, Arc<HostRecord>)>,
    /// Why this process goes on alone.
    degraded: Option<(Use, String)>,
}

impl Store {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Store {
        let given = match &settings.share {
            Share::Host(dir) => dir.clone(),
            Share::Process => None,
        };
        Store {
            share: settings.share.clone(),
            place: Place::new(given, settings.runtime_dir.clone()),
            base_url: settings.base_url.clone(),
            merchant_id: settings.merchant_id.clone(),
            per_minute: settings.tokens_per_minute,
            clock,
            state: PerProcess::new(),
        }
    }

    /// Whether there is more than this process. A virtual clock is nobody else's.
    pub(crate) fn is_shared(&self) -> bool {
        self.share != Share::Process && !self.clock.is_virtual()
    }

    /// The record of those who use that key, as it is now.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn read(&self, key: &ApiKey) -> Result<Record, String> {
        self.record(key).ok_or("nothing is shared")?.read()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let Ok(state) = self
            .state
            .get_or_try_make(|| Ok::<_, Infallible>(Mutex::default()));
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record of those who use that key; `None` where nothing is shared.
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
            self.place.clone(),
            self.base_url.as_str(),
            self.merchant_id.as_str(),
            self.per_minute,
            self.clock.clone(),
        )?);
        state.records.push((key.clone(), record.clone()));
        Some(record)
    }

    /// Lets go of the records of all other keys.
    pub(crate) fn keep(&self, uses: impl Fn(&ApiKey) -> bool) {
        self.state().records.retain(|(key, _)| uses(key));
    }

    /// How a use of the shared tier went: `Err(reason)` if this process goes on alone. Says whether that is news to be told.
    pub(crate) fn went(&self, how: Use, result: Result<(), &str>) -> bool {
        let mut state = self.state();
        match result {
            Ok(()) => {
                // That it can be read does not mean that it can be written again.
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

    /// The tier that is set, the file where its record is, and why this process goes on alone.
    pub(crate) fn status(&self) -> (&'static str, Option<PathBuf>, Option<String>) {
        let state = self.state();
        let path = state.records.last().and_then(|(_, record)| record.path());
        let reason = state.degraded.as_ref().map(|(_, reason)| reason.clone());
        (self.share.name(), path, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_process_host_or_host_with_an_absolute_path() {
        assert_eq!(Share::parse(" process ").unwrap(), Share::Process);
        assert_eq!(Share::parse("host").unwrap(), Share::Host(None));
        let dir = Share::Host(Some(PathBuf::from("/run/pay")));
        assert_eq!(Share::parse("host:/run/pay").unwrap(), dir);
        for text in [
            "",
            "hosts",
            "host:",
            "host:run/pay",
            "host:/a,/b",
            "process:/x",
        ] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_store_is_refused_with_its_time_and_without_its_password() {
        let error = Share::parse("host,redis://:pass@cache").unwrap_err();
        assert!(error.message().contains("next"), "{error}");
        assert!(!format!("{error}").contains("pass@"), "{error}");
    }
}
