//! `pay88 doctor`: what its report looks like, and what it says of credentials and options.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use pay88_sandbox::{Action, Fault, Match, TEST_KEY, TEST_MERCHANT};
use support::diagnosis::{Diagnosis, diagnose, doctor};
use support::{Stand, pay88, quiet, run, shows_nothing_of};

#[test]
fn a_good_installation_passes_with_one_token_and_one_call() {
    let stand = Stand::start();
    let diagnosis = doctor(&stand, &[]);
    diagnosis.passes("api_key", "call");
    diagnosis
        .expect(
            "api_key",
            "passed",
            &["sk_test_…4816", "EIGHTY_EIGHT_PAY_API_KEY"],
        )
        .expect("expires_in", "passed", &["60 s"]);
    let counters = stand.sandbox.counters();
    assert_eq!((counters.tokens_requested, counters.tokens_issued), (1, 1));
    let log = stand.sandbox.log();
    let targets: Vec<_> = log
        .iter()
        .map(|entry| (entry.method.as_str(), entry.target.as_str()))
        .collect();
    let balance = format!("/api/balance?id={TEST_MERCHANT}");
    assert_eq!(
        targets,
        [
            ("HEAD", "/"),
            ("POST", "/api/auth/token"),
            ("POST", &balance)
        ]
    );
}

