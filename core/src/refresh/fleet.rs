//! Among the hosts of a fleet: the leader of a host asks the store that all of them use.
//!
//! Promises: who asks 88Pay for a token has the store's lease and has told the store of its slot before; what is taken
//! over is newer than what is known here and was not rejected here; failures that are this host's own leave the lease to
//! the others, and after failures of several of them in a row all back off. A store that cannot be reached costs a
//! refresh half a second at most. The host then goes on with its share of the budget. It comes back as soon as the store
//! does, with what it has taken and its token.

use std::time::Duration;

use super::{Action, Finish, Fleet, Kept, Leader, Ledger, Progress, Refresh, State, Step, Then};
use crate::error::Error;
use crate::policy::backoff::Backoff;
use crate::policy::errors::no_token_of_another_host;
use crate::policy::rate_limit::Counts;
use crate::policy::token_response::{Class, Rejection};
use crate::refresh::record::{Common, FleetRecord, HostRecord, Issue};
use crate::time::BootTime;

/// What the store may take: for one answer, and in one refresh.
const ANSWER_TIME: Duration = Duration::from_millis(250);
const SESSION_TIME: Duration = Duration::from_millis(500);

/// The session of a leader is up to nine answers. If they take longer than that it may come to no end, and leave its lease
/// behind.
const SLOW_ANSWER: Duration = Duration::from_millis(50);

/// A store that could not be reached is asked again after this time.
pub(crate) const COME_BACK: Duration = Duration::from_secs(5);

/// The hosts are told of each other's slots by then, once the store is back: all that are in use have come back.
const GRACE: Duration = Duration::from_secs(15);

/// That long after the store could not be reached all hosts that are in use have come for a token: the grace, and the
/// life of one.
const GATHERED: Duration = Duration::from_secs(75);

/// A host that was refused asks the store for others' tokens as often as that, as long as there may be some.
const REFUSED: Duration = Duration::from_secs(1);

/// How often a host reads whether another one's token has come: with callers who wait, and without.
const READ_OFTEN: Duration = Duration::from_millis(25);
const READ_SELDOM: Duration = Duration::from_millis(500);

/// All hosts together, up to 2,000, read no more often than 4,000 times a second.
const FOR_EACH_HOST: Duration = Duration::from_micros(250);

/// Until the slot is told nobody has to wait longer than that for a host that died.
const SLOT_LEASE: Duration = Duration::from_secs(2);

/// A host whose own way to 88Pay failed last time lets the others go first, until a renewal ahead of the end is late.
const OTHERS_FIRST: Duration = Duration::from_secs(2);

/// The lease outlasts the request that is sent under it.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// What is asked of the store.
#[derive(Debug)]
pub(crate) enum Ask {
    Read,
    /// Take the lease for that long, if nobody has it.
    Lease {
        lease: Duration,
    },
    /// Under the lease, which is kept for that much longer or given back. `fresh`: the token is a new one.
    Write {
        record: Box<FleetRecord>,
        lease: Option<Duration>,
        fresh: bool,
    },
    /// Give the lease back: it is not needed.
    Release,
    /// This host has the token now; how many have it?
    Count,
}

/// What is in the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) record: Option<FleetRecord>,
    /// Whether the lease was had, and if not whether somebody else has it.
    pub(crate) leads: bool,
    pub(crate) leased: bool,
    /// How many hosts have taken its token over; counted for who has the lease, else 0.
    pub(crate) hosts: u32,
}

/// With the fleet's store.
#[derive(Debug)]
pub(super) struct StoreSession {
    /// This host has the lease.
    leads: bool,
    /// What may still be spent on answers, and since when one is awaited.
    left: Duration,
    asked_at: BootTime,
    /// The last one took long.
    slow: bool,
    /// What was found there.
    record: FleetRecord,
    hosts: u32,
    /// The store has lost slots that are known here.
    lacks: bool,
    /// The others may go first until then.
    yields: Option<BootTime>,
}

/// What the store was asked for.
#[derive(Debug)]
pub(super) enum Question {
    Read,
    Lease,
    /// To take note of the slot, before the request is sent.
    Slot,
    /// How many hosts have the token; it ends like that then.
    Count(Box<Finish>),
    /// To take note of the end.
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

    /// Whether this host has been at the store again since it last could not reach it.
    pub(crate) fn is_back(&self) -> bool {
        let tries_again = |at: BootTime| self.ask_at == Some(at.plus(COME_BACK));
        self.unreachable_at.is_some_and(|at| !tries_again(at))
    }
}

impl Refresh {
    /// Whether the store should be asked for a token, whatever is known here.
    pub(super) fn asks_store(&self, record: &HostRecord, now: BootTime) -> bool {
        self.context.fleet && record.ask_at.is_none_or(|at| now >= at)
    }

    /// Whether nothing is done without the store.
    pub(super) fn needs_store(&self, record: &HostRecord, now: BootTime) -> bool {
        let again_at = record.unreachable_at.map(|at| at.plus(COME_BACK));
        self.context.fleet && again_at.is_none_or(|until| now >= until)
    }

    fn kept(&self, now: BootTime) -> Option<Kept> {
        self.context.kept.filter(|kept| now < kept.due)
    }

