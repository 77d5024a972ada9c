//! One token for the hosts of a fleet: a sealed record in a store that all of them can reach.
//!
//! Promises: the first store of the list that answers is used. A store that failed is left alone for a while. A
//! refresh spends no more time here than it allows. Instants are kept on the store's clock, as bounds: no host
//! compares its own clock with another's, a token never seems younger than it is, and a counted request never older.
//! A value that does not open, or that was moved here from another place, counts as none. Never decides when a token
//! is asked for.

mod connection;
mod memcached;
mod memcached_clock;
mod redis;
mod server;
pub(crate) mod session;

#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::server::Server;
pub(crate) use self::session::{Backend, Owner, Session};
use crate::config::credentials::ApiKey;
use crate::config::store_url::StoreUrl;
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;
use crate::platform::random;
use crate::policy::backoff::ExponentialBackoff;
use crate::policy::rate_limit::Slot;
use crate::refresh::record::{FleetRecord, HostRecord, Stamp};
use crate::refresh::{Ask, Found};
use crate::store::seal::{Sealer, TAG};
use crate::time::BootTime;

/// How much time one store has to accept a connection and to answer.
pub(crate) const ATTEMPT_TIME: Duration = Duration::from_millis(250);

/// A store that failed is left alone for so long, while another one answers.
const LEFT_ALONE: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(5), Duration::from_secs(60));

/// The record is kept as long as the counts of an hour matter.
const KEPT: Duration = Duration::from_secs(3700);

/// A host's number and its tag.
const MARK: usize = 8 + TAG;

/// The version of the format, which is the first byte of every value. The instant at which the token was asked for
/// follows.
const FORMAT: u8 = 1;
const HEADER: usize = 9;

/// Nothing that 88Pay says stops anybody for longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3615);

/// Nobody takes a lease for longer. A lease that has more left cannot be told from one that never ends.
const LONGEST_LEASE: Duration = Duration::from_secs(20);

/// The stores of one set of credentials, in the order of their use.
pub(crate) struct Fleet {
    servers: Vec<Box<dyn Backend>>,
    base_url: String,
    merchant_id: String,
    clock: Clock,
    /// The stores that failed, at their places in the list.
    failed: PerProcess<Mutex<Vec<Option<Failed>>>>,
}

/// A store that is left alone.
#[derive(Clone, Copy)]
struct Failed {
    until: BootTime,
    /// Failures in a row before this one.
    streak: u32,
}

/// Asks the stores about the record of one key, for one refresh.
pub(crate) struct FleetClient {
    fleet: Arc<Fleet>,
    sealer: Sealer,
    name: String,
    /// As which owner of leases this host asks.
    owner: Owner,
    /// The number by which the fleet knows this host; 0 until it leads.
    host: u64,
    /// The session with the store that answered.
    session: Option<(usize, Box<dyn Session>)>,
    /// The record as it was last read or written there, on the store's clock; and sealed.
    stored: FleetRecord,
    value: Vec<u8>,
    /// By how many milliseconds the store's clock is ahead of boot time, at least and at most.
    ahead: (i64, i64),
}

/// What a store answered.
pub(crate) enum Answer {
    Found(Box<Found>),
    Stored(bool),
    Counted(u32),
}

impl Fleet {
    pub(crate) fn new(
        stores: &[StoreUrl],
        base_url: &str,
        merchant_id: &str,
        clock: Clock,
    ) -> Fleet {
        let server = |url: &StoreUrl| Box::new(Server::new(url.clone())) as Box<dyn Backend>;
        let servers = stores.iter().map(server).collect();
        Fleet::of(servers, base_url, merchant_id, clock)
    }

    pub(crate) fn of(
        servers: Vec<Box<dyn Backend>>,
        base_url: &str,
        merchant_id: &str,
        clock: Clock,
    ) -> Fleet {
        Fleet {
            servers,
            base_url: base_url.to_owned(),
            merchant_id: merchant_id.to_owned(),
            clock,
            failed: PerProcess::new(),
        }
    }

