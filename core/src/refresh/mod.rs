//! How a new token is had: a state machine without I/O.
//!
//! It is told what happened and says what to do next. Two drivers carry it out: a short-lived thread in production
//! (`refresh_driver`), a loop under a virtual clock in tests. Promises: every sending takes a slot of the budget first,
//! where others can see it; a request is sent a second time only where a gateway or the connection failed; the whole has
//! an end. Where the token is shared, one of those who share it leads and the others wait for its result: first among the
//! processes of the host (`host`), then, as that host's leader, among the hosts of the fleet (`fleet`). Never sleeps, never
//! sends, never reads a clock, a file or a store.

mod fleet;
mod host;
pub(crate) mod ledger;
pub(crate) mod record;

use std::time::Duration;

use self::fleet::Visit;
pub(crate) use self::fleet::{Ask, COME_BACK, Found};
#[cfg(test)]
pub(crate) use self::host::LOOK_AGAIN;
pub(crate) use self::ledger::Ledger;
use crate::error::Error;
use crate::policy::rate_limit::over_budget;
use crate::policy::rate_limit::{MARGIN, Slot};
use crate::policy::token_response::Class;
use crate::policy::token_response::{Grant, RateLimit, Rejection};
use crate::refresh::record::{Issue, Record, Stamp};
use crate::time::BootTime;

/// One token request may take this long, and the whole refresh that long: always less than a caller's 30 s.
const REQUEST_TIME: Duration = Duration::from_secs(10);
pub(crate) const REFRESH_TIME: Duration = Duration::from_secs(20);

/// The pause before the second sending is jittered between the half of it and the whole.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

/// Who is too late to write so often gives up.
const OFTEN_LATE: u32 = 10;

/// While it keeps other hosts from the token endpoint a request has to be connected by then, and one that fails later is
/// not sent again: what is left of a renewal ahead of the end is enough for another host.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// A slot is for a request that is sent by then; the windows are kept as much longer as the way to 88Pay takes.
const SLOT_GOOD: Duration = Duration::from_secs(1);

/// While the previous key is in use, the new one is tried again this often.
pub(crate) const NEW_KEY_TRIED_EVERY: Duration = Duration::from_secs(300);

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
    /// What is in the fleet's store.
    Found(Box<Found>),
    /// It was written there, or somebody else has the lease by now.
    Stored(bool),
    /// So many hosts have the token by now.
    Counted(u32),
    /// No store can be reached.
    Away,
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
    /// Somebody has the lock and says nothing: go on without the record, with what is remembered of it.
    GoAlone,
    Write(Box<Record>),
    /// Ask the fleet's store, in that time.
    Ask {
        what: Ask,
        within: Duration,
    },
    /// Send a token request; its answer must come within that time.
    Send {
        key: Key,
        within: Duration,
        /// Its connection must stand by then, or sooner if that is set.
        connect_within: Duration,
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
    /// The token that is kept is as good as any; look again after that time.
    Kept {
        again: Duration,
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
    /// How often a slot was taken.
    taken: u32,
    /// The token that is asked for.
    stamp: Stamp,
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
    /// How often it was too late to write.
    late: u32,
    /// With the fleet's store.
    visit: Option<Visit>,
    /// There is a store, and it cannot be reached: the other hosts cannot be told what is taken.
    apart: bool,
}

/// What this process knows of tokens when it begins to ask for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// For the token that is asked for, random.
    pub(crate) id: u64,
    /// No token is taken over that was not asked for later.
    pub(crate) newest: BootTime,
    pub(crate) kept: Option<Kept>,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_hour: u32,
    /// There is a store that other hosts use.
    pub(crate) fleet: bool,
    /// How long it may take once it need not wait for others: [`REFRESH_TIME`], or less in a test.
    pub(crate) limit: Duration,
}

/// The token that this process has and may still use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) id: u64,
    /// It need not be renewed before.
    pub(crate) due: BootTime,
    /// Nobody waits for another one before.
    pub(crate) end: BootTime,
}

#[derive(Debug)]
enum Then {
    Send,
    Visit,
    Look,
    Finish(Box<Finish>),
}