    /// The token of this process needs neither renewal nor to be told to the other hosts; for how long.
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
    fn session(&mut self) -> Option<&mut StoreSession> {
        match &mut self.progress.fleet {
            Fleet::Session(session) => Some(session),
            Fleet::None | Fleet::Partitioned => None,
        }
    }

    pub(super) fn has_lease(&self) -> bool {
        matches!(&self.progress.fleet, Fleet::Session(session) if session.leads)
    }

    /// It keeps other hosts from the token endpoint.
    pub(super) fn others_wait(&self) -> bool {
        self.has_lease() && self.record.common.hosts > 1
    }

    /// The last attempt of the hosts has failed.
    pub(super) fn others_failed(&self) -> bool {
        self.has_lease() && self.record.common.outage.is_some()
    }

    /// An attempt that has cost a slot counts among the failures of all hosts.
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

    /// What passed meanwhile was not the store's doing.
    pub(super) fn spare_store(&mut self) {
        if let Some(session) = self.session() {
            session.left = session.left.max(ANSWER_TIME);
        }
    }

    /// The store has taken note: if it can be asked, the others know what was taken.
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

    /// An answer has come: what it took is off the time for the store.
    fn answered(&mut self, now: BootTime) {
        let took = self.asked_at.until(now);
        self.left = self.left.saturating_sub(took);
        self.slow = took > SLOW_ANSWER;
    }

    /// Begins to wait for an answer: for so long.
    fn asks(&mut self, now: BootTime, most: Duration) -> Duration {
        self.asked_at = now;
        self.left.min(most)
    }

    /// Gives the lease back, with what the other hosts have to know. `cut_short`: not every host may have come for the last
    /// token.
    fn end(&mut self, ledger: &Ledger, counts: Counts, cut_short: bool, then: &Then) -> Ask {
        self.leads = false;
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
                // Not every host may have needed the last token, so the number goes down by halves; not at all if they
                // may not have come for it: it was rejected or dropped, or the store could not be reached just before.
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
        // The first answer may come from the second store.
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

    /// Reads the store again, after a pause that is not on the store's account. The reads themselves are, if the store is
    /// slow: who leads there may have given it up, and nobody waits for that host's lease to end.
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
            // The grace begins now.
            own.unreachable_at = Some(step.now);
        }
        own.ask_at = None;
        session.record = found.record.clone().unwrap_or_default();
        if let Some(stored) = &found.record {
            // Another host that has the lease may give its slot back; an older one that is gone was lost with the store.
            let lease = (self.context.request_time() + LEASE_MARGIN).as_millis() as u64;
            let since = BootTime(step.now.0.saturating_sub(lease));
            let at_work = found.leased && !found.leads;
            step.ledger.backoffs.learn(backoff(own, stored), None);
            step.ledger
                .backoffs
                .learn_outage(stored.common.outage.as_ref());
            let (own, stored) = (&mut own.common, &stored.common);
            own.counts.find(&stored.counts, at_work.then_some(since));
            // Of a token that it has this host may know more than who asked for it.
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
                // It was emptied, or is another one than before.
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
            // The others may have this host's token.
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
            // Others have taken the time for a request of its own.
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

    /// Reads again soon whether another host has a token.
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
            // No other host is granted a token before.
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

    /// The slot was taken: the other hosts see it before anything is sent.
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
        // That was never there.
        session.record = FleetRecord::default();
        self.state = State::Yielding(lead);
        Action::Pause(READ_OFTEN)
    }

    /// The store knows how it ended, or another host has the lease by now.
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
                // Others have gone on. What comes late is paid for, and of no use to them.
                self.until = step.now.plus(self.context.request_time());
                self.leave_host(step, lead, Then::Read)
            }
            Then::Finish(finish) if matches!(*finish, Finish::Shared { .. }) => {
                self.ask(step, lead, Question::Count(finish), Ask::Count)
            }
            then => self.leave_host(step, lead, then),
        }
    }

    /// The token of another host is taken over; so many have it by now.
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

    /// Ends the work on this key: tells the other hosts first, if this one has the lease.
    pub(super) fn leave(&mut self, step: &mut Step<'_>, mut lead: Leader, then: Then) -> Action {
        if !lead.has_lease() {
            return self.leave_host(step, lead, then);
        }
        // With what the answer said is left.
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

    /// Ends the work without a word to this host: gives the lease back, if this host has it.
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

    /// No store can be reached: this host goes on by itself.
    pub(super) fn partitioned(
        &mut self,
        step: &mut Step<'_>,
        mut lead: Leader,
        question: Question,
    ) -> Action {
        let hosts = lead.record.common.hosts.max(1);
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

/// The back-off of the key: as the store says, or as this host has met it while the store could not be told. It is over if
/// another host has asked for a token later, or if somebody has had it forgotten.
fn backoff<'a>(own: &'a HostRecord, stored: &'a FleetRecord) -> Option<&'a Backoff> {
    let newest = stored.common.stamp().map(|stamp| stamp.asked_at);
    let over = newest.max(stored.forgotten);
    let own = own.common.backoff.as_ref();
    let own = own.filter(|own| own.class.of_key() && over < Some(own.at));
    let backoffs = [stored.common.backoff.as_ref(), own].into_iter().flatten();
    backoffs.max_by_key(|backoff| backoff.until)
}
