//! Among the hosts of a fleet: the leader of a host asks the store that all of them use.
//!
//! Promises: who asks 88Pay for a token has the store's lease and has told the store of its slot before; what is taken
//! over is newer than what is known here and was not rejected here; failures that are this host's own leave the lease to
//! the others, and failures of several of them in a row hold all. A store that is away costs a refresh half a second at
//! most; the host then goes on with its part of the budget and comes back as soon as the store does, with what it has taken
//! and its token.

use std::time::Duration;

use super::{Action, Finish, Kept, Ledger, Refresh, Then};
use crate::error::{Error, ErrorCode};
use crate::policy::backoff::Hold;
use crate::policy::token_response::Class;
use crate::policy::token_response::Rejection;
use crate::refresh::record::{Issue, Record};
use crate::time::BootTime;

/// What the store may take: for one answer, and in one refresh.
const ANSWER_TIME: Duration = Duration::from_millis(250);
const VISIT_TIME: Duration = Duration::from_millis(500);

/// The visit of a leader is up to nine answers. If they take longer than that it may come to no end, and leave its lease
/// behind.
const SLOW_ANSWER: Duration = Duration::from_millis(50);

/// A store that was away is asked again after this time.
pub(crate) const COME_BACK: Duration = Duration::from_secs(5);

/// The hosts are told of each other's slots by then, once the store is back: all that are in use have come back.
const GRACE: Duration = Duration::from_secs(15);

/// That long after the store was away, the grace and the life of a token, all hosts that are in use have come for one.
const GATHERED: Duration = Duration::from_secs(75);

/// A host that was refused asks the store for others' tokens as often as that, as long as there may be some.
const REFUSED: Duration = Duration::from_secs(1);

/// How often a host looks whether another one's token has come: with callers who wait, and without.
const LOOK_OFTEN: Duration = Duration::from_millis(25);
const LOOK_SELDOM: Duration = Duration::from_millis(500);

/// All hosts together, up to 2,000, look no more often than 4,000 times a second.
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
    Look,
    /// Take the lease for that long, if nobody has it.
    Lead {
        lease: Duration,
    },
    /// Under the lease, which is kept for that much longer or given back. `fresh`: the token is a new one.
    Write {
        record: Box<Record>,
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
    pub(crate) record: Option<Record>,
    /// Whether the lease was had, and if not whether somebody else has it.
    pub(crate) leads: bool,
    pub(crate) leased: bool,
    /// How many hosts have taken its token over; counted for who has the lease, else 0.
    pub(crate) hosts: u32,
}

/// What this refresh does at the store.
#[derive(Debug)]
pub(super) struct Visit {
    stage: Stage,
    /// It has the lease.
    leads: bool,
    /// What may still be spent on answers, and since when one is awaited.
    left: Duration,
    asked_at: BootTime,
    /// The last one took long.
    slow: bool,
    /// What was found there.
    record: Record,
    hosts: u32,
    /// The store has lost slots that are known here.
    lacks: bool,
    /// The others may go first until then.
    yields: Option<BootTime>,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is awaited of the store.
    Idle,
    Look,
    /// For another host.
    Wait,
    Lead,
    /// The slot is told before the request is sent.
    Slot,
    Count(Box<Finish>),
    /// The end is told.
    End(Then),
}

impl Record {
    /// Among how many what is left of the budget is split now.
    pub(super) fn split(&self, now: BootTime) -> u32 {
        match self.away {
            Some(away) if now < away.plus(GRACE) => self.hosts.max(1),
            _ => 1,
        }
    }

    /// Whether this host has been at the store again since it last found it away.
    pub(crate) fn is_back(&self) -> bool {
        let tries_again = |away: BootTime| self.ask_at == Some(away.plus(COME_BACK));
        self.away.is_some_and(|away| !tries_again(away))
    }
}

impl Refresh {
    /// Whether the store should be asked for a token, whatever is known here.
    pub(super) fn asks_store(&self, record: &Record, now: BootTime) -> bool {
        self.terms.fleet && record.ask_at.is_none_or(|at| now >= at)
    }

