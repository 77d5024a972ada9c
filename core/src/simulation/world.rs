//! The virtual driver: hosts, their processes and callers, and the events that happen to them, in the order of time.
//!
//! Promises: everything that decides is the manager's own; the driver carries out what it wants, later by as much as the
//! network takes. Calls that the cached token answers whatever happens are not looked at one by one, and a process that
//! waits for another one's refresh is not asked again before there is something else to see; both change nothing
//! (`skips: false` does it the long way).

mod refreshes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pay88_sandbox::{TEST_KEY, TEST_MERCHANT};

use super::fake_store::{FakeStore, Network};
use super::provider::Provider;
use super::setup::{
    At, Connectivity, Counts, Disturbance, HOUR, MILLISECOND, MINUTE, SECOND, Setup, micros,
};
use crate::config::credentials::ApiKey;
use crate::config::settings::Settings;
use crate::error::{Error, ErrorCode};
use crate::exchange::{Failure, FailureKind};
use crate::manager::account::{Account, Job};
use crate::manager::manager::{Joined, Manager};
use crate::manager::refresh_driver::Tier;
use crate::manager::shared_tier;
use crate::manager::token::Token;
use crate::platform::clock::Clock;
use crate::platform::random::SEEDED;
use crate::platform::seeded::Random;
use crate::platform::virtual_clock::VirtualClock;
use crate::policy::token_response::{Grant, RateLimit, Rejection};
use crate::refresh::record::FleetRecord;
use crate::refresh::{Ask, Input};
use crate::store::Store;
use crate::store::fleet::{Answer, Fleet};
use crate::store::local::{LocalRecord, Medium};
use crate::store::memory::Memory;
use crate::test_support::config::config_with;
use crate::time::Reading;

/// How long a caller waits for a token.
const PATIENCE: At = 30 * SECOND;

const PATH: &str = "GET /api/echo";

struct Host {
    memory: Arc<Memory>,
    clock: Arc<VirtualClock>,
    at: At,
    connectivity: Connectivity,
    processes: Vec<usize>,
    /// Those that wait for a change of the record.
    parked: Vec<(usize, u64)>,
    /// What they could see of it last: its term and state, and whether that term's lock is free.
    seen: Option<(u64, u64, bool)>,
    counts: Counts,
}

struct Process {
    host: usize,
    random: Random,
    /// `None` while it is not running.
    life: Option<Life>,
    /// Its n-th life.
    lives: u64,
    /// It will be killed then.
    ends: At,
    stopped_until: At,
}

struct Life {
    manager: Arc<Manager>,
    fleet: Arc<Fleet>,
    network: Arc<Network>,
    /// The refresh for which a thread was wanted.
    launched: Arc<Mutex<Option<Job>>>,
    refreshing: Option<Refreshing>,
    waiting: Vec<Waiting>,
}

/// A caller without a token.
struct Waiting {
    since: At,
    /// Its call was answered 401 before.
    again: bool,
}

/// A refresh that is under way.
struct Refreshing {
    job: Job,
    tier: Tier,
    asked_at: Reading,
    begun: At,
    /// Of the one event that takes it on.
    ticket: u64,
    next: Next,
}

enum Next {
    Tell(Box<Input>),
    Ask(Ask, Duration),
    /// It waits for the record to change, and would look at it at steps from then on.
    Parked(At),
    /// An answer of 88Pay.
    Answer,
}

enum Event {
    Start(usize),
    Kill(usize),
    /// The record of a host, with its container.
    Lose(usize),
    Call(usize, u64),
    /// What a refresh does next.
    Next(usize, u64),
    /// A token request arrives; its answer is there then, or is waited for no longer.
    Arrive {
        process: usize,
        ticket: u64,
        denied: bool,
        answer: At,
        timeout: At,
    },
    Disturb(usize),
}

