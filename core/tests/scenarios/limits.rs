//! Promise 6 and the failures that are remembered: what 88Pay would refuse is refused here, with the time to come back.

use std::time::Duration;

use pay88::{ErrorCode, EventName, Events, Outcome, TokenManager};
use pay88_sandbox::{Action, Fault, Match};
use serde_json::{Value, json};

use crate::harness::{Harness, settle};

/// Asks for a token where 88Pay answers 500 and nothing is remembered, since each time the key is another one.
fn ask_in_vain(manager: &TokenManager, nth: u64) -> pay88::Error {
    manager
        .rotate(&format!("sk_test_sandbox_in_vain_{nth:08}"), false)
        .unwrap();
    manager.get_token().unwrap_err()
}

#[test]
fn the_eleventh_token_in_a_minute_is_refused_here_with_the_time_to_come_back() {
    let (harness, time) = Harness::timed();
    harness
        .sandbox
        .fault(Fault::always(Match::Token, Action::status(500)));
    let manager = harness.manager_in(&time, &[]);
    for nth in 0..10 {
        assert_eq!(ask_in_vain(&manager, nth).code(), ErrorCode::BadResponse);
    }
    let error = ask_in_vain(&manager, 10);
    assert_eq!(
        (error.code(), error.http_status()),
        (ErrorCode::RateLimited, None)
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(62)));
    assert!(error.retryable() && error.outcome() == Outcome::NotSent);
    assert!(error.message().contains("10 tokens"), "{error}");
    time.pass(61.9);
    assert_eq!(ask_in_vain(&manager, 11).code(), ErrorCode::RateLimited);
    assert_eq!(harness.tokens_requested(), 10);
    time.pass(0.1);
    assert_eq!(ask_in_vain(&manager, 12).code(), ErrorCode::BadResponse);
    assert_eq!(harness.tokens_requested(), 11);
}

#[test]
fn the_hundred_and_first_token_in_an_hour_is_refused_here_with_the_time_to_come_back() {
    let (harness, time) = Harness::timed();
    harness
        .sandbox
        .fault(Fault::always(Match::Token, Action::status(500)));
    let manager = harness.manager_in(&time, &[]);
    for nth in 0..100 {
        assert_eq!(ask_in_vain(&manager, nth).code(), ErrorCode::BadResponse);
        time.pass(7.0);
    }
    let error = ask_in_vain(&manager, 100);
    assert_eq!(error.code(), ErrorCode::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3615 - 700)));
    assert!(error.message().contains("100 tokens"), "{error}");
    time.pass(3615.0 - 700.0 - 0.1);
    assert_eq!(ask_in_vain(&manager, 101).code(), ErrorCode::RateLimited);
    assert_eq!(harness.tokens_requested(), 100);
    time.pass(0.1);
    assert_eq!(ask_in_vain(&manager, 102).code(), ErrorCode::BadResponse);
}

#[test]
fn a_token_that_is_short_lived_by_mistake_is_used_to_two_seconds_before_its_end_and_told() {
    let events = Events::subscribe(10_000);
    let (harness, time) = Harness::timed();
    harness
        .sandbox
        .set(|switches| switches.expires_in = json!(11));
    let manager = harness.manager_in(&time, &[]);
    let first = manager.get_token().unwrap();
    assert_eq!(first.valid_for(), Duration::from_secs(9));
    let mut served = 0;
    let mut refused = 0;
    for _ in 0..3600 {
        match manager.get_token() {
            Ok(_) => served += 1,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::RateLimited, "{error}");
                refused += 1;
            }
        }
        settle(&manager);
        time.pass(1.0);
    }
    assert!(served > 700 && refused > 0, "{served} {refused}");
    let counters = harness.sandbox.counters();
    assert_eq!(counters.tokens_issued, 100);
    assert!(counters.tokens_refused.is_empty());
    let told = std::iter::from_fn(|| events.next(Duration::ZERO))
        .filter(|event| event.name == EventName::LifeShort && event.manager_id == manager.id())
        .count();
    assert_eq!(told, 100);
}

