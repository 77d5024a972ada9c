//! Promise 7: nothing is charged twice by the library, and every error says what is known of the request.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pay88::ffi::prepare_request;
use pay88::{Control, Error, ErrorCode, Outcome, Request};
use pay88_sandbox::{Action, Fault, Match, TOKEN_PATH};

use crate::harness::{CHARGES, EACH_WAY, Harness, Way, charge};

/// The charge under a fault of its path: the error, and how many charges and requests the sandbox saw.
fn charge_under(way: Way, action: Action) -> (Error, u64, usize) {
    let harness = Harness::new();
    let manager = harness.manager();
    manager.get_token().unwrap();
    harness
        .sandbox
        .fault(Fault::always(Match::Path(CHARGES.into()), action));
    let request = charge().timeout(Duration::from_secs(2));
    let error = way.call(&manager, request).unwrap_err();
    (
        error,
        harness.sandbox.counters().charges_created,
        harness.seen(CHARGES),
    )
}

#[test]
fn a_charge_whose_connection_is_cut_after_it_was_sent_is_unknown_and_not_repeated() {
    for way in EACH_WAY {
        for (action, created) in [
            (Action::CutAfterRequest, 0),
            (Action::CutBeforeAnswer, 1),
            (Action::CutInHead, 1),
            (Action::CutInBody, 1),
            (Action::Garbage, 0),
        ] {
            let (error, charges, requests) = charge_under(way, action.clone());
            assert_eq!(
                error.outcome(),
                Outcome::Unknown,
                "{way:?} {action:?} {error}"
            );
            assert!(
                matches!(
                    error.code(),
                    ErrorCode::ConnectionFailed | ErrorCode::BadResponse
                ),
                "{way:?} {action:?} {error}"
            );
            assert!(!error.retryable(), "{way:?} {action:?}");
            assert!(error.hint().contains("look the transaction up"), "{error}");
            assert_eq!((charges, requests), (created, 1), "{way:?} {action:?}");
        }
    }
}

#[test]
fn a_charge_that_times_out_after_it_was_sent_is_unknown_and_not_repeated() {
    for way in EACH_WAY {
        for (action, created) in [(Action::Stall, 0), (Action::StallInBody, 1)] {
            let (error, charges, requests) = charge_under(way, action.clone());
            assert_eq!(error.code(), ErrorCode::Timeout, "{way:?} {action:?}");
            assert_eq!(error.outcome(), Outcome::Unknown, "{way:?} {action:?}");
            assert!(!error.retryable());
            assert_eq!((charges, requests), (created, 1), "{way:?} {action:?}");
        }
    }
}

#[test]
fn a_charge_that_was_answered_with_a_fault_is_an_answer_and_not_repeated() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        for (nth, status) in [500, 501, 502, 503, 504].into_iter().enumerate() {
            harness.sandbox.fault(Fault::once(
                Match::Path(CHARGES.into()),
                Action::status(status),
            ));
            let answer = way.call(&manager, charge()).unwrap();
            assert_eq!(answer.status(), status);
            let error = answer.error_for_status().unwrap_err();
            assert_eq!(error.code(), ErrorCode::HttpError);
            assert_eq!(error.outcome(), Outcome::Answered);
            assert!(!error.retryable(), "{error}");
            assert_eq!(harness.seen(CHARGES), nth + 1, "{way:?} {status}");
        }
    }
}

#[test]
fn a_charge_that_is_interrupted_is_unknown_once_it_was_sent_and_not_sent_before() {
    for (waits_for_token, outcome) in [(true, Outcome::NotSent), (false, Outcome::Unknown)] {
        let harness = Harness::new();
        let manager = harness.manager();
        if waits_for_token {
            harness
                .sandbox
                .fault(Fault::always(Match::Token, Action::Stall));
        } else {
            harness
                .sandbox
                .fault(Fault::always(Match::Calls, Action::Stall));
            manager.get_token().unwrap();
        }
        let started = Instant::now();
        let control = Control {
            timeout: None,
            interrupt: Some(&|| {
                harness.tokens_requested() == 1
                    && harness.seen(CHARGES) == usize::from(!waits_for_token)
            }),
        };
        let error = manager.make_request_with(charge(), control).unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Canceled, outcome)
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(harness.seen(CHARGES), usize::from(!waits_for_token));
    }
}

#[test]
fn a_charge_that_is_canceled_is_unknown_once_it_was_sent_and_not_sent_before() {
    for (waits_for_token, outcome) in [(true, Outcome::NotSent), (false, Outcome::Unknown)] {
        let harness = Harness::new();
        let manager = harness.manager();
        if waits_for_token {
            harness
                .sandbox
                .fault(Fault::always(Match::Token, Action::Stall));
        } else {
            harness
                .sandbox
                .fault(Fault::always(Match::Calls, Action::Stall));
            manager.get_token().unwrap();
        }
        let (sender, receiver) = mpsc::channel();
        let task = prepare_request(&manager, charge(), move |result| {
            sender.send(result).unwrap()
        })
        .unwrap();
        let canceler = task.canceler();
        task.start();
        while harness.tokens_requested() == 0
            || harness.seen(CHARGES) != usize::from(!waits_for_token)
        {
            thread::sleep(Duration::from_millis(5));
        }
        canceler.cancel();
        let result = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        let error = result.unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Canceled, outcome)
        );
        assert_eq!(harness.seen(CHARGES), usize::from(!waits_for_token));
        assert_eq!(manager.stats().calls_failed, 1);
        // Canceled once means delivered once.
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err());
    }
}

