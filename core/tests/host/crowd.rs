//! Many processes at once.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use pay88_sandbox::{Action, Fault, Match};

use crate::stage::{Stage, until};

#[test]
fn thirty_two_processes_that_start_at_once_ask_for_one_token() {
    let stage = Stage::with(|config| config.token_delay = Duration::from_millis(300));
    let mut players: Vec<_> = (0..32).map(|_| stage.player()).collect();
    // All are up before the first is told to begin.
    for player in &mut players {
        player.ask("stats");
    }
    for player in &mut players {
        player.tell("token");
    }
    let answers: HashSet<String> = players
        .iter_mut()
        .map(|player| player.hear().unwrap().to_string())
        .collect();
    assert_eq!(answers.len(), 1, "one token and its session: {answers:?}");
    for player in &mut players {
        assert_eq!(player.ask("call"), 200);
    }
    let counters = stage.sandbox.counters();
    assert_eq!((counters.tokens_requested, counters.unauthorized), (1, 0));
}

#[test]
fn a_failure_is_told_to_those_who_waited_in_other_processes_too() {
    let stage = Stage::with(|config| config.token_delay = Duration::from_millis(400));
    let unavailable = Action::status(500);
    stage
        .sandbox
        .fault(Fault::always(Match::Token, unavailable));
    let mut players: Vec<_> = (0..8).map(|_| stage.player()).collect();
    for player in &mut players {
        player.ask("stats");
    }
    for player in &mut players {
        player.tell("token");
    }
    for player in &mut players {
        assert_eq!(player.hear().unwrap()["error"], "bad_response");
    }
    let asked = stage.sandbox.counters().tokens_requested;
    assert!(asked <= 2, "{asked} requests for eight processes");
}

#[test]
fn a_429_holds_all_processes_and_a_token_that_was_revoked_is_replaced_once() {
    let stage = Stage::new();
    let mut players: Vec<_> = (0..6).map(|_| stage.player()).collect();
    for player in &mut players {
        assert_eq!(player.ask("call"), 200);
    }
    stage.sandbox.revoke_all();
    for player in &mut players {
        player.tell("call");
    }
    for player in &mut players {
        assert_eq!(player.hear().unwrap(), 200, "repeated with the new token");
    }
    assert_eq!(stage.tokens(), 2);
    let limited = Fault::always(Match::Token, Action::status(429));
    stage.sandbox.fault(limited);
    stage.sandbox.revoke_all();
    let before = stage.sandbox.counters().tokens_requested;
    thread::sleep(Duration::from_secs(10));
    for player in &mut players {
        player.ask("call");
    }
    for player in &mut players {
        assert_eq!(player.ask("stats")["hold"]["class"], "rate_limited");
    }
    assert_eq!(stage.sandbox.counters().tokens_requested, before + 1);
}

#[test]
fn what_another_process_has_renewed_is_learned_without_a_refresh() {
    let stage = Stage::hurried();
    let mut player = stage.player();
    let manager = stage.manager();
    manager.get_token().unwrap();
    let mut learned = Vec::new();
    while learned.len() < 8 {
        until(Duration::from_secs(3), "the token ends", || {
            manager.peek_token().unwrap().is_none()
        });
        // In the other process it ends a few milliseconds later.
        thread::sleep(Duration::from_millis(50));
        let theirs = player.ask("token");
        let begun = Instant::now();
        let token = manager.get_token().unwrap();
        learned.push(begun.elapsed());
        assert_eq!(theirs["token"], token.access_token());
    }
    let stats = manager.stats();
    assert_eq!((stats.refreshes, stats.tokens_shared), (1, 8));
    learned.sort();
    println!(
        "learned from another process in {:?}",
        learned[learned.len() / 2]
    );
    // Ciphers that are not optimised take a multiple.
    let limit = if cfg!(debug_assertions) { 3000 } else { 100 };
    assert!(
        learned[learned.len() / 2] <= Duration::from_micros(limit),
        "{learned:?}"
    );
}

#[test]
fn workers_with_a_new_key_that_is_not_known_yet_ask_with_it_once_and_share_the_old_ones_token() {
    let mut stage = Stage::new();
    let mut old = stage.player();
    let token = old.ask("token");
    let key = stage.options["api_key"].as_str().unwrap().to_owned();
    stage.set("previous_api_key", &key);
    stage.set("api_key", "sk_test_sandbox_not_known_yet");
    let mut workers: Vec<_> = (0..5).map(|_| stage.player()).collect();
    for worker in &mut workers {
        assert_eq!(worker.ask("token"), token);
        assert_eq!(worker.ask("call"), 200);
    }
    let counters = stage.sandbox.counters();
    assert_eq!((counters.tokens_issued, counters.tokens_requested), (1, 2));
}

#[test]
fn ten_thousand_random_operations_with_random_kills_keep_to_the_budget() {
    let stage = Stage::hurried();
    let begun = Instant::now();
    let mut players: Vec<_> = (0..8).map(|_| stage.player()).collect();
    for (seed, player) in players.iter_mut().enumerate() {
        player.tell(&format!("random {seed} 1000000"));
    }
    let (mut done, mut kills) = (0, 0);
    let mut last_kill = Instant::now();
    while done < 10_000 {
        assert!(
            begun.elapsed() < Duration::from_secs(200),
            "{done} operations"
        );
        for player in &mut players {
            let said = player.hear().unwrap();
            let failed = said["failed"].as_array().unwrap();
            assert!(failed.is_empty(), "{failed:?}");
            done += said["done"].as_u64().unwrap();
        }
        if last_kill.elapsed() > Duration::from_millis(100) {
            last_kill = Instant::now();
            let victim = (begun.elapsed().as_nanos() % 8) as usize;
            players[victim] = stage.player();
            kills += 1;
            players[victim].tell(&format!("random {} 1000000", 100 + kills));
        }
    }
    let counters = stage.sandbox.counters();
    println!(
        "{done} operations, {kills} kills, {} tokens",
        counters.tokens_issued
    );
    assert!(kills > 30, "{kills}");
    // The sandbox refuses what is over the budget, and a token without its session.
    assert!(counters.tokens_refused.is_empty(), "{counters:?}");
}
