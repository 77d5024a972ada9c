//! How the hosts of a fleet share a refresh: the leader of each host asks the store that all of them use.
//!
//! Promises: a host that asks 88Pay for a token has the lease of the store, and has written its slot there before. A token
//! that is taken over is newer than the one here, and was not rejected here. If a host dies while its request is under way,
//! the request counts from the latest instant at which 88Pay can have counted it. If this host alone cannot reach 88Pay, it leaves
//! the lease to the others. If several hosts fail in a row, all back off. A store that cannot be reached costs a refresh half
//! a second at most. The host then goes on with its share of the budget. As soon as the store can be reached again, the host
//! reports the slots that it took, and its token.

use std::time::Duration;

use super::{
    Action, Finish, Fleet, Kept, LONGEST_UNDER_WAY, Leader, Ledger, Progress, Refresh, State, Step,
    Then,
};
use crate::error::Error;
use crate::policy::backoff::Backoff;
use crate::policy::errors::no_token_of_another_host;
use crate::policy::rate_limit::Counts;
use crate::policy::token_response::{Class, Rejection};
use crate::refresh::record::{Common, FleetRecord, HostRecord, Issue};
use crate::time::BootTime;

/// How long the store may take for one answer, and in one refresh.
const ANSWER_TIME: Duration = Duration::from_millis(250);
const SESSION_TIME: Duration = Duration::from_millis(500);

/// A session of a leader has up to nine answers. If each takes longer than this, the session may run out of time and leave
/// its lease behind.
const SLOW_ANSWER: Duration = Duration::from_millis(50);

/// A store that could not be reached is asked again after this time.
pub(crate) const COME_BACK: Duration = Duration::from_secs(5);

/// When the store can be reached again, the hosts know of each other's slots after this time: all that are in use have asked
/// the store.
const GRACE: Duration = Duration::from_secs(15);

/// This time after the store could not be reached, all hosts that are in use have come for a token: [`GRACE`] and the life of
/// a token.
const GATHERED: Duration = Duration::from_secs(75);

/// How often a host that may not ask 88Pay looks in the store for tokens of others, as long as others may ask.
const REFUSED: Duration = Duration::from_secs(1);

/// How often a host reads whether the token of another one has come: while callers wait, and while none does.
const READ_OFTEN: Duration = Duration::from_millis(25);
const READ_SELDOM: Duration = Duration::from_millis(500);

/// All hosts together, up to 2,000, read no more often than 4,000 times a second.
const FOR_EACH_HOST: Duration = Duration::from_micros(250);

/// How long the lease is before the slot is written: if the host dies then, the others wait no longer than this.
const SLOT_LEASE: Duration = Duration::from_secs(2);

/// A host that could not reach 88Pay last time lets the others go first for this time.
const OTHERS_FIRST: Duration = Duration::from_secs(2);

/// How much longer the lease is than the request that is sent under it.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// What is asked of the store.
#[derive(Debug)]
pub(crate) enum Ask {
    Read,
    /// Take the lease for that long, if nobody has it.
    Lease {
        lease: Duration,
    },
    /// Write the record under the lease. The lease is then kept for `lease` more, or given back. `fresh`: the token is new.
    Write {
        record: Box<FleetRecord>,
        lease: Option<Duration>,
        fresh: bool,
    },
    /// Give the lease back without writing.
    Release,
    /// Mark that this host has the token now, and count the hosts that have it.
    Count,
}

/// What is in the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) record: Option<FleetRecord>,
    /// Whether this host has the lease, and whether somebody has it.
    pub(crate) leads: bool,
    pub(crate) leased: bool,
    /// How many hosts have its token. It is counted for the holder of the lease only; otherwise 0.
    pub(crate) hosts: u32,
}

