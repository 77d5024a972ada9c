//! `pay88 token` and what all commands share: options, masks, errors and exit statuses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use pay88::OPTIONS;
use pay88_sandbox::{Action, Fault, Match, TEST_KEY, TEST_MERCHANT};
use serde_json::json;
use support::{Stand, pay88, quiet, run, run_with, shows_nothing_of};

#[test]
fn a_token_is_masked_unless_it_is_asked_for() {
    let stand = Stand::start();
    let (token, session) = (
        "known-token-0123456789abcdefghij",
        "sess_known-0123456789abcdef",
    );
    let data = json!({"data": {"access_token": token, "session_id": session, "expires_in": 60}});
    stand
        .sandbox
        .fault(Fault::always(Match::Token, Action::body(data)));
    for arguments in [
        &["token"][..],
        &["token", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["request", "POST", "/api/echo", "-i", "-d", "{}"],
    ] {
        let ended = stand.run(arguments);
        shows_nothing_of(&ended, token);
        shows_nothing_of(&ended, session.trim_start_matches("sess_"));
    }
    let masked = stand.run(&["token", "--json"]).json();
    assert_eq!(masked["access_token"], "…ghij");
    assert_eq!(masked["session_id"], "sess_…cdef");

    let shown = run(stand.pay88(&["token", "--json", "--show"]));
    assert_eq!((shown.status, shown.err.as_str()), (0, ""));
    let shown = shown.json();
    assert_eq!(
        (&shown["access_token"], &shown["session_id"]),
        (&json!(token), &json!(session))
    );
    assert_eq!(shown["expires_in"], 60);
    assert!(
        (49.0..=50.0).contains(&shown["valid_for"].as_f64().unwrap()),
        "{shown}"
    );
    let text = run(stand.pay88(&["token", "--show"])).out;
    assert!(text.contains(token) && text.contains(session), "{text}");
}

#[test]
fn every_option_of_the_library_is_there_and_no_secret_is_taken_from_the_command_line() {
    for command in ["token", "request", "doctor"] {
        let help = run(pay88(&[command, "--help"])).out;
        for option in OPTIONS {
            let name = option.name.replace('_', "-");
            let secret = ["api_key", "previous_api_key", "proxy", "share"].contains(&option.name);
            assert_eq!(
                help.contains(&format!("--{name}-file <FILE>")),
                secret,
                "{name}"
            );
            assert_eq!(help.contains(&format!("--{name} <")), !secret, "{name}");
            assert!(help.contains(&option.environment_variable()), "{name}");
        }
        assert!(help.contains("Exit status: 0"), "{help}");
    }
    let refused = run(pay88(&["token", "--api-key", "sk_test_x"]));
    assert_eq!((refused.status, refused.out.as_str()), (2, ""));
}

#[test]
fn options_win_over_the_environment_and_secrets_come_from_files() {
    let stand = Stand::start();
    let key = stand.file("key", &format!("{TEST_KEY}\n"));
    let mut command = stand.pay88(&[
        "token",
        "--api-key-file",
        &key,
        "--merchant-id",
        TEST_MERCHANT,
    ]);
    command
        .env("EIGHTY_EIGHT_PAY_API_KEY", "sk_test_another")
        .env("EIGHTY_EIGHT_PAY_MERCHANT_ID", "MCH-COL-ANOTHER");
    assert_eq!(quiet(run(command)).status, 0);

    let mut from_stdin = stand.pay88(&["token", "--api-key-file", "/dev/stdin"]);
    from_stdin.env_remove("EIGHTY_EIGHT_PAY_API_KEY");
    assert_eq!(quiet(run_with(from_stdin, TEST_KEY.as_bytes())).status, 0);

    let missing = stand.run(&["token", "--json", "--api-key-file", "/nonexistent/key"]);
    assert_eq!(missing.status, 1);
    let error = &missing.error_json()["error"];
    assert_eq!(error["code"], "config_invalid");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("/nonexistent/key"),
        "{error}"
    );
}

#[test]
fn an_error_says_code_hint_and_outcome_for_people_and_programs() {
    let stand = Stand::start();
    stand.sandbox.fault(Fault::always(
        Match::Token,
        Action::status_with(429, &[("Retry-After", "17")]),
    ));
    let text = stand.run(&["token"]);
    assert_eq!((text.status, text.out.as_str()), (1, ""));
    for expected in [
        "error: rate_limited: ",
        "\n  hint: ",
        "\n  retry after: 17 s",
        "\n  outcome: not_sent",
    ] {
        assert!(text.err.contains(expected), "{expected}: {text:?}");
    }
    let json = stand.run(&["token", "--json"]);
    assert_eq!((json.status, json.out.as_str()), (1, ""));
    let error = &json.error_json()["error"];
    assert_eq!(error["code"], "rate_limited");
    assert_eq!(error["http_status"], 429);
    assert_eq!(error["retry_after"], 17.0);
    assert_eq!(
        (&error["outcome"], &error["retryable"]),
        (&json!("not_sent"), &json!(true))
    );
}

#[test]
fn the_version_is_the_librarys() {
    let version = run(pay88(&["--version"]));
    assert_eq!(
        (version.status, version.out),
        (0, format!("pay88 {}\n", pay88::VERSION))
    );
    assert_eq!(run(pay88(&[])).status, 2);
}
