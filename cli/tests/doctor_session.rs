//! `pay88 doctor`: each answer of 88Pay that it warns of or that fails is provoked, and has to come with its advice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use pay88_sandbox::{Action, Config, Fault, Match, TEST_MERCHANT};
use serde_json::{Value, json};
use support::diagnosis::{Diagnosis, doctor, with_fault};
use support::{Stand, shows_nothing_of};

#[test]
fn each_refusal_of_the_token_endpoint_has_its_advice() {
    for (status, said, requests) in [
        (401, "Copy both from the dashboard", 1),
        (403, "allow-list", 1),
        (429, "Try again in 60 s", 1),
        (404, "Check that base_url is 88Pay's", 1),
        (500, "temporary fault", 1),
        // Sent once more, as the library does.
        (503, "temporary fault", 2),
    ] {
        let (stand, diagnosis) = with_fault(Match::Token, Action::status(status));
        diagnosis
            .passes("api_key", "clock")
            .expect("token", "failed", &[said])
            .skips("jwt", "call");
        let counters = stand.sandbox.counters();
        assert_eq!(
            (counters.tokens_requested, counters.tokens_issued),
            (requests, 0),
            "{status}"
        );
    }
    let (_, diagnosis) = with_fault(
        Match::Token,
        Action::status_with(429, &[("Retry-After", "7")]),
    );
    diagnosis.expect(
        "token",
        "failed",
        &["10 a minute and 100 an hour", "Try again in 7 s"],
    );
}

#[test]
fn an_unknown_merchant_and_a_suspended_one_are_told_apart() {
    let stand = Stand::start();
    doctor(&stand, &[("MERCHANT_ID", Some("MCH-COL-ANOTHER"))]).expect(
        "token",
        "failed",
        &["API key and merchant ID"],
    );
    assert!(stand.sandbox.suspend(TEST_MERCHANT, true));
    doctor(&stand, &[]).expect("token", "failed", &["KYC", "suspended", "support@88pay.io"]);
}

#[test]
fn a_token_answer_that_is_none_is_a_failure() {
    for body in [
        json!("<html>Welcome</html>"),
        json!({"data": {"access_token": "t", "session_id": "s"}}),
        json!({"data": {"access_token": "t", "session_id": "s", "expires_in": 5}}),
        json!({"data": {"access_token": "", "session_id": "s", "expires_in": 60}}),
    ] {
        let (_, diagnosis) = with_fault(Match::Token, Action::body(body));
        diagnosis
            .expect(
                "token",
                "failed",
                &["cannot be used", "no proxy answers in its place"],
            )
            .skips("jwt", "call");
    }
}

#[test]
fn an_unusual_life_is_a_warning() {
    for (told, usable) in [(30, "used for 2"), (600, "used for 5")] {
        let stand = Stand::with(Config {
            expires_in: json!(told),
            ..Config::default()
        });
        doctor(&stand, &[])
            .expect(
                "expires_in",
                "warning",
                &[&format!("{told} s, where 60 s are documented"), usable],
            )
            .passes("cache", "call");
    }
}

#[test]
fn unusual_shapes_of_token_and_session_are_warnings() {
    use base64::Engine;
    let jwt = |header: Value, claims: Value| {
        let part = |value: Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        format!("{}.{}.c2lnbmF0dXJl", part(header), part(claims))
    };
    let es256 = || json!({"alg": "ES256"});
    let good_session = "sess_53a2cfc4-441e-4554-b560-4e008784d98e";
    for (token, session, unusual, said) in [
        (
            "0123456789abcdef".to_owned(),
            good_session,
            "jwt",
            "three parts",
        ),
        (
            "one.two.three".to_owned(),
            good_session,
            "jwt",
            "not JSON in base64url",
        ),
        (
            jwt(json!({"alg": "none"}), json!({})),
            good_session,
            "jwt",
            "not signed with ES256",
        ),
        (
            jwt(es256(), json!({"iat": 1, "exp": 62})),
            good_session,
            "jwt",
            "not expires_in",
        ),
        (
            jwt(es256(), json!({"iat": 9, "exp": 2})),
            good_session,
            "jwt",
            "not expires_in",
        ),
        (
            jwt(es256(), json!({"iat": "1"})),
            good_session,
            "jwt",
            "without iat and exp",
        ),
        (
            jwt(es256(), json!({"iat": 1, "exp": 61})),
            &good_session[5..],
            "session_id",
            "sess_ and a UUID",
        ),
        (
            jwt(es256(), json!({"iat": 1, "exp": 61})),
            "sess_53a2cfc4",
            "session_id",
            "sess_ and a UUID",
        ),
    ] {
        let stand = Stand::start();
        let data =
            json!({"data": {"access_token": token, "session_id": session, "expires_in": 60}});
        stand
            .sandbox
            .fault(Fault::always(Match::Token, Action::body(data)));
        let ended = stand.run(&["doctor", "--json"]);
        shows_nothing_of(&ended, &token);
        shows_nothing_of(&ended, session);
        let diagnosis = Diagnosis::of(ended);
        diagnosis.expect(unusual, "warning", &[said, "pay88 does not depend on it"]);
        let usual = if unusual == "jwt" {
            "session_id"
        } else {
            "jwt"
        };
        diagnosis.expect(usual, "passed", &[]);
        // The sandbox does not know such a token.
        assert_eq!(diagnosis.status, 1);
        diagnosis.expect("call", "failed", &["401"]);
    }
}

#[test]
fn each_refusal_of_the_call_has_its_advice_and_costs_no_second_token() {
    let path = || Match::Path("/api/balance".into());
    for (status, said) in [
        (302, "does not redirect"),
        (401, "removes the headers Authorization and x-session-id"),
        (403, "may see the balance"),
        (404, "no path behind the host"),
        (422, "merchant ID belongs to the API key"),
        (429, "1,000 an hour"),
        (500, "try again later"),
        (503, "try again later"),
    ] {
        let (stand, diagnosis) = with_fault(path(), Action::status(status));
        diagnosis.passes("api_key", "cache").expect(
            "call",
            "failed",
            &[said, &status.to_string(), "POST /api/balance"],
        );
        let counters = stand.sandbox.counters();
        assert_eq!((counters.tokens_issued, counters.calls), (1, 2), "{status}");
    }
    let (stand, diagnosis) = with_fault(path(), Action::CutBeforeAnswer);
    diagnosis.expect("call", "failed", &["cut"]);
    assert_eq!(stand.sandbox.counters().tokens_issued, 1);
}

#[test]
fn a_base_url_with_a_path_that_serves_nothing_is_told() {
    let stand = Stand::start();
    let base_url = format!("{}/v1", stand.sandbox.base_url());
    // The sandbox takes it for a call without a token.
    doctor(&stand, &[("BASE_URL", Some(&base_url))])
        .expect("token", "failed", &[])
        .skips("jwt", "call");
    assert_eq!(stand.sandbox.counters().tokens_requested, 0);
}
