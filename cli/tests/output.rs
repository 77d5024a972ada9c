//! What is not printed is told: a full disk, a reader that has gone, a closed standard output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pay88_sandbox::{Action, Fault, Match};
use support::{Ended, Stand, pay88, quiet};

const CHARGE: &str = r#"{"flow":"PAYIN","method_code":"CARDS","method_category":"CARD","amount":50000,"currency":"COP","country":"COL","description":"Shoes","customer_id":"1","notification_url":"https://shop.example/hook"}"#;

/// Where standard output goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Output {
    Full,
    WithoutReader,
    Closed,
    /// A regular file at the largest size that the process may write (`ulimit -f`).
    Limited,
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
        Output::Limited => {
            let none = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            // SAFETY: setrlimit is safe after fork and before exec; the limit is valid for reading.
            unsafe {
                command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_FSIZE, &none) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                })
            };
            command.stdout(tempfile::tempfile().unwrap())
        }
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
        status: done
            .status
            .code()
            .unwrap_or_else(|| panic!("{output:?}: {done:?}")),
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

#[test]
fn a_file_at_the_limit_of_its_size_loses_no_answer() {
    let stand = Stand::start();
    let charge = ["request", "POST", "/api/transactions/charges", "-d", CHARGE];
    let ended = run_into(Output::Limited, stand.pay88(&charge));
    assert_eq!(ended.status, 3, "{ended:?}");
    let reference = &stand.sandbox.charges()[0]["reference"];
    for told in [
        "error: output_failed: ",
        "outcome: answered",
        reference.as_str().unwrap(),
    ] {
        assert!(ended.err.contains(told), "{ended:?}");
    }
    for arguments in [["--version"].as_slice(), &["token"], &["sandbox", "--http"]] {
        let ended = run_into(Output::Limited, stand.pay88(arguments));
        assert_eq!(ended.status, 3, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains("output_failed"), "{ended:?}");
    }
    // What the sandbox runs has its signals as they were: that of the limit ends it.
    let limit = "ulimit -f 0; echo x > $0; echo went on";
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let ended = support::run(pay88(&[
        "sandbox", "--http", "--exec", "--", "sh", "-c", limit, path,
    ]));
    assert_eq!(
        (ended.status, ended.out.as_str()),
        (128 + 25, ""),
        "{ended:?}"
    );
}

/// A pipe that does not wait (`O_NONBLOCK`) and is full.
fn full_pipe() -> (io::PipeReader, io::PipeWriter, usize) {
    let (reader, mut writer) = io::pipe().unwrap();
    // SAFETY: F_SETFL takes a number alone.
    let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(set, 0);
    let mut filled = 0;
    loop {
        match writer.write(&[b'.'; 4096]) {
            Ok(written) => filled += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    (reader, writer, filled)
}

#[test]
fn a_pipe_that_is_full_and_does_not_wait_gets_all_of_it() {
    let stand = Stand::start();
    let text = format!("{{\"text\":\"{}\"}}", "x".repeat(300_000));
    let body = format!("@{}", stand.file("body.json", &text));
    let echo = ["request", "POST", "/api/echo", "-d", &body];
    for (arguments, expected_status, ends_with) in [
        (echo.as_slice(), 0, "}"),
        (
            &["request", "GET", "https://other.example/"],
            1,
            "not_sent\n",
        ),
    ] {
        let (mut reader, writer, filled) = full_pipe();
        let mut command = stand.pay88(arguments);
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let mut child = command.spawn().unwrap();
        drop(command);
        // Until it has something to say, and a while in which it cannot.
        thread::sleep(Duration::from_secs(1));
        let mut said = Vec::new();
        reader.read_to_end(&mut said).unwrap();
        let status = child.wait().unwrap();
        let said = String::from_utf8_lossy(&said[filled..]);
        let end: String = said
            .chars()
            .rev()
            .take(60)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        assert_eq!(status.code(), Some(expected_status), "{end}");
        assert!(said.trim_end().ends_with(ends_with.trim_end()), "{end}");
        assert!(
            expected_status != 0 || said.len() > 300_000,
            "{}",
            said.len()
        );
    }
}
