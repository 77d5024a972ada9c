//! What those who share one set of credentials tell each other: the token, the counts, the remembered failure. The
//! processes of a host use a [`HostRecord`], the hosts of a fleet a [`FleetRecord`].
//!
//! Promises: token and session ID always come from one answer. An older release keeps the fields that a later one has added
//! when it writes. An older token never replaces a newer one, and slots that were taken stay taken. These are values without
//! I/O. Instants are boot time; in a store they are those of the store's clock.

mod format;

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::policy::backoff::Backoff;
use crate::policy::expiry::Lifetime;
use crate::policy::rate_limit::Counts;
use crate::policy::token_response::Grant;
use crate::refresh::{LONGEST_UNDER_WAY, NEW_KEY_TRIED_EVERY};
use crate::time::BootTime;

/// Tells one token from another, for all who share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    /// A random number.
    pub(crate) id: u64,
    /// An instant just before its request was sent. A token with a later instant is newer.
    pub(crate) asked_at: BootTime,
}

/// A token as it is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) stamp: Stamp,
    pub(crate) grant: Grant,
    /// Into how many shares the budget was divided when the token was asked for, because no store could be reached. 0 if
    /// the other hosts know of the token.
    pub(crate) budget_shares: u32,
}

impl Issue {
    pub(crate) fn lifetime(&self, safety_margin: Duration, tokens_per_hour: u32) -> Lifetime {
        let life = Duration::from_secs(self.grant.expires_in);
        match self.budget_shares {
            // One host alone has the whole budget.
            0 | 1 => Lifetime::derive(life, safety_margin, tokens_per_hour),
            _ => Lifetime::longest(life),
        }
    }
}

/// What both records have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Common {
    pub(crate) issue: Option<Issue>,
    /// The number of the token that 88Pay no longer accepts, or that a user has dropped.
    pub(crate) rejected: Option<u64>,
    /// How many hosts share the token, as far as is known; 0 if nothing is known.
    pub(crate) hosts: u32,
    pub(crate) counts: Counts,
    /// The slot whose request may be under way. If its leader is gone, nobody else says how that ended.
    pub(crate) under_way: Option<u32>,
    /// The remembered failure of the key.
    pub(crate) backoff: Option<Backoff>,
    /// Failures of several hosts in a row that have cost a slot each.
    pub(crate) outage: Option<Backoff>,
    /// Fields of a later release.
    pub(crate) others: Map<String, Value>,
}

/// What the processes of a host tell each other, and who of them leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostRecord {
    pub(crate) common: Common,
    /// The leader of a refresh holds the lock of this term. The number goes up when the others no longer wait for a leader.
    pub(crate) term: u64,
    /// The number goes up each time the record is written.
    pub(crate) sequence: u64,
    /// When the leader's refresh ends at the latest.
    pub(crate) done_by: Option<BootTime>,
    /// Until then a refresh uses the previous key, since 88Pay did not accept this one.
    pub(crate) previous_until: Option<BootTime>,
    /// The random number of this host in the store of the fleet; 0 before the store was first asked.
    pub(crate) host: u64,
    /// The last instant at which no store could be reached, as far as is known.
    pub(crate) unreachable_at: Option<BootTime>,
    /// From then on the store of the fleet is asked again.
    pub(crate) ask_at: Option<BootTime>,
}

/// What the hosts of a fleet tell each other. Which host leads is not in the record: the leader has the store's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FleetRecord {
    pub(crate) common: Common,
    /// The number of the host that failed last, see [`Common::outage`].
    pub(crate) failed_host: u64,
    /// Every host forgets the failures of the key from before that instant.
    pub(crate) forgotten: Option<BootTime>,
}