    /// Whether nothing is done without the store.
    pub(super) fn visits_store(&self, record: &Record, now: BootTime) -> bool {
        let away = record.away.map(|away| away.plus(COME_BACK));
        self.terms.fleet && away.is_none_or(|until| now >= until)
    }

    fn kept(&self, now: BootTime) -> Option<Kept> {
        self.terms.kept.filter(|kept| now < kept.due)
    }

    /// The token of this process needs neither renewal nor to be told to the other hosts; for how long.
    pub(super) fn is_kept(&self, record: &Record, now: BootTime) -> Option<Duration> {
        let kept = self.kept(now)?;
        let apart = record
            .good()
            .is_some_and(|issue| issue.apart > 0 && issue.stamp.id == kept.id);
        match record.ask_at.filter(|at| now < *at) {
            _ if !apart => Some(now.until(kept.due)),
            Some(at) => Some(now.until(at)),
            None => None,
        }
    }

    pub(super) fn has_lease(&self) -> bool {
        let visit = self.visit.as_ref();
        visit.is_some_and(|visit| visit.leads)
    }

    /// It keeps other hosts from the token endpoint.
    pub(super) fn others_wait(&self) -> bool {
        let led = self.led.as_ref();
        self.has_lease() && led.is_some_and(|led| led.hosts > 1)
    }

    pub(super) fn waits_for_host(&self) -> bool {
        let visit = self.visit.as_ref();
        visit.is_some_and(|visit| matches!(visit.stage, Stage::Wait))
    }

    /// The last attempt of the hosts has failed.
    pub(super) fn others_failed(&self) -> bool {
        let led = self.led.as_ref();
        self.has_lease() && led.is_some_and(|led| led.outage.is_some())
    }

    /// An attempt that has cost a slot counts among the failures of all hosts.
    pub(super) fn tell_others_of_failure(
        &mut self,
        now: BootTime,
        rejection: &Rejection,
        jitter: f64,
    ) {
        if rejection.class == Class::Temporary
            && !rejection.unsent
            && let (Some(visit), Some(led)) = (&mut self.visit, &mut self.led)
        {
            let of_the_same = visit.record.host == led.host;
            let before = visit.record.outage.take();
            let outage = Hold::among_hosts(before, of_the_same, now, rejection, jitter);
            led.outage = Some(outage.clone());
            (visit.record.outage, visit.record.host) = (Some(outage), led.host);
        }
    }

    /// Says on this host by when it will be done, and goes to the store.
    pub(super) fn announce_visit(&mut self, mut record: Record) -> Action {
        record.done_by = Some(self.until);
        if record.host == 0 {
            record.host = self.terms.id;
        }
        self.then = Some(Then::Visit);
        Action::Write(Box::new(record))
    }

    pub(super) fn visit(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        self.visit = Some(Visit {
            stage: Stage::Look,
            leads: false,
            left: VISIT_TIME,
            asked_at: now,
            slow: false,
            record: Record::default(),
            hosts: 0,
            lacks: false,
            yields: None,
        });
        self.ask(ledger, now, Stage::Look, Ask::Look)
    }

    fn ask(&mut self, ledger: &mut Ledger, now: BootTime, stage: Stage, what: Ask) -> Action {
        let Some(visit) = &mut self.visit else {
            return self.look();
        };
        // The first answer may come from the second store.
        let most = match stage {
            Stage::Look => VISIT_TIME,
            _ => ANSWER_TIME,
        };
        visit.stage = stage;
        visit.asked_at = now;
        let within = visit.left.min(most);
        match within.is_zero() {
            true => self.away(ledger, now),
            false => Action::Ask { what, within },
        }
    }

    /// An answer has come: what it took is off the time for the store. Says what was awaited.
    fn answered(&mut self, now: BootTime) -> Option<Stage> {
        let visit = self.visit.as_mut()?;
        let took = visit.asked_at.until(now);
        visit.left = visit.left.saturating_sub(took);
        visit.slow = took > SLOW_ANSWER;
        Some(std::mem::replace(&mut visit.stage, Stage::Idle))
    }

