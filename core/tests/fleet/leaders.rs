//! A leader that is killed or stopped while it has the lease of the store.

use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::harness::Harness;
use crate::yardstick::in_time;

/// The lease outlasts a token request of ten seconds by two. Memcached counts whole seconds, and one more.
const LEASE: Duration = Duration::from_secs(12);
const MEMCACHED_MORE: Duration = Duration::from_secs(2);

/// A busy machine may be that late.
const SLACK: Duration = Duration::from_secs(2);

/// What the leader has done by then: its slot is told and nothing is sent (the record is announced a second time when the
/// store has been told), or the answer has come and nobody has been told.
const STEPS: [&str; 2] = ["announced:2", "answered"];

/// Stores of both kinds, each step and each deed at once: most of it is waiting for leases to end.
fn everywhere(deeds: &[&str], case: impl Fn(&str, &Harness, &str, &str) + Sync) {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    thread::scope(|scope| {
        for (kind, port) in [("redis", redis.port), ("memcached", memcached.port)] {
            for step in STEPS {
                for deed in deeds {
                    let case = &case;
                    scope.spawn(move || {
                        in_time(|| {
                            let harness = Harness::new(&format!("{kind}://127.0.0.1:{port}"));
                            case(kind, &harness, step, deed);
                        });
                    });
                }
            }
        }
    });
}

#[test]
fn another_host_follows_a_leader_when_its_lease_is_over_and_discards_what_comes_later() {
    // After "fork" the leader's connection to the store lives on in its child.
    everywhere(&["kill", "fork", "stop"], |kind, harness, step, deed| {
        let what = format!("{kind}: {deed} when {step}");
        let mut workers = harness.workers(2, 1);
        let [leader, follower] = &mut workers[..] else {
            unreachable!()
        };
        leader.ask(&format!("at {step} {deed}"));
        leader.tell("token");
        leader.wait_for_state(if deed == "stop" { &['T'] } else { &['Z', 'X'] });
        let gone = Instant::now();
        let answer = follower.ask("token");
        let took = gone.elapsed();
        println!("{what}, followed after {took:?}");
        assert!(answer["token"].is_string(), "{what}: {answer}");
        let most = LEASE
            + if kind == "memcached" {
                MEMCACHED_MORE
            } else {
                Duration::ZERO
            };
        // It was the lease that was waited for.
        assert!(took > LEASE / 2 && took < most + SLACK, "{what}: {took:?}");
        if deed == "stop" {
            leader.signal(libc::SIGCONT);
            assert_eq!(leader.hear().unwrap(), answer, "{what}");
            assert_eq!(leader.ask("call"), 200, "{what}");
            assert_eq!(leader.ask("token"), answer, "{what}");
        }
        assert_eq!(
            harness.worker(2).ask("token"),
            answer,
            "{what}: one that comes later"
        );
        // A request that was sent is paid for, and a slot that was told stays counted.
        let sent = if step == "announced:2" { 1 } else { 2 };
        assert_eq!(harness.sandbox.counters().tokens_requested, sent, "{what}");
        let left = &follower.ask("stats")["budget_left_minute"];
        assert_eq!(*left, 8, "{what}");
        harness.assert_no_refusals();
    });
}

#[test]
fn a_process_of_the_same_host_follows_one_that_is_stopped_when_its_time_and_its_lease_are_over() {
    everywhere(&["stop"], |kind, harness, step, deed| {
        let what = format!("{kind}: {deed} when {step}");
        let mut workers = harness.workers(1, 2);
        for worker in &mut workers {
            // A request then takes as long as well, and the lease two seconds more.
            worker.ask("shorten 2000");
        }
        let [leader, follower] = &mut workers[..] else {
            unreachable!()
        };
        leader.ask(&format!("at {step} {deed}"));
        leader.tell("token");
        leader.wait_for_state(&['T']);
        let gone = Instant::now();
        let answer = follower.ask("token");
        let took = gone.elapsed();
        println!("{what}, followed after {took:?}");
        assert!(answer["token"].is_string(), "{what}: {answer}");
        let most = Duration::from_secs(4) + MEMCACHED_MORE + SLACK;
        assert!(took < most, "{what}: {took:?}");
        leader.signal(libc::SIGCONT);
        assert_eq!(leader.hear().unwrap(), answer, "{what}");
        assert_eq!(leader.ask("call"), 200, "{what}");
        harness.assert_no_refusals();
    });
}

#[test]
fn a_leader_that_is_killed_is_followed_at_once_on_its_host() {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    for (kind, port) in [("redis", redis.port), ("memcached", memcached.port)] {
        for step in [STEPS[0], STEPS[1], "announced", "published"] {
            for deed in ["kill", "fork"] {
                in_time(|| {
                    let harness = Harness::new(&format!("{kind}://127.0.0.1:{port}"));
                    let mut workers = harness.workers(1, 2);
                    workers[0].ask(&format!("at {step} {deed}"));
                    workers[0].tell("token");
                    workers[0].wait_for_state(&['Z', 'X']);
                    let begun = Instant::now();
                    assert_eq!(workers[1].ask("call"), 200);
                    let took = begun.elapsed();
                    println!("{kind}: {deed} when {step}, followed after {took:?}");
                    assert!(took < Duration::from_secs(1), "{deed} {step}: {took:?}");
                });
            }
        }
    }
}