/// What a leader knows of the store and of its lease.
#[derive(Debug)]
pub(super) struct StoreSession {
    /// This host has the lease.
    leads: bool,
    /// How long answers may still take, and since when one is awaited.
    left: Duration,
    asked_at: BootTime,
    /// The last answer took long.
    slow: bool,
    /// What was found there.
    record: FleetRecord,
    hosts: u32,
    /// The store does not have all slots that are known here.
    lacks: bool,
    /// Until then this host lets the others go first.
    yields: Option<BootTime>,
}

/// What the store was asked for.
#[derive(Debug)]
pub(super) enum Question {
    Read,
    Lease,
    /// To write the slot, before the request is sent.
    Slot,
    /// How many hosts have the token. The refresh then ends like this.
    Count(Box<Finish>),
    /// To write how the refresh ended.
    End(Then),
}

impl HostRecord {
    /// Into how many shares what is left of the budget is divided now.
    pub(super) fn budget_shares(&self, now: BootTime) -> u32 {
        match self.unreachable_at {
            Some(at) if now < at.plus(GRACE) => self.common.hosts.max(1),
            _ => 1,
        }
    }

    /// Whether this host has reached the store since it last could not.
    pub(crate) fn is_back(&self) -> bool {
        let tries_again = |at: BootTime| self.ask_at == Some(at.plus(COME_BACK));
        self.unreachable_at.is_some_and(|at| !tries_again(at))
    }
}

impl Refresh {
    /// Whether the store is to be asked for a token, whatever this host knows.
    pub(super) fn asks_store(&self, record: &HostRecord, now: BootTime) -> bool {
        self.context.fleet && record.ask_at.is_none_or(|at| now >= at)
    }

    /// Whether the store has to be asked before 88Pay.
    pub(super) fn needs_store(&self, record: &HostRecord, now: BootTime) -> bool {
        let again_at = record.unreachable_at.map(|at| at.plus(COME_BACK));
        self.context.fleet && again_at.is_none_or(|until| now >= until)
    }

    fn kept(&self, now: BootTime) -> Option<Kept> {
        self.context.kept.filter(|kept| now < kept.due)
    }

    /// For how long the token of this process needs no renewal and need not be reported to the other hosts.
    pub(super) fn is_kept(&self, record: &HostRecord, now: BootTime) -> Option<Duration> {
        let kept = self.kept(now)?;
        let untold = record
            .common
            .good()
            .is_some_and(|issue| issue.budget_shares > 0 && issue.stamp.id == kept.id);
        match record.ask_at.filter(|at| now < *at) {
            _ if !untold => Some(now.until(kept.due)),
            Some(at) => Some(now.until(at)),
            None => None,
        }
    }
}

impl Leader {
    pub(super) fn session(&mut self) -> Option<&mut StoreSession> {
        match &mut self.progress.fleet {
            Fleet::Session(session) => Some(session),
            Fleet::None | Fleet::Partitioned => None,
        }
    }

    pub(super) fn has_lease(&self) -> bool {
        matches!(&self.progress.fleet, Fleet::Session(session) if session.leads)
    }

    /// Whether other hosts wait for this one.
    pub(super) fn others_wait(&self) -> bool {
        self.has_lease() && self.record.common.hosts > 1
    }

    /// Whether the last attempt of the hosts has failed.
    pub(super) fn others_failed(&self) -> bool {
        self.has_lease() && self.record.common.outage.is_some()
    }

    /// Counts a failure that has cost a slot among the failures of all hosts.
    pub(super) fn tell_others_of_failure(
        &mut self,
        now: BootTime,
        rejection: &Rejection,
        jitter: f64,
    ) {
        let host = self.record.host;
        if rejection.class == Class::Temporary
            && !rejection.unsent
            && let Some(StoreSession { record: stored, .. }) = self.session()
        {
            let of_the_same = stored.failed_host == host;
            let before = stored.common.outage.take();
            let outage = Backoff::among_hosts(before, of_the_same, now, rejection, jitter);
            stored.common.outage = Some(outage.clone());
            stored.failed_host = host;
            self.record.common.outage = Some(outage);
        }
    }

