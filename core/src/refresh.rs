//! How a new token is had: a state machine without I/O.
//!
//! It is told what happened and says what to do next. Two drivers carry it out: a short-lived thread in production
//! (`refresh_thread`), a loop under a virtual clock in tests. Promises: every sending takes a slot of the budget first,
//! where others can see it; a request is sent a second time only where a gateway or the connection failed; the whole has
//! an end. Where the token is shared, one of those who share it leads and the others wait for its result; a leader that
//! died is followed at once, one that does not get on when its time is over, and what it brings later is discarded.
//! Never sleeps, never sends, never reads a clock or a file.

use std::time::Duration;

use crate::budget::{Budget, Refusal, Slot};
use crate::clock::BootTime;
use crate::error::{Error, ErrorCode};
use crate::grant::{Grant, RateLimit, Rejection};
use crate::hold::{Class, Holds};
use crate::keys::NEW_KEY_TRIED_EVERY;
use crate::lifetime::Lifetime;
use crate::record::{Issue, Record, Stamp};

/// One token request may take this long, and the whole refresh that long: always less than a caller's 30 s.
const REQUEST_TIME: Duration = Duration::from_secs(10);
const REFRESH_TIME: Duration = Duration::from_secs(20);

/// The pause before the second sending is jittered between the half of it and the whole.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

/// How often one who waits for another's refresh looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Past the instant by which a leader said to be done, this is left to it for clearing up.
const OVERTIME: Duration = Duration::from_millis(100);

/// Who holds the lock says at once what for; one that does not is passed over after this time.
const SILENCE: Duration = Duration::from_secs(1);

/// What is counted and remembered of the token endpoint.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) budget: Budget,
    pub(crate) holds: Holds,
}

/// Which of the two keys a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Current,
    /// The one that was replaced, while 88Pay does not know the new one yet.
    Previous,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    Start,
    /// The shared record as it is.
    Seen(Record),
    /// The lock was had, and this is the record under it; or somebody else has it.
    Led(Option<Record>),
    Written(Box<Record>),
    /// This process was too late to write: others may have gone on.
    Late,
    /// Nothing is shared any more.
    Alone,
    Answer(Result<Grant, Rejection>, Option<RateLimit>),
    PauseOver,
    /// Who carries it out gives up; whether nothing of the last request was written.
    Abandoned {
        unsent: bool,
    },
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Let go of the lock, and look into the record of that key.
    Look {
        key: Key,
    },
    /// Try the lock of that turn.
    Lead {
        turn: u64,
    },
    Write(Box<Record>),
    /// Send a token request; its answer must come within that time.
    Send {
        key: Key,
        within: Duration,
    },
    Pause(Duration),
    /// Let go of the lock; it is over.
    Finish(Finish),
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Finish {
    Granted {
        issue: Issue,
        key: Key,
    },
    /// Somebody else had asked for a newer token.
    Shared {
        issue: Issue,
        key: Key,
    },
    /// `held` says for how long it is remembered; `None` if nothing was sent.
    Failed {
        error: Error,
        held: Option<(Class, Duration)>,
        capped: bool,
    },
    Abandoned,
}

/// One refresh.
#[derive(Debug)]
pub(crate) struct Refresh {
    attempt: u64,
    until: BootTime,
    key: Key,
    /// There is another key, and it was not tried yet.
    other_key: bool,
    resent: bool,
    slot: Option<Slot>,
    /// The token that is asked for.
    stamp: Stamp,
    shared: Option<Box<Shared>>,
}

/// What this process knows of tokens when it begins to share one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// For the token that is asked for, random.
    pub(crate) id: u64,
    /// No token is taken over that was not asked for later.
    pub(crate) newest: BootTime,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_hour: u32,
}

/// What a refresh knows of those who share the token.
#[derive(Debug)]
struct Shared {
    terms: Terms,
    /// The record, while this refresh leads.
    led: Option<Box<Record>>,
    /// What comes after the writing that is under way.
    then: Option<Then>,
    /// Since when it has been waiting for others.
    waiting: Option<BootTime>,
    /// The turn and state of a record whose lock is held by somebody who has not said what for, and since when.
    silent: Option<(u64, u64, BootTime)>,
    /// Turn and state of the record when it was looked at, and whether its leader is at work.
    seen: (u64, u64, bool),
    /// The turn whose lock was tried.
    turn: u64,
    /// It waits no longer than that.
    patience: BootTime,
}