/// What is kept of a 429 with these headers and this body, in seconds, and whether an event told that it is capped.
fn kept(headers: &[(&str, &str)], body: Value) -> (u64, bool) {
    let events = Events::subscribe(10_000);
    let (harness, time) = Harness::timed();
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    harness.sandbox.fault(Fault::once(
        Match::Token,
        Action::Answer {
            status: 429,
            headers: headers.collect(),
            body,
        },
    ));
    let manager = harness.manager_in(&time, &[]);
    let error = manager.get_token().unwrap_err();
    assert_eq!(
        (error.code(), error.http_status()),
        (ErrorCode::RateLimited, Some(429))
    );
    let pause = error.retry_after().unwrap();
    // Held to the end, and no longer.
    time.pass(pause.as_secs_f64() - 0.5);
    let again = manager.get_token().unwrap_err();
    assert_eq!(again.retry_after(), Some(Duration::from_millis(500)));
    assert_eq!(harness.tokens_requested(), 1);
    time.pass(0.5);
    manager.get_token().unwrap();
    assert_eq!(harness.tokens_requested(), 2);
    let capped = std::iter::from_fn(|| events.next(Duration::ZERO))
        .any(|event| event.name == EventName::PauseCapped && event.manager_id == manager.id());
    (pause.as_secs(), capped)
}

#[test]
fn a_429_holds_as_long_as_it_says_in_every_form_and_never_over_an_hour() {
    let none = || json!({"status": "Error", "code": 429});
    let date = ("Date", "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(kept(&[("Retry-After", "7")], none()), (7, false));
    assert_eq!(kept(&[("Retry-After", "0")], none()), (1, false));
    assert_eq!(kept(&[("Retry-After", "3600")], none()), (3600, false));
    assert_eq!(kept(&[("Retry-After", "3601")], none()), (3600, true));
    let absurd = "99999999999999999999999999";
    assert_eq!(kept(&[("Retry-After", absurd)], none()), (3600, true));
    // Dates count against the answer's own, whatever the clocks here say.
    let at = |when| [("Retry-After", when), date];
    assert_eq!(
        kept(&at("Thu, 01 Jan 2026 00:00:45 GMT"), none()),
        (45, false)
    );
    assert_eq!(
        kept(&at("Thu, 01 Jan 2026 09:00:00 GMT"), none()),
        (3600, true)
    );
    assert_eq!(
        kept(&at("Wed, 31 Dec 2025 00:00:00 GMT"), none()),
        (1, false)
    );
    // Without a header the body counts, and without both a minute.
    assert_eq!(kept(&[], json!({"retry_after": 17})), (17, false));
    assert_eq!(
        kept(&[("Retry-After", "soon")], json!({"retry_after": "18"})),
        (18, false)
    );
    assert_eq!(
        kept(&[("Retry-After", "-5")], json!({"retry_after": 1e300})),
        (3600, true)
    );
    assert_eq!(kept(&[], none()), (60, false));
    assert_eq!(kept(&[], json!("no json")), (60, false));
}

#[test]
fn a_token_that_is_still_good_is_handed_out_while_a_failure_holds() {
    for status in [401, 403, 429, 500] {
        let (harness, time) = Harness::timed();
        let manager = harness.manager_in(&time, &[]);
        let token = manager.get_token().unwrap();
        harness
            .sandbox
            .fault(Fault::always(Match::Token, Action::status(status)));
        time.pass(47.0);
        for _ in 0..29 {
            assert!(manager.get_token().unwrap().same_as(&token), "{status}");
            settle(&manager);
            time.pass(0.1);
        }
        let requests = harness.tokens_requested();
        assert!((2..=4).contains(&requests), "{status}: {requests}");
        time.pass(0.1);
        assert!(manager.get_token().is_err(), "{status}");
    }
}

#[test]
fn rejected_credentials_are_asked_about_again_after_5_seconds_doubling_to_5_minutes() {
    for status in [401, 403] {
        let (harness, time) = Harness::timed();
        harness
            .sandbox
            .fault(Fault::always(Match::Token, Action::status(status)));
        let manager = harness.manager_in(&time, &[]);
        let mut requests = 0;
        for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
            let error = manager.get_token().unwrap_err();
            requests += 1;
            assert_eq!(error.retry_after(), Some(Duration::from_secs(pause)));
            assert!(!error.retryable());
            time.pass(pause as f64 - 0.1);
            assert_eq!(manager.get_token().unwrap_err().attempt(), error.attempt());
            assert_eq!(harness.tokens_requested(), requests);
            time.pass(0.1);
        }
    }
}