    /// The time that passed was not the store's fault: it gets the time of one more answer.
    pub(super) fn spare_store(&mut self) {
        if let Some(session) = self.session() {
            session.left = session.left.max(ANSWER_TIME);
        }
    }

    /// The store has the slots. Unless it was unreachable until just now, all hosts know them.
    fn noted(&mut self, step: &mut Step<'_>) {
        if self.record.budget_shares(step.now) == 1 {
            self.record.common.counts.known_to_all();
        }
        step.ledger
            .budget
            .set_counts(self.record.common.counts.clone());
    }
}

impl StoreSession {
    pub(super) fn new(now: BootTime) -> StoreSession {
        StoreSession {
            leads: false,
            left: SESSION_TIME,
            asked_at: now,
            slow: false,
            record: FleetRecord::default(),
            hosts: 0,
            lacks: false,
            yields: None,
        }
    }

    /// An answer has come. The time that it took is taken off what is left for the store.
    fn answered(&mut self, now: BootTime) {
        let took = self.asked_at.until(now);
        self.left = self.left.saturating_sub(took);
        self.slow = took > SLOW_ANSWER;
    }

    /// Notes the slot whose request may be under way from now on, for the other hosts.
    pub(super) fn note_under_way(&mut self, slot: Option<u32>) {
        self.record.common.under_way = slot;
    }

    /// Begins to wait for an answer. Returns for how long.
    fn asks(&mut self, now: BootTime, most: Duration) -> Duration {
        self.asked_at = now;
        self.left.min(most)
    }

    /// Gives the lease back, with what the other hosts have to know. `cut_short`: some hosts may not have come for the last
    /// token.
    fn end(&mut self, ledger: &Ledger, counts: Counts, cut_short: bool, then: &Then) -> Ask {
        self.leads = false;
        // Also if it was too late to send.
        self.note_under_way(None);
        let mut record = Box::new(self.record.clone());
        let common = &mut record.common;
        let cut_short = cut_short || common.issue.is_some() && common.good().is_none();
        common.counts = counts;
        let mut fresh = false;
        if let Then::Finish(finish) = then {
            if !self.lacks && matches!(**finish, Finish::Shared { .. }) {
                return Ask::Release;
            }
            common.end(finish, ledger);
            fresh = matches!(**finish, Finish::Granted { .. } | Finish::Kept { .. });
            if matches!(**finish, Finish::Granted { .. }) {
                // Some hosts may not have needed the last token, so the number of hosts goes down by halves. It does not go
                // down if they had no time to come: the token was rejected or dropped, or the store was unreachable before.
                let halves = common.hosts.saturating_add(self.hosts).div_ceil(2);
                let last = if cut_short { common.hosts } else { halves };
                common.hosts = self.hosts.max(last);
            }
        }
        Ask::Write {
            record,
            lease: None,
            fresh,
        }
    }
}

impl Refresh {
    pub(super) fn open_session(&mut self, step: &mut Step<'_>, lead: Leader) -> Action {
        self.ask(step, lead, Question::Read, Ask::Read)
    }

    fn ask(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        question: Question,
        what: Ask,
    ) -> Action {
        // If the first store does not answer, the second one does.
        let most = match question {
            Question::Read => SESSION_TIME,
            _ => ANSWER_TIME,
        };
        let within = lead.session().map(|session| session.asks(step.now, most));
        let Some(within) = within.filter(|within| !within.is_zero()) else {
            return self.partitioned(step, lead, question);
        };
        self.state = State::Asking(lead, question);
        Action::Ask { what, within }
    }

    fn ask_for_lease(&mut self, step: &mut Step<'_>, lead: Leader) -> Action {
        let what = Ask::Lease { lease: SLOT_LEASE };
        self.ask(step, lead, Question::Lease, what)
    }