    fn failed(&self) -> MutexGuard<'_, Vec<Option<Failed>>> {
        self.failed.lock_or_make(|| vec![None; self.servers.len()])
    }

    /// For the record of all who use that key; `None` only if the machine's cryptography or randomness fails.
    pub(crate) fn client(self: &Arc<Self>, key: &ApiKey) -> Option<FleetClient> {
        let sealer = Sealer::of(key)?;
        let (base_url, merchant_id) = (self.base_url.as_bytes(), self.merchant_id.as_bytes());
        // A record that another release wrote in a format that this one does not know is left alone.
        let name = sealer.name(&[b"fleet", &[FORMAT], base_url, merchant_id]);
        Some(FleetClient {
            fleet: self.clone(),
            sealer,
            name,
            owner: random::bytes()?,
            host: 0,
            session: None,
            stored: FleetRecord::default(),
            value: Vec::new(),
            ahead: (0, 0),
        })
    }

    /// The stores to try now, best first: all of them if each has failed.
    pub(crate) fn candidates(&self) -> Vec<usize> {
        let (failed, now) = (self.failed(), self.clock.boot());
        let rested = |index: &usize| {
            let failed = failed.get(*index).copied().flatten();
            failed.is_none_or(|failed| now >= failed.until)
        };
        let rested: Vec<usize> = (0..self.servers.len()).filter(rested).collect();
        match rested.is_empty() {
            true => (0..self.servers.len()).collect(),
            false => rested,
        }
    }

    fn note(&self, index: usize, well: bool) {
        let now = self.clock.boot();
        if let Some(failed) = self.failed().get_mut(index) {
            let streak = failed.map_or(0, |before| before.streak.saturating_add(1));
            let until = now.plus(LEFT_ALONE.pause(streak));
            *failed = (!well).then_some(Failed { until, streak });
        }
    }
}

impl FleetClient {
    /// From now on asks for the leader of that host's term. A process that follows one that died has its lease.
    pub(crate) fn act_for(&mut self, host: &HostRecord) {
        self.host = host.host;
        if host.host != 0 {
            let (host, term) = (host.host.to_le_bytes(), host.term.to_le_bytes());
            self.owner = std::array::from_fn(|at| *host.iter().chain(&term).nth(at).unwrap_or(&0));
        }
    }

    /// Asks a store.
    ///
    /// # Errors
    /// Why no store can be used, without a secret.
    pub(crate) fn ask(&mut self, what: Ask, within: Duration) -> Result<Answer, String> {
        let deadline = self.fleet.clock.boot().plus(within);
        let (mut failed, mut tried) = (Vec::new(), None);
        if let Some((index, session)) = self.session.take() {
            tried = Some(index);
            match (self.ask_one(index, session, &what, within), &what) {
                // The store may be read-only. Nothing was begun there, and the next store may give its lease.
                (Err(reason), Ask::Lease { .. }) => failed.push(reason),
                (answer, _) => return answer,
            }
        }
        let candidates = self.fleet.candidates();
        for index in candidates.into_iter().filter(|index| Some(*index) != tried) {
            let left = self.fleet.clock.boot().until(deadline);
            if left.is_zero() {
                break;
            }
            let within = left.min(ATTEMPT_TIME);
            let until = self.fleet.clock.boot().plus(within);
            let fleet = self.fleet.clone();
            let Some(server) = fleet.servers.get(index) else {
                continue;
            };
            let result = match server.open(&self.name, self.owner, within) {
                Ok(session) => {
                    let left = self.fleet.clock.boot().until(until);
                    self.ask_one(index, session, &what, left)
                }
                Err(reason) => Err(self.failed(index, &reason)),
            };
            match result {
                Ok(answer) => return Ok(answer),
                Err(reason) => failed.push(reason),
            }
        }
        Err(failed.join("; "))
    }

