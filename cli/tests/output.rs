//! What is not printed is told: a full disk, a reader that has gone, a closed standard output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use pay88_sandbox::{Action, Fault, Match};
use support::{Ended, Stand, pay88, quiet};

const CHARGE: &str = r#"{"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,"currency":"COP","country":"COL","description":"Shoes","customer_id":"1","notification_url":"https://shop.example/hook"}"#;

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Output {
    Full,
    WithoutReader,
    Closed,
    Null,
    NullForReadingToo,
}

const LOST: [Output; 3] = [Output::Full, Output::WithoutReader, Output::Closed];

/// A pipe whose reader has gone.
fn without_reader() -> OwnedFd {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn run_into(output: Output, mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    match output {
        Output::Full => command.stdout(File::options().write(true).open("/dev/full").unwrap()),
        Output::WithoutReader => command.stdout(without_reader()),
        Output::Null => command.stdout(Stdio::null()),
        Output::NullForReadingToo => {
            let null = File::options().read(true).write(true).open("/dev/null");
            command.stdout(null.unwrap())
        }
        Output::Closed => {
            // SAFETY: close is safe after fork and before exec.
            unsafe {
                command.pre_exec(|| {
                    libc::close(1);
                    Ok(())
                })
            }
        }
    };
    let done = command.spawn().unwrap().wait_with_output().unwrap();
    quiet(Ended {
        status: done.status.code().unwrap(),
        out: String::new(),
        err: String::from_utf8(done.stderr).unwrap(),
    })
}

#[test]
fn an_answer_that_cannot_be_printed_was_answered_and_goes_to_standard_error() {
    let stand = Stand::start();
    let request = ["request", "POST", "/api/transactions/charges", "-d", CHARGE];
    for (number, output) in LOST.into_iter().enumerate() {
        let ended = run_into(output, stand.pay88(&request));
        assert_eq!(ended.status, 3, "{output:?}: {ended:?}");
        for told in ["error: output_failed: ", "outcome: answered", "50000"] {
            assert!(ended.err.contains(told), "{output:?}: {ended:?}");
        }
        assert_eq!(stand.sandbox.charges().len(), number + 1);
        // It is the answer as it came, with the reference by which the charge is found again.
        let reference = &stand.sandbox.charges()[number]["reference"];
        assert!(
            ended.err.contains(reference.as_str().unwrap()),
            "{output:?}: {ended:?}"
        );
    }
    let ended = run_into(
        Output::Full,
        stand.pay88(&[request.as_slice(), &["--json"]].concat()),
    );
    let error = &ended.error_json()["error"];
    assert_eq!(ended.status, 3);
    assert_eq!(
        (&error["code"], &error["outcome"]),
        (&"output_failed".into(), &"answered".into())
    );
    assert_eq!(
        (&error["http_status"], &error["retryable"]),
        (&200.into(), &false.into())
    );
    assert!(
        error["answer"].as_str().unwrap().contains("50000"),
        "{error}"
    );
    assert_eq!(stand.sandbox.charges().len(), 4);
}

#[test]
fn an_answer_of_400_or_above_that_cannot_be_printed_is_told_alike() {
    let stand = Stand::start();
    stand
        .sandbox
        .fault(Fault::always(Match::Calls, Action::status(422)));
    for output in LOST {
        let ended = run_into(output, stand.pay88(&["request", "GET", "/api/echo", "-i"]));
        assert_eq!(ended.status, 3, "{output:?}: {ended:?}");
        assert!(
            ended.err.contains("HTTP 422") && ended.err.contains("outcome: answered"),
            "{ended:?}"
        );
    }
}

#[test]
fn every_other_command_tells_it_too() {
    let stand = Stand::start();
    for arguments in [
        ["token"].as_slice(),
        &["token", "--show"],
        &["token", "--json", "--show"],
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--reset"],
        &["sandbox"],
        &["sandbox", "--print-env"],
        &["--help"],
        &["--version"],
        &["request", "--help"],
    ] {
        // A reader that has gone has seen what it wanted of what only tells.
        let only_tells = arguments[0] != "token";
        for output in LOST {
            if only_tells && output == Output::WithoutReader {
                continue;
            }
            // `quiet` looks at what stands on standard error: no token, also with --show.
            let ended = run_into(output, stand.pay88(arguments));
            assert_eq!(ended.status, 3, "{arguments:?} {output:?}: {ended:?}");
            assert!(
                ended.err.contains("output_failed"),
                "{arguments:?} {output:?}: {ended:?}"
            );
            let answered = ended.err.contains("answered");
            assert_eq!(answered, !only_tells, "{arguments:?}: {ended:?}");
        }
    }
}

#[test]
fn what_is_sent_to_the_null_device_or_only_told_to_nobody_is_printed() {
    let stand = Stand::start();
    let ended = run_into(Output::WithoutReader, stand.pay88(&["doctor"]));
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    for output in [Output::Null, Output::NullForReadingToo] {
        for arguments in [
            ["token"].as_slice(),
            &["request", "GET", "/api/echo"],
            &["--version"],
        ] {
            let ended = run_into(output, stand.pay88(arguments));
            assert_eq!(
                (ended.status, ended.err.as_str()),
                (0, ""),
                "{arguments:?} {output:?}"
            );
        }
    }
}

#[test]
fn the_exit_status_tells_it_where_nothing_else_can() {
    let stand = Stand::start();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut command = stand.pay88(&["request", "POST", "/api/transactions/charges", "-d", CHARGE]);
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!(stand.sandbox.charges().len(), 1);
    // What failed before the call stays what it was.
    let mut command = pay88(&["request", "GET", "/api/echo"]);
    let status = command
        .stdout(full())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}
