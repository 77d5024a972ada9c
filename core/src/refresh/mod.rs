//! How a new token is had: a state machine without I/O.
//!
//! It is told what happened and says what to do next. Two drivers carry it out: a short-lived thread in production
//! (`refresh_driver`), a loop under a virtual clock in tests. Promises: every sending takes a slot of the budget first,
//! where others can see it; a request is sent a second time only where a gateway or the connection failed; the whole has
//! an end. Where the token is shared, one of those who share it leads and the others wait for its result: first among the
//! processes of the host (`host`), then, as that host's leader, among the hosts of the fleet (`fleet`). Never sleeps, never
//! sends, never reads a clock, a file or a store.

mod fleet;
pub(crate) mod host;
pub(crate) mod ledger;
pub(crate) mod record;

use std::time::Duration;

pub(crate) use self::fleet::{Ask, COME_BACK, Found};
use self::fleet::{Question, StoreSession};
use self::host::{Attempt, Version};
pub(crate) use self::ledger::Ledger;
use crate::error::{Error, internal};
use crate::policy::errors::{no_token_of_another_process, over_budget};
use crate::policy::rate_limit::{MARGIN, Slot};
use crate::policy::token_response::{Class, Grant, RateLimit, Rejection};
use crate::refresh::record::{HostRecord, Issue, Stamp};
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
    /// The host's record as it is.
    Read(HostRecord),
    /// The lock was had, and this is the record under it; or somebody else has it.
    Locked(Option<HostRecord>),
    Written(Box<HostRecord>),
    /// This process was too late to write: others may have gone on.
    Late,
    /// What is in the fleet's store.
    Found(Box<Found>),
    /// It was written there, or somebody else has the lease by now.
    Stored(bool),
    /// So many hosts have the token by now.
    Counted(u32),
    /// No store can be reached.
    Unreachable,
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
    /// Free the lock, and read the record of that key.
    Read {
        key: Key,
    },
    /// Try the lock of that term.
    Lock {
        term: u64,
    },
    /// Somebody has the lock and says nothing: go on without the record, with what is remembered of it.
    GoAlone,
    Write(Box<HostRecord>),
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
    /// Free the lock; it is over.
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
    /// `backoff` says for how long it is remembered; `None` if nothing was sent.
    Failed {
        error: Error,
        backoff: Option<(Class, Duration)>,
        capped: bool,
    },
    /// The token that is kept is as good as any; read again after that time.
    Kept {
        again: Duration,
    },
    Abandoned,
}

/// One refresh.
#[derive(Debug)]
pub(crate) struct Refresh {
    attempt: u64,
    context: Context,
    /// The token that is asked for.
    stamp: Stamp,
    key: Key,
    /// There is another key, and it was not tried yet.
    other_key: bool,
    /// It ends by then, once it need not wait for others.
    until: BootTime,
    /// It waits no longer than that.
    patience: BootTime,
    /// Since when it has been waiting for others.
    waiting: Option<BootTime>,
    /// A record whose lock is held by somebody who has not said what for, and since when.
    silent: Option<(Version, BootTime)>,
    /// How often it was too late to write.
    late: u32,
    /// How often a slot was taken.
    taken: u32,
    resent: bool,
    state: State,
}

/// What a refresh is at. Each state is told what has come of its action.
#[derive(Debug)]
enum State {
    /// Nothing was done yet.
    New,
    /// The host's record is being read.
    Reading,
    /// The lock of a term is being tried.
    Locking(Attempt),
    /// Another process of this host leads; it pauses before it reads again.
    Following,
    /// It leads, and its record is being written.
    Writing(Progress, Then),
    /// It leads, and waits for the answer of the fleet's store.
    Asking(Leader, Question),
    /// It was too late to write on this host, and gives the store's lease back.
    Releasing(Then),
    /// It leads, and pauses while another host has the store's lease.
    Yielding(Leader),
    /// It leads, and its request is under way.
    Sending(Leader),
    /// It leads, and pauses before its request is sent once more.
    Resending(Leader),
    /// It has ended, or a step is under way.
    Over,
}

/// What a refresh has while it leads the processes of its host.
#[derive(Debug)]
struct Leader {
    record: Box<HostRecord>,
    progress: Progress,
}

/// The same without the record, while that is being written.
#[derive(Debug)]
struct Progress {
    /// Of the request that is about to be sent, or is under way.
    slot: Option<Slot>,
    fleet: Fleet,
}

/// How a leader of a host stands with the other hosts.
#[derive(Debug)]
enum Fleet {
    /// There are none.
    None,
    /// There is a store, and it cannot be reached: the others cannot be told what is taken.
    Partitioned,
    Session(Box<StoreSession>),
}

/// One step: what is counted and remembered, when it is, and a random number from 0 to 1.
struct Step<'a> {
    ledger: &'a mut Ledger,
    now: BootTime,
    jitter: f64,
}

/// What comes after a write, or once the store has been told.
#[derive(Debug)]
enum Then {
    Send,
    OpenSession,
    Read,
    Finish(Box<Finish>),
}

/// What this process knows of tokens when it begins to ask for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
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