    /// Another look at the store, after a pause that is not on the store's account. The looks themselves are, if the store
    /// is slow: who leads there may have given it up, and nobody waits for that host's lease to end.
    pub(super) fn ask_again(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        if self.visit.as_ref().is_some_and(|visit| !visit.slow) {
            self.spare_store();
        }
        self.ask(ledger, now, Stage::Look, Ask::Look)
    }

    /// What passed meanwhile was not the store's doing.
    pub(super) fn spare_store(&mut self) {
        if let Some(visit) = &mut self.visit {
            visit.left = visit.left.max(ANSWER_TIME);
        }
    }

    pub(super) fn found(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        found: Found,
    ) -> Action {
        self.answered(now);
        let (key, until) = (self.key, self.until);
        let kept = self.kept(now);
        let lease = (self.terms.request_time() + LEASE_MARGIN).as_millis() as u64;
        let (Some(visit), Some(led)) = (&mut self.visit, &mut self.led) else {
            return self.look();
        };
        visit.leads = found.leads;
        visit.hosts = found.hosts;
        if led.away.is_some() && !led.is_back() {
            // The grace begins now.
            led.away = Some(now);
        }
        led.ask_at = None;
        visit.record = found.record.clone().unwrap_or_default();
        if let Some(record) = &found.record {
            // Another host that has the lease may give its slot back; an older one that is gone was lost with the store.
            let since = BootTime(now.0.saturating_sub(lease));
            let at_work = found.leased && !found.leads;
            led.counts.find(&record.counts, at_work.then_some(since));
            // Of a token that it has this host may know more than who asked for it.
            let id = |issue: &Option<Issue>| issue.as_ref().map(|issue| issue.stamp.id);
            let knows = !found.leads && id(&led.issue) == id(&record.issue);
            let known = if knows { led.hosts } else { 0 };
            led.hosts = record.hosts.max(found.hosts).max(known);
            ledger.holds.learn(hold(led, record), None);
            led.outage = record.outage.clone();
            ledger.holds.learn_outage(led.outage.as_ref());
        } else {
            visit.record.hosts = led.hosts;
        }
        visit.lacks = visit.record.counts.lack(&led.counts, now);
        ledger.budget.set_counts(led.counts.clone());
        ledger.budget.split(led.split(now), led.host);
        let newer = visit
            .record
            .good()
            .filter(|issue| Some(issue.stamp.id) != led.rejected && self.terms.takes(issue, now));
        if let Some(issue) = newer.cloned() {
            let finish = Box::new(Finish::Shared { issue, key });
            return match found.leads {
                true => self.leave(ledger, now, Then::Finish(finish)),
                // It was emptied, or is another one than before.
                false if visit.lacks && !found.leased => {
                    self.ask(ledger, now, Stage::Lead, Ask::Lead { lease: SLOT_LEASE })
                }
                false => self.ask(ledger, now, Stage::Count(finish), Ask::Count),
            };
        }
        if found.leased && !found.leads {
            if kept.is_some() {
                return self.keep(ledger, now, REFUSED);
            }
            if now >= until {
                return self.refuse(ledger, now, no_token_of_others());
            }
            return self.wait_for_host(now, jitter);
        }
        if let Some(kept) = kept {
            if !found.leads {
                return self.ask(ledger, now, Stage::Lead, Ask::Lead { lease: SLOT_LEASE });
            }
            // The others may have this host's token.
            if let Some(issue) = &mut led.issue {
                issue.apart = 0;
            }
            visit.record.issue = led.issue.clone();
            visit.record.hosts = visit.record.hosts.max(led.hosts);
            return self.keep(ledger, now, now.until(kept.due));
        }
        if let Some(error) = ledger.holds.check(now) {
            return self.refuse(ledger, now, error);
        }
        if found.leads {
            // Others have taken the time for a request of its own.
            self.until = until.max(now.plus(self.terms.request_time()));
            return self.send(ledger, now);
        }
        let failed = led.hold.as_ref().filter(|hold| !hold.class.of_key());
        let others_first = now < *visit.yields.get_or_insert(now.plus(OTHERS_FIRST));
        let yields = failed.is_some() && led.hosts > 1 && others_first;
        match ledger.refusal(now) {
            Some(error) => self.refuse(ledger, now, error),
            None if yields => self.wait_for_host(now, jitter),
            None => self.ask(ledger, now, Stage::Lead, Ask::Lead { lease: SLOT_LEASE }),
        }
    }

