//! How a process gets a new token: a state machine without I/O.
//!
//! A driver tells it what happened, and it says what to do next. There are two drivers: a short-lived thread in production
//! (`refresh_driver`), and a loop under a virtual clock in tests. If the token is shared, one of those who share it leads,
//! and the others wait for its result. First one process of the host leads the others (`host`). Then that process asks for
//! the lease of the fleet, in the name of its host (`fleet`).
//!
//! Promises: each request takes a slot of the budget before it is sent, where others can see the slot. A request is sent a
//! second time only if a gateway or the connection failed. Each refresh ends. It never sleeps, never sends, and never reads
//! a clock, a file or a store.

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
use crate::policy::errors::{no_answer_in_time, no_token_of_another_process, over_budget};
use crate::policy::rate_limit::{MARGIN, Slot};
use crate::policy::token_response::{Class, Grant, RateLimit, Rejection};
use crate::refresh::record::{HostRecord, Issue, Stamp};
use crate::time::BootTime;

/// The longest time of one token request, and of a whole refresh. Both are shorter than the 30 s of a caller.
const REQUEST_TIME: Duration = Duration::from_secs(10);
pub(crate) const REFRESH_TIME: Duration = Duration::from_secs(20);

/// The longest pause before a request is sent a second time. The shortest is half of it; jitter chooses between them.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

/// A refresh gives up after it was too late so many times, to write or to send.
const OFTEN_LATE: u32 = 10;

/// While other hosts wait for a request, it has to be connected within this time, and it is not sent again if it fails later.
/// A token is renewed 3 s before its end, so another host then still has time for a request of its own.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// A slot is for a request that is sent within this time. The windows are longer than those of 88Pay by as much as a request
/// takes to arrive there.
const SLOT_GOOD: Duration = Duration::from_secs(1);

/// How long after its slot was taken a request can still be under way.
pub(crate) const LONGEST_UNDER_WAY: Duration =
    Duration::from_secs(REQUEST_TIME.as_secs() + SLOT_GOOD.as_secs());

/// While the previous key is used, the new one is tried again this often.
pub(crate) const NEW_KEY_TRIED_EVERY: Duration = Duration::from_secs(300);

/// Which of the two keys a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Current,
    /// The key that was replaced. It is used while 88Pay does not know the new one yet.
    Previous,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    Start,
    /// The host's record as it is.
    Read(HostRecord),
    /// This process has the lock, and this is the record; or somebody else has the lock (`None`).
    Locked(Option<HostRecord>),
    Written(Box<HostRecord>),
    /// This process was too late to write, and others may lead by now.
    Late,
    /// What is in the fleet's store.
    Found(Box<Found>),
    /// Whether the record was written there. If not, somebody else has the lease by now.
    Stored(bool),
    /// How many hosts have the token by now.
    Counted(u32),
    /// No store can be reached.
    Unreachable,
    Answer(Result<Grant, Rejection>, Option<RateLimit>),
    PauseOver,
    /// The driver gives up. `unsent`: nothing of the last request was written to the network.
    Abandoned {
        unsent: bool,
    },
}

impl Input {
    /// What a refresh is told instead if it is given up; `None` if it has nothing to clear up but its lock.
    pub(crate) fn given_up(self) -> Option<Input> {
        let unsent = match self {
            Input::Start | Input::Read(_) | Input::Locked(_) | Input::Late => return None,
            Input::Answer(result, _) => result.is_err_and(|rejection| rejection.unsent),
            Input::PauseOver => false,
            input => return Some(input),
        };
        Some(Input::Abandoned { unsent })
    }
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
    /// Somebody has the lock and announces nothing. Go on without the record, with what this process remembers of it.
    GoAlone,
    Write(Box<HostRecord>),
    /// Ask the store of the fleet, and wait for the answer at most that long.
    Ask {
        what: Ask,
        within: Duration,
    },
    /// Send a token request. Its answer must come within that time.
    Send {
        key: Key,
        within: Duration,
        /// The connection must be open within that time, or within the option `connect_timeout` if that is shorter.
        connect_within: Duration,
    },
    Pause(Duration),
    /// Free the lock. The refresh is over.
    Finish(Finish),
}

