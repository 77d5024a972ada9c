//! A leader that is killed or stopped, at every step of a refresh.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::player::Player;
use crate::stage::{Stage, until};

const STEPS: [&str; 4] = ["locked", "announced", "answered", "published"];

/// A leader that will come to grief at that step, and a follower that waits meanwhile.
fn at(stage: &Stage, step: &str, deed: &str) -> (Player, Player) {
    let (mut leader, mut follower) = (stage.player(), stage.player());
    for player in [&mut leader, &mut follower] {
        player.ask("shorten 2000");
        player.ask("stats");
    }
    leader.ask(&format!("at {step} {deed}"));
    (leader, follower)
}

fn is_token(answer: &Value) -> bool {
    answer["token"].is_string()
}

#[test]
fn a_leader_killed_at_any_step_has_a_successor_within_a_second() {
    for deed in ["kill", "fork"] {
        for step in STEPS {
            let stage = Stage::new();
            let (mut leader, mut follower) = at(&stage, step, deed);
            leader.tell("token");
            leader.wait_for_state(&['Z', 'X']);
            let died = Instant::now();
            assert!(is_token(&follower.ask("token")), "{step}");
            let took = died.elapsed();
            assert!(took < Duration::from_secs(1), "{deed} {step}: {took:?}");
            assert_eq!(follower.ask("call"), 200);
            // What may have been spent stays spent, what was published is used.
            let expected = match step {
                "locked" => (1, 9),
                "published" => (1, 9),
                "answered" => (2, 8),
                _ => (1, 8),
            };
            let left = follower.ask("stats")["budget_left_minute"]
                .as_u64()
                .unwrap();
            assert_eq!((stage.tokens(), left), expected, "{deed} {step}");
        }
    }
}

#[test]
fn a_leader_killed_while_it_waits_for_the_answer_has_a_successor_within_a_second() {
    let stage = Stage::with(|config| config.token_delay = Duration::from_millis(500));
    let (mut leader, mut follower) = at(&stage, "published", "kill");
    leader.tell("token");
    let asked = || stage.sandbox.counters().tokens_requested;
    until(Duration::from_secs(5), "it asks", || asked() == 1);
    follower.tell("token");
    thread::sleep(Duration::from_millis(100));
    stage
        .sandbox
        .set(|switches| switches.token_delay = Duration::ZERO);
    leader.signal(libc::SIGKILL);
    let died = Instant::now();
    assert!(is_token(&follower.hear().unwrap()));
    assert!(
        died.elapsed() < Duration::from_secs(1),
        "{:?}",
        died.elapsed()
    );
}

#[test]
fn a_leader_stopped_at_any_step_is_passed_over_and_what_it_brings_later_is_discarded() {
    for step in STEPS {
        let stage = Stage::new();
        let (mut leader, mut follower) = at(&stage, step, "stop");
        leader.tell("token");
        leader.wait_for_state(&['T']);
        let stopped = Instant::now();
        let answer = follower.ask("token");
        assert!(is_token(&answer), "{step}: {answer}");
        let took = stopped.elapsed();
        assert!(took < Duration::from_secs(3), "{step}: {took:?}");
        leader.signal(libc::SIGCONT);
        assert_eq!(
            leader.hear().unwrap(),
            answer,
            "{step}: both have one token"
        );
        assert_eq!(leader.ask("call"), 200);
        assert_eq!(leader.ask("token"), answer);
        assert_eq!(
            stage.player().ask("token"),
            answer,
            "so has whoever comes later"
        );
        // A request that was sent is paid for, and a slot that was announced is counted; after its time nothing is sent.
        let expected = match step {
            "locked" | "published" => (1, 9),
            "announced" => (1, 8),
            _ => (2, 8),
        };
        let left = follower.ask("stats")["budget_left_minute"]
            .as_u64()
            .unwrap();
        assert_eq!((stage.tokens(), left), expected, "{step}");
    }
}

#[test]
fn the_lock_of_a_stopped_leader_is_no_burden_for_later_refreshes() {
    let stage = Stage::hurried();
    let (mut leader, mut follower) = at(&stage, "announced", "stop");
    leader.tell("token");
    leader.wait_for_state(&['T']);
    assert!(is_token(&follower.ask("token")));
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(1100));
        let begun = Instant::now();
        assert_eq!(follower.ask("call"), 200);
        assert!(begun.elapsed() < Duration::from_millis(500));
    }
}