    /// Reads the store again after a pause. The pause does not count as time of the store. If the store is slow, the reads do:
    /// the host that leads may have given up, and nobody waits for its lease to end.
    pub(super) fn ask_again(&mut self, step: &mut Step<'_>, mut lead: Leader) -> Action {
        if lead.session().is_some_and(|session| !session.slow) {
            lead.spare_store();
        }
        self.open_session(step, lead)
    }

    pub(super) fn found(&mut self, step: &mut Step<'_>, mut lead: Leader, found: Found) -> Action {
        let Fleet::Session(session) = &mut lead.progress.fleet else {
            return self.partitioned(step, lead, Question::Read);
        };
        let own = &mut lead.record;
        session.answered(step.now);
        session.leads = found.leads;
        session.hosts = found.hosts;
        if own.unreachable_at.is_some() && !own.is_back() {
            // The store can be reached again. The grace begins now.
            own.unreachable_at = Some(step.now);
        }
        own.ask_at = None;
        let is_empty = found.record.is_none();
        session.record = found.record.unwrap_or_default();
        if !is_empty {
            let stored = &mut session.record;
            if found.leads || !found.leased {
                // If a request is noted there, its host has died, or was too slow for its lease.
                stored.common.end_unfinished(step.now);
            }
            step.ledger.backoffs.learn(backoff(own, stored), None);
            step.ledger
                .backoffs
                .learn_outage(stored.common.outage.as_ref());
            let (own, stored) = (&mut own.common, &stored.common);
            own.counts.find(&stored.counts, stored.under_way);
            // If this host has the token, it may know of more hosts than the one that asked for the token.
            let id = |common: &Common| common.stamp().map(|stamp| stamp.id);
            let knows = !found.leads && id(own) == id(stored);
            let known = if knows { own.hosts } else { 0 };
            own.hosts = stored.hosts.max(found.hosts).max(known);
            own.outage = stored.outage.clone();
        } else {
            session.record.common.hosts = own.common.hosts;
        }
        let counts = &own.common.counts;
        session.lacks = session.record.common.counts.lack(counts, step.now);
        step.ledger.budget.set_counts(counts.clone());
        step.ledger
            .budget
            .divide(own.budget_shares(step.now), own.host);
        let newer = session.record.common.good().filter(|issue| {
            Some(issue.stamp.id) != own.common.rejected && self.context.takes(issue, step.now)
        });
        if let Some(issue) = newer.cloned() {
            let key = self.key;
            let finish = Box::new(Finish::Shared { issue, key });
            return match found.leads {
                true => self.leave(step, lead, Then::Finish(finish)),
                // The store was emptied, or it is another one than before.
                false if session.lacks && !found.leased => self.ask_for_lease(step, lead),
                false => self.ask(step, lead, Question::Count(finish), Ask::Count),
            };
        }
        let kept = self.kept(step.now);
        if found.leased && !found.leads {
            if kept.is_some() {
                return self.keep(step, lead, REFUSED);
            }
            if step.now >= self.until {
                return self.refuse(step, lead, no_token_of_another_host());
            }
            return self.wait_for_host(step.now, step.jitter, lead);
        }
        if let Some(kept) = kept {
            if !found.leads {
                return self.ask_for_lease(step, lead);
            }
            // The other hosts may take over the token of this host.
            let (own, stored) = (&mut own.common, &mut session.record.common);
            if let Some(issue) = &mut own.issue {
                issue.budget_shares = 0;
            }
            stored.issue = own.issue.clone();
            stored.hosts = stored.hosts.max(own.hosts);
            return self.keep(step, lead, step.now.until(kept.due));
        }
        if let Some(error) = step.ledger.backoffs.check(step.now) {
            return self.refuse(step, lead, error);
        }
        if found.leads {
            // It has waited for others, and still has the time for a request of its own.
            self.until = self.until.max(step.now.plus(self.context.request_time()));
            return self.send(step, lead);
        }
        let failed = own
            .common
            .backoff
            .as_ref()
            .filter(|backoff| !backoff.class.of_key());
        let others_first = step.now < *session.yields.get_or_insert(step.now.plus(OTHERS_FIRST));
        let yields = failed.is_some() && own.common.hosts > 1 && others_first;
        match step.ledger.refusal(step.now) {
            Some(error) => self.refuse(step, lead, error),
            None if yields => self.wait_for_host(step.now, step.jitter, lead),
            None => self.ask_for_lease(step, lead),
        }
    }