/// How a refresh ended.
#[derive(Debug)]
pub(crate) enum Finish {
    Granted {
        issue: Issue,
        key: Key,
    },
    /// Somebody else got a newer token.
    Shared {
        issue: Issue,
        key: Key,
    },
    /// `backoff` says for how long the failure is remembered; `None` if nothing was sent.
    Failed {
        error: Error,
        backoff: Option<(Class, Duration)>,
        capped: bool,
    },
    /// The token that this process has stays in use. Read the record again after that time.
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
    /// When it ends at the latest, once it waits for nobody.
    until: BootTime,
    /// When it stops waiting for others.
    patience: BootTime,
    /// Since when it has been waiting for others.
    waiting: Option<BootTime>,
    /// The record whose lock somebody has without announcing a refresh, and since when.
    silent: Option<(Version, BootTime)>,
    /// How many times it was too late, to write or to send.
    late: u32,
    /// How many slots it has taken.
    taken: u32,
    resent: bool,
    state: State,
}

/// What a refresh is doing. The next input says what came of the last action.
#[derive(Debug)]
enum State {
    /// It has done nothing yet.
    New,
    /// The host's record is being read.
    Reading,
    /// The lock of a term is being tried.
    Locking(Attempt),
    /// Another process of this host leads. This one pauses before it reads again.
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

/// What is left of [`Leader`] while its record is being written.
#[derive(Debug)]
struct Progress {
    /// The slot of the request that is about to be sent, or is under way.
    slot: Option<Slot>,
    fleet: Fleet,
}

/// How a leader of a host stands with the other hosts.
#[derive(Debug)]
enum Fleet {
    /// There are no other hosts.
    None,
    /// There is a store, and it cannot be reached. So the other hosts do not learn what this one takes.
    Partitioned,
    Session(Box<StoreSession>),
}

/// What each step needs: what is counted and remembered, the time, and a random number from 0 to 1.
struct Step<'a> {
    ledger: &'a mut Ledger,
    now: BootTime,
    jitter: f64,
}

/// What comes after the record was written, or after the store was told.
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
    /// The random number of the token that is asked for.
    pub(crate) id: u64,
    /// Only a token that was asked for later is taken over.
    pub(crate) newest: BootTime,
    /// This one is not taken over either, whenever it seems to have been asked for.
    pub(crate) dropped: Option<u64>,
    pub(crate) kept: Option<Kept>,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_hour: u32,
    /// There is a store that other hosts use.
    pub(crate) fleet: bool,
    /// How long it may take once it waits for nobody: [`REFRESH_TIME`], or less in a test.
    pub(crate) limit: Duration,
}

/// The token that this process has and may still use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) id: u64,
    /// From then on it is renewed.
    pub(crate) due: BootTime,
    /// From then on callers wait for another one.
    pub(crate) end: BootTime,
}

impl Refresh {
    /// Begins with `key`. `other_key`: there is a second key to fall back to.
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