impl Refresh {
    /// Begins with `key`; `other_key` says whether there is a second one to fall back to.
    pub(crate) fn new(
        attempt: u64,
        now: BootTime,
        key: Key,
        other_key: bool,
        terms: Terms,
    ) -> Refresh {
        Refresh {
            attempt,
            until: now.plus(terms.limit),
            key,
            other_key,
            resent: false,
            slot: None,
            taken: 0,
            stamp: Stamp {
                id: terms.id,
                ..Stamp::default()
            },
            led: None,
            then: None,
            waiting: None,
            silent: None,
            seen: (0, 0, false),
            turn: 0,
            patience: now.plus(terms.limit + terms.request_time()),
            late: 0,
            visit: None,
            apart: false,
            terms,
        }
    }

    /// The machine slept for so long during a pause: nobody has waited meanwhile.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.until = self.until.plus(time);
        self.patience = self.patience.plus(time);
    }

    /// One step. `jitter` is a random number from 0 to 1.
    pub(crate) fn step(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        input: Input,
    ) -> Action {
        if let Some(led) = &self.led {
            // Others of this process may have looked into the record meanwhile.
            ledger.budget.set_counts(led.counts.clone());
        }
        match input {
            Input::Start => self.look(),
            Input::PauseOver if self.led.is_none() => self.look(),
            Input::PauseOver if self.waits_for_host() => self.ask_again(ledger, now),
            Input::PauseOver => self.send(ledger, now),
            Input::Seen(record) => self.seen(ledger, now, record),
            Input::Led(None) => self.wait(now),
            Input::Led(Some(record)) => self.lead(ledger, now, record),
            Input::Written(record) => self.written(ledger, now, record),
            Input::Late => {
                // What was brought is discarded, what was spent stays in the record.
                self.slot = None;
                self.until = now.plus(self.terms.limit);
                self.then = None;
                self.late += 1;
                let then = match self.late {
                    // The machine is too slow to be in time even once.
                    OFTEN_LATE.. => Then::Finish(Box::new(host::no_token_came())),
                    _ => Then::Look,
                };
                self.leave(ledger, now, then)
            }
            Input::Found(found) => self.found(ledger, now, jitter, *found),
            Input::Stored(written) => self.stored(ledger, now, written),
            Input::Counted(hosts) => self.counted(ledger, now, hosts),
            Input::Away => self.away(ledger, now),
            Input::Answer(result, told) => {
                let unsent = result.as_ref().is_err_and(|rejection| rejection.unsent);
                self.settle(ledger, now, unsent);
                if let Some(told) = told {
                    ledger
                        .budget
                        .told(now, told.limit, told.remaining, told.reset_in);
                }
                match result {
                    Ok(grant) => self.granted(ledger, now, grant),
                    Err(rejection) => self.rejected(ledger, now, jitter, rejection),
                }
            }
            Input::Abandoned { unsent } => {
                self.settle(ledger, now, unsent);
                self.leave(ledger, now, Then::Finish(Box::new(Finish::Abandoned)))
            }
        }
    }

    // --- Asking ----------------------------------------------------------------------------------------------------

    /// Takes a slot, where others see it first, and sends.
    fn send(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        // Low bits of the token's random number, and a number of its own for each sending.
        let id = match self.terms.id as u32 {
            0 => 0,
            id => id.wrapping_add(self.taken).max(1),
        };
        match ledger.budget.take(now, id, self.apart) {
            Ok(slot) => self.slot = Some(slot),
            Err(refusal) => {
                let error = over_budget(&ledger.budget, now, refusal);
                let failed = Finish::Failed {
                    error: error.with_attempt(self.attempt),
                    held: None,
                    capped: false,
                };
                return self.leave(ledger, now, Then::Finish(Box::new(failed)));
            }
        }
        self.taken += 1;
        if let Some(led) = &mut self.led {
            led.counts = ledger.budget.counts().clone();
        }
        if self.has_lease() {
            return self.tell_store_of_slot(ledger, now);
        }
        self.announce(ledger, now)
    }

    /// Says on this host by when it will be done, and sends.
    fn announce(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        let Some(mut record) = self.led.take() else {
            return self.request(ledger, now);
        };
        record.done_by = Some(self.until);
        self.then = Some(Then::Send);
        Action::Write(record)
    }

    fn request(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        if self.slot.is_some_and(|slot| now >= slot.at.plus(SLOT_GOOD)) {
            // It was stopped in between, and 88Pay would count the request later than the others do. Nothing was sent yet.
            self.settle(ledger, now, true);
            self.spare_store();
            return self.send(ledger, now);
        }
        self.stamp.asked_at = now;
        Action::Send {
            key: self.key,
            within: self.terms.request_time().min(now.until(self.until)),
            connect_within: match self.others_wait() {
                true => OTHERS_WAIT,
                false => self.terms.request_time(),
            },
        }
    }

    /// The last sending is over: its slot comes back only if nothing was written to the network. Else it counts from the
    /// latest instant at which 88Pay can have counted the request.
    fn settle(&mut self, ledger: &mut Ledger, now: BootTime, unsent: bool) {
        match self.slot.take() {
            Some(slot) if unsent => ledger.budget.give_back(slot),
            Some(slot) if now >= slot.at.plus(MARGIN) => ledger.budget.date_anew(slot, now),
            _ => {}
        }
        if let Some(led) = &mut self.led {
            led.counts = ledger.budget.counts().clone();
        }
    }

    fn granted(&mut self, ledger: &mut Ledger, now: BootTime, grant: Grant) -> Action {
        ledger.holds.clear();
        let hosts = self.led.as_ref().filter(|_| self.apart);
        let issue = Issue {
            stamp: self.stamp,
            grant,
            apart: hosts.map_or(0, |record| record.hosts.max(1)),
        };
        let key = self.key;
        let finish = Box::new(Finish::Granted { issue, key });
        self.leave(ledger, now, Then::Finish(finish))
    }

    fn rejected(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        mut rejection: Rejection,
    ) -> Action {
        rejection.error = rejection.error.with_attempt(self.attempt);
        if rejection.class == Class::Unauthorized && std::mem::take(&mut self.other_key) {
            self.key = match self.key {
                Key::Current => Key::Previous,
                Key::Previous => Key::Current,
            };
            return self.leave(ledger, now, Then::Look);
        }
        let pause = RESEND_PAUSE.mul_f64(0.5 + jitter / 2.0);
        // In a row of failures one slot each is enough.
        let first = !ledger.holds.is_temporary() && !self.others_failed();
        let soon = !self.others_wait() || self.stamp.asked_at.until(now) < OTHERS_WAIT;
        let resend = rejection.resend && first && soon && !self.resent;
        if resend && pause < now.until(self.until) {
            self.resent = true;
            return Action::Pause(pause);
        }
        let capped = rejection.capped;
        let parts = self.led.as_ref().map_or(1, |led| led.split(now));
        let pause = ledger.holds.note(now, &rejection, jitter, parts);
        self.tell_others_of_failure(now, &rejection, jitter);
        let error = match rejection.error.retry_after() {
            None => rejection.error.with_retry_after(pause),
            Some(_) => rejection.error,
        };
        let failed = Finish::Failed {
            error,
            held: Some((rejection.class, pause)),
            capped,
        };
        self.leave(ledger, now, Then::Finish(Box::new(failed)))
    }
}

impl Terms {
    /// How long one token request may take.
    fn request_time(&self) -> Duration {
        REQUEST_TIME.min(self.limit)
    }

    /// Whether the token is newer than any that is known here and may still be used.
    fn takes(&self, issue: &Issue, now: BootTime) -> bool {
        let asked_at = issue.stamp.asked_at;
        let usable = issue
            .lifetime(self.safety_margin, self.tokens_per_hour)
            .usable;
        self.kept.is_none_or(|kept| kept.id != issue.stamp.id)
            && asked_at > self.newest
            && asked_at <= now
            && now < asked_at.plus(usable)
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

#[cfg(test)]
mod tests;
