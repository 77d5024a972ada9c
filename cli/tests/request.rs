//! `pay88 request`: what is sent, what is printed, and with which status it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use pay88_sandbox::{Action, Fault, Match};
use serde_json::{Value, json};
use support::{Stand, quiet, run_with};

const CHARGE: &str = r#"{"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,"currency":"COP","country":"COL","description":"Shoes","customer_id":"1","notification_url":"https://shop.example/hook"}"#;

#[test]
fn a_charge_from_a_text_a_file_and_standard_input_is_made() {
    let stand = Stand::start();
    let file = format!("@{}", stand.file("charge.json", CHARGE));
    for data in [CHARGE, &file, "@-"] {
        let command = stand.pay88(&["request", "POST", "/api/transactions/charges", "-d", data]);
        let ended = quiet(run_with(command, CHARGE.as_bytes()));
        assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{ended:?}");
        assert_eq!(ended.json()["data"]["amount"], 50000);
    }
    let charges = stand.sandbox.charges();
    assert_eq!(charges.len(), 3);
    let sent: Value = serde_json::from_str(CHARGE).unwrap();
    assert!(charges.iter().all(|charge| charge["body"] == sent));
}

#[test]
fn method_headers_and_parameters_arrive() {
    let stand = Stand::start();
    let ended = stand.run(&[
        "request",
        "put",
        "/api/echo?a=1",
        "-p",
        "b=x y&z=",
        "-p",
        "c=",
        "-H",
        "X-Shop:  seven : 8 ",
        "-d",
        "text",
        "-H",
        "Content-Type: application/json;charset=utf-8",
        "--user-agent-suffix",
        "my-shop/1.2",
    ]);
    let echo = &ended.json()["data"];
    assert_eq!(
        (&echo["method"], &echo["body"]),
        (&json!("PUT"), &json!("text"))
    );
    assert_eq!(echo["target"], "/api/echo?a=1&b=x+y%26z%3D&c=");
    assert_eq!(echo["headers"]["x-shop"], "seven : 8");
    assert_eq!(
        echo["headers"]["content-type"],
        "application/json;charset=utf-8"
    );
    let agent = echo["headers"]["user-agent"].as_str().unwrap();
    assert!(agent.ends_with(" my-shop/1.2"), "{agent}");
}

#[test]
fn the_body_is_printed_as_it_is_and_the_head_when_asked_for() {
    let stand = Stand::start();
    let plain = stand.run(&["request", "GET", "/api/bytes/100000"]);
    assert_eq!((plain.status, plain.out), (0, "x".repeat(100_000)));
    let whole = stand.run(&["request", "GET", "/api/bytes/3", "-i"]).out;
    let (head, body) = whole.split_once("\n\n").unwrap();
    assert!(
        head.starts_with("HTTP 200\n") && head.contains("\ncontent-length: 3"),
        "{head}"
    );
    assert_eq!(body, "xxx");
}

#[test]
fn an_answer_of_400_or_above_ends_with_22_and_its_body_is_printed() {
    let stand = Stand::start();
    for status in [400, 401, 403, 404, 422, 500, 599] {
        let ended = stand.run(&["request", "POST", &format!("/api/status/{status}")]);
        assert_eq!((ended.status, ended.err.as_str()), (22, ""), "{ended:?}");
        assert_eq!(ended.json()["code"], status);
    }
    let redirect = stand.run(&["request", "GET", "/api/status/302"]);
    assert_eq!(
        (redirect.status, redirect.json()["code"].clone()),
        (0, json!(302))
    );
}

