//! A store in memory: what Redis or Memcached would do with the value, the lease and the marks of one credential.
//!
//! Promises: an operation takes effect at one instant, and its answer takes as long as the network does. A session ends
//! with its first failure.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zeroize::Zeroizing;

use super::setup::{At, MILLISECOND, SECOND, micros};
use crate::platform::clock::Clock;
use crate::platform::virtual_clock::VirtualClock;
use crate::store::fleet::session::{Found, StoreTime};
use crate::store::fleet::{ATTEMPT_TIME, Backend, Owner, Session};

/// To the store or back.
const WAY: At = MILLISECOND / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Up,
    /// Nothing listens there.
    Down,
    /// It takes connections, and that is all.
    Silent,
}

/// One store of the fleet.
pub(super) struct FakeStore {
    /// Its clock shows whole steps of so many milliseconds.
    step: u64,
    /// By how much its clock is ahead of the simulation's.
    ahead: At,
    inside: Mutex<Inside>,
}

struct Inside {
    health: Health,
    value: Option<Vec<u8>>,
    value_until: At,
    /// Goes up with each writing, and with each token.
    writings: u64,
    tokens: u64,
    marks: Vec<u8>,
    lease: Option<(Owner, At)>,
    /// The operations of each second.
    operations: Vec<u32>,
}

/// The stores as one process reaches them. Its clock is the process's, and runs ahead of the simulation during an answer.
pub(super) struct Network {
    clock: Arc<VirtualClock>,
    now: Mutex<At>,
    /// The question that is on its way arrives no earlier.
    reaches: Mutex<At>,
    /// The store with which there is a connection.
    open: Mutex<Option<usize>>,
}

struct Route {
    store: Arc<FakeStore>,
    index: usize,
    network: Arc<Network>,
}

struct Connection {
    store: Arc<FakeStore>,
    network: Arc<Network>,
    owner: Owner,
    /// Of the value when the lease was had or the value written, and of the token that was seen last.
    writings: u64,
    token: u64,
}

