//! A key is replaced while its manager is at work.

use std::thread;
use std::time::{Duration, Instant};

use pay88::{ErrorCode, Event, EventName, Events, TokenManager};
use pay88_sandbox::{Action, Fault, Match, TEST_KEY};

use crate::harness::{Harness, charge};

const NEW_KEY: &str = "sk_test_sandbox_the_new_key_0001";
const OTHER_KEY: &str = "sk_test_sandbox_the_new_key_0002";

fn told(events: &Events, manager: &TokenManager, name: EventName) -> Vec<Event> {
    std::iter::from_fn(|| events.next(Duration::ZERO))
        .filter(|event| event.manager_id == manager.id() && event.name == name)
        .collect()
}

/// The masked keys of the token requests, in their order.
fn keys_seen(harness: &Harness) -> Vec<String> {
    let log = harness.sandbox.log();
    log.into_iter()
        .filter(|entry| entry.target == pay88_sandbox::TOKEN_PATH)
        .filter_map(|entry| entry.key)
        .collect()
}

#[test]
fn a_new_key_that_is_not_accepted_yet_falls_back_to_the_old_one_with_an_event() {
    let events = Events::subscribe(10_000);
    let harness = Harness::new();
    let manager = harness.manager();
    let old = manager.get_token().unwrap();
    manager.rotate(NEW_KEY, true).unwrap();
    assert!(manager.get_token().unwrap().same_as(&old));
    assert!(manager.invalidate().unwrap());
    assert!(!manager.get_token().unwrap().same_as(&old));
    assert_eq!(manager.make_request(charge()).unwrap().status(), 200);
    assert_eq!(harness.tokens_requested(), 3);
    assert_eq!(told(&events, &manager, EventName::KeyFallback).len(), 1);
}

#[test]
fn the_key_that_works_is_kept_whatever_is_rotated_after_it() {
    for share in ["host", "process"] {
        let harness = Harness::new();
        let manager = match share {
            "host" => harness.manager(),
            share => harness.manager_with(&[("share", share)]),
        };
        manager.get_token().unwrap();
        manager.rotate(NEW_KEY, true).unwrap();
        manager
            .rotate("sk_test_sandbox_the_new_key_0002", true)
            .unwrap();
        assert!(manager.invalidate().unwrap());
        manager.get_token().unwrap();
        assert_eq!(manager.make_request(charge()).unwrap().status(), 200);
        let seen = keys_seen(&harness);
        assert_eq!(seen.len(), 3, "{share}: {seen:?}");
    }
}

#[test]
fn a_previous_key_that_is_given_at_construction_is_fallen_back_to() {
    let harness = Harness::new();
    let manager = harness.manager_with(&[("api_key", NEW_KEY), ("previous_api_key", TEST_KEY)]);
    manager.get_token().unwrap();
    assert_eq!(harness.tokens_requested(), 2);
    assert_eq!(harness.sandbox.counters().tokens_issued, 1);
}

#[test]
fn the_same_key_given_twice_is_not_asked_about_twice() {
    let harness = Harness::new();
    let manager = harness.manager_with(&[("api_key", NEW_KEY), ("previous_api_key", NEW_KEY)]);
    let error = manager.get_token().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CredentialsRejected);
    assert_eq!(harness.tokens_requested(), 1);
}

#[test]
fn a_new_key_without_the_old_one_is_used_alone() {
    let harness = Harness::new();
    let manager = harness.manager();
    manager.rotate(NEW_KEY, false).unwrap();
    let error = manager.get_token().unwrap_err();
    assert_eq!(error.code(), ErrorCode::CredentialsRejected);
    harness.sandbox.add_key(&harness.merchant, NEW_KEY);
    // Going back clears what is held, and so does going there again.
    manager.rotate(TEST_KEY, false).unwrap();
    manager.rotate(NEW_KEY, false).unwrap();
    manager.get_token().unwrap();
    let seen = keys_seen(&harness);
    assert!(
        seen.len() == 2 && seen.iter().all(|key| key.ends_with("0001")),
        "{seen:?}"
    );
}

#[test]
fn a_refresh_of_the_old_key_publishes_nothing_after_a_rotation() {
    let harness = Harness::new();
    harness.sandbox.add_key(&harness.merchant, NEW_KEY);
    harness
        .sandbox
        .set(|switches| switches.token_delay = Duration::from_secs(3));
    let manager = harness.manager();
    let waiting = {
        let manager = manager.clone();
        thread::spawn(move || manager.get_token().unwrap())
    };
    while harness.tokens_requested() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    manager.rotate(NEW_KEY, false).unwrap();
    let token = waiting.join().unwrap();
    // By now the answer to the old key has come as well.
    thread::sleep(Duration::from_millis(500));
    assert!(manager.get_token().unwrap().same_as(&token));
    assert_eq!((token.generation(), manager.stats().tokens_issued), (1, 1));
    let seen = keys_seen(&harness);
    assert!(seen.len() == 2 && seen[1].ends_with("0001"), "{seen:?}");
}

/// A request of the key that is replaced, which hangs, keeps nobody from that key.
#[test]
fn a_rotation_frees_the_old_key_for_a_fallback_at_once() {
    for share in ["host", "process"] {
        let harness = Harness::new();
        let manager = match share {
            "host" => harness.manager(),
            share => harness.manager_with(&[("share", share)]),
        };
        harness
            .sandbox
            .fault(Fault::once(Match::Token, Action::Stall));
        let begun = Instant::now();
        let waiting = {
            let manager = manager.clone();
            thread::spawn(move || manager.get_token().unwrap())
        };
        while harness.tokens_requested() == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        manager.rotate(NEW_KEY, true).unwrap();
        waiting.join().unwrap();
        // It hangs for 10 s.
        assert!(begun.elapsed() < Duration::from_secs(9), "{share}");
        let seen = keys_seen(&harness);
        assert_eq!(seen.len(), 3, "{share}: {seen:?}");
    }
}

