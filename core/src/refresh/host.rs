//! How the processes of a host share a refresh: one leads, and the others wait for what it writes into the record.
//!
//! Promises: if a leader dies, another process leads at once. If a leader stands still, another one leads when the time that
//! it announced is over, and a token that it brings later is discarded. A process that holds the lock and does nothing keeps
//! nobody from a token. A leader writes what it has done into the record before it frees the lock. The request of a leader
//! that has died counts from the latest instant at which 88Pay can have counted it.

use std::time::Duration;

use super::fleet::StoreSession;
use super::{
    Action, Finish, Fleet, Key, Leader, Ledger, NEW_KEY_TRIED_EVERY, Progress, Refresh, State,
    Step, Then,
};
use crate::policy::errors::no_token_of_another_process;
use crate::refresh::record::{Common, HostRecord};
use crate::time::BootTime;

/// How often a process that waits for the leader reads the record.
pub(crate) const READ_AGAIN: Duration = Duration::from_millis(20);

/// A leader that is late has this much more time, to clear up, before another process leads.
const OVERTIME: Duration = Duration::from_millis(100);

/// A leader announces at once by when it will be done. If the holder of a lock announces nothing for this time, the others
/// try the lock of the next term. If that one is held for as long without a word, it may be held for ever, and the refresh
/// goes on without a lock.
const SILENCE: Duration = Duration::from_secs(1);

/// Tells one version of the record from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    term: u64,
    sequence: u64,
}

/// An attempt to get the lock.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The term whose lock is tried.
    pub(super) term: u64,
    /// The version of the record that was read before.
    read: Version,
    /// The leader has announced by when it will be done, and that is not over.
    at_work: bool,
}

impl Refresh {
    pub(super) fn read(&mut self) -> Action {
        self.state = State::Reading;
        Action::Read { key: self.key }
    }

    pub(super) fn seen(&mut self, step: &mut Step<'_>, record: &HostRecord) -> Action {
        if let Some(action) = self.consider(step, record) {
            return action;
        }
        let at_work = record.is_led(step.now);
        // While a leader is at work a token may come soon, whatever the budget says. Other hosts may have one, too.
        if !at_work
            && !self.asks_store(record, step.now)
            && let Some(error) = step.ledger.refusal(step.now)
        {
            return Action::Finish(Finish::failed(error));
        }
        let term = self.term(record, step.now);
        self.state = State::Locking(Attempt {
            term,
            read: record.version(),
            at_work,
        });
        Action::Lock { term }
    }

    /// What the record alone decides: to take over its token, to use the other key, or to keep the token of this process.
    fn consider(&mut self, step: &mut Step<'_>, record: &HostRecord) -> Option<Action> {
        step.ledger.learn(record, step.now, self.waiting);
        if let Some(issue) = record
            .common
            .good()
            .filter(|issue| self.context.takes(issue, step.now))
        {
            return Some(Action::Finish(Finish::Shared {
                issue: issue.clone(),
                key: self.key,
            }));
        }
        let unknown = record.previous_until.is_some_and(|until| step.now < until);
        if unknown && self.key == Key::Current && self.other_key {
            self.key = Key::Previous;
            return Some(self.read());
        }
        let again = self.is_kept(record, step.now)?;
        Some(Action::Finish(Finish::Kept { again }))
    }

    /// The term whose lock is tried: the next one, if nobody waits any longer for the holder of the present one.
    fn term(&self, record: &HostRecord, now: BootTime) -> u64 {
        let overdue = record
            .done_by
            .is_some_and(|done_by| now >= done_by.plus(OVERTIME));
        let passed_over = self.silent.is_some_and(|(version, since)| {
            version == record.version() && now >= since.plus(SILENCE)
        });
        record
            .term
            .saturating_add(u64::from(overdue || passed_over))
    }