#[derive(Debug)]
enum Then {
    Send,
    Look,
    Finish(Box<Finish>),
}

impl Ledger {
    /// Why no request may be sent now, if that is so: a failure that is remembered, or the budget.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Error> {
        let held = self.holds.check(now);
        held.or_else(|| {
            let refusal = self.budget.refusal(now)?;
            Some(over_budget(&self.budget, now, refusal))
        })
    }

    /// Goes on from what is shared. `waiting` says since when its leader was waited for.
    pub(crate) fn learn(&mut self, record: &Record, waiting: Option<BootTime>) {
        self.budget.set_counts(record.counts.clone());
        self.holds.learn(record.hold.as_ref(), waiting);
    }
}

impl Refresh {
    /// Begins with `key`; `other_key` says whether there is a second one to fall back to.
    pub(crate) fn new(attempt: u64, now: BootTime, key: Key, other_key: bool) -> Refresh {
        Refresh {
            attempt,
            until: now.plus(refresh_time()),
            key,
            other_key,
            resent: false,
            slot: None,
            stamp: Stamp::default(),
            shared: None,
        }
    }

    /// The same among those who share the token.
    pub(crate) fn sharing(mut self, now: BootTime, terms: Terms) -> Refresh {
        self.stamp.id = terms.id;
        self.shared = Some(Box::new(Shared {
            terms,
            led: None,
            then: None,
            waiting: None,
            silent: None,
            seen: (0, 0, false),
            turn: 0,
            patience: now.plus(refresh_time() + request_time()),
        }));
        self
    }

    /// One step. `jitter` is a random number from 0 to 1.
    pub(crate) fn step(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        input: Input,
    ) -> Action {
        if let Some(led) = self.led() {
            // Others of this process may have looked into the record meanwhile.
            ledger.budget.set_counts(led.counts.clone());
        }
        match input {
            Input::Start if self.shared.is_some() => self.look(),
            Input::PauseOver if self.shared.is_some() && self.led().is_none() => self.look(),
            Input::Start | Input::PauseOver => self.send(ledger, now),
            Input::Seen(record) => self.seen(ledger, now, record),
            Input::Led(None) => self.wait(now),
            Input::Led(Some(record)) => self.lead(ledger, now, record),
            Input::Written(record) => self.written(now, record),
            Input::Late => {
                // What was brought is discarded, what was spent stays in the record.
                self.slot = None;
                self.until = now.plus(refresh_time());
                if let Some(shared) = &mut self.shared {
                    shared.then = None;
                }
                self.look()
            }
            Input::Alone => match self.shared.take().and_then(|shared| shared.then) {
                Some(Then::Send) => self.request(now),
                Some(Then::Finish(finish)) => Action::Finish(*finish),
                Some(Then::Look) | None => match ledger.refusal(now) {
                    Some(error) => refused(error),
                    None => self.send(ledger, now),
                },
            },
            Input::Answer(result, told) => {
                if let Some(told) = told {
                    ledger
                        .budget
                        .told(now, told.limit, told.remaining, told.reset_in);
                }
                match result {
                    Ok(grant) => self.granted(ledger, grant),
                    Err(rejection) => self.rejected(ledger, now, jitter, rejection),
                }
            }
            Input::Abandoned { unsent } => {
                self.settle(ledger, unsent);
                self.conclude(ledger, Then::Finish(Box::new(Finish::Abandoned)), |_| ())
            }
        }
    }

    // --- Together with others --------------------------------------------------------------------------------------

    fn led(&mut self) -> Option<&mut Record> {
        self.shared.as_mut()?.led.as_deref_mut()
    }

    fn look(&mut self) -> Action {
        if let Some(shared) = &mut self.shared {
            shared.led = None;
        }
        Action::Look { key: self.key }
    }

    fn seen(&mut self, ledger: &mut Ledger, now: BootTime, record: Record) -> Action {
        let at_work = record.done_by.is_some_and(|done_by| now < done_by);
        if let Some(shared) = &mut self.shared {
            shared.seen = (record.turn, record.sequence, at_work);
        }
        if let Some(action) = self.consider(ledger, now, &record) {
            return action;
        }
        // While somebody is at work there may be a token soon, whatever the budget says.
        if !at_work && let Some(error) = ledger.refusal(now) {
            return refused(error);
        }
        let turn = self.turn(&record, now);
        if let Some(shared) = &mut self.shared {
            shared.turn = turn;
        }
        Action::Lead { turn }
    }

