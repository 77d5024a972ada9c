//! A 401 on a call: one refresh for all, one repetition for each, and no loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pay88::{ErrorCode, EventName, Events, Outcome, Request};
use pay88_sandbox::{Action, Fault, Match};

use crate::harness::{EACH_WAY, Harness, charge, settle};

#[test]
fn tokens_that_are_all_revoked_under_load_cost_one_refresh_and_no_call() {
    let harness = Arc::new(Harness::new());
    let manager = harness.manager();
    manager.get_token().unwrap();
    let revoked = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let (manager, revoked) = (manager.clone(), revoked.clone());
            thread::spawn(move || {
                let mut after = 0;
                while after < 5 {
                    after += u32::from(revoked.load(Ordering::SeqCst));
                    assert_eq!(manager.make_request(charge()).unwrap().status(), 200);
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    harness.sandbox.revoke_all();
    revoked.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().unwrap();
    }
    let (counters, stats) = (harness.sandbox.counters(), manager.stats());
    assert_eq!(counters.tokens_issued, 2);
    assert!(counters.unauthorized >= 1);
    assert_eq!(stats.calls_repeated, counters.unauthorized);
    assert_eq!(stats.calls, counters.charges_created);
}

#[test]
fn a_call_whose_token_was_dropped_meanwhile_is_repeated_even_on_a_path_that_forces_nothing() {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    // Answered 401 twice, once only: from now on the path forces no token for a minute.
    let path = "/api/echo";
    let on = Match::Path(path.into());
    harness
        .sandbox
        .fault(Fault::times(2, on, Action::status(401)));
    let call = || manager.make_request(Request::get(path)).unwrap().status();
    assert_eq!(call(), 401);
    time.pass(11.0);
    let token = manager.get_token().unwrap();
    harness
        .sandbox
        .set(|switches| switches.call_delay = Duration::from_secs(3));
    harness.sandbox.revoke_all();
    thread::scope(|scope| {
        let pending = scope.spawn(call);
        while harness.seen(path) < 3 {
            thread::sleep(Duration::from_millis(5));
        }
        // Somebody else drops the token while the call is under way.
        assert!(manager.invalidate_token(&token).unwrap());
        assert_eq!(pending.join().unwrap(), 200);
    });
    assert_eq!(harness.tokens_requested(), 3);
}

#[test]
fn a_token_that_is_revoked_is_replaced_for_asynchronous_calls_too() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        manager.get_token().unwrap();
        harness.sandbox.revoke_all();
        assert_eq!(way.call(&manager, charge()).unwrap().status(), 200);
        assert_eq!(harness.sandbox.counters().charges_created, 1);
        assert_eq!(harness.tokens_requested(), 2);
    }
}

