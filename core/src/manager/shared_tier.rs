//! What this process has of others: the shared tier as a caller's own thread uses it.
//!
//! Promises: a token that another process has asked for is found here before a thread is started; what is dropped or
//! forgotten here is so for all who share it. Never asks for a token, never waits, and never holds the account's lock
//! while it reads or writes what is shared.

use std::time::Duration;

use serde_json::json;

use crate::config::credentials::ApiKey;
use crate::error::{Error, Result};
use crate::manager::account::{Account, State};
use crate::manager::key_ring::Keys;
use crate::manager::token::Token;
use crate::refresh::record::{Common, FleetRecord, HostRecord, Issue};
use crate::refresh::{Action, Ask, Finish, Input, Key};
use crate::store::Use;
use crate::store::fleet::Answer;
use crate::store::host::Unwritten;
use crate::telemetry::event::{EventName, emit};

/// What the fleet's store may take where no refresh waits for it.
const STORE_TIME: Duration = Duration::from_secs(1);

/// What others have.
pub(crate) enum Peeked {
    /// A newer token, which is kept here now.
    Token(Token),
    /// Nothing, and none may be asked for now.
    Refused(Error),
    /// Nothing, and one may be asked for, or somebody is at it.
    Open,
    /// The token that is kept will do for so long.
    Kept(Duration),
}

/// Reads whether others have a newer token, on the caller's thread: a refresh that ends where it would need the lock.
pub(crate) fn peek(account: &Account) -> Peeked {
    let keys = account.keys();
    let (mut refresh, attempts) = {
        let state = account.state();
        if state.flight.is_some() {
            return Peeked::Open;
        }
        (account.refresh(&state, &keys), state.attempts)
    };
    let mut input = Input::Start;
    loop {
        let now = account.clock.boot();
        let action = {
            let mut state = account.state();
            if state.attempts != attempts {
                // A refresh has begun since, and what it brings is newer than what was read here.
                return Peeked::Open;
            }
            refresh.step(&mut state.ledger, now, 0.5, input)
        };
        input = match action {
            Action::Read { key } => {
                let spent = account.spent_on_other(&keys, key);
                let shared = account.store.record(keys.get(key));
                let read = shared.read();
                tier_went(
                    account,
                    Use::Read,
                    read.as_ref().map(drop).map_err(String::as_str),
                );
                let mut seen = read.unwrap_or_else(|_| shared.remembered());
                seen.common.counts.merge(&spent);
                if account.store.fleet().is_some() && seen.is_back() {
                    // Another process of this host has been there.
                    store_went(account, Ok(None));
                }
                Input::Read(seen)
            }
            Action::Finish(Finish::Shared { issue, key }) => {
                let _state = account.state();
                if account.keys().epoch() != keys.epoch() {
                    return Peeked::Open;
                }
                return match adopt(account, &issue, key) {
                    Some(Ok(token)) => Peeked::Token(token),
                    Some(Err(_)) | None => Peeked::Open,
                };
            }
            Action::Finish(Finish::Failed { error, .. }) => return Peeked::Refused(error),
            Action::Finish(Finish::Kept { again }) => return Peeked::Kept(again),
            _ => return Peeked::Open,
        };
    }
}

/// Keeps a token that another process has asked for; `None` if there is a newer one here by now. To be called under the
/// lock of `state`.
pub(crate) fn adopt(account: &Account, issue: &Issue, key: Key) -> Option<Result<Token>> {
    if !account.is_new(issue.stamp) {
        return account.cache.peek().map(Ok);
    }
    // Boot time is what both have in common; it is rounded down to milliseconds.
    let age = issue.stamp.asked_at.until(account.clock.boot()) + Duration::from_millis(1);
    let token = account.publish(issue, key, account.clock.reading().minus(age));
    if issue.budget_shares == 0 && account.store.fleet().is_some() {
        // Whoever brought it has been at the store.
        store_went(account, Ok(None));
    }
    if let Ok(token) = &token {
        account.counters.shared.add();
        let generation = token.generation();
        emit(
            EventName::TokenShared,
            account.id,
            || json!({"generation": generation, "age": age.as_millis() as u64}),
        );
    }
    Some(token)
}

/// How a use of the shared tier went, and why if it could not be had.
pub(crate) fn tier_went(account: &Account, how: Use, result: Result<(), &str>) {
    if account.store.note_use(how, result) {
        let (share, reason) = (account.settings.share.name(), result.err());
        emit(
            EventName::ShareDegraded,
            account.id,
            || json!({"share": share, "reason": reason}),
        );
    }
}