impl Common {
    /// The shared token, unless it was rejected.
    pub(crate) fn good(&self) -> Option<&Issue> {
        self.issue
            .as_ref()
            .filter(|issue| Some(issue.stamp.id) != self.rejected)
    }

    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.issue.as_ref().map(|issue| issue.stamp)
    }

    /// If the last leader has not said how its request ended, it counts from the latest instant at which it can have been
    /// under way.
    pub(crate) fn end_unfinished(&mut self, now: BootTime) {
        if let Some(id) = self.under_way.take() {
            self.counts.date_unfinished(id, now, LONGEST_UNDER_WAY);
        }
    }

    /// Whether a failure that is remembered there is over: somebody got a token since, which was asked for at `newest`. What
    /// keeps one host from 88Pay may go on when another host gets a token.
    fn is_over(&self, failure: &Backoff, newest: Option<BootTime>, of_all: bool) -> bool {
        let asked_at = self.stamp().map(|stamp| stamp.asked_at);
        asked_at < newest && Some(failure.at) < newest && (of_all || failure.class.of_key())
    }

    fn recall(&mut self, mine: &Common) {
        self.counts.merge(&mine.counts);
        let asked_at = |common: &Common| common.stamp().map(|stamp| stamp.asked_at);
        let newest = asked_at(self).max(asked_at(mine));
        let left = |common: &Common| {
            let backoff = common.backoff.clone();
            let outage = common.outage.clone();
            (
                backoff.filter(|backoff| !common.is_over(backoff, newest, false)),
                outage.filter(|outage| !common.is_over(outage, newest, true)),
            )
        };
        let ((backoff, outage), (known_backoff, known_outage)) = (left(self), left(mine));
        let later = |one: Option<Backoff>, other: Option<Backoff>| {
            let until = |backoff: &Option<Backoff>| backoff.as_ref().map(|backoff| backoff.until);
            if until(&other) > until(&one) {
                other
            } else {
                one
            }
        };
        self.backoff = later(backoff, known_backoff);
        self.outage = later(outage, known_outage);
        let (found, known) = (self.rejected, mine.rejected);
        match asked_at(self).cmp(&asked_at(mine)) {
            Ordering::Less => {
                self.issue = mine.issue.clone();
                self.rejected = known;
            }
            Ordering::Equal => self.rejected = found.or(known),
            Ordering::Greater => {}
        }
        let kept = self.stamp().map(|stamp| stamp.id);
        if kept.is_some() && (found == kept || known == kept) {
            self.rejected = kept;
        }
        self.hosts = self.hosts.max(mine.hosts);
    }
}

impl HostRecord {
    /// Whether a process has announced a refresh, and the time that it announced is not over.
    pub(crate) fn is_led(&self, now: BootTime) -> bool {
        self.done_by.is_some_and(|done_by| now < done_by)
    }

    /// Whether it was written after `other`.
    pub(crate) fn newer_than(&self, other: &HostRecord) -> bool {
        (self.term, self.sequence) > (other.term, other.sequence)
    }

    /// `previous_until`, unless somebody got a token of this key since, which was asked for at `newest`: 88Pay accepts it.
    fn key_unknown_until(&self, newest: Option<BootTime>) -> Option<BootTime> {
        let asked_at = self.common.stamp().map(|stamp| stamp.asked_at);
        self.previous_until.filter(|until| {
            newest.is_none_or(|newest| {
                asked_at == Some(newest) || newest.plus(NEW_KEY_TRIED_EVERY) <= *until
            })
        })
    }

    /// Adds what this process remembers and the record does not have: the record was lost, or an old one came back.
    pub(crate) fn recall(&mut self, mine: &HostRecord) {
        let asked_at = |record: &HostRecord| record.common.stamp().map(|stamp| stamp.asked_at);
        let newest = asked_at(self).max(asked_at(mine));
        let unknown = [
            self.key_unknown_until(newest),
            mine.key_unknown_until(newest),
        ];
        self.previous_until = unknown.into_iter().flatten().max();
        self.common.recall(&mine.common);
        self.term = self.term.max(mine.term);
        self.sequence = self.sequence.max(mine.sequence);
        self.host = self.host.max(mine.host);
        self.unreachable_at = self.unreachable_at.max(mine.unreachable_at);
        self.ask_at = self.ask_at.max(mine.ask_at);
    }
}

impl FleetRecord {
    /// The record without what concerns one host only.
    pub(crate) fn for_all_hosts(mut self) -> FleetRecord {
        let common = &mut self.common;
        common.backoff.take_if(|backoff| !backoff.class.of_key());
        // Slots without an ID stand for what a host has lost. The store knows what was taken.
        common.counts.taken.retain(|slot| slot.id != 0);
        common.counts.known_to_all();
        common.counts.settled();
        if let Some(issue) = &mut common.issue {
            issue.budget_shares = 0;
        }
        self
    }

    /// The record on a clock that is between `least` and `most` milliseconds ahead. There the token seems no younger than it
    /// is, and slots and failures seem no older.
    pub(crate) fn shifted(mut self, least: i64, most: i64) -> FleetRecord {
        let by = |time: &mut BootTime, by| time.0 = time.0.saturating_add_signed(by);
        let common = &mut self.common;
        if let Some(issue) = &mut common.issue {
            by(&mut issue.stamp.asked_at, least);
        }
        let shift = |time: &mut BootTime| by(time, most);
        for slots in [&mut common.counts.taken, &mut common.counts.forced] {
            slots.iter_mut().for_each(|slot| shift(&mut slot.at));
        }
        common
            .counts
            .server_limits
            .iter_mut()
            .for_each(|limit| shift(&mut limit.until));
        for backoff in [&mut common.backoff, &mut common.outage]
            .into_iter()
            .flatten()
        {
            shift(&mut backoff.at);
            shift(&mut backoff.until);
        }
        if let Some(forgotten) = &mut self.forgotten {
            shift(forgotten);
        }
        self
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
