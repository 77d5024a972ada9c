//! What is simulated, and what is counted of it.

use std::time::Duration;

use pay88_sandbox::Windows;

use super::fake_store::Health;

/// Microseconds since the beginning.
pub(super) type At = u64;

pub(super) const MILLISECOND: At = 1_000;
pub(super) const SECOND: At = 1_000_000;
pub(super) const MINUTE: At = 60 * SECOND;
pub(super) const HOUR: At = 60 * MINUTE;

/// What is simulated.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) hosts: usize,
    /// Of each host.
    pub(super) processes: usize,
    pub(super) lasts: At,
    /// Between two calls of a process, on average.
    pub(super) calls_every: At,
    /// It is the same time between any two of them.
    pub(super) calls_are_regular: bool,
    /// Of each store the step of its clock in milliseconds.
    pub(super) stores: Vec<u64>,
    pub(super) windows: Windows,
    /// How far the clocks of two hosts are apart at most: the wall clock, besides boot times of any distance.
    pub(super) clocks_apart: At,
    pub(super) plan: Vec<(At, Disturbance)>,
    /// Of a thousand steps of refreshes at so many the process is killed.
    pub(super) killed_per_mille: u64,
    pub(super) skips: bool,
}

impl Setup {
    /// The same without so much of the time before anything happens.
    pub(super) fn sooner(mut self, by: At) -> Setup {
        self.plan.iter_mut().for_each(|(at, _)| *at -= by);
        self.lasts -= by;
        self
    }
}

/// What happens from outside.
#[derive(Clone, Debug)]
pub(super) enum Disturbance {
    /// All processes restart within a minute; the hosts' records are kept, or lost as with containers.
    Deploy {
        keeps_records: bool,
    },
    Store(usize, Health),
    Flush,
    /// How long a token request takes, at least and at most.
    Latency(At, At),
    /// Every token request is answered with that status for so long.
    Refuse(u16, At),
    /// So many token requests are answered with that status.
    Fail(u16, u32),
    /// From the next call on, the time between two calls of a process.
    CallsEvery(At),
    /// Every token is revoked.
    Revoke,
    /// The connection of a host with 88Pay.
    Connectivity(usize, Connectivity),
    Kill(usize),
    /// The process is stopped for so long.
    Stop(usize, At),
    /// Its user drops the token.
    Invalidate(usize),
    /// The machine sleeps for so long.
    Sleep(usize, At),
    /// The wall clock is set, by so many seconds.
    StepWall(usize, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connectivity {
    Open,
    /// Its address is not allowed: 403.
    Denied,
    /// Nothing goes through.
    Closed,
}

/// What callers met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) served: u64,
    pub(super) waited: u64,
    pub(super) longest: At,
    pub(super) refused: u64,
    /// Of these, without the time to come back.
    pub(super) timeless: u64,
    /// They waited as long as they would.
    pub(super) gave_up: u64,
    /// Their process died while they waited.
    pub(super) lost: u64,
    /// Answered 401, and again with another token.
    pub(super) unauthorized: u64,
    /// Answered 401 once.
    pub(super) repeated: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        self.calls += other.calls;
        self.served += other.served;
        self.waited += other.waited;
        self.longest = self.longest.max(other.longest);
        self.refused += other.refused;
        self.timeless += other.timeless;
        self.gave_up += other.gave_up;
        self.lost += other.lost;
        self.unauthorized += other.unauthorized;
        self.repeated += other.repeated;
    }
}

pub(super) fn micros(duration: Duration) -> At {
    duration.as_micros() as At
}
