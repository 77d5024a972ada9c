//! The second driver of the refresh: hours of virtual time in seconds, against the rules of the sandbox without a network.
//!
//! Cache, lifetime, refresh, budget and holds are the real ones; only the thread and the network are played here.

use std::sync::Arc;
use std::time::Duration;

use pay88_sandbox::{Config, Request, Service, Switches, Windows};

use super::provider::{as_received, token_request};

use crate::exchange::Answer;
use crate::manager::cache::Cache;
use crate::manager::token::{Snapshot, Token};
use crate::platform::clock::{Clock, VirtualClock};
use crate::policy::expiry::Lifetime;
use crate::policy::token_response::{Grant, RateLimit};
use crate::refresh::record::HostRecord;
use crate::refresh::{Action, Finish, Input, Key, Ledger, REFRESH_TIME, Refresh, Terms};
use crate::time::{BootTime, Reading};

const TICK: Duration = Duration::from_millis(100);
const HOUR: u32 = 3600;

/// 88Pay, this machine, and the time that passes in both.
struct World {
    server: Service,
    server_clock: pay88_sandbox::VirtualClock,
    clock: Arc<VirtualClock>,
    /// How long a token request takes, both ways together.
    latency: Duration,
    cache: Cache,
    ledger: Ledger,
    refreshing: Option<Refreshing>,
    generations: u64,
    record: HostRecord,
    newest: BootTime,
}

struct Refreshing {
    refresh: Refresh,
    asked_at: Reading,
    /// What happens next, and in how long.
    next: (Next, Duration),
}

enum Next {
    Arrive,
    Tell(Box<Input>),
}

impl World {
    fn new(latency: f64, switch: impl FnOnce(&mut Switches)) -> World {
        let server_clock = pay88_sandbox::VirtualClock::default();
        let server = Service::new(&Config {
            clock: pay88_sandbox::Clock::Virtual(server_clock.clone()),
            ..Config::default()
        })
        .unwrap();
        server.set(switch);
        let clock = Arc::new(VirtualClock::default());
        World {
            server,
            server_clock,
            latency: Duration::from_secs_f64(latency),
            cache: Cache::new(Clock::Virtual(clock.clone())),
            clock,
            ledger: Ledger::new(10, 100),
            refreshing: None,
            generations: 0,
            record: HostRecord::default(),
            newest: BootTime(0),
        }
    }

    fn clock(&self) -> Clock {
        Clock::Virtual(self.clock.clone())
    }

    fn pass(&mut self, by: Duration) {
        self.clock.advance(by);
        self.server_clock.advance(by);
    }

    /// Time passes by one tick, and what is due happens.
    fn tick(&mut self) {
        self.pass(TICK);
        let Some(refreshing) = &mut self.refreshing else {
            return;
        };
        refreshing.next.1 = refreshing.next.1.saturating_sub(TICK);
        if !refreshing.next.1.is_zero() {
            return;
        }
        let tell = Next::Tell(Box::new(Input::PauseOver));
        match std::mem::replace(&mut refreshing.next.0, tell) {
            Next::Arrive => {
                let answer = self.ask_for_token();
                let told = RateLimit::of(&answer);
                let input = Input::Answer(Grant::read(answer, &[]), told);
                let back = (Next::Tell(Box::new(input)), self.latency / 2);
                if let Some(refreshing) = &mut self.refreshing {
                    refreshing.next = back;
                }
            }
            Next::Tell(input) => self.step(*input),
        }
    }

    fn terms(&self) -> Terms {
        Terms {
            id: self.generations + 1,
            newest: self.newest,
            kept: None,
            safety_margin: Duration::from_secs(10),
            tokens_per_hour: 100,
            fleet: false,
            limit: REFRESH_TIME,
        }
    }

    fn begin(&mut self) {
        let now = self.clock().boot();
        if self.refreshing.is_some() || self.ledger.refusal(now).is_some() {
            return;
        }
        self.refreshing = Some(Refreshing {
            refresh: Refresh::new(self.generations + 1, now, Key::Current, false, self.terms()),
            asked_at: self.clock().reading(),
            next: (Next::Arrive, Duration::ZERO),
        });
        self.step(Input::Start);
    }

