//! Fleets for three hours, undisturbed and disturbed.

use std::time::Duration;

use pay88_sandbox::Windows;

use super::report::{Row, Table, rows};
use super::scenario::{
    ALL, BEGINS, CUT_OFF, DENIED, OUTAGE, REVOKED, SLOW, STORE_DOWN, STORE_GONE, STORE_SILENT,
    Scenario, UNDISTURBED,
};
use super::setup::{At, Counts, HOUR, MINUTE, SECOND, Setup};
use super::world::World;

const SEED: u64 = 88;

/// Three hours of a thousand hosts take no longer, in a release build on a machine that does nothing else.
const WITHIN: Duration = Duration::from_secs(300);

/// Of this thread: other work on the machine is not the simulation's.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What holds in every scenario.
fn check(row: &Row) {
    let text = format!("{row:?}");
    assert_eq!(row.over_limit, 0, "{text}");
    assert!(row.most_in_an_hour <= 100, "{text}");
    assert_eq!(row.counts.timeless, 0, "{text}");
    assert_eq!(row.counts.gave_up, 0, "{text}");
    if row.name == UNDISTURBED.name {
        assert!(row.most_in_an_hour <= 77, "{text}");
        assert_eq!(row.counts.refused, 0, "{text}");
    }
}

#[test]
fn undisturbed_a_fleet_needs_77_tokens_an_hour_at_most_and_nobody_is_refused() {
    for hosts in [1, 8] {
        rows(SEED, hosts, &[UNDISTURBED]).iter().for_each(check);
    }
    // With more hosts for a shorter time.
    let row = Row::of(
        UNDISTURBED.name,
        Setup {
            processes: 2,
            lasts: 5 * MINUTE,
            ..UNDISTURBED.setup(SEED, 100)
        },
    );
    check(&row);
    assert!(row.tokens <= 7, "{row:?}");
}

#[test]
fn whatever_happens_88pay_never_has_to_refuse_and_who_is_refused_here_is_told_the_time() {
    for (scenario, windows) in ALL
        .into_iter()
        .zip([Windows::Sliding, Windows::Fixed].into_iter().cycle())
    {
        let row = Row::of(
            scenario.name,
            Setup {
                processes: 2,
                calls_every: SECOND,
                lasts: BEGINS + 65 * MINUTE,
                windows,
                ..scenario.setup(SEED, 2)
            },
        );
        check(&row);
    }
}

/// The share of calls that were served from one time of an outage to another one; the others were told when to come back.
fn served(scenario: Scenario, hosts: usize, from: At, to: At) -> f64 {
    let counts_until = |lasts| {
        let row = Row::of(
            scenario.name,
            Setup {
                processes: 2,
                calls_every: SECOND / 2,
                lasts,
                ..scenario.setup(SEED, hosts)
            },
        );
        check(&row);
        let Counts {
            served, refused, ..
        } = row.counts;
        assert_eq!(row.counts.calls, served + refused + row.waiting.0);
        row.counts
    };
    let (before, after): (Counts, Counts) = (counts_until(from), counts_until(to));
    (after.served - before.served) as f64 / (after.calls - before.calls) as f64
}

#[test]
fn without_the_store_one_host_goes_on_and_more_split_what_is_left_by_their_number() {
    for (scenario, hosts, least, most) in [
        (STORE_DOWN, 1, 0.999, 1.0),
        (STORE_DOWN, 2, 0.95, 1.0),
        (STORE_DOWN, 8, 0.19, 0.27),
        (STORE_SILENT, 8, 0.19, 0.27),
    ] {
        let share = served(scenario, hosts, BEGINS, BEGINS + OUTAGE);
        println!(
            "{}, {hosts} hosts: {:.1} % served",
            scenario.name,
            100.0 * share
        );
        assert!(
            (least..=most).contains(&share),
            "{} {hosts}: {share}",
            scenario.name
        );
    }
}

#[test]
fn in_a_long_outage_each_of_two_hosts_serves_four_fifths() {
    // When what was left of the first hour is used up.
    let share = served(
        STORE_GONE,
        2,
        BEGINS + HOUR,
        BEGINS + 2 * HOUR - 10 * MINUTE,
    );
    println!("2 hosts: {:.1} % served", 100.0 * share);
    assert!((0.75..0.85).contains(&share), "{share}");
}