#[test]
fn the_text_for_people_is_aligned_and_says_what_to_do() {
    let stand = Stand::start();
    stand
        .sandbox
        .fault(Fault::always(Match::Token, Action::status(401)));
    let ended = stand.run(&["doctor"]);
    assert_eq!((ended.status, ended.err.as_str()), (1, ""));
    assert!(
        ended
            .out
            .contains("passed   api_key      sk_test_…4816, from "),
        "{}",
        ended.out
    );
    assert!(
        ended
            .out
            .contains("failed   token        88Pay does not accept"),
        "{}",
        ended.out
    );
    assert!(
        ended
            .out
            .contains("\n                      -> Copy both from the dashboard"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.ends_with("\n10 passed, 1 failed, 5 skipped\n"),
        "{}",
        ended.out
    );
    assert!(
        !ended.out.contains('\x1b'),
        "colour without a terminal: {}",
        ended.out
    );
}

#[test]
fn colour_is_for_terminals_and_no_color_is_respected() {
    let stand = Stand::start();
    let on_a_terminal = |name: &str, value: &str| {
        let line = format!("{} doctor", env!("CARGO_BIN_EXE_pay88"));
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .env("TERM", "xterm");
        command
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env(name, value);
        for (name, value) in stand.pay88(&[]).get_envs() {
            if let (true, Some(value)) = (name.to_string_lossy().starts_with("EIGHTY"), value) {
                command.env(name, value);
            }
        }
        quiet(run(command)).out
    };
    assert!(on_a_terminal("UNUSED", "1").contains("\x1b[32mpassed\x1b[0m"));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let out = on_a_terminal(name, value);
        assert!(
            out.contains("passed   api_key") && !out.contains('\x1b'),
            "{out}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let stand = Stand::start();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "\"$0\" doctor | head -n 1",
        env!("CARGO_BIN_EXE_pay88"),
    ]);
    for (name, value) in stand.pay88(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let ended = quiet(run(command));
    assert_eq!(
        (ended.out.lines().count(), ended.err.as_str()),
        (1, ""),
        "{ended:?}"
    );
}

#[test]
fn missing_credentials_are_told_with_the_variable_that_sets_them() {
    let stand = Stand::start();
    doctor(&stand, &[("API_KEY", None), ("MERCHANT_ID", None)])
        .expect(
            "api_key",
            "failed",
            &["missing", "EIGHTY_EIGHT_PAY_API_KEY"],
        )
        .expect(
            "merchant_id",
            "failed",
            &["missing", "EIGHTY_EIGHT_PAY_MERCHANT_ID"],
        )
        .passes("base_url", "options")
        .skips("environment", "environment")
        // The network is looked at all the same.
        .passes("dns", "clock")
        .skips("token", "call");
    assert_eq!(stand.sandbox.counters().tokens_requested, 0);
}

#[test]
fn blank_credentials_are_told_apart_from_missing_ones() {
    let stand = Stand::start();
    doctor(
        &stand,
        &[("API_KEY", Some(" \t\n")), ("MERCHANT_ID", Some(""))],
    )
    .expect(
        "api_key",
        "failed",
        &["blank", "It is set, but it is empty"],
    )
    .expect(
        "merchant_id",
        "failed",
        &["blank", "EIGHTY_EIGHT_PAY_MERCHANT_ID"],
    )
    .skips("token", "call");
}

#[test]
fn variables_that_are_mistyped_or_no_text_fail_and_unknown_ones_are_told() {
    let stand = Stand::start();
    doctor(&stand, &[("BASE_URL", None), ("BASEURL", Some("x"))])
        .expect(
            "base_url",
            "failed",
            &[
                "EIGHTY_EIGHT_PAY_BASEURL",
                "Did you mean EIGHTY_EIGHT_PAY_BASE_URL?",
            ],
        )
        .skips("token", "call");
    for option in ["API_KEY", "BASE_URL", "TIMEOUT"] {
        let mut command = stand.pay88(&["doctor", "--json"]);
        let variable = format!("EIGHTY_EIGHT_PAY_{option}");
        command.env(&variable, OsStr::from_bytes(b"\xff"));
        let check = match option {
            "TIMEOUT" => "options".to_owned(),
            single => single.to_ascii_lowercase(),
        };
        diagnose(command)
            .expect(&check, "failed", &[&variable, "not UTF-8"])
            .skips("token", "call");
    }
    assert_eq!(stand.sandbox.counters().tokens_requested, 0);
    let unknown = [("WEBHOOK_SECRET", Some("x")), ("TIME_LIMIT", Some("9"))];
    doctor(&stand, &unknown)
        .expect(
            "options",
            "warning",
            &["EIGHTY_EIGHT_PAY_TIME_LIMIT, EIGHTY_EIGHT_PAY_WEBHOOK_SECRET"],
        )
        .passes("api_key", "base_url")
        .passes("environment", "call");
}

#[test]
fn white_space_around_credentials_is_a_warning_and_works() {
    let stand = Stand::start();
    let (key, merchant) = (format!("{TEST_KEY}\r\n"), format!(" {TEST_MERCHANT}"));
    doctor(
        &stand,
        &[("API_KEY", Some(&key)), ("MERCHANT_ID", Some(&merchant))],
    )
    .expect(
        "api_key",
        "warning",
        &["white space", "Remove spaces and line breaks"],
    )
    .expect("merchant_id", "warning", &["white space"])
    .passes("base_url", "call");
}

#[test]
fn credentials_of_a_wrong_shape_are_told_and_never_shown() {
    let stand = Stand::start();
    for (key, said) in [
        (
            "pk_test_0123456789abcdef",
            "does not start with sk_test_ or sk_live_",
        ),
        (
            "MCH-COL-0123456789abcdef",
            "does not start with sk_test_ or sk_live_",
        ),
        ("sk_test_", "cut off"),
        ("sk_test_0123456789 abcdef", "characters that no key has"),
    ] {
        let mut command = stand.pay88(&["doctor", "--json"]);
        command.env("EIGHTY_EIGHT_PAY_API_KEY", key);
        let ended = run(command);
        if key.len() > 12 {
            shows_nothing_of(&ended, key);
        }
        Diagnosis::of(ended)
            .expect("api_key", "failed", &[said, "from the dashboard"])
            .skips("token", "call");
    }
    // A key where the merchant ID belongs.
    let mut command = stand.pay88(&["doctor", "--json"]);
    command.env("EIGHTY_EIGHT_PAY_MERCHANT_ID", "sk_live_0123456789abcdef");
    let ended = run(command);
    shows_nothing_of(&ended, "sk_live_0123456789abcdef");
    Diagnosis::of(ended)
        .expect(
            "merchant_id",
            "failed",
            &["MCH-{COUNTRY}-{ID}", "from the dashboard"],
        )
        .skips("token", "call");
    assert_eq!(stand.sandbox.counters().tokens_requested, 0);
}

#[test]
fn a_key_of_the_other_environment_is_told_before_anything_is_sent() {
    let stand = Stand::start();
    for (key, base_url) in [
        ("sk_live_0123456789abcdef", "https://api-sandbox.88pay.io"),
        ("sk_test_0123456789abcdef", "https://api.88pay.io/"),
    ] {
        doctor(
            &stand,
            &[("API_KEY", Some(key)), ("BASE_URL", Some(base_url))],
        )
        .passes("api_key", "options")
        .expect(
            "environment",
            "failed",
            &[
                &key[..8],
                "Use sk_test_ keys with https://api-sandbox.88pay.io",
            ],
        )
        .skips("dns", "call");
    }
    let local = format!("http://{}", stand.sandbox.address());
    doctor(
        &stand,
        &[
            ("API_KEY", Some("sk_live_0123456789abcdef")),
            ("BASE_URL", Some(&local)),
        ],
    )
    .expect("environment", "failed", &["not https", "over https only"])
    .skips("dns", "call");
}

#[test]
fn a_base_url_that_cannot_be_used_is_told() {
    let stand = Stand::start();
    for (base_url, said) in [
        ("http://api-sandbox.88pay.io", "over https only"),
        ("api-sandbox.88pay.io", "Use https://api-sandbox.88pay.io"),
        (
            "https://user:password@api.88pay.io",
            "user name or password",
        ),
    ] {
        doctor(&stand, &[("BASE_URL", Some(base_url))])
            .expect("base_url", "failed", &[said])
            .skips("environment", "call");
    }
}

#[test]
fn an_option_that_cannot_be_used_is_named() {
    let stand = Stand::start();
    for (name, value, said) in [
        ("TIMEOUT", "soon", "option timeout"),
        ("TOKENS_PER_HOUR", "0", "option tokens_per_hour"),
        ("CA_BUNDLE", "/nonexistent/ca.pem", "/nonexistent/ca.pem"),
        ("PROXY", "socks5://user:hunter2hunter2@p.example", "proxy"),
    ] {
        let diagnosis = doctor(&stand, &[(name, Some(value))]);
        diagnosis
            .expect("options", "failed", &[said])
            .skips("environment", "call");
        assert!(!format!("{:?}", diagnosis.checks).contains("hunter2"));
    }
    doctor(&stand, &[("TIMEOUT", Some("20"))]).expect(
        "options",
        "passed",
        &["timeout, ca_bundle, share set"],
    );
}

#[test]
fn an_unreadable_key_file_ends_it_with_an_error() {
    let ended = run(pay88(&[
        "doctor",
        "--json",
        "--api-key-file",
        "/nonexistent/key",
    ]));
    assert_eq!((ended.status, ended.out.as_str()), (1, ""));
    assert_eq!(ended.error_json()["error"]["code"], "config_invalid");
}