    fn step(&mut self, input: Input) {
        let clock = self.clock();
        let Some(mut refreshing) = self.refreshing.take() else {
            return;
        };
        let mut input = input;
        let action = loop {
            let action = refreshing
                .refresh
                .step(&mut self.ledger, clock.boot(), 0.5, input);
            input = match action {
                Action::Look { .. } => Input::Seen(self.record.clone()),
                Action::Lead { .. } => Input::Led(Some(self.record.clone())),
                Action::Write(record) => {
                    self.record = *record.clone();
                    Input::Written(record)
                }
                other => break other,
            };
        };
        refreshing.next = match action {
            Action::Send { .. } => {
                refreshing.asked_at = clock.reading();
                (Next::Arrive, self.latency / 2)
            }
            Action::Pause(pause) => (Next::Tell(Box::new(Input::PauseOver)), pause),
            Action::Finish(Finish::Granted { issue, .. }) => {
                let grant = issue.grant;
                let life = Duration::from_secs(grant.expires_in);
                let lifetime = Lifetime::derive(life, Duration::from_secs(10), 100);
                self.generations += 1;
                self.newest = issue.stamp.asked_at;
                let snapshot = Snapshot::new(
                    self.generations,
                    &grant,
                    lifetime,
                    refreshing.asked_at,
                    clock,
                );
                self.cache.publish(snapshot.unwrap());
                return;
            }
            Action::Finish(Finish::Failed { error, .. }) => {
                self.cache.renew_later(error.retry_after().unwrap());
                return;
            }
            other => panic!("nothing is shared, but {other:?}"),
        };
        self.refreshing = Some(refreshing);
    }

    /// A token, and for how many ticks the caller waited for it.
    fn token(&mut self) -> (Token, u32) {
        let mut waited = 0;
        loop {
            if let Some(hit) = self.cache.get() {
                if hit.renew {
                    self.begin();
                }
                return (hit.token, waited);
            }
            self.begin();
            self.tick();
            waited += 1;
            assert!(waited < 300, "no token within 30 s");
        }
    }

    /// An authenticated call, which takes no time; its status, and the ticks that it waited for a token.
    fn call(&mut self) -> (u16, u32) {
        let (token, waited) = self.token();
        let answer = self.server.handle(&Request {
            method: "GET".into(),
            target: "/api/echo".into(),
            headers: vec![
                (
                    "authorization".into(),
                    format!("Bearer {}", token.access_token()).into(),
                ),
                ("x-session-id".into(), token.session_id().into()),
            ],
            body: Vec::new(),
        });
        (answer.status, waited)
    }

    fn ask_for_token(&self) -> Answer {
        as_received(self.server.handle(&token_request()))
    }

    /// One call each `ticks` for so many seconds: how many there were, and how many of them waited.
    fn run(&mut self, seconds: u32, ticks: u32) -> (u32, u32) {
        let (mut calls, mut waits) = (0, 0);
        let mut left = seconds * 10;
        while left > 0 {
            let (status, waited) = self.call();
            assert_eq!(status, 200);
            calls += 1;
            waits += u32::from(waited > 0);
            left = left.saturating_sub(waited);
            for _ in 0..ticks.min(left) {
                self.tick();
            }
            left = left.saturating_sub(ticks);
        }
        (calls, waits)
    }

    fn tokens(&self) -> u64 {
        let counters = self.server.counters();
        assert!(counters.tokens_refused.is_empty(), "{counters:?}");
        counters.tokens_issued
    }
}

#[test]
fn at_a_call_a_second_or_more_nobody_waits_after_the_first_token_and_nobody_gets_401() {
    for ticks in [2, 7, 10] {
        for latency in [0.2, 1.6] {
            let mut world = World::new(latency, |_| ());
            let (calls, waits) = world.run(HOUR, ticks);
            assert!(calls >= HOUR - 2, "{calls}");
            assert_eq!(waits, 1, "every {ticks} ticks, latency {latency} s");
            assert!(world.tokens() <= 77, "{}", world.tokens());
            // It goes on like that.
            assert_eq!(world.run(HOUR, ticks).1, 0);
            assert!(world.tokens() <= 2 * 77);
        }
    }
}