struct Due(At, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub(super) struct World {
    setup: Setup,
    settings: Settings,
    now: At,
    events: BinaryHeap<Reverse<Due>>,
    numbers: u64,
    tickets: u64,
    hosts: Vec<Host>,
    processes: Vec<Process>,
    stores: Vec<Arc<FakeStore>>,
    pub(super) provider: Provider,
    latency: (At, At),
    random: Random,
    /// The next disturbance of the plan.
    planned: usize,
    /// Flights that ended at this very instant, one after the other.
    spins: u32,
    pub(super) kills: u64,
    /// How often callers were told what.
    pub(super) reasons: BTreeMap<String, u64>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.processes.clear();
        SEEDED.set(None);
    }
}

impl World {
    pub(super) fn new(setup: Setup) -> World {
        let mut random = Random(setup.seed);
        let seeded = SEEDED.replace(Some(Random(random.next())));
        assert!(seeded.is_none(), "one simulation at a time on a thread");
        let share = if setup.stores.is_empty() {
            "host"
        } else {
            "host,redis://fake"
        };
        let config = config_with(&[
            ("api_key", TEST_KEY),
            ("merchant_id", TEST_MERCHANT),
            ("base_url", "http://127.0.0.1:9"),
            ("share", share),
        ]);
        let mut world = World {
            settings: config.settings().unwrap(),
            now: 0,
            events: BinaryHeap::new(),
            numbers: 0,
            tickets: 0,
            hosts: Vec::new(),
            processes: Vec::new(),
            stores: Vec::new(),
            provider: Provider::new(setup.windows),
            latency: (150 * MILLISECOND, 350 * MILLISECOND),
            random,
            planned: 0,
            spins: 0,
            kills: 0,
            reasons: BTreeMap::new(),
            setup,
        };
        for step in world.setup.stores.clone() {
            let ahead = world.random.below(1_000_000 * HOUR);
            world.stores.push(Arc::new(FakeStore::new(step, ahead)));
        }
        for number in 0..world.setup.hosts {
            let clock = Arc::new(VirtualClock::default());
            // Machines that have been up for some minutes to a month.
            let up = world.random.between((10 * MINUTE, 720 * HOUR));
            clock.advance(Duration::from_micros(up));
            let apart = world.random.below(world.setup.clocks_apart + 1) / SECOND;
            clock.step_wall(apart as i64 - (up / SECOND) as i64);
            let first = world.processes.len();
            for _ in 0..world.setup.processes {
                let start = world.random.below(SECOND);
                world.push(start, Event::Start(world.processes.len()));
                world.processes.push(Process {
                    host: number,
                    random: Random(world.random.next()),
                    life: None,
                    lives: 0,
                    ends: At::MAX,
                    stopped_until: 0,
                });
            }
            world.hosts.push(Host {
                memory: Arc::new(files()),
                clock,
                at: 0,
                connectivity: Connectivity::Open,
                processes: (first..world.processes.len()).collect(),
                parked: Vec::new(),
                seen: None,
                counts: Counts::default(),
            });
        }
        for (index, (at, _)) in world.setup.plan.clone().iter().enumerate() {
            world.push(*at, Event::Disturb(index));
        }
        world
    }

    fn push(&mut self, at: At, event: Event) {
        self.numbers += 1;
        self.events.push(Reverse(Due(at, self.numbers, event)));
    }

    /// Until the end, or until `at`.
    pub(super) fn run(&mut self) {
        while let Some(Reverse(Due(at, _, event))) = self.events.pop() {
            if at >= self.setup.lasts {
                break;
            }
            if at > self.now {
                self.spins = 0;
            }
            self.now = at;
            self.provider.go_to(at);
            self.happen(event);
        }
        self.now = self.setup.lasts;
    }

    /// A user of that process has the failures forgotten.
    pub(super) fn forget_failures(&self, index: usize) {
        let life = self.processes[index].life.as_ref().unwrap();
        life.network.go_to(self.now);
        shared_tier::forget_failures(&life.manager.account).unwrap();
    }

    /// What that process finds in the store.
    pub(super) fn stored(&self, index: usize) -> Option<FleetRecord> {
        let life = self.processes[index].life.as_ref().unwrap();
        life.network.go_to(self.now);
        let mut client = life.fleet.client(&self.settings.api_key).unwrap();
        match client.ask(Ask::Read, Duration::from_secs(1)).unwrap() {
            Answer::Found(found) => found.record,
            _ => None,
        }
    }

