//! Among the processes of a host: one leads, the others wait for what it writes into their record.
//!
//! Promises: a leader that died is followed at once, one that does not get on when its time is over, and what it brings
//! later is discarded; whoever holds the lock and does nothing keeps nobody from a token. What a leader has done is in
//! the record before its lock is free.

use std::time::Duration;

use super::fleet::StoreSession;
use super::{
    Action, Finish, Fleet, Key, Leader, Ledger, NEW_KEY_TRIED_EVERY, Progress, Refresh, State,
    Step, Then,
};
use crate::policy::errors::no_token_of_another_process;
use crate::refresh::record::{Common, HostRecord};
use crate::time::BootTime;

/// How often one who waits for another's refresh reads again.
pub(crate) const READ_AGAIN: Duration = Duration::from_millis(20);

/// Past the instant by which a leader said to be done, this is left to it for clearing up.
const OVERTIME: Duration = Duration::from_millis(100);

/// Who holds the lock says at once what for; one that does not is passed over after this time. Where the next term's lock
/// is held in silence, too, for as long, it may be held for ever: this refresh goes on without it.
const SILENCE: Duration = Duration::from_secs(1);

/// Which writing of the record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    term: u64,
    sequence: u64,
}

/// To get the lock.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The term whose lock is tried.
    pub(super) term: u64,
    /// The record as it was read before.
    read: Version,
    /// Its leader has said to be at work.
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
        // While somebody is at work there may be a token soon, whatever the budget says; and other hosts may have one.
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

    /// Takes the token that is there or the other key, if the record says so, or leaves the one that is kept in use.
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

    /// Which lock is to be had: the next one if who has this one is not waited for any longer.
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
            // Whoever leads does what this one came for.
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

    /// Under the lock of that term everything is checked once more.
    pub(super) fn lead(
        &mut self,
        step: &mut Step<'_>,
        term: u64,
        mut record: HostRecord,
    ) -> Action {
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
            // Others have gone on between the reading and the lock.
            return self.read();
        }
        // Whoever is passed over, this refresh has a time of its own.
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
        // Says on this host by when it will be done, and goes to the store.
        lead.record.done_by = Some(self.until);
        if lead.record.host == 0 {
            lead.record.host = self.context.id;
        }
        self.write(lead, Then::OpenSession)
    }

    /// Ends the work on this key: tells the others of this host first.
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
    /// How a refresh ended.
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

    /// The key is in order. That this host's own way to 88Pay failed stays so until it is granted a token:
    /// it leaves the next one to the other hosts, too.
    fn keep_own_backoff(&mut self) {
        self.backoff = self
            .backoff
            .take()
            .filter(|backoff| !backoff.class.of_key());
    }
}