    /// Takes the token that is there, or the other key, if the record says so.
    fn consider(&mut self, ledger: &mut Ledger, now: BootTime, record: &Record) -> Option<Action> {
        let shared = self.shared.as_ref()?;
        if let Some(issue) = record.good().filter(|issue| shared.terms.takes(issue, now)) {
            return Some(Action::Finish(Finish::Shared {
                issue: issue.clone(),
                key: self.key,
            }));
        }
        ledger.learn(record, shared.waiting);
        let unknown = record.previous_until.is_some_and(|until| now < until);
        if unknown && self.key == Key::Current && self.other_key {
            self.key = Key::Previous;
            return Some(self.look());
        }
        None
    }

    /// Which lock is to be had: the next one if who has this one is not waited for any longer.
    fn turn(&self, record: &Record, now: BootTime) -> u64 {
        let overdue = record
            .done_by
            .is_some_and(|done_by| now >= done_by.plus(OVERTIME));
        let silent = self.shared.as_ref().and_then(|shared| shared.silent);
        let passed_over = silent.is_some_and(|(turn, sequence, since)| {
            (turn, sequence) == (record.turn, record.sequence) && now >= since.plus(SILENCE)
        });
        record
            .turn
            .saturating_add(u64::from(overdue || passed_over))
    }

    fn wait(&mut self, now: BootTime) -> Action {
        let Some(shared) = &mut self.shared else {
            return Action::Pause(LOOK_AGAIN);
        };
        if now >= shared.patience {
            return refused(Error::new(
                ErrorCode::Timeout,
                "Another process of this host is at the token, and no token came in time.",
                "Nothing was sent. Try again; look for a process that hangs or is stopped.",
            ));
        }
        shared.waiting.get_or_insert(now);
        let (turn, sequence, at_work) = shared.seen;
        shared.silent = match shared.silent {
            _ if at_work => None,
            Some(silent) if (silent.0, silent.1) == (turn, sequence) => Some(silent),
            _ => Some((turn, sequence, now)),
        };
        Action::Pause(LOOK_AGAIN)
    }

    /// Under the lock everything is looked at once more.
    fn lead(&mut self, ledger: &mut Ledger, now: BootTime, mut record: Record) -> Action {
        if let Some(action) = self.consider(ledger, now, &record) {
            return action;
        }
        if let Some(error) = ledger.holds.check(now) {
            return refused(error);
        }
        record.turn = self.turn(&record, now);
        if self
            .shared
            .as_ref()
            .is_some_and(|shared| shared.turn != record.turn)
        {
            // Others have gone on between the look and the lock.
            return self.look();
        }
        // Whoever is passed over, this refresh has a time of its own.
        self.until = self.until.max(now.plus(request_time()));
        if let Some(shared) = &mut self.shared {
            shared.led = Some(Box::new(record));
        }
        self.send(ledger, now)
    }

    fn written(&mut self, now: BootTime, record: Box<Record>) -> Action {
        let Some(shared) = &mut self.shared else {
            return self.request(now);
        };
        shared.led = Some(record);
        match shared.then.take() {
            Some(Then::Look) => self.look(),
            Some(Then::Finish(finish)) => Action::Finish(*finish),
            Some(Then::Send) | None => self.request(now),
        }
    }

    /// Ends the work on this key: tells the others first, if this refresh leads.
    fn conclude(
        &mut self,
        ledger: &mut Ledger,
        then: Then,
        tell: impl FnOnce(&mut Record),
    ) -> Action {
        if let Some(shared) = &mut self.shared
            && let Some(mut record) = shared.led.take()
        {
            record.done_by = None;
            record.counts = ledger.budget.counts().clone();
            tell(&mut record);
            shared.then = Some(then);
            return Action::Write(record);
        }
        match then {
            Then::Finish(finish) => Action::Finish(*finish),
            Then::Look | Then::Send => self.look(),
        }
    }

    // --- Asking ----------------------------------------------------------------------------------------------------

    /// Takes a slot, where others see it first, and sends.
    fn send(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        match ledger.budget.take(now) {
            Ok(slot) => self.slot = Some(slot),
            Err(refusal) => {
                let error = over_budget(&ledger.budget, now, refusal);
                let failed = Finish::Failed {
                    error: error.with_attempt(self.attempt),
                    held: None,
                    capped: false,
                };
                return Action::Finish(failed);
            }
        }
        let until = self.until;
        if let Some(shared) = &mut self.shared
            && let Some(mut record) = shared.led.take()
        {
            record.done_by = Some(until);
            record.counts = ledger.budget.counts().clone();
            shared.then = Some(Then::Send);
            return Action::Write(record);
        }
        self.request(now)
    }