#[test]
fn a_charge_that_was_refused_before_it_is_canceled_cannot_have_happened() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        harness.sandbox.fault(Fault::always(
            Match::Path(CHARGES.into()),
            Action::status_with(429, &[("Retry-After", "20")]),
        ));
        let closing = manager.clone();
        let closer = thread::spawn(move || {
            while closing.stats().calls_repeated == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            closing.close();
        });
        let error = way.call(&manager, charge()).unwrap_err();
        closer.join().unwrap();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Canceled, Outcome::Answered),
            "{way:?}"
        );
        assert_eq!(harness.seen(CHARGES), 1, "{way:?}");
    }
}

#[test]
fn a_charge_that_finds_no_connection_is_tried_three_times_and_was_not_sent() {
    for way in EACH_WAY {
        // No connection is kept, so that the charge has to make one.
        let harness = Harness::new();
        let manager = harness.manager_with(&[("idle_timeout", "0")]);
        manager.get_token().unwrap();
        harness
            .sandbox
            .fault(Fault::times(3, Match::Any, Action::CutHandshake));
        let error = way.call(&manager, charge()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionFailed, "{way:?} {error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{way:?} {error}");
        assert!(error.retryable());
        assert_eq!(harness.seen(CHARGES), 0);
        // Two handshakes fail, the third does not.
        harness
            .sandbox
            .fault(Fault::times(2, Match::Any, Action::CutHandshake));
        assert_eq!(
            way.call(&manager, charge()).unwrap().status(),
            200,
            "{way:?}"
        );
        assert_eq!(harness.sandbox.counters().charges_created, 1);
    }
}

#[test]
fn a_connection_that_never_gets_ready_ends_at_the_deadline_and_was_not_sent() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager_with(&[("idle_timeout", "0")]);
        manager.get_token().unwrap();
        harness
            .sandbox
            .fault(Fault::always(Match::Any, Action::StallConnection));
        let started = Instant::now();
        let error = way
            .call(&manager, charge().timeout(Duration::from_secs(1)))
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent, "{way:?} {error}");
        assert_eq!(error.code(), ErrorCode::Timeout, "{way:?} {error}");
        assert!(error.retryable());
        let took = started.elapsed();
        println!("{way:?}: a deadline of a second ended the call after {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn reads_the_balance_and_marked_calls_are_repeated_with_a_pause() {
    let requests: [fn(&Harness) -> Request; 3] = [
        |_| Request::get("/api/echo"),
        |harness| Request::post("/api/balance").param("id", harness.merchant.as_str()),
        |_| Request::post("/api/echo").safe_to_repeat(true),
    ];
    for way in EACH_WAY {
        for request in requests {
            for action in [Action::status(503), Action::CutBeforeAnswer] {
                let harness = Harness::new();
                let manager = harness.manager();
                harness
                    .sandbox
                    .fault(Fault::times(2, Match::Calls, action.clone()));
                let request = request(&harness);
                let what = format!("{way:?} {request:?} {action:?}");
                let answer = way.call(&manager, request).unwrap();
                assert_eq!(answer.status(), 200, "{what}");
                let log = harness.sandbox.log();
                let times: Vec<Duration> = log
                    .iter()
                    .filter(|entry| entry.target != TOKEN_PATH)
                    .map(|entry| entry.time)
                    .collect();
                assert_eq!(times.len(), 3, "{what}");
                // A tenth of the first pause, half a second, is the least that the jitter leaves.
                let least = Duration::from_millis(50);
                assert!(
                    times[1] - times[0] >= least && times[2] - times[1] >= least,
                    "{what}"
                );
                assert_eq!(manager.stats().calls_repeated, 2, "{what}");
            }
        }
    }
}

#[test]
fn a_marked_call_that_never_gets_an_answer_is_unknown_but_may_be_tried_again() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        harness
            .sandbox
            .fault(Fault::always(Match::Calls, Action::CutBeforeAnswer));
        let error = way.call(&manager, Request::get("/api/echo")).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert!(error.retryable());
        assert_eq!(harness.seen("/api/echo"), 3);
    }
}

#[test]
fn a_charge_that_is_told_to_come_back_is_repeated_after_that_time() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        harness.sandbox.fault(Fault::once(
            Match::Path(CHARGES.into()),
            Action::status_with(429, &[("Retry-After", "1")]),
        ));
        let started = Instant::now();
        assert_eq!(way.call(&manager, charge()).unwrap().status(), 200);
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert_eq!(harness.sandbox.counters().charges_created, 1);
        // A time beyond the deadline is not waited for.
        harness.sandbox.fault(Fault::once(
            Match::Path(CHARGES.into()),
            Action::status_with(429, &[("Retry-After", "31")]),
        ));
        assert_eq!(way.call(&manager, charge()).unwrap().status(), 429);
    }
}