    pub(super) fn flush_stores(&self) {
        self.stores.iter().for_each(|store| store.flush());
    }

    /// What the callers of that host met.
    pub(super) fn counts_of(&self, host: usize) -> Counts {
        self.hosts[host].counts
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.hosts.iter().for_each(|host| counts.add(&host.counts));
        counts
    }

    /// The operations of the stores together: on average and at most within a second.
    pub(super) fn operations(&self) -> (f64, u64) {
        let mut seconds: Vec<u64> = Vec::new();
        for store in &self.stores {
            let operations = store.operations();
            seconds.resize(seconds.len().max(operations.len()), 0);
            for (all, operations) in seconds.iter_mut().zip(operations) {
                *all += u64::from(operations);
            }
        }
        let all: u64 = seconds.iter().sum();
        let mean = all as f64 / (self.setup.lasts as f64 / SECOND as f64);
        (mean, seconds.into_iter().max().unwrap_or(0))
    }

    /// How many callers wait at the end, and how long the first of them has.
    pub(super) fn waiting(&self) -> (u64, At) {
        let lives = self
            .processes
            .iter()
            .filter_map(|process| process.life.as_ref());
        let waiting = lives.flat_map(|life| life.waiting.iter());
        let since = waiting.clone().map(|waiting| self.now - waiting.since);
        (waiting.count() as u64, since.max().unwrap_or(0))
    }

    fn happen(&mut self, event: Event) {
        // A stopped process goes on later.
        if let Event::Start(index) | Event::Call(index, _) | Event::Next(index, _) = event {
            let until = self.processes[index].stopped_until;
            if self.now < until {
                return self.push(until, event);
            }
            self.go_on(index);
        }
        match event {
            Event::Start(index) => self.start(index),
            Event::Kill(index) => self.kill(index, None),
            Event::Lose(host) => self.hosts[host].memory.write(None),
            Event::Call(index, life) if self.processes[index].lives == life => self.call(index),
            Event::Next(index, ticket) => self.next(index, ticket),
            Event::Arrive {
                process,
                ticket,
                denied,
                answer,
                timeout,
            } => {
                let answered = self.provider.token_request(denied);
                let told = RateLimit::of(&answered);
                let (at, input) = match answer < timeout {
                    true => (answer, Input::Answer(Grant::read(answered, &[]), told)),
                    false => (timeout, failed(FailureKind::Timeout, true)),
                };
                self.answer(process, ticket, at, input);
            }
            Event::Disturb(index) => {
                self.planned = index + 1;
                let disturbance = self.setup.plan[index].1.clone();
                self.disturb(disturbance);
            }
            Event::Call(..) => {}
        }
    }

    /// The clocks of a process's host go on to now.
    fn go_on(&mut self, index: usize) {
        let host = &mut self.hosts[self.processes[index].host];
        host.clock
            .advance(Duration::from_micros(self.now.saturating_sub(host.at)));
        host.at = host.at.max(self.now);
    }

    // --- Disturbances ------------------------------------------------------------------------------------------

    fn disturb(&mut self, disturbance: Disturbance) {
        match disturbance {
            Disturbance::Deploy { keeps_records } => self.deploy(keeps_records),
            Disturbance::Store(index, health) => self.stores[index].set_health(health),
            Disturbance::Flush => self.flush_stores(),
            Disturbance::Latency(from, to) => self.latency = (from, to),
            Disturbance::Refuse(status, time) => {
                self.provider.refuses = (status, self.now + time);
            }
            Disturbance::Fail(status, times) => self.provider.fail(status, times),
            Disturbance::CallsEvery(time) => self.setup.calls_every = time,
            Disturbance::Revoke => self.provider.revoke(),
            Disturbance::Connectivity(host, connectivity) => {
                self.hosts[host].connectivity = connectivity
            }
            Disturbance::Kill(index) => self.kill(index, Some(self.now + SECOND / 10)),
            Disturbance::Stop(index, time) => self.processes[index].stopped_until = self.now + time,
            Disturbance::Invalidate(index) => {
                self.go_on(index);
                if let Some(life) = &self.processes[index].life
                    && let Some(token) = life.manager.peek()
                {
                    let _: Result<bool, Error> =
                        life.manager.invalidate(token.generation(), "asked");
                }
                self.unpark(self.processes[index].host);
            }
            Disturbance::Sleep(host, time) => {
                self.go_on(self.hosts[host].processes[0]);
                let host = &mut self.hosts[host];
                if self.now < host.at {
                    // It sleeps already.
                    return;
                }
                host.clock.suspend(Duration::from_micros(time));
                host.at += time;
                for index in host.processes.clone() {
                    self.processes[index].stopped_until = self.now + time;
                }
            }
            Disturbance::StepWall(host, seconds) => self.hosts[host].clock.step_wall(seconds),
        }
    }

