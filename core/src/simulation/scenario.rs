//! What happens to a fleet: the rows of the table. Each disturbance begins when the fleet has run for more than an hour.

use super::fake_store::Health;
use super::setup::{At, Connectivity, Disturbance, HOUR, MINUTE, SECOND, Setup};
use pay88_sandbox::Windows;

/// When the disturbances begin.
pub(super) const BEGINS: At = HOUR + 10 * MINUTE;

/// How long a store is away.
pub(super) const OUTAGE: At = 30 * MINUTE;

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    plan: fn() -> Vec<(At, Disturbance)>,
    /// Besides the first.
    second_store: bool,
    /// One host of several is disturbed.
    pub(super) one_of_several: bool,
}

const fn scenario(name: &'static str, plan: fn() -> Vec<(At, Disturbance)>) -> Scenario {
    Scenario {
        name,
        plan,
        second_store: false,
        one_of_several: false,
    }
}

pub(super) const UNDISTURBED: Scenario = scenario("undisturbed", Vec::new);

pub(super) const STORE_DOWN: Scenario = scenario("store down for 30 min", || away(Health::Down));

pub(super) const STORE_SILENT: Scenario =
    scenario("store silent for 30 min", || away(Health::Silent));

pub(super) const SECOND_STORE: Scenario = Scenario {
    second_store: true,
    ..scenario("store silent, a second one", || away(Health::Silent))
};

pub(super) const SLOW: Scenario = scenario("tokens take 5 to 9 s for 1 h", || {
    vec![
        (BEGINS, Disturbance::Latency(5 * SECOND, 9 * SECOND)),
        (BEGINS + HOUR, Disturbance::Latency(SECOND / 4, SECOND / 4)),
    ]
});

pub(super) const OUTAGE_OF_TOKENS: Scenario = scenario("503 for 30 min", || {
    vec![(BEGINS, Disturbance::Refuse(503, OUTAGE))]
});

pub(super) const REVOKED: Scenario = scenario("tokens revoked every 10 min", || {
    let times = (0..10).map(|n| BEGINS + n * 10 * MINUTE);
    times.map(|at| (at, Disturbance::Revoke)).collect()
});

/// Not in the table: the store does not come back.
pub(super) const STORE_GONE: Scenario = scenario("store gone", || {
    vec![(BEGINS, Disturbance::Store(0, Health::Down))]
});

pub(super) const DENIED: Scenario = Scenario {
    one_of_several: true,
    ..scenario("one host gets 403 for 1 h", || {
        one_host(Connectivity::Denied)
    })
};

pub(super) const CUT_OFF: Scenario = Scenario {
    one_of_several: true,
    ..scenario("one host cut off for 1 h", || {
        one_host(Connectivity::Closed)
    })
};

pub(super) const ALL: [Scenario; 13] = [
    UNDISTURBED,
    scenario("2 deploys, records kept", || {
        [0, HOUR]
            .map(|at| {
                (
                    BEGINS + at,
                    Disturbance::Deploy {
                        keeps_records: true,
                    },
                )
            })
            .to_vec()
    }),
    scenario("2 deploys of containers", || {
        [0, HOUR]
            .map(|at| {
                (
                    BEGINS + at,
                    Disturbance::Deploy {
                        keeps_records: false,
                    },
                )
            })
            .to_vec()
    }),
    STORE_DOWN,
    STORE_SILENT,
    SECOND_STORE,
    scenario("store flushed every 20 min", || {
        let times = (0..5).map(|n| BEGINS + n * 20 * MINUTE);
        times.map(|at| (at, Disturbance::Flush)).collect()
    }),
    SLOW,
    scenario("429 for 60 s every 20 min", || {
        let times = (0..5).map(|n| BEGINS + n * 20 * MINUTE);
        times
            .map(|at| (at, Disturbance::Refuse(429, MINUTE)))
            .collect()
    }),
    OUTAGE_OF_TOKENS,
    REVOKED,
    DENIED,
    CUT_OFF,
];

fn away(health: Health) -> Vec<(At, Disturbance)> {
    vec![
        (BEGINS, Disturbance::Store(0, health)),
        (BEGINS + OUTAGE, Disturbance::Store(0, Health::Up)),
    ]
}

fn one_host(connectivity: Connectivity) -> Vec<(At, Disturbance)> {
    vec![
        (BEGINS, Disturbance::Connectivity(0, connectivity)),
        (
            BEGINS + HOUR,
            Disturbance::Connectivity(0, Connectivity::Open),
        ),
    ]
}

impl Scenario {
    /// With so many hosts of 16 processes that call every 3 s each, for 3 hours.
    pub(super) fn setup(&self, seed: u64, hosts: usize) -> Setup {
        let second = self.second_store.then_some(1000);
        Setup {
            seed,
            hosts,
            processes: 16,
            lasts: 3 * HOUR,
            calls_every: 3 * SECOND,
            calls_are_regular: false,
            // As Redis tells the time, and as Memcached does.
            stores: [Some(1), second].into_iter().flatten().collect(),
            windows: Windows::Sliding,
            clocks_apart: 0,
            plan: (self.plan)(),
            killed_per_mille: 0,
            skips: true,
        }
    }
}