#[test]
fn one_host_that_is_denied_or_cut_off_is_not_noticed_by_the_other_seven() {
    let others = |scenario: Scenario| {
        let mut world = World::new(Setup {
            processes: 4,
            calls_every: SECOND,
            ..scenario.setup(SEED, 8).sooner(HOUR)
        });
        world.run();
        let mut counts = Counts::default();
        (1..8).for_each(|host| counts.add(&world.counts_of(host)));
        counts
    };
    let undisturbed = others(UNDISTURBED);
    for scenario in [DENIED, CUT_OFF] {
        let counts = others(scenario);
        println!("{}: {counts:?}", scenario.name);
        let failed = (counts.refused, counts.unauthorized, counts.gave_up);
        assert_eq!(failed, (0, 0, 0));
        assert!(
            counts.waited <= undisturbed.waited + 10,
            "{counts:?}, {undisturbed:?}"
        );
        assert!(counts.longest < SECOND, "{counts:?}");
    }
}

/// By their number the hosts divide what is left if the store then goes away.
#[test]
fn who_has_failures_forgotten_in_a_store_that_was_emptied_keeps_the_number_of_hosts_and_the_counts()
{
    let mut world = World::new(Setup {
        processes: 1,
        lasts: 5 * MINUTE,
        ..UNDISTURBED.setup(SEED, 3)
    });
    world.run();
    let before = world.stored(1).unwrap().common;
    assert_eq!(before.hosts, 3);
    world.flush_stores();
    assert!(world.stored(1).is_none());
    world.forget_failures(0);
    let after = world.stored(1).unwrap();
    assert!(after.forgotten.is_some());
    assert_eq!(after.common.hosts, 3);
    let ids = |counts: &crate::policy::rate_limit::Counts| {
        let ids = counts.taken.iter().map(|slot| slot.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&after.common.counts), ids(&before.counts));
}

#[test]
fn clocks_that_are_an_hour_apart_change_nothing() {
    let run = |clocks_apart| {
        Row::of(
            STORE_DOWN.name,
            Setup {
                clocks_apart,
                processes: 2,
                lasts: BEGINS + 40 * MINUTE,
                ..STORE_DOWN.setup(SEED, 3)
            },
        )
    };
    assert_eq!(run(0), run(HOUR));
}

#[test]
fn what_is_skipped_in_a_simulation_changes_nothing() {
    for scenario in [STORE_DOWN, SLOW, REVOKED] {
        let run = |skips| {
            Row::of(
                scenario.name,
                Setup {
                    skips,
                    processes: 3,
                    lasts: 25 * MINUTE,
                    ..scenario.setup(SEED, 2).sooner(HOUR)
                },
            )
        };
        assert_eq!(run(true), run(false));
    }
}

#[test]
#[ignore = "takes minutes: `make simulate`"]
fn the_table() {
    let begun = std::time::Instant::now();
    let most: usize = std::env::var("HOSTS").map_or(1000, |hosts| hosts.parse().unwrap());
    let only = std::env::var("ONLY").unwrap_or_default();
    // What a disturbance costs is against the same fleet undisturbed.
    let scenarios = ALL
        .into_iter()
        .filter(|scenario| scenario.name == UNDISTURBED.name || scenario.name.contains(&only));
    let mut table = Table(Vec::new());
    for hosts in [1, 10, 100, 1000]
        .into_iter()
        .filter(|hosts| *hosts <= most)
    {
        for scenario in scenarios.clone() {
            let begun = cpu_time();
            table.0.extend(rows(SEED, hosts, &[scenario]));
            let took = cpu_time() - begun;
            println!(
                "{hosts} hosts, {}: {:.1} s of CPU time",
                scenario.name,
                took.as_secs_f64()
            );
            assert!(took < WITHIN || cfg!(debug_assertions), "{took:?}");
        }
    }
    println!("{table}");
    println!("seed {SEED}, {:.1} s", begun.elapsed().as_secs_f64());
    table.0.iter().for_each(check);
}
