//! Many processes at once.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use pay88_sandbox::{Action, Fault, Match};

use crate::harness::{Harness, until};
use crate::worker::digest;
use crate::yardstick::in_time;

#[test]
fn thirty_two_processes_that_start_at_once_ask_for_one_token() {
    let harness = Harness::with(|config| config.token_delay = Duration::from_millis(300));
    let mut workers: Vec<_> = (0..32).map(|_| harness.worker()).collect();
    // All are up before the first is told to begin.
    for worker in &mut workers {
        worker.ask("stats");
    }
    for worker in &mut workers {
        worker.tell("token");
    }
    let answers: HashSet<String> = workers
        .iter_mut()
        .map(|worker| worker.hear().unwrap().to_string())
        .collect();
    assert_eq!(answers.len(), 1, "one token and its session: {answers:?}");
    for worker in &mut workers {
        assert_eq!(worker.ask("call"), 200);
    }
    let counters = harness.sandbox.counters();
    assert_eq!((counters.tokens_requested, counters.unauthorized), (1, 0));
}

#[test]
fn a_failure_is_told_to_those_who_waited_in_other_processes_too() {
    let harness = Harness::with(|config| config.token_delay = Duration::from_millis(400));
    let unavailable = Action::status(500);
    harness
        .sandbox
        .fault(Fault::always(Match::Token, unavailable));
    let mut workers: Vec<_> = (0..8).map(|_| harness.worker()).collect();
    for worker in &mut workers {
        worker.ask("stats");
    }
    for worker in &mut workers {
        worker.tell("token");
    }
    for worker in &mut workers {
        assert_eq!(worker.hear().unwrap()["error"], "bad_response");
    }
    let asked = harness.sandbox.counters().tokens_requested;
    assert!(asked <= 2, "{asked} requests for eight processes");
}

#[test]
fn a_429_holds_all_processes_and_a_token_that_was_revoked_is_replaced_once() {
    let harness = Harness::new();
    let mut workers: Vec<_> = (0..6).map(|_| harness.worker()).collect();
    for worker in &mut workers {
        assert_eq!(worker.ask("call"), 200);
    }
    harness.sandbox.revoke_all();
    for worker in &mut workers {
        worker.tell("call");
    }
    for worker in &mut workers {
        assert_eq!(worker.hear().unwrap(), 200, "repeated with the new token");
    }
    assert_eq!(harness.tokens(), 2);
    let limited = Fault::always(Match::Token, Action::status(429));
    harness.sandbox.fault(limited);
    harness.sandbox.revoke_all();
    let before = harness.sandbox.counters().tokens_requested;
    thread::sleep(Duration::from_secs(10));
    for worker in &mut workers {
        worker.ask("call");
    }
    for worker in &mut workers {
        assert_eq!(worker.ask("stats")["hold"]["class"], "rate_limited");
    }
    assert_eq!(harness.sandbox.counters().tokens_requested, before + 1);
}

#[test]
fn what_another_process_has_renewed_is_learned_without_a_refresh() {
    in_time(|| {
        let harness = Harness::hurried();
        let mut worker = harness.worker();
        let manager = harness.manager();
        manager.get_token().unwrap();
        let mut learned = Vec::new();
        while learned.len() < 8 {
            until(Duration::from_secs(3), "the token ends", || {
                manager.peek_token().unwrap().is_none()
            });
            // In the other process it ends a few milliseconds later.
            thread::sleep(Duration::from_millis(50));
            let theirs = worker.ask("token");
            let begun = Instant::now();
            let token = manager.get_token().unwrap();
            learned.push(begun.elapsed());
            assert_eq!(theirs["token"], digest(token.access_token()));
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
    });
}

#[test]
fn a_token_that_one_process_drops_is_no_ones_any_more_and_the_reserve_for_that_is_common() {
    let harness = Harness::new();
    let (mut one, mut other, mut late) = (harness.worker(), harness.worker(), harness.worker());
    let first = one.ask("token");
    assert_eq!(other.ask("token"), first);
    assert_eq!(one.ask("invalidate"), true);
    let second = late.ask("token");
    assert_ne!(second, first);
    // Its successor is there, so this costs nothing more.
    assert_eq!(other.ask("invalidate"), true);
    assert_eq!(
        (other.ask("token"), one.ask("token")),
        (second.clone(), second)
    );
    assert_eq!(other.ask("invalidate"), "rate_limited");
    assert_eq!(harness.tokens(), 2);
}

#[test]
fn workers_with_a_new_key_that_is_not_known_yet_ask_with_it_once_and_share_the_old_ones_token() {
    let mut harness = Harness::new();
    let mut old = harness.worker();
    let token = old.ask("token");
    let key = harness.options["api_key"].as_str().unwrap().to_owned();
    harness.set("previous_api_key", &key);
    harness.set("api_key", "sk_test_sandbox_not_known_yet");
    let mut workers: Vec<_> = (0..5).map(|_| harness.worker()).collect();
    for worker in &mut workers {
        assert_eq!(worker.ask("token"), token);
        assert_eq!(worker.ask("call"), 200);
    }
    let counters = harness.sandbox.counters();
    assert_eq!((counters.tokens_issued, counters.tokens_requested), (1, 2));
}

#[test]
fn ten_thousand_random_operations_with_random_kills_keep_to_the_budget() {
    let harness = Harness::hurried();
    let failed = random_operations(&harness, 10_000);
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn where_the_budget_is_used_up_processes_that_come_and_go_ask_for_nothing_more() {
    let mut harness = Harness::hurried();
    harness.set("tokens_per_minute", "12");
    harness
        .sandbox
        .set(|switches| switches.tokens_per_minute = 12);
    let failed = random_operations(&harness, 6_000);
    assert!(
        failed.iter().all(|message| message.contains("are used up")),
        "{failed:?}"
    );
    // What a killed leader had taken may not have been sent.
    let tokens = harness.tokens();
    assert!(!failed.is_empty() && tokens >= 6, "{tokens}");
}

/// Eight processes, one of which is killed again and again; what failed.
fn random_operations(harness: &Harness, operations: u64) -> Vec<String> {
    let begun = Instant::now();
    let mut workers: Vec<_> = (0..8).map(|_| harness.worker()).collect();
    for (seed, worker) in workers.iter_mut().enumerate() {
        worker.tell(&format!("random {seed} 1000000"));
    }
    let (mut done, mut kills, mut failed) = (0, 0, Vec::new());
    let mut last_kill = Instant::now();
    while done < operations {
        assert!(
            begun.elapsed() < Duration::from_secs(200),
            "{done} operations"
        );
        for worker in &mut workers {
            let said = worker.hear().unwrap();
            let messages = said["failed"].as_array().unwrap();
            failed.extend(messages.iter().map(|message| message.to_string()));
            done += said["done"].as_u64().unwrap();
        }
        if last_kill.elapsed() > Duration::from_millis(100) {
            last_kill = Instant::now();
            let victim = (begun.elapsed().as_nanos() % 8) as usize;
            workers[victim] = harness.worker();
            kills += 1;
            workers[victim].tell(&format!("random {} 1000000", 100 + kills));
        }
    }
    let counters = harness.sandbox.counters();
    println!(
        "{done} operations, {kills} kills, {} tokens",
        counters.tokens_issued
    );
    assert!(kills > 20, "{kills}");
    // The sandbox refuses what is over the budget, and a token without its session.
    let refused = (counters.tokens_refused.len(), counters.unauthorized);
    assert_eq!(refused, (0, 0), "{counters:?}");
    failed
}
