//! The tiers of the option `share`, as they are now, for a diagnosis.
//!
//! Promises: makes, changes and remembers nothing, and asks 88Pay for nothing. Two exceptions leave no trace that
//! matters: a Memcached gets the item that is its clock, as from any first reader; and a store is asked whether it
//! takes writes, in a way that leaves nothing. A store has no more time than a refresh would give it. Never holds a
//! token, a key or a password.

use std::path::Path;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::share::Share;
use crate::config::store_url::StoreUrl;
use crate::error::{Error, Result};
use crate::manager::account::Account;
use crate::manager::statistics::stats;
use crate::policy::errors::{no_host, no_store};
use crate::refresh::record::Common;
use crate::refresh::{Ask, Ledger};
use crate::store::fleet::{Answer, Fleet};
use crate::telemetry::stats::hold_to_json;

const STORE_TIME: Duration = Duration::from_millis(250);

/// Shows one tier of the option `share`: this process, the host, or a store of the fleet. `TokenManager::tiers` gives
/// all of them.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// for tier in manager.tiers() {
///     match tier.state {
///         Ok(state) => println!("{}: {} tokens left in this hour", tier.kind, state.budget_left.1),
///         Err(error) => println!("{}: {} {}", tier.kind, error.message(), error.hint()),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tier {
    /// The kind of tier: `process`, `host` or `store`.
    pub kind: &'static str,
    /// Where the tier is: the file of the host, which the first token request makes; or the store's URL without user,
    /// password and query. `None` for the process, and if the host has no directory for the file.
    pub place: Option<String>,
    /// What the tier holds. Or why it cannot be used (`connection_failed` for a store, `config_invalid` for the
    /// host), and what to do about it.
    pub state: Result<TierState>,
    /// The user IDs of other users of this machine who have tokens of their own, in any order. Empty for a directory
    /// that users share (`host:<dir>`).
    pub other_users: Vec<u32>,
    /// Names that come before the one in `place` and cannot be used, because something else is there: of another
    /// user, or with other rights than this library gives. All who share use the next name too.
    pub taken_names: Vec<TakenName>,
}

/// Names a file or directory that is in the way of a tier: see [`Tier::taken_names`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenName {
    /// Its path.
    pub path: String,
    /// The user ID of its owner.
    pub by: u32,
}

/// Says what all who share a tier have in common: see [`Tier::state`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TierState {
    /// How long ago the newest token was asked for; `None` if there is none, or if 88Pay does not accept it any more.
    pub token_age: Option<Duration>,
    /// For how long that token will still be handed out; zero if there is none.
    pub token_valid_for: Duration,
    /// How many tokens may still be asked for in this minute, and in this hour.
    pub budget_left: (usize, usize),
    /// Among how many hosts the budget is divided, because they cannot tell each other what they take; otherwise 1.
    pub budget_split: usize,
    /// The failure that is remembered: its kind, and for how long it still stops new token requests of all who share
    /// the tier.
    pub hold: Option<(&'static str, Duration)>,
    /// How many hosts share the token, as far as is known; 0 without a store.
    pub hosts: u32,
}

impl Tier {
    /// The same as JSON, with durations in seconds. `error` is the reason why the tier cannot be used.
    pub fn to_json(&self) -> Value {
        let state = self.state.as_ref().ok();
        json!({
            "kind": self.kind,
            "place": self.place,
            "error": self.state.as_ref().err().map(Error::message),
            "token_age": state.and_then(|state| state.token_age).map(|age| age.as_secs_f64()),
            "token_valid_for": state.map(|state| state.token_valid_for.as_secs_f64()),
            "budget_left_minute": state.map(|state| state.budget_left.0),
            "budget_left_hour": state.map(|state| state.budget_left.1),
            "budget_split": state.map(|state| state.budget_split),
            "hold": state.and_then(|state| hold_to_json(state.hold)),
            "hosts": state.map(|state| state.hosts),
            "other_users": self.other_users,
            "taken_names": self.taken_names.iter().map(|taken| json!({"path": taken.path, "by": taken.by}))
                .collect::<Vec<_>>(),
        })
    }
}

