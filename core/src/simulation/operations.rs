//! Ten thousand random operations on eight processes, of one host or of several with a store, with the limits that 88Pay
//! really has.
//!
//! The store is not emptied here, and there is one only: what a store forgets at once, or tells to some hosts while others
//! are at another one, nobody can know (`docs/fleet.md`). The scenarios of the table have both.

use pay88_sandbox::Windows;

use super::fake_store::Health;
use super::report::Row;
use super::setup::{At, Connectivity, Disturbance, HOUR, MILLISECOND, SECOND, Setup};
use super::world::World;
use crate::platform::seeded::{Random, mixed};

/// What a process or a machine may be away for.
const LONGEST_STOP: At = 40 * SECOND;

fn operation(random: &mut Random, hosts: usize, processes: usize) -> Disturbance {
    let process = random.below(processes as u64) as usize;
    let host = random.below(hosts as u64) as usize;
    match random.below(100) {
        0..20 => Disturbance::Invalidate(process),
        20..45 => Disturbance::Kill(process),
        45..60 => Disturbance::Stop(process, random.between((SECOND / 5, LONGEST_STOP))),
        60..63 => Disturbance::Store(0, Health::Down),
        63..66 => Disturbance::Store(0, Health::Silent),
        66..81 => Disturbance::Store(0, Health::Up),
        81..83 => Disturbance::Sleep(host, random.between((SECOND, LONGEST_STOP))),
        83..89 => Disturbance::StepWall(host, random.below(7200) as i64 - 3600),
        89..90 => Disturbance::Revoke,
        90..91 => Disturbance::Connectivity(host, Connectivity::Closed),
        91..92 => Disturbance::Connectivity(host, Connectivity::Denied),
        92..97 => Disturbance::Connectivity(host, Connectivity::Open),
        97..98 => Disturbance::Latency(3 * SECOND, 12 * SECOND),
        _ => Disturbance::Latency(150 * MILLISECOND, 350 * MILLISECOND),
    }
}

/// Who goes through it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fleet {
    OneHost,
    /// With a store that never fails.
    Steady(usize),
    /// With a store that goes away and comes back.
    Failing(usize),
}

impl Fleet {
    fn hosts(self) -> usize {
        match self {
            Fleet::OneHost => 1,
            Fleet::Steady(hosts) | Fleet::Failing(hosts) => hosts,
        }
    }

    fn meets(self, what: &Disturbance) -> bool {
        matches!(self, Fleet::Failing(_)) || !matches!(what, Disturbance::Store(..))
    }
}

fn run(seed: u64, operations: usize, fleet: Fleet, windows: Windows) -> (Row, u64) {
    let hosts = fleet.hosts();
    let mut random = Random(mixed(seed));
    let mut at = 0;
    let mut next = || {
        let mut all = std::iter::repeat_with(|| operation(&mut random, hosts, 8));
        let what = all.find(|what| fleet.meets(what)).unwrap();
        at += random.between((MILLISECOND, 2 * SECOND));
        (at, what)
    };
    let plan: Vec<(At, Disturbance)> = (0..operations).map(|_| next()).collect();
    let lasts = at + SECOND;
    let mut world = World::new(Setup {
        seed,
        hosts,
        processes: 8 / hosts,
        lasts,
        calls_every: 2 * SECOND,
        calls_are_regular: false,
        stores: [1].into_iter().filter(|_| hosts > 1).collect(),
        windows,
        clocks_apart: HOUR,
        plan,
        killed_per_mille: 3,
        skips: true,
    });
    world.run();
    let hours = lasts as f64 / HOUR as f64;
    (Row::so_far("operations", hosts, hours, &world), world.kills)
}

/// Runs ten thousand and looks whether what is promised holds.
fn check(seed: u64, fleet: Fleet, windows: Windows) {
    // That each token comes with its session is looked at in `provider`.
    let (row, kills) = run(seed, 10_000, fleet, windows);
    let counts = row.counts;
    println!("seed {seed}, {fleet:?}: {row:?}, {kills} killed");
    assert_eq!(row.over_limit, 0);
    assert!(row.most_in_an_hour <= 100 && row.tokens > 100);
    assert!(kills > 2_000 && counts.served > counts.calls / 10);
    // Everybody was told something, died, or waits, and not for long.
    let told = counts.served + counts.refused + counts.unauthorized + counts.gave_up;
    assert_eq!(counts.calls, told + counts.lost + row.waiting.0);
    assert!(row.waiting.1 <= 30 * SECOND + LONGEST_STOP);
    assert_eq!(counts.timeless, 0);
}

#[test]
fn ten_thousand_random_operations_never_exceed_the_limits_nor_part_a_pair_nor_leave_anybody_waiting()
 {
    check(1, Fleet::OneHost, Windows::Fixed);
    check(2, Fleet::Steady(4), Windows::Sliding);
}

#[test]
#[ignore = "takes a minute: `make simulate`"]
fn nor_do_ten_thousand_others() {
    for seed in 3..=32 {
        let windows = [Windows::Sliding, Windows::Fixed][seed as usize % 2];
        let hosts = [2, 4][seed as usize / 2 % 2];
        let fleets = [Fleet::OneHost, Fleet::Steady(hosts), Fleet::Failing(hosts)];
        check(seed, fleets[seed as usize % 3], windows);
    }
}

#[test]
fn the_same_seed_gives_the_same_and_another_one_something_else() {
    let run = |seed| run(seed, 500, Fleet::Failing(2), Windows::Sliding);
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first, run(8));
}