    fn deploy(&mut self, keeps_records: bool) {
        for host in 0..self.hosts.len() {
            let together = self.now + self.random.below(MINUTE);
            for index in self.hosts[host].processes.clone() {
                let (end, gap) = match keeps_records {
                    true => (
                        self.now + self.random.below(MINUTE),
                        (SECOND / 2, 3 * SECOND),
                    ),
                    false => (together, (SECOND, 4 * SECOND)),
                };
                self.processes[index].ends = end;
                self.push(end, Event::Kill(index));
                let gap = self.random.between(gap);
                self.push(end + gap, Event::Start(index));
            }
            if !keeps_records {
                self.push(together, Event::Lose(host));
            }
        }
    }

    /// The process dies, with all that it holds; another one comes then.
    fn kill(&mut self, index: usize, another: Option<At>) {
        self.kills += 1;
        let process = &mut self.processes[index];
        process.lives += 1;
        process.ends = At::MAX;
        let host = process.host;
        if let Some(life) = process.life.take() {
            self.hosts[host].counts.lost += life.waiting.len() as u64;
        }
        self.unpark(host);
        if let Some(at) = another {
            self.push(at, Event::Start(index));
        }
    }

    fn start(&mut self, index: usize) {
        let process = &self.processes[index];
        if process.life.is_some() {
            return;
        }
        let host = &self.hosts[process.host];
        let clock = Clock::Virtual(host.clock.clone());
        let network = Network::new(&host.clock, host.at);
        let (base_url, merchant_id) = (
            self.settings.base_url.as_str(),
            self.settings.merchant_id.as_str(),
        );
        let stores = Network::stores(&network, &self.stores);
        let fleet = Arc::new(Fleet::of(stores, base_url, merchant_id, network.clock()));
        let shared = (!self.stores.is_empty()).then(|| fleet.clone());
        let (memory, boot) = (host.memory.clone(), clock.clone());
        let per_minute = self.settings.tokens_per_minute;
        let record = move |_: &ApiKey| {
            LocalRecord::new(Medium::Memory(memory.clone()), per_minute, boot.clone())
        };
        let store = Store::of(self.settings.share.clone(), Box::new(record), shared);
        let launched: Arc<Mutex<Option<Job>>> = Arc::default();
        let wanted = launched.clone();
        let launch = Box::new(move |_: &Arc<Account>, job| {
            let before = wanted.lock().unwrap().replace(job);
            assert!(before.is_none(), "two refreshes at once");
            Ok(())
        });
        let manager = Manager::of(Account::new(&self.settings, clock, store, launch).unwrap());
        let process = &mut self.processes[index];
        process.life = Some(Life {
            manager: Arc::new(manager),
            fleet,
            network,
            launched,
            refreshing: None,
            waiting: Vec::new(),
        });
        let first = process.random.below(SECOND / 2);
        let lives = process.lives;
        self.push(self.now + first, Event::Call(index, lives));
    }

    // --- Callers -----------------------------------------------------------------------------------------------

    fn manager(&self, index: usize) -> Option<Arc<Manager>> {
        let life = self.processes[index].life.as_ref()?;
        Some(life.manager.clone())
    }

    fn host_of(&mut self, index: usize) -> &mut Host {
        &mut self.hosts[self.processes[index].host]
    }