    /// Whether the store that was asked last takes writes, for a diagnosis. Changes nothing.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn writable(&mut self, within: Duration) -> Result<(), String> {
        match &mut self.session {
            Some((_, session)) => session.writable(within),
            None => Ok(()),
        }
    }

    /// The store that is in use, for people.
    pub(crate) fn shown(&self) -> Option<&str> {
        let (index, _) = self.session.as_ref()?;
        self.fleet.servers.get(*index).map(|server| server.shown())
    }

    fn failed(&self, index: usize, reason: &str) -> String {
        self.fleet.note(index, false);
        let shown = self.fleet.servers.get(index).map(|server| server.shown());
        format!("{}: {reason}", shown.unwrap_or_default())
    }

    /// Asks one store. A store that fails is not asked again in this refresh.
    fn ask_one(
        &mut self,
        index: usize,
        mut session: Box<dyn Session>,
        what: &Ask,
        within: Duration,
    ) -> Result<Answer, String> {
        let answer = self.exchange(&mut *session, what, within);
        match answer {
            Ok(answer) => {
                // A store that can be read may still not be writable.
                if !matches!(what, Ask::Read) {
                    self.fleet.note(index, true);
                }
                self.session = Some((index, session));
                Ok(answer)
            }
            Err(reason) => Err(self.failed(index, &reason)),
        }
    }

    fn exchange(
        &mut self,
        session: &mut dyn Session,
        what: &Ask,
        within: Duration,
    ) -> Result<Answer, String> {
        let until = self.fleet.clock.boot().plus(within);
        let (leads, found) = match what {
            Ask::Read => (false, session.read(within)?),
            Ask::Lease { lease } => session.take_lease(*lease, within)?,
            Ask::Release => return session.release(within).map(|()| Answer::Stored(true)),
            Ask::Count => {
                let mine = self.mark(&self.stored, self.host);
                let marks = session.marks(&mine, within)?;
                // There cannot be more marks than known hosts, so none has to be checked.
                let known = marks.len() / MARK <= self.stored.common.hosts as usize;
                return Ok(Answer::Counted(if known { 0 } else { self.count(&marks) }));
            }
            Ask::Write {
                record,
                lease,
                fresh,
            } => {
                let stored = on_the_stores_clock(record, &self.stored, self.ahead);
                let value = self.seal(&stored, self.fleet.clock.boot())?;
                let mine = fresh.then(|| self.mark(&stored, self.host));
                let written = session.write(&value, KEPT, *lease, mine.as_deref(), within)?;
                if written {
                    (self.stored, self.value) = (stored, value);
                } else {
                    // Somebody has written meanwhile. The lease may still be this session's.
                    session.release(self.fleet.clock.boot().until(until))?;
                }
                return Ok(Answer::Stored(written));
            }
        };
        if found.leased.is_some_and(|left| left > LONGEST_LEASE) {
            return Err("a lease there does not end: was its clock set back?".to_owned());
        }
        let now = self.fleet.clock.boot().0;
        let (least, most) = (found.now.earliest, found.now.latest);
        self.ahead = (difference(least, now), difference(most, now));
        let opened = match &found.value {
            // A host that waits for another one reads often.
            Some(value) if !value.is_empty() && **value == self.value => Some(self.stored.clone()),
            Some(value) => self.open(value),
            None => None,
        };
        let record = opened.map(|mut stored| {
            not_from_the_future(&mut stored, most);
            self.stored = stored.clone();
            self.value = found
                .value
                .map_or_else(Vec::new, |mut value| std::mem::take(&mut *value));
            stored.shifted(difference(now, most), difference(now, least))
        });
        if record.is_none() {
            (self.stored, self.value) = (FleetRecord::default(), Vec::new());
        }
        let hosts = match leads {
            true => self.count(&session.marks(&[], self.fleet.clock.boot().until(until))?),
            false => 0,
        };
        Ok(Answer::Found(Box::new(Found {
            record,
            leads,
            leased: found.leased.is_some(),
            hosts,
        })))
    }

    /// How many hosts have the token that was last read.
    ///
    /// # Errors
    /// Why the store does not say so.
    pub(crate) fn hosts(&mut self, within: Duration) -> Result<u32, String> {
        let (_, session) = self.session.as_mut().ok_or("no store was asked before")?;
        let marks = session.marks(&[], within)?;
        Ok(self.count(&marks))
    }

    /// The mark that a host leaves beside a token that it takes over: its number, and a tag. Only a holder of the key
    /// can make it, and only for that token.
    fn mark(&self, stored: &FleetRecord, host: u64) -> Vec<u8> {
        let token = stored.common.stamp().map_or(0, |stamp| stamp.id);
        let (token, host) = (token.to_le_bytes(), host.to_le_bytes());
        let tag = self
            .sealer
            .tag(&[b"mark", self.name.as_bytes(), &token, &host]);
        [&host[..], &tag].concat()
    }

    /// How many hosts have marked the token that was last read.
    fn count(&self, marks: &[u8]) -> u32 {
        let marks = marks.as_chunks::<MARK>().0.iter();
        let hosts = marks.filter_map(|mark| {
            let host = u64::from_le_bytes(*mark.first_chunk()?);
            (self.mark(&self.stored, host) == mark).then_some(host)
        });
        let hosts: HashSet<u64> = hosts.collect();
        u32::try_from(hosts.len()).unwrap_or(u32::MAX)
    }

    fn seal_context<'a>(&'a self, asked_at: &'a [u8]) -> [&'a [u8]; 6] {
        let fleet = &self.fleet;
        let (base_url, merchant_id) = (fleet.base_url.as_bytes(), fleet.merchant_id.as_bytes());
        [
            b"fleet",
            self.name.as_bytes(),
            &[FORMAT],
            base_url,
            merchant_id,
            asked_at,
        ]
    }

    /// The format, the instant at which the token was asked for, and the record, bound to both.
    fn seal(&self, stored: &FleetRecord, now: BootTime) -> Result<Vec<u8>, String> {
        let asked_at = asked_at(stored).to_le_bytes();
        let sealed = self
            .sealer
            .seal(&self.seal_context(&asked_at), &stored.to_bytes(now))
            .ok_or("the system gives no random numbers")?;
        let mut value = vec![FORMAT];
        value.extend_from_slice(&asked_at);
        value.extend_from_slice(&sealed);
        Ok(value)
    }

    fn open(&self, value: &[u8]) -> Option<FleetRecord> {
        let (header, sealed) = value.split_at_checked(HEADER)?;
        let (format, at) = header.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let plain = self.sealer.open(&self.seal_context(at), sealed)?;
        let stored = FleetRecord::from_bytes(&plain)?;
        (asked_at(&stored).to_le_bytes() == *at).then_some(stored)
    }
}