/// The tiers that are set, the nearest first. This process is a tier only if nothing is shared.
pub(crate) fn tiers(account: &Account) -> Vec<Tier> {
    match &account.settings.share {
        Share::Host { dir, stores } => {
            let mut tiers = vec![host(account, dir.as_deref())];
            tiers.extend(stores.iter().map(|store| in_store(account, store)));
            tiers
        }
        Share::Process => vec![process(account)],
    }
}

fn process(account: &Account) -> Tier {
    let stats = stats(account);
    Tier {
        kind: "process",
        place: None,
        state: Ok(TierState {
            token_age: stats.token_age,
            token_valid_for: stats.token_valid_for,
            budget_left: stats.budget_left,
            budget_split: stats.budget_split,
            hold: stats.hold,
            hosts: stats.hosts,
        }),
        other_users: Vec::new(),
        taken_names: Vec::new(),
    }
}

fn host(account: &Account, dir: Option<&Path>) -> Tier {
    let keys = account.keys();
    let record = account
        .store
        .record(keys.get(keys.begin_with(account.clock.boot()).0));
    let (path, taken, found) = match record.peek() {
        Ok((path, taken, record)) => (Some(path), taken, Ok(record)),
        Err(reason) => (None, Vec::new(), Err(reason)),
    };
    // A file that can be read may still be where nothing can be written.
    let (_, _, degraded) = account.store.status();
    let state = match degraded {
        Some(reason) => Err(reason),
        None => found.map(|record| {
            let mut ledger = account.settings.ledger();
            ledger.learn(&record, account.clock.boot(), None);
            state_of(account, &record.common, &ledger)
        }),
    };
    Tier {
        kind: "host",
        place: path.map(|path| path.display().to_string()),
        state: state.map_err(|reason: String| no_host(&reason, dir.is_some())),
        other_users: record.other_users(),
        taken_names: taken
            .into_iter()
            .map(|taken| TakenName {
                path: taken.path.display().to_string(),
                by: taken.by,
            })
            .collect(),
    }
}

fn in_store(account: &Account, url: &StoreUrl) -> Tier {
    let (base_url, merchant_id) = (account.base_url.as_str(), account.merchant_id.as_str());
    // A fleet of its own, so that every store is asked now and none is left alone for an earlier failure.
    let alone = Fleet::new(
        slice::from_ref(url),
        base_url,
        merchant_id,
        account.clock.clone(),
    );
    let keys = account.keys();
    let client = Arc::new(alone).client(keys.get(keys.begin_with(account.clock.boot()).0));
    let answer = match client {
        Some(mut client) => {
            let deadline = account.clock.boot().plus(STORE_TIME);
            client.ask(Ask::Read, STORE_TIME).and_then(|answer| {
                let hosts = client.hosts(account.clock.boot().until(deadline))?;
                // A store that can be read may still take no writes: a replica, a full one, a user without the rights.
                client.writable(account.clock.boot().until(deadline))?;
                Ok((answer, hosts))
            })
        }
        None => Err("this machine's cryptography fails".to_owned()),
    };
    let state = answer.map(|(answer, hosts)| match answer {
        Answer::Found(found) => {
            let mut common = found.record.unwrap_or_default().common;
            common.hosts = common.hosts.max(hosts);
            let mut ledger = account.settings.ledger();
            ledger.learn_common(&common, None);
            state_of(account, &common, &ledger)
        }
        Answer::Stored(_) | Answer::Counted(_) => {
            state_of(account, &Common::default(), &account.settings.ledger())
        }
    });
    Tier {
        kind: "store",
        place: Some(url.shown().to_owned()),
        state: state.map_err(|reason| no_store(&reason, url.shown())),
        other_users: Vec::new(),
        taken_names: Vec::new(),
    }
}

fn state_of(account: &Account, common: &Common, ledger: &Ledger) -> TierState {
    let now = account.clock.boot();
    let token = common.good();
    TierState {
        token_age: token.map(|issue| issue.stamp.asked_at.until(now)),
        token_valid_for: token.map_or(Duration::ZERO, |issue| {
            now.until(issue.stamp.asked_at.plus(account.lifetime(issue).usable))
        }),
        budget_left: ledger.budget.left(now),
        budget_split: ledger.budget.shares(),
        hold: ledger.backoffs.current(now),
        hosts: common.hosts,
    }
}
