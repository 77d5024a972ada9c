//! Answers that are not what the API documents: told as `bad_response`, never taken for a token, never kept in memory whole.

use pay88::{ErrorCode, Outcome, Request};
use pay88_sandbox::{Action, Fault, Match};
use serde_json::{Value, json};

use crate::harness::{EACH_WAY, Harness, charge};

/// Over plain HTTP, which is quicker to start.
fn harness() -> Harness {
    Harness::with(pay88_sandbox::Config {
        tls: false,
        ..Default::default()
    })
}

/// The whole `data` with one field changed; `null` leaves it out.
fn data(field: &str, value: Value) -> Value {
    let mut data = json!({"access_token": "a.b.c", "session_id": "sess_1", "expires_in": 60});
    data[field] = value;
    if data[field].is_null() {
        data.as_object_mut().unwrap().remove(field);
    }
    json!({"status": "Success", "code": 200, "message": "m", "data": data})
}

#[test]
fn a_token_answer_that_is_not_as_documented_is_a_bad_response_and_no_call_is_sent() {
    let mut answers: Vec<Action> = [
        "",
        " ",
        "{",
        "null",
        "[]",
        "\"x\"",
        "<html>",
        "\u{feff}{}",
        "{}{}",
    ]
    .map(Action::body)
    .into();
    answers.extend(
        [
            json!({}),
            json!({"data": null}),
            json!({"data": []}),
            json!({"data": "x"}),
        ]
        .map(Action::body),
    );
    answers.push(Action::body(
        json!({"access_token": "a.b.c", "session_id": "s", "expires_in": 60}),
    ));
    for field in ["access_token", "session_id"] {
        for value in [
            json!(null),
            json!(""),
            json!(7),
            json!(true),
            json!([]),
            json!({}),
            json!("a b"),
            json!("a\r\nx: y"),
            json!("\u{e9}"),
            json!("a\u{0}b"),
            json!("a".repeat(20_000)),
        ] {
            answers.push(Action::body(data(field, value)));
        }
    }
    for life in [
        json!(null),
        json!(0),
        json!(5),
        json!(10),
        json!(59.5),
        json!(1e18),
        json!(1_767_225_600),
        json!(-60),
        json!(true),
        json!(""),
        json!("6e1"),
        json!("60s"),
        json!([60]),
    ] {
        answers.push(Action::body(data("expires_in", life)));
    }
    answers.extend([
        Action::status(204),
        Action::status(404),
        Action::HugeBody { bytes: 100 << 20 },
        Action::Garbage,
    ]);
    for action in answers {
        let harness = harness();
        harness
            .sandbox
            .fault(Fault::once(Match::Token, action.clone()));
        let manager = harness.manager();
        let error = manager.make_request(charge()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadResponse, "{action:?}: {error}");
        assert_eq!(error.outcome(), Outcome::NotSent, "{action:?}");
        assert!(
            error.message().len() > 20 && error.hint().len() > 10,
            "{error}"
        );
        assert!(manager.peek_token().unwrap().is_none());
        let counters = harness.sandbox.counters();
        assert_eq!(
            (counters.tokens_requested, counters.calls),
            (1, 0),
            "{action:?}"
        );
    }
}

#[test]
fn a_life_from_11_seconds_is_taken_as_number_or_digits_and_used_for_an_hour_at_most() {
    for (life, expires_in, usable) in [
        (json!(11), 11, 9),
        (json!(60), 60, 50),
        (json!("60"), 60, 50),
        (json!(60.0), 60, 50),
        (json!("60.0"), 60, 50),
        (json!(3600), 3600, 3590),
        (json!(7200), 3600, 3590),
        (json!(86_400), 3600, 3590),
    ] {
        let harness = harness();
        harness.sandbox.set(|switches| switches.expires_in = life);
        let token = harness.manager().get_token().unwrap();
        assert_eq!(token.expires_in(), expires_in);
        let valid = token.valid_for().as_secs_f64();
        assert!(
            valid <= f64::from(usable) && valid > f64::from(usable) - 3.0,
            "{valid}"
        );
    }
}

#[test]
fn a_byte_order_mark_and_half_a_character_are_no_reason_to_do_without_a_token_or_an_answer() {
    let token = data("expires_in", json!(60)).to_string();
    let marked = format!("\u{feff}{token}");
    let half = token.replacen("\"m\"", "\"m\\ud83d\"", 1);
    assert_ne!(half, token);
    for body in [marked, half] {
        let harness = harness();
        harness
            .sandbox
            .fault(Fault::once(Match::Token, Action::body(body)));
        assert_eq!(
            harness.manager().get_token().unwrap().session_id(),
            "sess_1"
        );
    }
    for way in EACH_WAY {
        let harness = harness();
        let manager = harness.manager();
        for body in ["\u{feff}{\"data\":\"x\u{fffd}\"}", r#"{"data":"x\ud800"}"#] {
            harness
                .sandbox
                .fault(Fault::once(Match::Calls, Action::body(body)));
            let answer = way.call(&manager, Request::get("/api/echo")).unwrap();
            assert_eq!(answer.json().unwrap()["data"], "x\u{fffd}");
            assert_eq!(answer.body(), body.as_bytes(), "it is kept as it came");
        }
    }
}

#[test]
fn an_answer_of_a_call_over_the_limit_is_a_bad_response_with_unknown_outcome() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager_with(&[("max_response_bytes", "2048")]);
        let answer = way.call(&manager, Request::get("/api/bytes/2048")).unwrap();
        assert_eq!(answer.body().len(), 2048);
        let error = way
            .call(&manager, Request::get("/api/bytes/2049"))
            .unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::BadResponse, Outcome::Unknown)
        );
        assert!(error.message().contains("2048"), "{error}");

        let manager = harness.manager();
        harness.sandbox.fault(Fault::once(
            Match::Calls,
            Action::HugeBody {
                bytes: (16 << 20) + 1,
            },
        ));
        let error = way.call(&manager, charge()).unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::BadResponse, Outcome::Unknown)
        );
        assert!(!error.retryable());
    }
}

#[test]
fn any_status_and_body_of_a_call_pass_through_as_they_are() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        for status in [200, 201, 299, 300, 304, 400, 403, 404, 418, 422, 501, 599] {
            let answer = way
                .call(&manager, Request::post(format!("/api/status/{status}")))
                .unwrap();
            assert_eq!(answer.status(), status);
        }
        harness.sandbox.fault(Fault::once(
            Match::Calls,
            Action::Answer {
                status: 200,
                headers: vec![
                    ("X-Twice".into(), "1".into()),
                    ("x-twice".into(), "2".into()),
                ],
                body: json!("not \u{0} json"),
            },
        ));
        let answer = way.call(&manager, Request::post("/api/echo")).unwrap();
        assert_eq!(answer.body(), b"not \0 json");
        let twice: Vec<_> = answer
            .headers()
            .filter(|(name, _)| *name == "x-twice")
            .collect();
        assert_eq!(twice, [("x-twice", &b"1"[..]), ("x-twice", &b"2"[..])]);
        assert_eq!(answer.json().unwrap_err().code(), ErrorCode::BadResponse);
    }
}