impl Refresh {
    /// Begins with `key`; `other_key` says whether there is a second one to fall back to.
    pub(crate) fn new(
        attempt: u64,
        now: BootTime,
        key: Key,
        other_key: bool,
        context: Context,
    ) -> Refresh {
        Refresh {
            attempt,
            stamp: Stamp {
                id: context.id,
                ..Stamp::default()
            },
            key,
            other_key,
            until: now.plus(context.limit),
            patience: now.plus(context.limit + context.request_time()),
            waiting: None,
            silent: None,
            late: 0,
            taken: 0,
            resent: false,
            state: State::New,
            context,
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
        let step = &mut Step {
            ledger,
            now,
            jitter,
        };
        let state = std::mem::replace(&mut self.state, State::Over);
        if let Some(lead) = state.lead() {
            // Others of this process may have read the record meanwhile.
            step.ledger
                .budget
                .set_counts(lead.record.common.counts.clone());
        }
        match (state, input) {
            (State::New, Input::Start) | (State::Following, Input::PauseOver) => self.read(),
            (State::Reading, Input::Read(record)) => self.seen(step, &record),
            (State::Locking(attempt), Input::Locked(None)) => self.follow(step.now, attempt),
            (State::Locking(attempt), Input::Locked(Some(record))) => {
                self.lead(step, attempt.term, record)
            }
            (State::Writing(progress, then), Input::Written(record)) => {
                step.ledger.budget.set_counts(record.common.counts.clone());
                let lead = Leader { record, progress };
                match then {
                    Then::Send => self.request(step, lead),
                    Then::OpenSession => self.open_session(step, lead),
                    Then::Read | Then::Finish(_) => self.end(then),
                }
            }
            (State::Writing(progress, _), Input::Late) => self.late(step, progress),
            (State::Asking(lead, Question::Read | Question::Lease), Input::Found(found)) => {
                self.found(step, lead, *found)
            }
            (State::Asking(lead, Question::Slot), Input::Stored(written)) => {
                self.slot_told(step, lead, written)
            }
            (State::Asking(lead, Question::End(then)), Input::Stored(written)) => {
                self.end_told(step, lead, then, written)
            }
            (State::Asking(lead, Question::Count(finish)), Input::Counted(hosts)) => {
                self.counted(step, lead, finish, hosts)
            }
            (State::Asking(lead, question), Input::Unreachable) => {
                self.partitioned(step, lead, question)
            }
            (State::Releasing(then), Input::Stored(_) | Input::Unreachable) => self.end(then),
            (State::Yielding(lead), Input::PauseOver) => self.ask_again(step, lead),
            (State::Resending(lead), Input::PauseOver) => self.send(step, lead),
            (State::Sending(mut lead), Input::Answer(result, limit)) => {
                let unsent = result.as_ref().is_err_and(|rejection| rejection.unsent);
                lead.settle(step, unsent);
                if let Some(limit) = limit {
                    step.ledger.budget.note_server_limit(
                        step.now,
                        limit.limit,
                        limit.remaining,
                        limit.reset_in,
                    );
                }
                match result {
                    Ok(grant) => self.granted(step, lead, grant),
                    Err(rejection) => self.rejected(step, lead, rejection),
                }
            }
            (
                State::Sending(mut lead) | State::Resending(mut lead) | State::Yielding(mut lead),
                Input::Abandoned { unsent },
            ) => {
                lead.settle(step, unsent);
                self.leave(step, lead, Then::Finish(Box::new(Finish::Abandoned)))
            }
            (State::New | State::Locking(_) | State::Following, Input::Abandoned { .. }) => {
                Action::Finish(Finish::Abandoned)
            }
            // No driver does that. What was taken stays spent, and a lock or lease ends with the refresh or its time.
            _ => Action::Finish(Finish::failed(internal(
                "A token refresh was told what it had not asked for.",
            ))),
        }
    }

    // --- Asking ----------------------------------------------------------------------------------------------------

    /// Takes a slot, where others see it first, and sends.
    fn send(&mut self, step: &mut Step<'_>, mut lead: Leader) -> Action {
        // Low bits of the token's random number, and a number of its own for each sending.
        let id = match self.context.id as u32 {
            0 => 0,
            id => id.wrapping_add(self.taken).max(1),
        };
        match step.ledger.budget.take(step.now, id, lead.is_partitioned()) {
            Ok(slot) => lead.progress.slot = Some(slot),
            Err(refusal) => {
                let error = over_budget(&step.ledger.budget, step.now, refusal);
                let then = Then::failed(error.with_attempt(self.attempt));
                return self.leave(step, lead, then);
            }
        }
        self.taken += 1;
        lead.record.common.counts = step.ledger.budget.counts().clone();
        match lead.has_lease() {
            true => self.tell_store_of_slot(step, lead),
            false => self.announce(lead),
        }
    }

    /// Says on this host by when it will be done, and sends.
    fn announce(&mut self, mut lead: Leader) -> Action {
        lead.record.done_by = Some(self.until);
        self.write(lead, Then::Send)
    }

    fn write(&mut self, lead: Leader, then: Then) -> Action {
        self.state = State::Writing(lead.progress, then);
        Action::Write(lead.record)
    }

    fn request(&mut self, step: &mut Step<'_>, mut lead: Leader) -> Action {
        let slot = lead.progress.slot;
        if slot.is_some_and(|slot| step.now >= slot.at.plus(SLOT_GOOD)) {
            // It was stopped in between, and 88Pay would count the request later than the others do. Nothing was sent yet.
            lead.settle(step, true);
            lead.spare_store();
            return self.send(step, lead);
        }
        self.stamp.asked_at = step.now;
        let connect_within = match lead.others_wait() {
            true => OTHERS_WAIT,
            false => self.context.request_time(),
        };
        self.state = State::Sending(lead);
        Action::Send {
            key: self.key,
            within: self.context.request_time().min(step.now.until(self.until)),
            connect_within,
        }
    }

    fn granted(&mut self, step: &mut Step<'_>, lead: Leader, grant: Grant) -> Action {
        step.ledger.backoffs.clear();
        let issue = Issue {
            stamp: self.stamp,
            grant,
            budget_shares: match lead.is_partitioned() {
                true => lead.record.common.hosts.max(1),
                false => 0,
            },
        };
        let key = self.key;
        let finish = Box::new(Finish::Granted { issue, key });
        self.leave(step, lead, Then::Finish(finish))
    }

    fn rejected(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        mut rejection: Rejection,
    ) -> Action {
        rejection.error = rejection.error.with_attempt(self.attempt);
        if rejection.class == Class::Unauthorized && std::mem::take(&mut self.other_key) {
            self.key = match self.key {
                Key::Current => Key::Previous,
                Key::Previous => Key::Current,
            };
            return self.leave(step, lead, Then::Read);
        }
        let pause = RESEND_PAUSE.mul_f64(0.5 + step.jitter / 2.0);
        // In a row of failures one slot each is enough.
        let first = !step.ledger.backoffs.is_temporary() && !lead.others_failed();
        let soon = !lead.others_wait() || self.stamp.asked_at.until(step.now) < OTHERS_WAIT;
        let resend = rejection.resend && first && soon && !self.resent;
        if resend && pause < step.now.until(self.until) {
            self.resent = true;
            self.state = State::Resending(lead);
            return Action::Pause(pause);
        }
        let capped = rejection.capped;
        let shares = lead.record.budget_shares(step.now);
        let pause = step
            .ledger
            .backoffs
            .note(step.now, &rejection, step.jitter, shares);
        lead.tell_others_of_failure(step.now, &rejection, step.jitter);
        let error = match rejection.error.retry_after() {
            None => rejection.error.with_retry_after(pause),
            Some(_) => rejection.error,
        };
        let failed = Finish::Failed {
            error,
            backoff: Some((rejection.class, pause)),
            capped,
        };
        self.leave(step, lead, Then::Finish(Box::new(failed)))
    }

    /// What was being written comes too late: others have gone on.
    fn late(&mut self, step: &mut Step<'_>, progress: Progress) -> Action {
        // What was brought is discarded, what was spent stays in the record.
        self.until = step.now.plus(self.context.limit);
        self.late += 1;
        let then = match self.late {
            // The machine is too slow to be in time even once.
            OFTEN_LATE.. => Then::failed(no_token_of_another_process()),
            _ => Then::Read,
        };
        self.release(step, progress, then)
    }

    /// What is left to do on this key.
    fn end(&mut self, then: Then) -> Action {
        match then {
            Then::Finish(finish) => Action::Finish(*finish),
            Then::Read | Then::Send | Then::OpenSession => self.read(),
        }
    }
}

impl State {
    fn lead(&self) -> Option<&Leader> {
        match self {
            State::Asking(lead, _)
            | State::Yielding(lead)
            | State::Sending(lead)
            | State::Resending(lead) => Some(lead),
            State::New
            | State::Reading
            | State::Locking(_)
            | State::Following
            | State::Writing(..)
            | State::Releasing(_)
            | State::Over => None,
        }
    }
}

impl Leader {
    fn is_partitioned(&self) -> bool {
        matches!(self.progress.fleet, Fleet::Partitioned)
    }

    /// The last sending is over: its slot comes back only if nothing was written to the network. Else it counts from the
    /// latest instant at which 88Pay can have counted the request.
    fn settle(&mut self, step: &mut Step<'_>, unsent: bool) {
        match self.progress.slot.take() {
            Some(slot) if unsent => step.ledger.budget.give_back(slot),
            Some(slot) if step.now >= slot.at.plus(MARGIN) => {
                step.ledger.budget.date_anew(slot, step.now)
            }
            _ => {}
        }
        self.record.common.counts = step.ledger.budget.counts().clone();
    }
}

impl Then {
    /// Nothing was sent.
    fn failed(error: Error) -> Then {
        Then::Finish(Box::new(Finish::failed(error)))
    }
}

impl Finish {
    /// Nothing was sent.
    fn failed(error: Error) -> Finish {
        Finish::Failed {
            error,
            backoff: None,
            capped: false,
        }
    }
}

impl Context {
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

#[cfg(test)]
mod tests;