#[test]
fn a_rotation_forgets_what_was_held_against_the_old_key() {
    for status in [401, 403, 429] {
        let harness = Harness::new();
        harness.sandbox.add_key(&harness.merchant, NEW_KEY);
        harness
            .sandbox
            .fault(Fault::once(Match::Token, Action::status(status)));
        let manager = harness.manager();
        assert_eq!(manager.get_token().unwrap_err().http_status(), Some(status));
        manager.get_token().unwrap_err();
        assert_eq!(harness.tokens_requested(), 1);
        manager.rotate(NEW_KEY, false).unwrap();
        manager.get_token().unwrap();
    }
}

#[test]
fn what_was_forgotten_is_so_for_the_new_key_and_for_the_old_one() {
    for share in ["host", "process"] {
        // Neither key is accepted; then the new one is.
        let harness = Harness::new();
        let keys = [("api_key", NEW_KEY), ("previous_api_key", OTHER_KEY)];
        let shared = ("share", share);
        let manager = match share {
            "host" => harness.manager_with(&keys),
            _ => harness.manager_with(&[keys[0], keys[1], shared]),
        };
        let error = manager.get_token().unwrap_err();
        assert_eq!(error.code(), ErrorCode::CredentialsRejected);
        harness.sandbox.add_key(&harness.merchant, NEW_KEY);
        assert_eq!(harness.tokens_requested(), 2, "{share}");
        manager.forget_failures().unwrap();
        manager.get_token().unwrap();
        assert!(keys_seen(&harness)[2].ends_with("0001"), "{share}");

        // The old key is accepted, and then the new one too.
        let harness = Harness::new();
        let keys = [("api_key", NEW_KEY), ("previous_api_key", TEST_KEY)];
        let manager = match share {
            "host" => harness.manager_with(&keys),
            _ => harness.manager_with(&[keys[0], keys[1], shared]),
        };
        manager.get_token().unwrap();
        harness.sandbox.add_key(&harness.merchant, NEW_KEY);
        manager.forget_failures().unwrap();
        assert!(manager.invalidate().unwrap());
        manager.get_token().unwrap();
        let seen = keys_seen(&harness);
        assert_eq!(seen.len(), 3, "{share}: {seen:?}");
        assert!(seen[2].ends_with("0001"), "{share}: {seen:?}");
    }
}

/// How many tokens may still be asked for within the hour.
fn left(manager: &TokenManager) -> usize {
    manager.stats().budget_left.1
}

/// 88Pay may count by merchant.
#[test]
fn what_is_spent_on_one_key_counts_for_the_other_one_too() {
    for share in ["host", "process"] {
        let harness = Harness::new();
        let manager = match share {
            "host" => harness.manager(),
            share => harness.manager_with(&[("share", share)]),
        };
        manager.get_token().unwrap();
        for (keep_old, key) in [(true, NEW_KEY), (false, OTHER_KEY)] {
            manager.rotate(key, keep_old).unwrap();
            assert_eq!(left(&manager), 99, "{share}");
        }
    }
}

#[cfg(feature = "test-hooks")]
#[test]
fn what_is_spent_on_a_key_to_fall_back_to_counts_for_the_other_one_too() {
    let (harness, time) = Harness::timed();
    let keys = [("api_key", NEW_KEY), ("previous_api_key", TEST_KEY)];
    let manager = harness.manager_in(&time, &keys);
    manager.get_token().unwrap();
    assert_eq!((harness.tokens_requested(), left(&manager)), (2, 98));
    // With the old key, and then with the new one.
    time.pass(100.0);
    manager.get_token().unwrap();
    assert_eq!((harness.tokens_requested(), left(&manager)), (3, 97));
    harness.sandbox.add_key(&harness.merchant, NEW_KEY);
    time.pass(300.0);
    manager.get_token().unwrap();
    assert!(keys_seen(&harness)[3].ends_with("0001"));
    assert_eq!((harness.tokens_requested(), left(&manager)), (4, 96));
}

#[test]
fn a_manager_is_found_by_its_new_key_and_by_the_one_it_keeps() {
    let harness = Harness::new();
    let manager = harness.manager();
    manager.rotate(NEW_KEY, true).unwrap();
    assert_eq!(
        harness.manager_with(&[("api_key", NEW_KEY)]).id(),
        manager.id()
    );
    assert_eq!(harness.manager().id(), manager.id());
    let harness = Harness::new();
    let manager = harness.manager();
    manager.rotate(NEW_KEY, false).unwrap();
    assert_ne!(harness.manager().id(), manager.id());
    // A configuration that names both keys finds, and rotates, the manager of the old one.
    let harness = Harness::new();
    let manager = harness.manager();
    let both = harness.manager_with(&[("api_key", NEW_KEY), ("previous_api_key", TEST_KEY)]);
    assert_eq!(both.id(), manager.id());
    assert_eq!(
        harness.manager_with(&[("api_key", NEW_KEY)]).id(),
        manager.id()
    );
}

#[test]
fn a_key_of_another_manager_or_none_at_all_cannot_be_rotated_to() {
    let harness = Harness::new();
    let manager = harness.manager();
    let other = harness.manager_with(&[("api_key", NEW_KEY)]);
    for key in [
        NEW_KEY,
        "",
        "pk_test_a1b2c3d4e5f6g7h8",
        "sk_test_a b",
        "sk_test_",
    ] {
        let error = manager.rotate(key, true).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{error}");
    }
    assert_ne!(other.id(), manager.id());
    manager.get_token().unwrap();
}