    /// Looks again soon whether another host has a token.
    fn wait_for_host(&mut self, now: BootTime, jitter: f64) -> Action {
        let hosts = self.led.as_ref().map_or(1, |led| led.hosts);
        let kept = self.terms.kept;
        if let Some(visit) = &mut self.visit {
            visit.stage = Stage::Wait;
        }
        let waits = kept.is_none_or(|kept| now >= kept.end);
        let pause = if waits { LOOK_OFTEN } else { LOOK_SELDOM };
        let many = FOR_EACH_HOST.saturating_mul(hosts).min(LOOK_SELDOM);
        let pause = pause.max(many);
        Action::Pause(pause.mul_f64(0.5 + jitter / 2.0))
    }

    fn refuse(&mut self, ledger: &mut Ledger, now: BootTime, error: Error) -> Action {
        let again = match (ledger.holds.are_everybodys(now), error.retry_after()) {
            // No other host is granted a token before.
            (true, Some(left)) => left.min(COME_BACK),
            _ => REFUSED,
        };
        if let Some(led) = &mut self.led {
            led.ask_at = Some(now.plus(again));
        }
        self.leave(ledger, now, refusal(error))
    }

    fn keep(&mut self, ledger: &mut Ledger, now: BootTime, again: Duration) -> Action {
        let kept = Finish::Kept { again };
        self.leave(ledger, now, Then::Finish(Box::new(kept)))
    }

    /// The slot was taken: the other hosts see it before anything is sent.
    pub(super) fn tell_store_of_slot(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        let rejected = self.led.as_ref().and_then(|led| led.rejected);
        let of_stored = |issue: &Issue| Some(issue.stamp.id) == rejected;
        let counts = ledger.budget.counts().clone();
        let Some(visit) = &mut self.visit else {
            return self.announce(ledger, now);
        };
        visit.record.counts = counts;
        if visit.record.issue.as_ref().is_some_and(of_stored) {
            visit.record.rejected = rejected;
        }
        let write = Ask::Write {
            record: Box::new(visit.record.clone()),
            lease: Some(self.terms.request_time() + LEASE_MARGIN),
            fresh: false,
        };
        self.ask(ledger, now, Stage::Slot, write)
    }

    pub(super) fn stored(&mut self, ledger: &mut Ledger, now: BootTime, written: bool) -> Action {
        let stage = self.answered(now);
        if written && let Some(led) = &mut self.led {
            if led.split(now) == 1 {
                led.counts.told_to_all();
            }
            ledger.budget.set_counts(led.counts.clone());
        }
        match stage {
            Some(Stage::Slot) if written => self.announce(ledger, now),
            Some(Stage::Slot) => {
                // Another host has the lease by now; nothing was sent.
                self.settle(ledger, now, true);
                if let Some(visit) = &mut self.visit {
                    visit.leads = false;
                    // That was never there.
                    visit.record = Record::default();
                    visit.stage = Stage::Wait;
                }
                Action::Pause(LOOK_OFTEN)
            }
            Some(Stage::End(Then::Finish(finish)))
                if !written && matches!(*finish, Finish::Granted { .. }) =>
            {
                // Others have gone on. What comes late is paid for, and of no use to them.
                self.slot = None;
                self.until = now.plus(self.terms.request_time());
                self.leave_host(ledger, now, Then::Look)
            }
            Some(Stage::End(Then::Finish(finish))) if matches!(*finish, Finish::Shared { .. }) => {
                self.ask(ledger, now, Stage::Count(finish), Ask::Count)
            }
            Some(Stage::End(then)) => self.leave_host(ledger, now, then),
            _ => self.look(),
        }
    }

    /// The token of another host is taken over; so many have it by now.
    pub(super) fn counted(&mut self, ledger: &mut Ledger, now: BootTime, hosts: u32) -> Action {
        let stage = self.answered(now);
        if let Some(led) = &mut self.led {
            led.hosts = led.hosts.max(hosts);
        }
        match stage {
            Some(Stage::Count(finish)) => self.leave_host(ledger, now, Then::Finish(finish)),
            _ => self.look(),
        }
    }

