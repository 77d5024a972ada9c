//! Among the processes of a host: one leads, the others wait for what it writes into their record.
//!
//! Promises: a leader that died is followed at once, one that does not get on when its time is over, and what it brings
//! later is discarded; whoever holds the lock and does nothing keeps nobody from a token. What a leader has done is in the record before its lock is free.

use std::time::Duration;

use super::{Action, Finish, Key, Ledger, NEW_KEY_TRIED_EVERY, Refresh, Then, refused};
use crate::error::{Error, ErrorCode};
use crate::refresh::record::Record;
use crate::time::BootTime;

/// How often one who waits for another's refresh looks again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Past the instant by which a leader said to be done, this is left to it for clearing up.
const OVERTIME: Duration = Duration::from_millis(100);

/// Who holds the lock says at once what for; one that does not is passed over after this time. Where the next turn's lock
/// is held in silence, too, for as long, it may be held for ever: this refresh goes on without it.
const SILENCE: Duration = Duration::from_secs(1);

impl Refresh {
    pub(super) fn look(&mut self) -> Action {
        self.led = None;
        self.visit = None;
        Action::Look { key: self.key }
    }

    pub(super) fn seen(&mut self, ledger: &mut Ledger, now: BootTime, record: Record) -> Action {
        let at_work = record.is_led(now);
        self.seen = (record.turn, record.sequence, at_work);
        if let Some(action) = self.consider(ledger, now, &record) {
            return action;
        }
        if let Some(again) = self.is_kept(&record, now) {
            return Action::Finish(Finish::Kept { again });
        }
        // While somebody is at work there may be a token soon, whatever the budget says; and other hosts may have one.
        if !at_work
            && !self.asks_store(&record, now)
            && let Some(error) = ledger.refusal(now)
        {
            return refused(error);
        }
        self.turn = self.turn_to_take(&record, now);
        Action::Lead { turn: self.turn }
    }

    /// Takes the token that is there, or the other key, if the record says so.
    fn consider(&mut self, ledger: &mut Ledger, now: BootTime, record: &Record) -> Option<Action> {
        ledger.learn(record, now, self.waiting);
        if let Some(issue) = record.good().filter(|issue| self.terms.takes(issue, now)) {
            return Some(Action::Finish(Finish::Shared {
                issue: issue.clone(),
                key: self.key,
            }));
        }
        let unknown = record.previous_until.is_some_and(|until| now < until);
        if unknown && self.key == Key::Current && self.other_key {
            self.key = Key::Previous;
            return Some(self.look());
        }
        None
    }

    /// Which lock is to be had: the next one if who has this one is not waited for any longer.
    fn turn_to_take(&self, record: &Record, now: BootTime) -> u64 {
        let overdue = record
            .done_by
            .is_some_and(|done_by| now >= done_by.plus(OVERTIME));
        let passed_over = self.silent.is_some_and(|(turn, sequence, since)| {
            (turn, sequence) == (record.turn, record.sequence) && now >= since.plus(SILENCE)
        });
        record
            .turn
            .saturating_add(u64::from(overdue || passed_over))
    }

    pub(super) fn wait(&mut self, now: BootTime) -> Action {
        if self.terms.kept.is_some_and(|kept| now < kept.due) {
            // Whoever leads does what this one came for.
            return Action::Finish(Finish::Kept { again: SILENCE });
        }
        if now >= self.patience {
            return Action::Finish(no_token_came());
        }
        self.waiting.get_or_insert(now);
        let (turn, sequence, at_work) = self.seen;
        self.silent = match self.silent {
            _ if at_work => None,
            Some(silent) if (silent.0, silent.1) == (turn, sequence) => Some(silent),
            _ => Some((turn, sequence, now)),
        };
        if self
            .silent
            .is_some_and(|(_, _, since)| now >= since.plus(2 * SILENCE))
        {
            return Action::GoAlone;
        }
        Action::Pause(LOOK_AGAIN)
    }

    /// Under the lock everything is looked at once more.
    pub(super) fn lead(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        mut record: Record,
    ) -> Action {
        if let Some(action) = self.consider(ledger, now, &record) {
            return action;
        }
        if let Some(again) = self.is_kept(&record, now) {
            return Action::Finish(Finish::Kept { again });
        }
        if !self.asks_store(&record, now)
            && let Some(error) = ledger.holds.check(now)
        {
            return refused(error);
        }
        record.turn = self.turn_to_take(&record, now);
        if self.turn != record.turn {
            // Others have gone on between the look and the lock.
            return self.look();
        }
        // Whoever is passed over, this refresh has a time of its own.
        self.until = self.until.max(now.plus(self.terms.request_time()));
        if self.visits_store(&record, now) {
            return self.announce_visit(record);
        }
        self.apart = self.terms.fleet;
        self.led = Some(Box::new(record));
        self.send(ledger, now)
    }

    pub(super) fn written(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        record: Box<Record>,
    ) -> Action {
        self.led = Some(record);
        match self.then.take() {
            Some(Then::Visit) => self.visit(ledger, now),
            Some(Then::Look) => self.look(),
            Some(Then::Finish(finish)) => Action::Finish(*finish),
            Some(Then::Send) | None => self.request(ledger, now),
        }
    }

    /// Ends the work on this key: tells the others of this host first, if this refresh leads.
    pub(super) fn leave_host(&mut self, ledger: &Ledger, now: BootTime, then: Then) -> Action {
        if let Some(mut record) = self.led.take() {
            record.done_by = None;
            record.counts = ledger.budget.counts().clone();
            match &then {
                Then::Look if self.key == Key::Previous => {
                    record.previous_until = Some(now.plus(NEW_KEY_TRIED_EVERY));
                }
                Then::Finish(finish) => record.end(finish, ledger),
                Then::Look | Then::Send | Then::Visit => {}
            }
            self.then = Some(then);
            return Action::Write(record);
        }
        match then {
            Then::Finish(finish) => Action::Finish(*finish),
            Then::Look | Then::Send | Then::Visit => self.look(),
        }
    }
}

/// Nothing was sent.
pub(super) fn no_token_came() -> Finish {
    Finish::Failed {
        error: Error::new(
            ErrorCode::Timeout,
            "Another process of this host is at the token, and no token came in time.",
            "Nothing was sent. Try again; look for a process that hangs or is stopped.",
        ),
        held: None,
        capped: false,
    }
}

impl Record {
    /// How a refresh ended.
    pub(super) fn end(&mut self, finish: &Finish, ledger: &Ledger) {
        match finish {
            Finish::Granted { issue, key } => {
                self.issue = Some(issue.clone());
                (self.hold, self.outage) = (None, None);
                if *key == Key::Current {
                    self.previous_until = None;
                }
            }
            Finish::Shared { issue, .. } => {
                self.issue = Some(issue.clone());
                self.keep_own_hold();
            }
            Finish::Failed { held, .. } => match ledger.holds.last() {
                Some(last) if held.is_some() || last.class.of_key() => {
                    self.hold = Some(last.clone());
                }
                _ => self.keep_own_hold(),
            },
            Finish::Kept { .. } | Finish::Abandoned => {}
        }
    }

    /// Nothing is held against the key. That this host's own way to 88Pay failed stays so until it is granted a token:
    /// it leaves the next one to the other hosts, too.
    fn keep_own_hold(&mut self) {
        self.hold = self.hold.take().filter(|hold| !hold.class.of_key());
    }
}