    fn request(&mut self, now: BootTime) -> Action {
        self.stamp.asked_at = now;
        Action::Send {
            key: self.key,
            within: request_time().min(now.until(self.until)),
        }
    }

    /// The last sending is over: its slot comes back only if nothing was written to the network.
    fn settle(&mut self, ledger: &mut Ledger, unsent: bool) {
        if let (true, Some(slot)) = (unsent, self.slot.take()) {
            ledger.budget.give_back(slot);
        }
        if let Some(led) = self.led() {
            led.counts = ledger.budget.counts().clone();
        }
    }

    fn granted(&mut self, ledger: &mut Ledger, grant: Grant) -> Action {
        ledger.holds.clear();
        let (key, stamp) = (self.key, self.stamp);
        let issue = Issue { stamp, grant };
        let shared = issue.clone();
        let finish = Box::new(Finish::Granted { issue, key });
        self.conclude(ledger, Then::Finish(finish), |record| {
            record.issue = Some(shared);
            record.hold = None;
            if key == Key::Current {
                record.previous_until = None;
            }
        })
    }

    fn rejected(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        mut rejection: Rejection,
    ) -> Action {
        rejection.error = rejection.error.with_attempt(self.attempt);
        self.settle(ledger, rejection.unsent);
        if rejection.class == Class::Unauthorized && std::mem::take(&mut self.other_key) {
            let refused = self.key;
            self.key = match refused {
                Key::Current => Key::Previous,
                Key::Previous => Key::Current,
            };
            if self.shared.is_none() {
                return self.send(ledger, now);
            }
            return self.conclude(ledger, Then::Look, |record| {
                if refused == Key::Current {
                    record.previous_until = Some(now.plus(NEW_KEY_TRIED_EVERY));
                }
            });
        }
        let pause = RESEND_PAUSE.mul_f64(0.5 + jitter / 2.0);
        if rejection.resend && !self.resent && pause < now.until(self.until) {
            self.resent = true;
            return Action::Pause(pause);
        }
        let capped = rejection.capped;
        let pause = ledger.holds.note(now, &rejection, jitter);
        let error = match rejection.error.retry_after() {
            None => rejection.error.with_retry_after(pause),
            Some(_) => rejection.error,
        };
        let failed = Finish::Failed {
            error,
            held: Some((rejection.class, pause)),
            capped,
        };
        let hold = ledger.holds.last().cloned();
        self.conclude(ledger, Then::Finish(Box::new(failed)), |record| {
            record.hold = hold;
        })
    }
}

impl Terms {
    /// Whether the token is newer than any that is known here and may still be used.
    fn takes(&self, issue: &Issue, now: BootTime) -> bool {
        let asked_at = issue.stamp.asked_at;
        let life = Duration::from_secs(issue.grant.expires_in);
        let lifetime = Lifetime::derive(life, self.safety_margin, self.tokens_per_hour);
        asked_at > self.newest && asked_at <= now && now < asked_at.plus(lifetime.usable)
    }
}

/// Nothing was sent.
fn refused(error: Error) -> Action {
    Action::Finish(Finish::Failed {
        error,
        held: None,
        capped: false,
    })
}

fn refresh_time() -> Duration {
    #[cfg(feature = "test-hooks")]
    if let Some(shorter) = crate::hooks::refresh_time() {
        return shorter;
    }
    REFRESH_TIME
}

fn request_time() -> Duration {
    REQUEST_TIME.min(refresh_time())
}

/// The error of a caller that wants a token which the budget does not allow.
pub(crate) fn over_budget(budget: &Budget, now: BootTime, refusal: Refusal) -> Error {
    let (per_minute, per_hour) = budget.limits();
    let message = match refusal.limit {
        "minute" => format!("The {per_minute} tokens that 88Pay grants in a minute are used up."),
        "hour" => format!("The {per_hour} tokens that 88Pay grants in an hour are used up."),
        "forced" => {
            "Too many tokens were invalidated or rejected lately to ask for another one now."
                .to_owned()
        }
        _ => "88Pay says that no more tokens are left for now.".to_owned(),
    };
    Error::new(
        ErrorCode::RateLimited,
        message,
        "Nothing was sent. Try again after the given time; look for other programs or hosts that use the same key.",
    )
    .with_retry_after(now.until(refusal.until))
}

#[cfg(test)]
mod tests;