    /// The machine slept for that time during a pause. Nobody waited meanwhile, so the time is not counted.
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
            // Another thread of this process may have read the record meanwhile.
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
            (State::Sending(lead), Input::Abandoned { unsent }) => {
                self.abandoned(step, lead, unsent, !unsent)
            }
            (State::Resending(lead), Input::Abandoned { unsent }) => {
                self.abandoned(step, lead, unsent, true)
            }
            (State::Yielding(lead), Input::Abandoned { unsent }) => {
                self.abandoned(step, lead, unsent, false)
            }
            (State::New | State::Locking(_) | State::Following, Input::Abandoned { .. }) => {
                Action::Finish(Finish::Abandoned)
            }
            // No driver does that. Slots that were taken stay taken. The lock ends with the refresh, the lease by time.
            _ => Action::Finish(Finish::failed(internal(
                "A token refresh was told what it had not asked for.",
            ))),
        }
    }

    // --- Asking ----------------------------------------------------------------------------------------------------

    /// Takes a slot, writes it where others see it, and then sends.
    fn send(&mut self, step: &mut Step<'_>, mut lead: Leader) -> Action {
        // The low bits of the token's random number, plus the number of the request.
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
        lead.note_under_way(Some(id).filter(|id| *id != 0));
        lead.record.common.counts = step.ledger.budget.counts().clone();
        match lead.has_lease() {
            true => self.tell_store_of_slot(step, lead),
            false => self.announce(lead),
        }
    }

    /// Tells the processes of this host by when it will be done, and sends.
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
        let late = slot.is_some_and(|slot| step.now >= slot.at.plus(SLOT_GOOD));
        if late || step.ledger.budget.is_overdrawn(step.now) {
            // The process was stopped in between, and 88Pay would count the request later than the others do. Or another
            // process has taken a slot for the other key at the same time. Nothing was sent yet.
            lead.settle(step, true);
            if self.is_often_late() {
                return self.leave(step, lead, Then::failed(no_token_of_another_process()));
            }
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
        // If the request before this one failed too, one slot for each failure is enough.
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

    /// The driver gives up. `failed`: a request was sent, and no token came of it.
    fn abandoned(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        unsent: bool,
        failed: bool,
    ) -> Action {
        lead.settle(step, unsent);
        if failed {
            // Whoever comes next may have as little time, and would spend a slot too.
            let shares = lead.record.budget_shares(step.now);
            let error = no_answer_in_time().with_attempt(self.attempt);
            let backoffs = &mut step.ledger.backoffs;
            backoffs.note_given_up(step.now, error, step.jitter, shares);
        }
        self.leave(step, lead, Then::Finish(Box::new(Finish::Abandoned)))
    }

    /// It was too late to write: another process leads by now.
    fn late(&mut self, step: &mut Step<'_>, progress: Progress) -> Action {
        // The token is discarded. The slot stays in the record.
        self.until = step.now.plus(self.context.limit);
        let then = match self.is_often_late() {
            true => Then::failed(no_token_of_another_process()),
            false => Then::Read,
        };
        self.release(step, progress, then)
    }

    /// It was too late once more. Whether the machine is too slow to be in time even once, or others always come first.
    fn is_often_late(&mut self) -> bool {
        self.late += 1;
        self.late >= OFTEN_LATE
    }

    /// What is left to do after the record was written.
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

    /// The last request is over. If nothing was written to the network, its slot is given back. If not, the slot is dated to
    /// the latest instant at which 88Pay can have counted the request.
    fn settle(&mut self, step: &mut Step<'_>, unsent: bool) {
        match self.progress.slot.take() {
            Some(slot) if unsent => step.ledger.budget.give_back(slot),
            Some(slot) if step.now >= slot.at.plus(MARGIN) => {
                step.ledger.budget.date_anew(slot, step.now)
            }
            _ => {}
        }
        self.note_under_way(None);
        self.record.common.counts = step.ledger.budget.counts().clone();
    }

    /// Notes the slot whose request may be under way from now on, for the other processes and hosts.
    fn note_under_way(&mut self, slot: Option<u32>) {
        self.record.common.under_way = slot;
        if let Some(session) = self.session() {
            session.note_under_way(slot);
        }
    }
}

impl Then {
    /// A failure before anything was sent.
    fn failed(error: Error) -> Then {
        Then::Finish(Box::new(Finish::failed(error)))
    }
}

impl Finish {
    /// A failure before anything was sent.
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
            && self.dropped != Some(issue.stamp.id)
            && asked_at > self.newest
            && asked_at <= now
            && now < asked_at.plus(usable)
    }
}

#[cfg(test)]
mod tests;