    /// Somebody else has the lock.
    pub(super) fn follow(&mut self, now: BootTime, attempt: Attempt) -> Action {
        if self.context.kept.is_some_and(|kept| now < kept.due) {
            // The leader renews the token.
            return Action::Finish(Finish::Kept { again: SILENCE });
        }
        if now >= self.patience {
            return Action::Finish(Finish::failed(no_token_of_another_process()));
        }
        self.waiting.get_or_insert(now);
        self.silent = match self.silent {
            _ if attempt.at_work => None,
            Some(silent) if silent.0 == attempt.read => Some(silent),
            _ => Some((attempt.read, now)),
        };
        let silent_since = self.silent.map(|(_, since)| since);
        if silent_since.is_some_and(|since| now >= since.plus(2 * SILENCE)) {
            self.state = State::Locking(attempt);
            return Action::GoAlone;
        }
        self.state = State::Following;
        Action::Pause(READ_AGAIN)
    }

    /// This process has the lock of that term. It checks everything once more.
    pub(super) fn lead(
        &mut self,
        step: &mut Step<'_>,
        term: u64,
        mut record: HostRecord,
    ) -> Action {
        // If a request is noted there, its leader has ended without a word, or is passed over.
        record.common.end_unfinished(step.now);
        if let Some(action) = self.consider(step, &record) {
            return action;
        }
        if !self.asks_store(&record, step.now)
            && let Some(error) = step.ledger.backoffs.check(step.now)
        {
            return Action::Finish(Finish::failed(error));
        }
        record.term = self.term(&record, step.now);
        if term != record.term {
            // Another process has led between the reading and the lock.
            return self.read();
        }
        // However long it waited for others, it has the time for a request of its own.
        self.until = self.until.max(step.now.plus(self.context.request_time()));
        let needs_store = self.needs_store(&record, step.now);
        let fleet = match self.context.fleet {
            true if needs_store => Fleet::Session(Box::new(StoreSession::new(step.now))),
            true => Fleet::Partitioned,
            false => Fleet::None,
        };
        let mut lead = Leader {
            record: Box::new(record),
            progress: Progress { slot: None, fleet },
        };
        if !needs_store {
            return self.send(step, lead);
        }
        // It tells this host by when it will be done, and then asks the store.
        lead.record.done_by = Some(self.until);
        if lead.record.host == 0 {
            lead.record.host = self.context.id;
        }
        self.write(lead, Then::OpenSession)
    }

    /// Ends the work on this key, and tells the processes of this host first.
    pub(super) fn leave_host(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        then: Then,
    ) -> Action {
        let record = &mut lead.record;
        record.done_by = None;
        record.common.counts = step.ledger.budget.counts().clone();
        match &then {
            Then::Read if self.key == Key::Previous => {
                record.previous_until = Some(step.now.plus(NEW_KEY_TRIED_EVERY));
            }
            Then::Finish(finish) => {
                record.common.end(finish, step.ledger);
                if let Finish::Granted { key, .. } = &**finish
                    && *key == Key::Current
                {
                    record.previous_until = None;
                }
            }
            Then::Read | Then::Send | Then::OpenSession => {}
        }
        self.write(lead, then)
    }
}

impl HostRecord {
    fn version(&self) -> Version {
        Version {
            term: self.term,
            sequence: self.sequence,
        }
    }
}

impl Common {
    /// Notes how a refresh ended.
    pub(super) fn end(&mut self, finish: &Finish, ledger: &Ledger) {
        match finish {
            Finish::Granted { issue, .. } => {
                self.issue = Some(issue.clone());
                (self.backoff, self.outage) = (None, None);
            }
            Finish::Shared { issue, .. } => {
                self.issue = Some(issue.clone());
                self.keep_own_backoff();
            }
            Finish::Failed { backoff, .. } => match ledger.backoffs.last() {
                Some(last) if backoff.is_some() || last.class.of_key() => {
                    self.backoff = Some(last.clone());
                }
                _ => self.keep_own_backoff(),
            },
            Finish::Kept { .. } | Finish::Abandoned => {}
        }
    }

    /// The key is in order. But if this host cannot reach 88Pay, that is remembered until this host itself gets a token, so
    /// that it leaves the next one to the other hosts, too.
    fn keep_own_backoff(&mut self) {
        self.backoff = self
            .backoff
            .take()
            .filter(|backoff| !backoff.class.of_key());
    }
}