    /// Pauses, and then reads whether another host has a token.
    fn wait_for_host(&mut self, now: BootTime, jitter: f64, lead: Leader) -> Action {
        let waits = self.context.kept.is_none_or(|kept| now >= kept.end);
        let pause = if waits { READ_OFTEN } else { READ_SELDOM };
        let many = FOR_EACH_HOST
            .saturating_mul(lead.record.common.hosts)
            .min(READ_SELDOM);
        self.state = State::Yielding(lead);
        Action::Pause(pause.max(many).mul_f64(0.5 + jitter / 2.0))
    }

    fn refuse(&mut self, step: &mut Step<'_>, mut lead: Leader, error: Error) -> Action {
        let again = match (
            step.ledger.backoffs.are_everybodys(step.now),
            error.retry_after(),
        ) {
            // No other host gets a token before.
            (true, Some(left)) => left.min(COME_BACK),
            _ => REFUSED,
        };
        lead.record.ask_at = Some(step.now.plus(again));
        self.leave(step, lead, Then::failed(error))
    }

    fn keep(&mut self, step: &mut Step<'_>, lead: Leader, again: Duration) -> Action {
        let kept = Finish::Kept { again };
        self.leave(step, lead, Then::Finish(Box::new(kept)))
    }

    /// Writes the slot into the store, so that the other hosts see it before anything is sent.
    pub(super) fn tell_store_of_slot(&mut self, step: &mut Step<'_>, mut lead: Leader) -> Action {
        let rejected = lead.record.common.rejected;
        let of_stored = |issue: &Issue| Some(issue.stamp.id) == rejected;
        let Some(session) = lead.session() else {
            return self.announce(lead);
        };
        let stored = &mut session.record.common;
        stored.counts = step.ledger.budget.counts().clone();
        if stored.issue.as_ref().is_some_and(of_stored) {
            stored.rejected = rejected;
        }
        let write = Ask::Write {
            record: Box::new(session.record.clone()),
            lease: Some(self.context.request_time() + LEASE_MARGIN),
            fresh: false,
        };
        self.ask(step, lead, Question::Slot, write)
    }

    /// The store has the slot, or another host has the lease by now.
    pub(super) fn slot_told(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        written: bool,
    ) -> Action {
        if written {
            lead.noted(step);
        } else {
            // Nothing was sent.
            lead.settle(step, true);
        }
        let Some(session) = lead.session() else {
            return self.announce(lead);
        };
        session.answered(step.now);
        if written {
            return self.announce(lead);
        }
        session.leads = false;
        // What it was about to write is not there.
        session.record = FleetRecord::default();
        self.state = State::Yielding(lead);
        Action::Pause(READ_OFTEN)
    }

    /// The store knows how the refresh ended, or another host has the lease by now.
    pub(super) fn end_told(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        then: Then,
        written: bool,
    ) -> Action {
        if let Some(session) = lead.session() {
            session.answered(step.now);
        }
        if written {
            lead.noted(step);
        }
        match then {
            Then::Finish(finish) if !written && matches!(*finish, Finish::Granted { .. }) => {
                // Another host has led meanwhile. The token has cost a slot, and nobody else uses it.
                self.until = step.now.plus(self.context.request_time());
                self.leave_host(step, lead, Then::Read)
            }
            Then::Finish(finish) if matches!(*finish, Finish::Shared { .. }) => {
                self.ask(step, lead, Question::Count(finish), Ask::Count)
            }
            then => self.leave_host(step, lead, then),
        }
    }