#[test]
fn fail_turns_such_an_answer_into_an_error() {
    let stand = Stand::start();
    let text = stand.run(&["request", "POST", "/api/status/422", "--fail"]);
    assert_eq!((text.status, text.out.as_str()), (22, ""));
    assert!(
        text.err.contains("http_error") && text.err.contains("As asked"),
        "{text:?}"
    );
    assert!(text.err.contains("hint: Check the parameters"), "{text:?}");
    let json = stand.run(&["request", "POST", "/api/status/503", "--fail", "--json"]);
    assert_eq!((json.status, json.out.as_str()), (22, ""));
    let error = &json.error_json()["error"];
    assert_eq!(
        (&error["code"], &error["http_status"]),
        (&json!("http_error"), &json!(503))
    );
    assert_eq!(error["outcome"], "answered");
    let good = stand.run(&["request", "GET", "/api/bytes/2", "--fail"]);
    assert_eq!((good.status, good.out.as_str()), (0, "xx"));
}

#[test]
fn no_answer_ends_with_1_and_says_whether_it_can_have_been_sent() {
    let stand = Stand::start();
    stand
        .sandbox
        .fault(Fault::once(Match::Calls, Action::CutBeforeAnswer));
    let cut = stand.run(&[
        "request",
        "POST",
        "/api/transactions/charges",
        "-d",
        CHARGE,
        "--json",
    ]);
    assert_eq!((cut.status, cut.out.as_str()), (1, ""));
    let error = &cut.error_json()["error"];
    assert_eq!(
        (&error["outcome"], &error["retryable"]),
        (&json!("unknown"), &json!(false))
    );
    assert_eq!(stand.sandbox.charges().len(), 1);

    stand
        .sandbox
        .fault(Fault::once(Match::Calls, Action::Stall));
    let stalled = stand.run(&["request", "POST", "/api/echo", "--timeout", "3"]);
    assert_eq!(stalled.status, 1);
    assert!(stalled.err.contains("error: timeout: "), "{stalled:?}");
    assert!(stalled.err.contains("outcome: unknown"), "{stalled:?}");
}

#[test]
fn only_a_call_marked_safe_is_repeated_after_a_fault() {
    let stand = Stand::start();
    let calls = || stand.sandbox.counters().calls;
    stand
        .sandbox
        .fault(Fault::once(Match::Calls, Action::status(503)));
    assert_eq!(stand.run(&["request", "POST", "/api/echo"]).status, 22);
    assert_eq!(calls(), 1);
    stand
        .sandbox
        .fault(Fault::once(Match::Calls, Action::status(503)));
    assert_eq!(
        stand
            .run(&["request", "POST", "/api/echo", "--safe-to-repeat"])
            .status,
        0
    );
    assert_eq!(calls(), 3);
}

#[test]
fn what_would_endanger_the_token_is_refused_and_nothing_is_sent() {
    let stand = Stand::start();
    for arguments in [
        &["//evil.example/"][..],
        &["https://evil.example/"],
        &["/api/auth/token"],
        &["/api/echo", "-H", "Authorization: Bearer mine"],
        &["/api/echo", "-H", "x-session-id: sess"],
    ] {
        let ended = stand.run(&[&["request", "POST"][..], arguments].concat());
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{ended:?}");
        assert!(ended.err.starts_with("error: refused: "), "{ended:?}");
        assert!(ended.err.contains("outcome: not_sent"), "{ended:?}");
    }
    assert_eq!(stand.sandbox.log().len(), 0);
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_missing_body_file_with_1() {
    let stand = Stand::start();
    for arguments in [
        &["-H", "no colon"][..],
        &["-p", "no-equals"],
        &["--no-such-option"],
    ] {
        let ended = stand.run(&[&["request", "POST", "/api/echo"][..], arguments].concat());
        assert_eq!(ended.status, 2, "{ended:?}");
    }
    let missing = stand.run(&["request", "POST", "/api/echo", "-d", "@/nonexistent/body"]);
    assert_eq!(missing.status, 1);
    assert!(
        missing.err.contains("/nonexistent/body") && missing.err.contains("hint: "),
        "{missing:?}"
    );
    assert_eq!(stand.sandbox.log().len(), 0);
}
