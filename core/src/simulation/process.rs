//! One process that shares with nobody, for hours: how often its callers wait.

use super::setup::{At, Disturbance, HOUR, MILLISECOND, MINUTE, SECOND, Setup};
use super::world::World;
use pay88_sandbox::Windows;

const LATENCY: At = 200 * MILLISECOND;

/// A process that makes a call at equal steps, and what happens to it.
fn process(calls_every: At, latency: At, plan: &[(At, Disturbance)]) -> Setup {
    let mut all = vec![(0, Disturbance::Latency(latency, latency))];
    all.extend_from_slice(plan);
    Setup {
        seed: 88,
        hosts: 1,
        processes: 1,
        lasts: 0,
        calls_every,
        calls_are_regular: true,
        stores: Vec::new(),
        windows: Windows::Sliding,
        clocks_apart: 0,
        plan: all,
        killed_per_mille: 0,
        skips: true,
    }
}

/// That process after so much time. Nobody was refused, and no token was answered 401.
fn after(time: At, setup: &Setup) -> World {
    let mut world = World::new(Setup {
        lasts: time,
        ..setup.clone()
    });
    world.run();
    let counts = world.counts();
    assert_eq!((counts.refused, counts.gave_up), (0, 0), "{counts:?}");
    assert_eq!((counts.unauthorized, counts.repeated), (0, 0), "{counts:?}");
    assert_eq!(world.provider.over_limit(), 0);
    world
}

/// How many tokens there were, and how many callers had waited.
fn so_far(time: At, setup: &Setup) -> (usize, u64) {
    let world = after(time, setup);
    (world.provider.granted.len(), world.counts().waited)
}

#[test]
fn at_a_call_a_second_or_more_nobody_waits_after_the_first_token_and_nobody_gets_401() {
    for every in [SECOND / 5, 7 * SECOND / 10, SECOND] {
        for latency in [LATENCY, 1_600 * MILLISECOND] {
            let setup = process(every, latency, &[]);
            let (_, first) = so_far(10 * SECOND, &setup);
            assert!((1..=latency / every + 1).contains(&first), "{first}");
            let world = after(HOUR, &setup);
            let counts = world.counts();
            assert!(
                counts.calls >= HOUR / every - 2 * SECOND / every,
                "{counts:?}"
            );
            let tokens = world.provider.granted.len();
            drop(world);
            assert_eq!(counts.waited, first, "every {every} µs, {latency} µs");
            assert!(tokens <= 77, "{tokens}");
            // It goes on like that.
            let (tokens, waited) = so_far(2 * HOUR, &setup);
            assert_eq!(waited, first, "every {every} µs, {latency} µs");
            assert!(tokens <= 2 * 77, "{tokens}");
        }
    }
}

#[test]
fn an_idle_process_asks_for_nothing() {
    let never = [(10 * SECOND, Disturbance::CallsEvery(100 * HOUR))];
    let world = after(5 * HOUR, &process(SECOND, LATENCY, &never));
    assert!((9..=12).contains(&world.counts().calls));
    assert_eq!(world.provider.granted.len(), 1);
}

#[test]
fn at_lower_rates_only_calls_that_meet_an_expired_token_wait() {
    for (seconds, most) in [(2, 0.0), (5, 0.11), (10, 0.21), (30, 0.51), (60, 1.0)] {
        let world = after(4 * HOUR, &process(seconds * SECOND, LATENCY, &[]));
        let counts = world.counts();
        let share = (counts.waited - 1) as f64 / counts.calls as f64;
        println!(
            "one call every {seconds} s: {:.1} % waited for a token",
            100.0 * share
        );
        assert!(share <= most, "every {seconds} s: {share}");
        assert!(world.provider.granted.len() <= 4 * 77);
    }
}

#[test]
fn a_token_endpoint_that_fails_for_a_while_is_bridged_by_the_token_that_is_good() {
    let begins = 40 * SECOND;
    let setup = process(SECOND, LATENCY, &[(begins, Disturbance::Fail(503, 2))]);
    let (_, before) = so_far(begins, &setup);
    // The renewal at 47 s fails, and so does its repetition; the one after it comes in time or makes one caller wait.
    let world = after(begins + HOUR, &setup);
    let waited = world.counts().waited - before;
    assert!(waited <= 1, "{waited}");
    assert_eq!(world.provider.refused(503), 2);
}

#[test]
fn each_jump_of_a_clock_costs_one_renewal_at_most() {
    let asleep = 100 * SECOND;
    let [slept, forward, back] = [20, 40, 60].map(|seconds| seconds * SECOND);
    let jumps = [
        (slept, Disturbance::Sleep(0, asleep)),
        (asleep + forward, Disturbance::StepWall(0, 3600)),
        (asleep + back, Disturbance::StepWall(0, -7200)),
    ];
    let setup = process(SECOND, LATENCY, &jumps);
    let tokens = |at| so_far(at, &setup).0;
    assert_eq!(tokens(slept), 1);
    assert_eq!(tokens(asleep + forward), 2);
    assert_eq!(tokens(asleep + back), 3);
    assert_eq!(tokens(asleep + back + MINUTE / 3), 3);
}