    /// Ends the work on this key: tells the other hosts first, if this one has the lease.
    pub(super) fn leave(&mut self, ledger: &mut Ledger, now: BootTime, then: Then) -> Action {
        if !self.has_lease() {
            return self.leave_host(ledger, now, then);
        }
        let counts = ledger.budget.counts().clone();
        let mut was_away = false;
        if let Some(led) = &mut self.led {
            // With what the answer said is left.
            led.counts = counts.clone();
            was_away = led.away.is_some_and(|away| now < away.plus(GATHERED));
        }
        let Some(visit) = &mut self.visit else {
            return self.leave_host(ledger, now, then);
        };
        let mut record = Box::new(visit.record.clone());
        let cut_short = was_away || record.issue.is_some() && record.good().is_none();
        record.counts = counts;
        visit.leads = false;
        let mut fresh = false;
        if let Then::Finish(finish) = &then {
            record.end(finish, ledger);
            fresh = matches!(**finish, Finish::Granted { .. } | Finish::Kept { .. });
            if matches!(**finish, Finish::Granted { .. }) {
                // Not every host may have needed the last token, so the number goes down by halves; not at all if they
                // may not have come for it: it was rejected or dropped, or the store has just been away.
                let halves = record.hosts.saturating_add(visit.hosts).div_ceil(2);
                let last = if cut_short { record.hosts } else { halves };
                record.hosts = visit.hosts.max(last);
            }
        }
        let what = match &then {
            Then::Finish(finish) if !visit.lacks && matches!(**finish, Finish::Shared { .. }) => {
                Ask::Release
            }
            _ => Ask::Write {
                record,
                lease: None,
                fresh,
            },
        };
        self.ask(ledger, now, Stage::End(then), what)
    }

    /// No store can be reached: this host goes on by itself.
    pub(super) fn away(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        let stage = self.answered(now);
        let (hosts, host) = self
            .led
            .as_ref()
            .map_or((1, 0), |led| (led.hosts.max(1), led.host));
        if let Some(led) = &mut self.led {
            led.away = Some(now);
            led.ask_at = Some(now.plus(COME_BACK));
        }
        self.visit = None;
        self.apart = true;
        ledger.budget.split(hosts, host);
        match stage {
            Some(Stage::Count(finish)) => self.leave_host(ledger, now, Then::Finish(finish)),
            Some(Stage::End(mut then)) => {
                if let Then::Finish(finish) = &mut then
                    && let Finish::Granted { issue, .. } = &mut **finish
                {
                    issue.apart = hosts;
                }
                self.leave_host(ledger, now, then)
            }
            Some(Stage::Slot) => {
                self.settle(ledger, now, true);
                self.send(ledger, now)
            }
            _ if self.kept(now).is_some() => self.keep(ledger, now, COME_BACK),
            _ => match ledger.holds.check(now) {
                Some(error) => self.leave_host(ledger, now, refusal(error)),
                None => self.send(ledger, now),
            },
        }
    }
}

/// What holds the key: as the store says, or as this host has met it while the store could not be told. It is over if
/// another host has asked for a token later, or if somebody has had it forgotten.
fn hold<'a>(led: &'a Record, stored: &'a Record) -> Option<&'a Hold> {
    let newest = stored.issue.as_ref().map(|issue| issue.stamp.asked_at);
    let over = newest.max(stored.forgotten);
    let own = led.hold.as_ref();
    let own = own.filter(|own| own.class.of_key() && over < Some(own.at));
    let holds = [stored.hold.as_ref(), own].into_iter().flatten();
    holds.max_by_key(|hold| hold.until)
}

fn refusal(error: Error) -> Then {
    Then::Finish(Box::new(Finish::Failed {
        error,
        held: None,
        capped: false,
    }))
}

fn no_token_of_others() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "Another host is at the token, and no token came in time.",
        "Nothing was sent. Try again; look for a host that hangs.",
    )
}
