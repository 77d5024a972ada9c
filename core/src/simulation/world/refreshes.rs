//! Refreshes: what they want is carried out, and takes as long as the network does.
//!
//! What takes no time is done at once; for the rest the refresh is put off until an event takes it on.

use std::time::{Duration, Instant};

use super::super::setup::{At, Connectivity, SECOND, micros};
use super::{Event, Next, PATIENCE, Refreshing, Waiting, World, failed};
use crate::exchange::FailureKind;
use crate::manager::account::Job;
use crate::manager::manager::{Manager, settled};
use crate::manager::refresh_driver::{Tier, ask_store, complete, use_record};
use crate::platform::seeded::mixed;
use crate::refresh::host::READ_AGAIN;
use crate::refresh::{Action, Finish, Input};

impl World {
    /// Begins the refresh for which a thread was wanted, if one was.
    pub(super) fn launched(&mut self, index: usize, manager: &Manager) {
        let Some(life) = &mut self.processes[index].life else {
            return;
        };
        let Some(job) = life.launched.lock().unwrap().take() else {
            return;
        };
        self.spins += 1;
        assert!(
            self.spins < 100_000,
            "refreshes that begin and end without any time"
        );
        assert!(life.refreshing.is_none(), "two refreshes at once");
        let refreshing = Refreshing {
            job,
            tier: Tier::default(),
            asked_at: manager.account.clock.reading(),
            begun: self.now,
            ticket: 0,
            next: Next::Answer,
        };
        self.step_on(index, manager, refreshing, Input::Start);
    }

    pub(super) fn next(&mut self, index: usize, ticket: u64) {
        let Some(manager) = self.manager(index) else {
            return;
        };
        let life = self.processes[index].life.as_mut();
        let refreshing = life.and_then(|life| {
            life.refreshing
                .take_if(|refreshing| refreshing.ticket == ticket)
        });
        let Some(mut refreshing) = refreshing else {
            return;
        };
        let input = match std::mem::replace(&mut refreshing.next, Next::Answer) {
            Next::Tell(input) => *input,
            Next::Parked(_) => Input::PauseOver,
            Next::Answer => return,
            Next::Ask(what, within) => {
                // It has reached the store by now; asked was before.
                let Some(network) = self.processes[index]
                    .life
                    .as_ref()
                    .map(|life| life.network.clone())
                else {
                    return;
                };
                network.reaches(self.now);
                let input = ask_store(&manager.account, &mut refreshing.tier, what, within);
                refreshing.next = Next::Tell(Box::new(input));
                return self.go_on_at(index, refreshing, network.time().max(self.now));
            }
        };
        self.step_on(index, &manager, refreshing, input);
    }

    /// Puts the refresh off until then.
    fn go_on_at(&mut self, index: usize, mut refreshing: Refreshing, at: At) {
        self.tickets += 1;
        refreshing.ticket = self.tickets;
        self.push(at, Event::Next(index, self.tickets));
        if let Some(life) = &mut self.processes[index].life {
            life.refreshing = Some(refreshing);
        }
    }