fn asked_at(record: &FleetRecord) -> u64 {
    let stamp = record.common.stamp();
    stamp.map_or(0, |stamp| stamp.asked_at.0)
}

/// The record on the store's clock. Instants that the store knows stay unchanged: if they were converted to and fro,
/// they would creep.
fn on_the_stores_clock(
    record: &FleetRecord,
    stored: &FleetRecord,
    (least, most): (i64, i64),
) -> FleetRecord {
    let mut record = record.clone().for_all_hosts().shifted(least, most);
    let (shifted, stored) = (&mut record.common, &stored.common);
    let same = |slots: &mut VecDeque<Slot>, known: &VecDeque<Slot>| {
        for slot in slots.iter_mut() {
            if let Some(known) = known.iter().find(|known| known.id == slot.id) {
                slot.at = known.dated(Some(&slot.at));
            }
        }
        slots.make_contiguous().sort_by_key(|slot| slot.at);
    };
    same(&mut shifted.counts.taken, &stored.counts.taken);
    same(&mut shifted.counts.forced, &stored.counts.forced);
    if let (Some(issue), Some(Stamp { id, asked_at })) = (&mut shifted.issue, stored.stamp())
        && issue.stamp.id == id
    {
        issue.stamp.asked_at = asked_at;
    }
    record
}

/// If the store's clock was set back, or is another store's, then counts and back-offs date from now.
fn not_from_the_future(stored: &mut FleetRecord, latest: u64) {
    let forgotten = stored.forgotten;
    stored.forgotten = forgotten.map(|at| at.min(BootTime(latest)));
    let stored = &mut stored.common;
    for slots in [&mut stored.counts.taken, &mut stored.counts.forced] {
        for slot in slots.iter_mut() {
            slot.at = slot.at.min(BootTime(latest));
        }
    }
    for limit in &mut stored.counts.server_limits {
        limit.until = limit.until.min(BootTime(latest).plus(LONGEST_BACKOFF));
    }
    for backoff in [&mut stored.backoff, &mut stored.outage]
        .into_iter()
        .flatten()
    {
        let pause = backoff.at.until(backoff.until).min(LONGEST_BACKOFF);
        backoff.at = backoff.at.min(BootTime(latest));
        backoff.until = backoff.until.min(backoff.at.plus(pause));
    }
}

fn difference(one: u64, other: u64) -> i64 {
    let difference = i128::from(one) - i128::from(other);
    i64::try_from(difference).unwrap_or(if difference > 0 { i64::MAX } else { i64::MIN })
}