    fn call(&mut self, index: usize) {
        let Some(manager) = self.manager(index) else {
            return;
        };
        self.host_of(index).counts.calls += 1;
        self.want(index, &manager, self.now, false);
        let lives = self.processes[index].lives;
        let (every, regular) = (self.setup.calls_every, self.setup.calls_are_regular);
        let process = &mut self.processes[index];
        // What comes of a refresh that is under way may be that the token is to be renewed sooner.
        let settled = process
            .life
            .as_ref()
            .is_some_and(|life| life.refreshing.is_none());
        let mut pause = || match regular {
            true => every,
            false => (-(every as f64) * (1.0 - process.random.fraction()).ln()) as At + 1,
        };
        let mut next = self.now + pause();
        if self.setup.skips
            && settled
            && let Some(token) = manager.peek()
        {
            // Until then the answer to every call is this token, and nothing else happens.
            let snapshot = &*token.0;
            let reading = manager.account.clock.reading();
            let renew_from = snapshot
                .renew_from
                .load(std::sync::atomic::Ordering::Relaxed);
            let left = reading.until(snapshot.end).min(Duration::from_nanos(
                renew_from.saturating_sub(reading.mono),
            ));
            let planned = self
                .setup
                .plan
                .get(self.planned)
                .map_or(At::MAX, |(at, _)| *at);
            let until = (self.now + micros(left))
                .min(planned)
                .min(process.ends)
                .min(self.setup.lasts);
            let mut calls = 0;
            while next < until {
                calls += 1;
                next += pause();
            }
            let counts = &mut self.host_of(index).counts;
            counts.calls += calls;
            counts.served += calls;
        }
        self.push(next, Event::Call(index, lives));
    }

    /// A call wants a token.
    fn want(&mut self, index: usize, manager: &Manager, since: At, again: bool) {
        if let Some(token) = manager.cached() {
            self.served(index, manager, since, again, &token);
        } else {
            match manager.join() {
                Ok(Joined::Token(token)) => self.served(index, manager, since, again, &token),
                Ok(Joined::Following(_)) => match &mut self.processes[index].life {
                    Some(life) => life.waiting.push(Waiting { since, again }),
                    None => self.host_of(index).counts.lost += 1,
                },
                Ok(Joined::Leading(_)) => panic!("the simulation has threads"),
                Err(error) => self.refused(index, &error),
            }
        }
        self.launched(index, manager);
    }

    /// The call has a token, and is sent.
    fn served(&mut self, index: usize, manager: &Manager, since: At, again: bool, token: &Token) {
        if self.provider.lets_in(token) {
            if again {
                manager.answered_otherwise(PATH);
            }
            let waited = self.now - since;
            let counts = &mut self.host_of(index).counts;
            counts.served += 1;
            counts.waited += u64::from(waited > 0);
            counts.longest = counts.longest.max(waited);
            return;
        }
        if again {
            manager.answered_401_again(PATH);
            self.host_of(index).counts.unauthorized += 1;
            return;
        }
        self.host_of(index).counts.repeated += 1;
        let repeats = manager.answered_401(PATH, token.generation());
        self.unpark(self.processes[index].host);
        match repeats {
            Ok(()) => self.want(index, manager, since, true),
            Err(_) => self.host_of(index).counts.unauthorized += 1,
        }
    }

    fn refused(&mut self, index: usize, error: &Error) {
        *self.reasons.entry(error.message().to_owned()).or_default() += 1;
        let counts = &mut self.host_of(index).counts;
        counts.refused += 1;
        if error.code() != ErrorCode::Timeout {
            counts.timeless += u64::from(error.retry_after().is_none());
        }
    }
}

/// The memory of a host: it stands for the files that the processes share.
fn files() -> Memory {
    let mut memory = Memory::default();
    memory.is_timed = true;
    memory
}

fn failed(kind: FailureKind, sent: bool) -> Input {
    let failure = Failure {
        kind,
        sent,
        message: "nothing came".to_owned(),
        cause: None,
    };
    Input::Answer(Err(Rejection::from(failure)), None)
}
