//! Promise 11: clocks that jump, a host that sleeps, a machine that is frozen.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use pay88::ffi::{count_uses, current, current_until, generation_word};
use pay88_sandbox::{Action, Fault, Match};

use crate::harness::{Harness, settle};

#[test]
fn a_wall_clock_that_is_set_back_changes_nothing() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    let first = manager.get_token().unwrap();
    time.pass(5.0);
    time.client.step_wall(-3600);
    for _ in 0..40 {
        assert!(manager.get_token().unwrap().same_as(&first));
        time.pass(1.0);
    }
    settle(&manager);
    assert_eq!(harness.tokens_requested(), 1);
    // Nor does it make the token live longer.
    assert!(manager.get_token().unwrap().valid_for() <= Duration::from_secs(5));
    time.pass(5.0);
    assert!(!manager.get_token().unwrap().same_as(&first));
    assert_eq!(harness.tokens_requested(), 2);
}

#[test]
fn a_wall_clock_that_is_set_forward_costs_one_early_renewal() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    let first = manager.get_token().unwrap();
    time.pass(5.0);
    time.client.step_wall(3600);
    assert!(first.valid_for().is_zero());
    assert!(manager.peek_token().unwrap().is_none());
    let second = manager.get_token().unwrap();
    assert!(!second.same_as(&first));
    for _ in 0..40 {
        time.pass(1.0);
        assert!(manager.get_token().unwrap().same_as(&second));
    }
    settle(&manager);
    assert_eq!(harness.tokens_requested(), 2);
    assert_eq!(manager.stats().budget_left, (8, 98));
}

#[test]
fn a_suspend_costs_one_early_renewal() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    let first = manager.get_token().unwrap();
    time.pass(5.0);
    let asleep = Duration::from_secs(300);
    time.client.suspend(asleep);
    time.server.advance(asleep);
    assert!(manager.peek_token().unwrap().is_none());
    let second = manager.get_token().unwrap();
    assert!(!second.same_as(&first));
    for _ in 0..40 {
        time.pass(1.0);
        assert!(manager.get_token().unwrap().same_as(&second));
    }
    settle(&manager);
    assert_eq!(harness.tokens_requested(), 2);
    // The budget slept with the host, and what it had used is an hour's, not a minute's any more.
    assert_eq!(manager.stats().budget_left, (9, 98));
}

#[test]
fn a_machine_that_is_frozen_and_thawed_costs_one_early_renewal() {
    // A stopped process finds all clocks gone on; a frozen virtual machine finds them standing until somebody sets its
    // wall clock.
    for stopped in [true, false] {
        let (harness, time) = Harness::timed();
        let manager = harness.manager_in(&time, &[]);
        let first = manager.get_token().unwrap();
        time.pass(5.0);
        if stopped {
            time.pass(600.0);
        } else {
            time.server.advance(Duration::from_secs(600));
            time.client.step_wall(600);
        }
        let second = manager.get_token().unwrap();
        assert!(!second.same_as(&first));
        for _ in 0..40 {
            time.pass(1.0);
            assert!(manager.get_token().unwrap().same_as(&second));
        }
        settle(&manager);
        assert_eq!(harness.tokens_requested(), 2);
    }
}

#[test]
fn a_token_that_ended_while_its_answer_was_on_the_way_is_never_handed_out() {
    let (harness, time) = Harness::timed();
    harness
        .sandbox
        .set(|switches| switches.token_delay = Duration::from_secs(3));
    let manager = harness.manager_in(&time, &[]);
    let waiting = {
        let manager = manager.clone();
        thread::spawn(move || manager.get_token().unwrap())
    };
    while harness.tokens_requested() == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let asleep = Duration::from_secs(300);
    time.client.suspend(asleep);
    time.server.advance(asleep);
    let token = waiting.join().unwrap();
    assert!(token.valid_for() > Duration::from_secs(49));
    assert_eq!(harness.tokens_requested(), 2);
}

#[test]
fn whoever_keeps_the_token_is_told_of_another_and_has_it_renewed_ahead() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    assert_eq!(current(&manager), None);
    assert_eq!(current_until(&manager), None);
    let first = manager.get_token().unwrap();
    let hits = manager.stats().hits;
    let kept = current_until(&manager).unwrap();
    for _ in 0..46 {
        time.pass(1.0);
        assert_eq!(current(&manager), Some(first.generation()));
    }
    count_uses(&manager, 3);
    assert_eq!(manager.stats().hits, hits + 50);
    assert_eq!(
        current_until(&manager),
        Some(kept),
        "nothing but time has passed"
    );
    settle(&manager);
    assert_eq!(harness.tokens_requested(), 1);
    // From 47 s on its use starts the renewal, and it is still the one to use.
    time.pass(1.5);
    let due = current_until(&manager).unwrap();
    assert_eq!(due.generation, first.generation());
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    // Whoever keeps it asks again a second later, should nobody be at the renewal by then.
    assert_eq!(seconds(due.monotonic_until - kept.monotonic_until), 1.5);
    assert_eq!(due.wall_until, kept.wall_until);
    settle(&manager);
    assert_eq!(harness.tokens_requested(), 2);
    let renewed = current_until(&manager).unwrap();
    assert_ne!(renewed.word, kept.word);
    assert_eq!(renewed.generation, first.generation() + 1);
    manager.close();
    assert_eq!(current(&manager), None);
    assert_eq!(current_until(&manager), None);
}

/// Each kind of change is in the word before whoever made it goes on.
#[test]
fn the_generation_word_tells_of_each_change() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    let other = harness.manager_in(&time, &[]);
    let word = || generation_word(&other).load(Ordering::Acquire);
    let mut known = word();
    let mut changed = |what: &str| {
        assert_ne!(word(), known, "{what}");
        known = word();
    };
    manager.get_token().unwrap();
    changed("a token came");
    assert!(manager.invalidate().unwrap());
    changed("it was dropped");
    let token = manager.get_token().unwrap();
    changed("another one came");
    let end = current_until(&manager).unwrap().monotonic_until + 3_000_000_000;

    // A renewal fails, so that the next one is due before the token ends.
    let fault = Fault::always(Match::Token, Action::status(500));
    harness.sandbox.fault(fault);
    time.pass(48.0);
    let (begun, before) = (Instant::now(), word());
    assert!(current_until(&manager).is_some());
    while word() == before {
        assert!(begun.elapsed().as_secs() < 30, "the renewal does not fail");
        thread::sleep(Duration::from_millis(1));
    }
    changed("its renewal failed");
    let again = current_until(&manager).unwrap();
    assert_eq!(again.generation, token.generation());
    assert!(again.monotonic_until < end);
    settle(&manager);
    assert_eq!(manager.stats().refreshes_failed, 1);

    manager.close();
    changed("a handle was closed");
    assert_eq!(current_until(&manager), None);
    assert_eq!(current(&other), Some(token.generation()));
    // That it ends is no change.
    known = word();
    time.pass(3.0);
    assert_eq!(current_until(&other), None, "the token has ended");
    assert_eq!(word(), known);
}