impl FakeStore {
    pub(super) fn new(step: u64, ahead: At) -> FakeStore {
        FakeStore {
            step,
            ahead,
            inside: Mutex::new(Inside {
                health: Health::Up,
                value: None,
                value_until: 0,
                writings: 0,
                tokens: 0,
                marks: Vec::new(),
                lease: None,
                operations: Vec::new(),
            }),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> Health {
        self.inside().health
    }

    pub(super) fn set_health(&self, health: Health) {
        self.inside().health = health;
    }

    pub(super) fn flush(&self) {
        let mut inside = self.inside();
        (inside.value, inside.lease) = (None, None);
        inside.marks.clear();
        inside.writings += 1;
        inside.tokens += 1;
    }

    /// The operations of each second so far.
    pub(super) fn operations(&self) -> Vec<u32> {
        self.inside().operations.clone()
    }

    /// How long it takes to learn that it does not answer.
    fn failure_time(health: Health, within: Duration) -> At {
        match health {
            Health::Up => 0,
            Health::Down => WAY.min(micros(within)),
            Health::Silent => micros(within),
        }
    }
}

impl Network {
    /// For a process of the host with that clock, which shows `now`.
    pub(super) fn new(clock: &VirtualClock, now: At) -> Arc<Network> {
        Arc::new(Network {
            clock: Arc::new(clock.another()),
            now: Mutex::new(now),
            reaches: Mutex::new(0),
            open: Mutex::new(None),
        })
    }

    fn now(&self) -> MutexGuard<'_, At> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, Option<usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock goes on to that time.
    pub(super) fn go_to(&self, at: At) {
        let mut now = self.now();
        self.clock
            .advance(Duration::from_micros(at.saturating_sub(*now)));
        *now = at.max(*now);
    }

    fn pass(&self, time: At) {
        let at = *self.now() + time;
        self.go_to(at);
    }

    pub(super) fn time(&self) -> At {
        *self.now()
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::Virtual(self.clock.clone())
    }

    /// The question that is on its way arrives then.
    pub(super) fn reaches(&self, at: At) {
        *self.reaches.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn arrive(&self) -> At {
        let now = self.time() + WAY;
        let at = *self.reaches.lock().unwrap_or_else(PoisonError::into_inner);
        self.go_to(now.max(at));
        self.time()
    }

    pub(super) fn stores(
        network: &Arc<Network>,
        stores: &[Arc<FakeStore>],
    ) -> Vec<Box<dyn Backend>> {
        let route = |(index, store): (usize, &Arc<FakeStore>)| {
            Box::new(Route {
                store: store.clone(),
                index,
                network: network.clone(),
            }) as Box<dyn Backend>
        };
        stores.iter().enumerate().map(route).collect()
    }

    /// How long a question takes until the store has it, or until it is known that none answers.
    pub(super) fn time_to_reach(
        &self,
        stores: &[Arc<FakeStore>],
        candidates: &[usize],
        within: Duration,
    ) -> At {
        if let Some(index) = *self.open() {
            return match stores[index].health() {
                Health::Up => WAY,
                other => FakeStore::failure_time(other, within),
            };
        }
        let mut time = 0;
        for index in candidates {
            let left = within.saturating_sub(Duration::from_micros(time));
            match stores[*index].health() {
                Health::Up => return time + 3 * WAY,
                other => time += FakeStore::failure_time(other, left.min(ATTEMPT_TIME)),
            }
        }
        time
    }
}

impl Backend for Route {
    fn shown(&self) -> &str {
        "fake://store"
    }

    fn open(&self, _: &str, owner: Owner, within: Duration) -> Result<Box<dyn Session>, String> {
        let health = self.store.health();
        if health != Health::Up {
            self.network.pass(FakeStore::failure_time(health, within));
            return Err("it does not answer".to_owned());
        }
        self.network.pass(2 * WAY);
        *self.network.open() = Some(self.index);
        Ok(Box::new(Connection {
            store: self.store.clone(),
            network: self.network.clone(),
            owner,
            writings: self.store.inside().writings,
            token: 0,
        }))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        *self.network.open() = None;
    }
}

impl Connection {
    /// One operation, at the instant at which it arrives.
    fn ask<T>(
        &mut self,
        within: Duration,
        what: impl FnOnce(&mut Connection, &mut Inside, At) -> T,
    ) -> Result<T, String> {
        let store = self.store.clone();
        let mut inside = store.inside();
        if inside.health != Health::Up {
            self.network
                .pass(FakeStore::failure_time(inside.health, within));
            return Err("it does not answer any more".to_owned());
        }
        let now = self.network.arrive();
        let second = (now / SECOND) as usize;
        if inside.operations.len() <= second {
            inside.operations.resize(second + 1, 0);
        }
        inside.operations[second] += 1;
        if now >= inside.value_until {
            inside.value = None;
        }
        inside.lease = inside.lease.filter(|(_, until)| now < *until);
        let answer = what(self, &mut inside, now);
        self.network.pass(WAY);
        Ok(answer)
    }

    fn found(&mut self, inside: &Inside, now: At) -> Found {
        self.token = inside.tokens;
        let others = inside.lease.filter(|(owner, _)| *owner != self.owner);
        let millis = (now + self.store.ahead) / 1000 / self.store.step * self.store.step;
        Found {
            value: inside.value.clone().map(Zeroizing::new),
            leased: others.map(|(_, until)| Duration::from_micros(until - now)),
            now: StoreTime {
                earliest: millis,
                // When the answer comes, as far as who asked can tell.
                latest: millis + self.store.step + (2 * WAY).div_ceil(MILLISECOND),
            },
        }
    }
}

impl Session for Connection {
    fn read(&mut self, within: Duration) -> Result<Found, String> {
        self.ask(within, |connection, inside, now| {
            connection.found(inside, now)
        })
    }

    fn take_lease(&mut self, lease: Duration, within: Duration) -> Result<(bool, Found), String> {
        self.ask(within, |connection, inside, now| {
            let free = inside
                .lease
                .is_none_or(|(owner, _)| owner == connection.owner);
            if free {
                inside.lease = Some((connection.owner, now + micros(lease)));
                connection.writings = inside.writings;
            }
            (free, connection.found(inside, now))
        })
    }

    fn write(
        &mut self,
        value: &[u8],
        keep: Duration,
        lease: Option<Duration>,
        fresh: Option<&[u8]>,
        within: Duration,
    ) -> Result<bool, String> {
        self.ask(within, |connection, inside, now| {
            let mine = inside
                .lease
                .is_some_and(|(owner, _)| owner == connection.owner);
            if !mine || inside.writings != connection.writings {
                return false;
            }
            inside.writings += 1;
            connection.writings = inside.writings;
            inside.value = Some(value.to_vec());
            inside.value_until = now + micros(keep);
            inside.lease = lease.map(|lease| (connection.owner, now + micros(lease)));
            if let Some(mark) = fresh {
                inside.tokens += 1;
                inside.marks = mark.to_vec();
                connection.token = inside.tokens;
            }
            true
        })
    }

    fn release(&mut self, within: Duration) -> Result<(), String> {
        self.ask(within, |connection, inside, _| {
            let owner = connection.owner;
            inside.lease = inside.lease.filter(|(other, _)| *other != owner);
        })
    }

    fn writable(&mut self, within: Duration) -> Result<(), String> {
        self.ask(within, |_, _, _| ())
    }

    fn marks(&mut self, mine: &[u8], within: Duration) -> Result<Vec<u8>, String> {
        self.ask(within, |connection, inside, _| {
            if connection.token != inside.tokens {
                return Vec::new();
            }
            let there = |mark: &[u8]| mark == mine;
            if !mine.is_empty() && !inside.marks.chunks(mine.len()).any(there) {
                inside.marks.extend_from_slice(mine);
            }
            inside.marks.clone()
        })
    }
}