    /// This host takes over the token of another one. So many hosts have it by now.
    pub(super) fn counted(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        finish: Box<Finish>,
        hosts: u32,
    ) -> Action {
        lead.record.common.hosts = lead.record.common.hosts.max(hosts);
        self.leave_host(step, lead, Then::Finish(finish))
    }

    /// Ends the work on this key. If this host has the lease, it tells the other hosts first.
    pub(super) fn leave(&mut self, step: &mut Step<'_>, mut lead: Leader, then: Then) -> Action {
        if !lead.has_lease() {
            return self.leave_host(step, lead, then);
        }
        // They have what the answer said of the server's limit.
        let counts = step.ledger.budget.counts().clone();
        lead.record.common.counts = counts.clone();
        let unreachable_at = lead.record.unreachable_at;
        let cut_short = unreachable_at.is_some_and(|at| step.now < at.plus(GATHERED));
        let Some(session) = lead.session() else {
            return self.leave_host(step, lead, then);
        };
        let what = session.end(step.ledger, counts, cut_short, &then);
        self.ask(step, lead, Question::End(then), what)
    }

    /// Ends the work without writing the record of this host. Gives the lease back, if this host has it.
    pub(super) fn release(
        &mut self,
        step: &mut Step<'_>,
        progress: Progress,
        then: Then,
    ) -> Action {
        if let Fleet::Session(mut session) = progress.fleet
            && session.leads
        {
            let counts = step.ledger.budget.counts().clone();
            let what = session.end(step.ledger, counts, false, &then);
            let within = session.asks(step.now, ANSWER_TIME);
            if !within.is_zero() {
                self.state = State::Releasing(then);
                return Action::Ask { what, within };
            }
        }
        self.end(then)
    }

    /// No store can be reached, and this host goes on by itself.
    pub(super) fn partitioned(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        question: Question,
    ) -> Action {
        let hosts = lead.record.common.hosts.max(1);
        let counts = &mut lead.record.common.counts;
        counts.end_pending(LONGEST_UNDER_WAY);
        step.ledger.budget.set_counts(counts.clone());
        lead.record.unreachable_at = Some(step.now);
        lead.record.ask_at = Some(step.now.plus(COME_BACK));
        lead.progress.fleet = Fleet::Partitioned;
        step.ledger.budget.divide(hosts, lead.record.host);
        match question {
            Question::Count(finish) => self.leave_host(step, lead, Then::Finish(finish)),
            Question::End(mut then) => {
                if let Then::Finish(finish) = &mut then
                    && let Finish::Granted { issue, .. } = &mut **finish
                {
                    issue.budget_shares = hosts;
                }
                self.leave_host(step, lead, then)
            }
            Question::Slot => {
                lead.settle(step, true);
                self.send(step, lead)
            }
            Question::Read | Question::Lease if self.kept(step.now).is_some() => {
                self.keep(step, lead, COME_BACK)
            }
            Question::Read | Question::Lease => match step.ledger.backoffs.check(step.now) {
                Some(error) => self.leave_host(step, lead, Then::failed(error)),
                None => self.send(step, lead),
            },
        }
    }
}

/// The back-off of the key: that of the store, or one that this host could not tell the store. The latter is over if another
/// host has got a token later, or if a user has had the failures forgotten.
fn backoff<'a>(own: &'a HostRecord, stored: &'a FleetRecord) -> Option<&'a Backoff> {
    let newest = stored.common.stamp().map(|stamp| stamp.asked_at);
    let over = newest.max(stored.forgotten);
    let own = own.common.backoff.as_ref();
    let own = own.filter(|own| own.class.of_key() && over < Some(own.at));
    let backoffs = [stored.common.backoff.as_ref(), own].into_iter().flatten();
    backoffs.max_by_key(|backoff| backoff.until)
}