#[test]
fn a_server_that_voids_the_old_token_at_each_new_one_makes_no_loop_and_fails_no_call() {
    let (harness, time) = Harness::timed();
    harness.sandbox.set(|switches| {
        switches.new_token_voids_old = true;
        // The old token is worthless a while before the new one is here.
        switches.token_delay = Duration::from_millis(30);
    });
    let manager = harness.manager_in(&time, &[]);
    manager.get_token().unwrap();
    const RENEWALS: u64 = 30;
    for nth in 1..=RENEWALS {
        time.pass(47.5);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let manager = manager.clone();
                thread::spawn(move || {
                    for _ in 0..10 {
                        let answer = manager.make_request(Request::get("/api/echo")).unwrap();
                        assert_eq!(answer.status(), 200);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        settle(&manager);
        assert_eq!(harness.sandbox.counters().tokens_issued, nth + 1);
    }
    // Else nothing of the above was shown.
    assert!(harness.sandbox.counters().unauthorized > 20);
}

/// An hour of one good call a second, and of `bad` calls to a path that always answers 401. Gives the tokens it took.
fn an_hour(bad: usize) -> u64 {
    let (harness, time) = Harness::timed();
    let manager = harness.manager_in(&time, &[]);
    let call = |path: &str| {
        let status = manager.make_request(Request::get(path)).unwrap().status();
        settle(&manager);
        status
    };
    let mut done = 0;
    for second in 0..3600 {
        assert_eq!(call("/api/echo"), 200);
        while done < bad * (second + 1) / 3600 {
            assert_eq!(call("/api/status/401"), 401);
            done += 1;
        }
        time.pass(1.0);
    }
    assert_eq!(done, bad);
    let counters = harness.sandbox.counters();
    assert!(counters.tokens_refused.is_empty());
    counters.tokens_issued
}

#[test]
fn a_path_that_always_answers_401_costs_at_most_five_tokens_an_hour_and_no_good_call() {
    let (without, with) = (an_hour(0), an_hour(10_000));
    println!(
        "tokens in the hour: {without} without, {with} with 10,000 calls that were answered 401"
    );
    assert!(without <= 77);
    assert!(with <= without + 5, "{with} {without}");
}

#[test]
fn a_call_is_repeated_once_only_and_its_second_401_is_the_answer() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        harness
            .sandbox
            .fault(Fault::always(Match::Calls, Action::status(401)));
        let started = Instant::now();
        assert_eq!(way.call(&manager, charge()).unwrap().status(), 401);
        assert_eq!(harness.sandbox.counters().calls, 2);
        assert_eq!(harness.tokens_requested(), 2);
        // From now on that path forces nothing.
        for _ in 0..20 {
            assert_eq!(way.call(&manager, charge()).unwrap().status(), 401);
        }
        assert_eq!(harness.tokens_requested(), 2);
        assert!(started.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_second_revocation_within_seconds_is_told_as_what_it_is_and_when_it_ends() {
    for way in EACH_WAY {
        let (harness, time) = Harness::timed();
        let manager = harness.manager_in(&time, &[]);
        let events = Events::subscribe(1000);
        let call = || way.call(&manager, charge()).unwrap();
        assert_eq!(call().status(), 200);
        harness.sandbox.revoke_all();
        assert_eq!(call().status(), 200);
        time.pass(3.0);
        harness.sandbox.revoke_all();
        for _ in 0..5 {
            let error = call().error_for_status().unwrap_err();
            assert_eq!(
                (error.code(), error.http_status(), error.outcome()),
                (ErrorCode::HttpError, Some(401), Outcome::Answered)
            );
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            assert!(error.retryable(), "it was not carried out");
            assert!(!error.hint().contains("also after a new one"), "{error}");
        }
        assert_eq!(harness.tokens_requested(), 2);
        let told: Vec<_> = std::iter::from_fn(|| events.next(Duration::ZERO))
            .filter(|event| event.manager_id == manager.id())
            .filter(|event| event.name == EventName::TokenKept)
            .collect();
        assert_eq!(told.len(), 1, "once for a token: {told:?}");
        assert_eq!(
            (&told[0].fields["generation"], &told[0].fields["pause"]),
            (&2.into(), &7.0.into())
        );
        time.pass(7.0);
        assert_eq!(call().status(), 200);
        assert_eq!(harness.tokens_requested(), 3);
    }
}

#[test]
fn a_401_says_whether_a_new_token_was_tried() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        let call = |request| {
            let answer = way.call(&manager, request).unwrap();
            let error = answer.error_for_status().unwrap_err();
            assert!(!error.retryable() && error.retry_after().is_none());
            error.hint().to_owned()
        };
        let request = || Request::get("/api/status/401");
        assert!(call(request().once()).contains("no new one was asked for"));
        assert!(call(request()).contains("also after a new one"));
        assert!(call(request()).contains("with a new token before"));
        assert_eq!(harness.tokens_requested(), 2);
    }
}

/// A token that cannot be had after a 401 leaves the call as safe to make again as before: it was refused.
#[test]
fn a_call_that_is_refused_and_then_gets_no_token_may_be_made_again() {
    for way in EACH_WAY {
        for (action, code, retryable) in [
            (Action::status(429), ErrorCode::RateLimited, true),
            (Action::CutInBody, ErrorCode::BadResponse, true),
            (Action::status(503), ErrorCode::BadResponse, true),
            (Action::status(401), ErrorCode::CredentialsRejected, false),
        ] {
            let harness = Harness::new();
            let manager = harness.manager();
            manager.get_token().unwrap();
            harness.sandbox.revoke_all();
            harness
                .sandbox
                .fault(Fault::always(Match::Token, action.clone()));
            let error = way.call(&manager, charge()).unwrap_err();
            assert_eq!(error.code(), code, "{action:?}: {error}");
            assert_eq!(error.outcome(), Outcome::Answered, "{action:?}");
            assert_eq!(error.retryable(), retryable, "{action:?}");
        }
    }
}
