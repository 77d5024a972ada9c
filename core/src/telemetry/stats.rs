//! Counts of a manager, for monitoring. Never holds a secret.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

/// Calls are counted by the status of their last answer: the name of each count, and its statuses.
const ANSWERS: [(&str, RangeInclusive<u16>); 7] = [
    ("calls_answered_401", 401..=401),
    ("calls_answered_403", 403..=403),
    ("calls_answered_404", 404..=404),
    ("calls_answered_422", 422..=422),
    ("calls_answered_429", 429..=429),
    ("calls_answered_4xx", 400..=499),
    ("calls_answered_5xx", 500..=999),
];

/// The one list of the statistics: a field is a name of the JSON object, which all languages read.
macro_rules! statistics {
    (
        $(#[$attribute:meta])*
        pub struct Stats { $($(#[doc = $text:literal])+ pub $name:ident: $kind:ty,)* }
    ) => {
        $(#[$attribute])*
        pub struct Stats { $($(#[doc = $text])+ pub $name: $kind,)* }

        impl Stats {
            /// The same as JSON, with durations in seconds.
            pub fn to_json(&self) -> Value {
                let mut all = Map::new();
                $(self.$name.add(stringify!($name), &mut all);)*
                Value::Object(all)
            }
        }
    };
}

statistics! {
/// Shows what a manager has done and what it may still do, for monitoring. `TokenManager::stats` gives it.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// manager.get_token()?;
/// let stats = manager.stats();
/// assert_eq!(stats.tokens_issued, 1);
/// assert_eq!(stats.to_json()["budget_left_minute"], 9);
/// # Ok::<(), pay88::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(Default))]
#[non_exhaustive]
pub struct Stats {
    /// The number of the manager, as `TokenManager::id` gives it.
    pub manager_id: u64,
    /// How often a cached token was handed out.
    pub hits: u64,
    /// How often a caller had to wait for a token.
    pub waits: u64,
    /// How many attempts to get a new token were begun.
    pub refreshes: u64,
    /// How many tokens 88Pay granted to this manager.
    pub tokens_issued: u64,
    /// How many tokens were taken over that another process had asked for.
    pub tokens_shared: u64,
    /// How many attempts to get a new token brought none.
    pub refreshes_failed: u64,
    /// How many calls were begun.
    pub calls: u64,
    /// How often a call was sent again, for any reason.
    pub calls_repeated: u64,
    /// How many calls ended without an answer.
    pub calls_failed: u64,
    /// How many calls ended with an answer of a certain status, by name: `calls_answered_401`, `_403`, `_404`, `_422`
    /// and `_429`; `_4xx` for any of 400 to 499; `_5xx` for 500 and above.
    pub calls_answered: Vec<(&'static str, u64)>,
    /// The number of the cached token; 0 if there is none.
    pub generation: u64,
    /// How long ago the cached token was asked for, by whichever process; `None` if there is none.
    pub token_age: Option<Duration>,
    /// For how long the cached token will still be handed out; zero if there is none.
    pub token_valid_for: Duration,
    /// How many tokens may still be asked for in this minute, and in this hour.
    pub budget_left: (usize, usize),
    /// Among how many hosts the budget is divided while no store can be used; otherwise 1.
    pub budget_split: usize,
    /// The failure of the token endpoint that is remembered: its kind, and for how long it still stops new token
    /// requests.
    pub hold: Option<(&'static str, Duration)>,
    /// Who shares the token and the budget: `process`, `host` or `fleet`.
    pub share: &'static str,
    /// The file in which the processes of the host share it, once it was opened.
    pub share_path: Option<PathBuf>,
    /// Why nothing can be shared on this host, so that this process goes on alone; `None` if sharing works.
    pub share_degraded: Option<String>,
    /// The store of the fleet that this process used last, without user and password.
    pub store: Option<String>,
    /// Why no store can be used, so that this host goes on with its share of the budget; `None` if a store works.
    pub store_degraded: Option<String>,
    /// How many hosts share the token, as far as this host knows; 0 without a store.
    pub hosts: u32,
}
}

/// What a field is in the JSON object: one value of its name, unless there are several.
trait Statistic {
    fn add(&self, name: &str, all: &mut Map<String, Value>);
}

macro_rules! one_value {
    ($($kind:ty, $value:ident => $json:expr;)*) => {
        $(impl Statistic for $kind {
            fn add(&self, name: &str, all: &mut Map<String, Value>) {
                let $value = self;
                all.insert(name.to_owned(), json!($json));
            }
        })*
    };
}

one_value! {
    u32, count => count;
    u64, count => count;
    usize, count => count;
    &'static str, text => text;
    Option<String>, text => text;
    Option<PathBuf>, path => path.as_ref().map(|path| path.display().to_string());
    Duration, time => time.as_secs_f64();
    Option<Duration>, time => time.map(|time| time.as_secs_f64());
    Option<(&'static str, Duration)>, hold => hold_to_json(*hold);
}

/// Of a minute and of an hour.
impl Statistic for (usize, usize) {
    fn add(&self, name: &str, all: &mut Map<String, Value>) {
        self.0.add(&format!("{name}_minute"), all);
        self.1.add(&format!("{name}_hour"), all);
    }
}

/// Those that have names of their own.
impl Statistic for Vec<(&'static str, u64)> {
    fn add(&self, _name: &str, all: &mut Map<String, Value>) {
        for (name, count) in self {
            count.add(name, all);
        }
    }
}

/// A remembered failure as JSON: its kind, and for how many seconds it still holds.
pub(crate) fn hold_to_json(hold: Option<(&'static str, Duration)>) -> Option<Value> {
    hold.map(|(class, left)| json!({"class": class, "left": left.as_secs_f64()}))
}

/// The counts that need no lock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) waits: Counter,
    pub(crate) issued: Counter,
    pub(crate) shared: Counter,
    pub(crate) failed: Counter,
    pub(crate) calls: Counter,
    pub(crate) calls_repeated: Counter,
    pub(crate) calls_failed: Counter,
    calls_answered: [Counter; ANSWERS.len()],
}

impl Counters {
    /// Counts a call that ended with an answer of that status.
    pub(crate) fn answered(&self, status: u16) {
        for ((_, statuses), counter) in ANSWERS.iter().zip(&self.calls_answered) {
            if statuses.contains(&status) {
                counter.add();
            }
        }
    }

    pub(crate) fn calls_answered(&self) -> Vec<(&'static str, u64)> {
        let counters = self.calls_answered.iter().map(Counter::get);
        ANSWERS
            .iter()
            .map(|(name, _)| *name)
            .zip(counters)
            .collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds one unless `done` says that it was added already.
    pub(crate) fn add_once(&self, done: &mut bool) {
        if !std::mem::replace(done, true) {
            self.add();
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_by_its_status_and_by_its_class() {
        let counters = Counters::default();
        for status in [
            200, 304, 399, 400, 401, 403, 404, 404, 418, 422, 429, 500, 503, 599, 999,
        ] {
            counters.answered(status);
        }
        let counts = counters.calls_answered();
        let named = |name| counts.iter().find(|(known, _)| *known == name).unwrap().1;
        for (name, count) in [
            ("calls_answered_401", 1),
            ("calls_answered_403", 1),
            ("calls_answered_404", 2),
            ("calls_answered_422", 1),
            ("calls_answered_429", 1),
            ("calls_answered_4xx", 8),
            ("calls_answered_5xx", 4),
        ] {
            assert_eq!(named(name), count, "{name}");
        }
    }

    #[test]
    fn the_documents_have_every_statistic_and_no_other() {
        let stats = Stats {
            calls_answered: Counters::default().calls_answered(),
            ..Stats::default()
        };
        let stats = stats.to_json();
        let names: Vec<_> = stats.as_object().unwrap().keys().cloned().collect();

        let documents = include_str!("../../../docs/monitoring.md");
        let (_, section) = documents.split_once("\n## Counts\n").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let firsts = section.lines().filter_map(|line| line.split('|').nth(1));
        let mut documented: Vec<_> = firsts
            .flat_map(|first| first.split('`').skip(1).step_by(2))
            .map(|name| match name.starts_with('_') {
                true => format!("calls_answered{name}"),
                false => name.to_owned(),
            })
            .collect();
        documented.sort();
        assert_eq!(documented, names);
    }
}