    /// A number from 0 to 1 that depends on nothing but who asks when.
    fn jitter(&self, index: usize) -> f64 {
        let number =
            mixed(self.setup.seed ^ mixed(self.now.wrapping_mul(0x1_0001) ^ (index as u64) << 40));
        (number >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Takes a refresh as far as it comes without any time.
    fn step_on(
        &mut self,
        index: usize,
        manager: &Manager,
        mut refreshing: Refreshing,
        mut input: Input,
    ) {
        let host = self.processes[index].host;
        loop {
            if self.setup.killed_per_mille > 0
                && self.random.below(1000) < self.setup.killed_per_mille
            {
                drop(refreshing);
                let another = self.now + self.random.between((SECOND / 10, 3 * SECOND));
                return self.kill(index, Some(another));
            }
            let (now, jitter) = (manager.account.clock.boot(), self.jitter(index));
            let action = refreshing.job.refresh.step(
                &mut manager.account.state().ledger,
                now,
                jitter,
                input,
            );
            input = match action {
                action @ (Action::Read { .. }
                | Action::Lock { .. }
                | Action::GoAlone
                | Action::Write(_)) => use_record(
                    &manager.account,
                    &mut refreshing.tier,
                    &refreshing.job.keys,
                    action,
                ),
                Action::Ask { what, within } => {
                    let life = self.processes[index].life.as_ref();
                    let takes = life.map_or(0, |life| {
                        life.network.go_to(self.now);
                        let candidates = life.fleet.candidates();
                        life.network
                            .time_to_reach(&self.stores, &candidates, within)
                    });
                    refreshing.next = Next::Ask(what, within);
                    self.unpark(host);
                    return self.go_on_at(index, refreshing, self.now + takes);
                }
                Action::Send {
                    within,
                    connect_within,
                    ..
                } => {
                    refreshing.asked_at = manager.account.clock.reading();
                    self.unpark(host);
                    return self.send(index, refreshing, within, connect_within);
                }
                Action::Pause(pause) => {
                    self.unpark(host);
                    return self.pause(index, manager, refreshing, pause);
                }
                Action::Finish(finish) => {
                    assert!(!matches!(finish, Finish::Abandoned), "nobody gave up");
                    let Refreshing {
                        job,
                        tier,
                        asked_at,
                        ..
                    } = refreshing;
                    drop(tier);
                    complete(&manager.account, &job, finish, asked_at, Instant::now());
                    self.unpark(host);
                    return self.completed(index, manager, &job);
                }
            };
        }
    }

    fn send(
        &mut self,
        index: usize,
        mut refreshing: Refreshing,
        within: Duration,
        connect_within: Duration,
    ) {
        let connect_within = connect_within.min(self.settings.connect_timeout);
        let (within, connect_within) = (micros(within), micros(connect_within));
        let connectivity = self.hosts[self.processes[index].host].connectivity;
        if connectivity == Connectivity::Closed {
            let takes = within.min(connect_within);
            refreshing.next = Next::Tell(Box::new(failed(FailureKind::Connect, false)));
            return self.go_on_at(index, refreshing, self.now + takes);
        }
        let (least, most) = self.latency;
        let latency = least + (self.jitter(index) * (most - least) as f64) as At;
        self.tickets += 1;
        refreshing.ticket = self.tickets;
        refreshing.next = Next::Answer;
        self.push(
            // It is the server that is slow, not the way to it.
            self.now + (latency / 2).min(SECOND),
            Event::Arrive {
                process: index,
                ticket: self.tickets,
                denied: connectivity == Connectivity::Denied,
                answer: self.now + latency,
                timeout: self.now + within,
            },
        );
        if let Some(life) = &mut self.processes[index].life {
            life.refreshing = Some(refreshing);
        }
    }

    pub(super) fn answer(&mut self, index: usize, ticket: u64, at: At, input: Input) {
        let life = self.processes[index].life.as_mut();
        let refreshing = life.and_then(|life| life.refreshing.as_mut());
        if let Some(refreshing) = refreshing.filter(|refreshing| refreshing.ticket == ticket) {
            refreshing.next = Next::Tell(Box::new(input));
            self.push(at.max(self.now), Event::Next(index, ticket));
        }
    }

    fn pause(
        &mut self,
        index: usize,
        manager: &Manager,
        mut refreshing: Refreshing,
        pause: Duration,
    ) {
        let pause = micros(pause);
        let host = &self.hosts[self.processes[index].host];
        // Nothing changes for one who waits for a leader until that one writes or dies, or is late.
        let late = host
            .memory
            .record()
            .and_then(|record| record.done_by)
            .map(|done_by| manager.account.clock.boot().until(done_by).as_micros() as At);
        let until = late.map(|late| (self.now + late).min(refreshing.begun + PATIENCE));
        let follows = pause == micros(READ_AGAIN) && refreshing.tier.lease.is_none();
        let parks = self.setup.skips && follows;
        match until.filter(|until| parks && *until > self.now + pause) {
            Some(until) => {
                refreshing.next = Next::Parked(self.now);
                let steps = (until - self.now) / pause;
                let at = self.now + steps * pause;
                self.go_on_at(index, refreshing, at);
                let ticket = self.tickets;
                self.host_of(index).parked.push((index, ticket));
            }
            None => {
                refreshing.next = Next::Tell(Box::new(Input::PauseOver));
                self.go_on_at(index, refreshing, self.now + pause);
            }
        }
    }

    /// Who waits for a change of that host's record looks at it at its next step, if there was one.
    pub(super) fn unpark(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        let seen = host.memory.record().map(|record| {
            let is_free = host.memory.try_lock(record.term).is_some();
            (record.term, record.sequence, is_free)
        });
        if seen == host.seen {
            return;
        }
        host.seen = seen;
        let step = micros(READ_AGAIN);
        for (index, ticket) in std::mem::take(&mut host.parked) {
            let life = self.processes[index].life.as_mut();
            let refreshing = life.and_then(|life| {
                life.refreshing
                    .take_if(|refreshing| refreshing.ticket == ticket)
            });
            if let Some(refreshing) = refreshing {
                let Next::Parked(since) = refreshing.next else {
                    panic!("it is not parked")
                };
                let at = since + ((self.now - since) / step + 1) * step;
                self.go_on_at(index, refreshing, at);
            }
        }
    }

    /// Tells those who waited for it.
    fn completed(&mut self, index: usize, manager: &Manager, job: &Job) {
        let completion = job.flight.wait(Instant::now(), &|| false);
        let completion = completion.ok().expect("it has completed");
        let life = self.processes[index].life.as_mut();
        let waiting = life.map_or(Vec::new(), |life| std::mem::take(&mut life.waiting));
        for Waiting { since, again } in waiting {
            if self.now - since > PATIENCE {
                self.host_of(index).counts.gave_up += 1;
                continue;
            }
            match settled(Ok(completion.clone())) {
                Some(Ok(token)) => self.served(index, manager, since, again, &token),
                Some(Err(error)) => self.refused(index, &error),
                None => self.want(index, manager, since, again),
            }
        }
    }
}