#[test]
fn an_idle_process_asks_for_nothing() {
    let mut world = World::new(0.2, |_| ());
    world.run(10, 10);
    for _ in 0..5 * 10 * HOUR {
        world.tick();
    }
    assert_eq!(world.tokens(), 1);
}

#[test]
fn at_lower_rates_only_calls_that_meet_an_expired_token_wait() {
    for (seconds, most) in [(2, 0.0), (5, 0.11), (10, 0.21), (30, 0.51), (60, 1.0)] {
        let mut world = World::new(0.2, |_| ());
        let (calls, waits) = world.run(4 * HOUR, seconds * 10);
        let share = f64::from(waits - 1) / f64::from(calls);
        println!(
            "one call every {seconds} s: {:.1} % waited for a token",
            100.0 * share
        );
        assert!(share <= most, "every {seconds} s: {share}");
        assert!(world.tokens() <= 4 * 77);
    }
}

#[test]
fn a_token_endpoint_that_fails_for_a_while_is_bridged_by_the_token_that_is_good() {
    let mut world = World::new(0.2, |_| ());
    world.run(40, 10);
    let fault = pay88_sandbox::Fault::times(
        2,
        pay88_sandbox::Match::Token,
        pay88_sandbox::Action::status(503),
    );
    world.server.fault(fault);
    // The renewal at 47 s fails, and so does its repetition; the one after it comes in time or makes one caller wait.
    let (_, waits) = world.run(HOUR, 10);
    assert!(waits <= 1, "{waits}");
    assert_eq!(world.server.counters().tokens_refused.get(&503), Some(&2));
}

#[test]
fn each_jump_of_a_clock_costs_one_renewal_at_most() {
    let mut world = World::new(0.2, |_| ());
    world.run(20, 10);
    let asleep = Duration::from_secs(100);
    world.clock.suspend(asleep);
    world.server_clock.advance(asleep);
    world.run(20, 10);
    assert_eq!(world.tokens(), 2);
    world.clock.step_wall(3600);
    world.run(20, 10);
    assert_eq!(world.tokens(), 3);
    world.clock.step_wall(-7200);
    world.run(20, 10);
    assert_eq!(world.tokens(), 3);
}

/// Asks whenever the budget allows it, from `start` seconds after the full hour, with requests that take from 0 to 1.9 s
/// to arrive. The budget is given what the server says, if `listen`.
fn greedy(windows: Windows, start: f64, listen: bool) -> u64 {
    let mut world = World::new(0.0, |switches| switches.windows = windows);
    world.pass(Duration::from_secs_f64(start));
    let mut random = 88_u32;
    let mut on_the_way: Vec<u32> = Vec::new();
    for _ in 0..3 * 10 * HOUR {
        let now = world.clock().boot();
        while world.ledger.budget.take(now, 0, false).is_ok() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            on_the_way.push((random >> 16) % 20);
        }
        let arrived = on_the_way.iter().filter(|ticks| **ticks == 0).count();
        on_the_way.retain(|ticks| *ticks > 0);
        for _ in 0..arrived {
            let answer = world.ask_for_token();
            if let Some(told) = RateLimit::of(&answer).filter(|_| listen) {
                let budget = &mut world.ledger.budget;
                budget.told(now, told.limit, told.remaining, told.reset_in);
            }
        }
        on_the_way.iter_mut().for_each(|ticks| *ticks -= 1);
        world.pass(TICK);
    }
    world.tokens()
}

#[test]
fn however_greedily_it_is_asked_the_server_never_has_to_refuse() {
    for windows in [Windows::Sliding, Windows::Fixed] {
        for start in [0.0, 58.3, 1800.0, 3598.5, 3599.9] {
            for listen in [false, true] {
                let tokens = greedy(windows, start, listen);
                assert!(
                    (200..=300).contains(&tokens),
                    "{windows:?} from {start} s: {tokens}"
                );
            }
        }
    }
}