/// How a session with the fleet's stores went, and why if none can be used.
pub(crate) fn store_went(account: &Account, result: Result<Option<&str>, &str>) {
    if account.store.note_stores(result) {
        let reason = result.err();
        emit(
            EventName::ShareDegraded,
            account.id,
            || json!({"share": "fleet", "reason": reason}),
        );
    }
}

/// Changes what is remembered, and the record of the key in use. `None` while somebody is at a refresh: what comes of
/// that is newer.
pub(crate) fn change<T>(
    account: &Account,
    with: impl FnOnce(&mut HostRecord, &mut State) -> Result<T>,
) -> Result<Option<T>> {
    let keys = account.keys();
    let (key, _) = keys.begin_with(account.clock.boot());
    change_of(account, &keys, key, with)
}

/// The same for that key.
fn change_of<T>(
    account: &Account,
    keys: &Keys,
    key: Key,
    change: impl FnOnce(&mut HostRecord, &mut State) -> Result<T>,
) -> Result<Option<T>> {
    let spent = account.spent_on_other(keys, key);
    let shared = account.store.record(keys.get(key));
    let lead = shared
        .read()
        .and_then(|seen| Ok((shared.try_lease(seen.term)?, seen)));
    let (mut lead, mut record) = match lead {
        Ok((Some((lead, record)), _)) => (Some(lead), record),
        Ok((None, seen)) if seen.is_led(account.clock.boot()) => return Ok(None),
        // Somebody holds the lock and does not say what for: it is changed here, and told once that can be done.
        Ok((None, seen)) => (None, seen),
        Err(reason) => {
            tier_went(account, Use::Read, Err(&reason));
            (None, shared.remembered())
        }
    };
    let changed = {
        let mut state = account.state();
        if lead.is_none() && state.flight.is_some() {
            return Ok(None);
        }
        record.common.counts.merge(&spent);
        state.ledger.learn(&record, account.clock.boot(), None);
        let changed = change(&mut record, &mut state)?;
        record.common.counts = state.ledger.budget.counts().clone();
        if lead.is_none() {
            shared.remember(&record);
        }
        changed
    };
    if let Some(lead) = &mut lead
        && let Err(unwritten) = shared.write(lead, &mut record)
    {
        // Also what came too late is so: it is told where others have gone on as soon as it can be.
        shared.remember(&record);
        if let Unwritten::Lost(reason) = unwritten {
            tier_went(account, Use::Write, Err(&reason));
        }
    }
    Ok(Some(changed))
}

/// Forgets the failures that are remembered, here and where they are shared, so that the next caller asks again.
/// What was counted stays.
pub(crate) fn forget_failures(account: &Account) -> Result<()> {
    account.forget_fallback();
    let keys = account.keys();
    let (_, two) = keys.begin_with(account.clock.boot());
    // The current key comes last: from now on it is the one in use.
    let each = [Key::Previous, Key::Current].into_iter();
    let each = each.filter(|key| two || *key == Key::Current);
    let changed = each.clone().try_for_each(|key| {
        let changed = change_of(account, &keys, key, |record, state| {
            (record.common.backoff, record.common.outage) = (None, None);
            (record.previous_until, record.ask_at) = (None, None);
            state.ledger.backoffs.clear();
            Ok(())
        });
        changed.map(drop)
    });
    let forgotten = { each }.try_for_each(|key| forget_failures_in_store(account, keys.get(key)));
    store_went(
        account,
        forgotten.as_ref().map(|()| None).map_err(String::as_str),
    );
    changed
}

/// The same in the fleet's store, unless another host is at a refresh: what comes of that is newer.
fn forget_failures_in_store(account: &Account, key: &ApiKey) -> Result<(), String> {
    let fleet = account.store.fleet().and_then(|fleet| fleet.client(key));
    let Some(mut fleet) = fleet else {
        return Ok(());
    };
    let lease = Ask::Lease { lease: STORE_TIME };
    let Answer::Found(found) = fleet.ask(lease, STORE_TIME)? else {
        return Ok(());
    };
    if !found.leads {
        return Ok(());
    }
    // A store that was emptied gets back what this host knows of the others.
    let mut record = found.record.unwrap_or_else(|| {
        let known = account.store.record(key).remembered().common;
        FleetRecord {
            common: Common {
                hosts: known.hosts,
                counts: known.counts,
                ..Common::default()
            },
            ..FleetRecord::default()
        }
    });
    (record.common.backoff, record.common.outage) = (None, None);
    record.forgotten = Some(account.clock.boot());
    let write = Ask::Write {
        record: Box::new(record),
        lease: None,
        fresh: false,
    };
    fleet.ask(write, STORE_TIME).map(drop)
}
