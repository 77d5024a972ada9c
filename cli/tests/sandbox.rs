//! `pay88 sandbox`: how it starts, what it tells, what its switches do, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pay88_sandbox::{TEST_KEY, TEST_MERCHANT};
use serde_json::{Value, json};
use support::{Ended, LIMIT, pay88, run, wait};
use tempfile::TempDir;

/// A running command, ended at the end if it still is: so that it removes what it made, unless it hangs.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.signal(libc::SIGTERM);
        }
        let begun = Instant::now();
        while let Ok(None) = self.0.try_wait() {
            if begun.elapsed() > LIMIT {
                let _ = self.0.kill();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Running {
    fn signal(&self, signal: i32) {
        // SAFETY: no memory is passed, and the child was not waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.0.id() as libc::pid_t, signal) }, 0);
    }
}

/// Starts a sandbox and gives what its ready file sets.
fn start(directory: &TempDir, arguments: &[&str]) -> (Running, HashMap<String, String>) {
    let file = directory.path().join("ready.env");
    let mut command = pay88(&["sandbox", "--ready-file", file.to_str().unwrap()]);
    command.args(arguments).stdout(Stdio::null());
    let running = Running(command.spawn().unwrap());
    await_file(&file);
    (running, evaluated(&fs::read_to_string(&file).unwrap()))
}

fn await_file(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < LIMIT, "{} never came", file.display());
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a shell makes of it.
fn evaluated(exports: &str) -> HashMap<String, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{exports}\nenv")]).env_clear();
    shell.env("PATH", std::env::var_os("PATH").unwrap());
    let out = run(shell).out;
    let pairs = out.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(name, _)| name.starts_with("EIGHTY_EIGHT_PAY_") || name.starts_with("PAY88_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Asks the control port.
fn control(variables: &HashMap<String, String>, method: &str, path: &str, body: &str) -> Value {
    let address = variables["PAY88_SANDBOX_CONTROL"]
        .strip_prefix("http://")
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Where its clients share their token.
fn shared_directory(variables: &HashMap<String, String>) -> PathBuf {
    let share = variables["EIGHTY_EIGHT_PAY_SHARE"].strip_prefix("host:");
    PathBuf::from(share.unwrap())
}

fn client(variables: &HashMap<String, String>, arguments: &[&str]) -> Ended {
    let mut command = pay88(arguments);
    command.envs(variables);
    run(command)
}

#[test]
fn what_it_writes_when_it_is_ready_is_all_that_a_client_needs() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &[]);
    assert_eq!(variables["EIGHTY_EIGHT_PAY_API_KEY"], TEST_KEY);
    assert_eq!(variables["EIGHTY_EIGHT_PAY_MERCHANT_ID"], TEST_MERCHANT);
    assert!(variables["EIGHTY_EIGHT_PAY_BASE_URL"].starts_with("https://localhost:"));
    let doctor = client(&variables, &["doctor"]);
    assert_eq!(doctor.status, 0, "{doctor:?}");
    let counters = control(&variables, "GET", "/counters", "");
    assert_eq!(
        (&counters["tokens_issued"], &counters["calls"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn it_prints_lines_for_a_shell() {
    let directory = TempDir::new().unwrap();
    let ca = directory.path().join("it's a ca.pem");
    for (print_env, lines) in [(true, 6), (false, 7)] {
        let mut command = pay88(&["sandbox", "--ca", ca.to_str().unwrap()]);
        if print_env {
            command.arg("--print-env");
        }
        let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let out = BufReader::new(running.0.stdout.take().unwrap());
        let printed: Vec<String> = out.lines().take(lines).map(Result::unwrap).collect();
        let comments = printed.iter().filter(|line| line.starts_with('#')).count();
        assert_eq!(comments, lines - 6, "{printed:?}");
        let variables = evaluated(&printed.join("\n"));
        assert_eq!(
            variables["EIGHTY_EIGHT_PAY_CA_BUNDLE"],
            ca.to_str().unwrap()
        );
        assert!(
            fs::read_to_string(&ca)
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        );
        assert_eq!(client(&variables, &["token"]).status, 0);
    }
}

#[test]
fn sigint_and_sigterm_end_it_with_status_0_and_nothing_stays_behind() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let directory = TempDir::new().unwrap();
        let (mut running, variables) = start(&directory, &[]);
        let ca = Path::new(&variables["EIGHTY_EIGHT_PAY_CA_BUNDLE"]);
        let shared = shared_directory(&variables);
        assert_eq!(client(&variables, &["token"]).status, 0);
        assert!(ca.exists() && shared.exists());
        running.signal(signal);
        assert_eq!(wait(&mut running.0), 0);
        assert!(!ca.exists(), "{} was left", ca.display());
        assert!(!shared.exists(), "{} was left", shared.display());
    }
}

#[test]
fn its_clients_share_one_token_and_never_meet_that_of_an_earlier_sandbox() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let directory = TempDir::new().unwrap();
        let (_running, variables) = start(&directory, &["--port", &port]);
        for _ in 0..3 {
            let answer = client(&variables, &["request", "POST", "/api/echo", "-d", "{}"]);
            assert_eq!(answer.status, 0, "{answer:?}");
        }
        let counters = control(&variables, "GET", "/counters", "");
        assert_eq!(
            (&counters["tokens_requested"], &counters["unauthorized"]),
            (&json!(1), &json!(0))
        );
        addresses.push(variables["EIGHTY_EIGHT_PAY_BASE_URL"].clone());
    }
    assert_eq!(addresses[0], addresses[1]);
}

#[test]
fn exec_runs_a_command_beside_it_and_ends_with_its_status() {
    let bin = env!("CARGO_BIN_EXE_pay88");
    let line =
        format!("{bin} doctor > /dev/null && test -n \"$PAY88_SANDBOX_CONTROL\" && cat && exit 7");
    let ended = support::run_with(
        pay88(&["sandbox", "--exec", "--", "sh", "-c", &line]),
        b"input",
    );
    assert_eq!(
        (ended.status, ended.out.as_str(), ended.err.as_str()),
        (7, "input", "")
    );

    let by_signal = run(pay88(&[
        "sandbox",
        "--exec",
        "--",
        "sh",
        "-c",
        "kill -9 $$",
    ]));
    assert_eq!(by_signal.status, 137);
    let missing = run(pay88(&[
        "sandbox",
        "--exec",
        "--",
        "no-such-command-anywhere",
    ]));
    assert_eq!(missing.status, 127);
    assert!(
        missing.err.contains("no-such-command-anywhere"),
        "{missing:?}"
    );
    assert_eq!(run(pay88(&["sandbox", "--exec", "--", "/"])).status, 126);
    for incomplete in [&["sandbox", "--exec"][..], &["sandbox", "--", "true"]] {
        assert_eq!(run(pay88(incomplete)).status, 2);
    }
}

#[test]
fn exec_passes_sigterm_on_and_waits_for_the_command() {
    let directory = TempDir::new().unwrap();
    let (started, ended) = (
        directory.path().join("started"),
        directory.path().join("ended"),
    );
    let line = format!(
        "trap 'touch {}; exit 3' TERM; touch {}; while :; do sleep 0.02; done",
        ended.display(),
        started.display()
    );
    let mut running = Running(
        pay88(&["sandbox", "--exec", "--", "sh", "-c", &line])
            .spawn()
            .unwrap(),
    );
    await_file(&started);
    running.signal(libc::SIGTERM);
    assert_eq!(wait(&mut running.0), 3);
    assert!(ended.exists());
}

#[test]
fn switches_keys_and_limits_are_as_asked_for() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(
        &directory,
        &[
            "--http",
            "--key",
            "sk_test_first_0123",
            "--key",
            "sk_test_second_0123",
            "--merchant",
            "MCH-PER-9",
            "--expires-in",
            "\"45\"",
            "--voids-old",
            "--fixed-windows",
            "--no-count-refused",
            "--tokens-per-minute",
            "3",
            "--tokens-per-hour",
            "4",
            "--calls-per-minute",
            "5",
            "--calls-per-hour",
            "6",
            "--token-delay",
            "0.25",
            "--call-delay",
            "0.5",
        ],
    );
    assert!(variables["EIGHTY_EIGHT_PAY_BASE_URL"].starts_with("http://127.0.0.1:"));
    assert!(!variables.contains_key("EIGHTY_EIGHT_PAY_CA_BUNDLE"));
    assert_eq!(variables["EIGHTY_EIGHT_PAY_API_KEY"], "sk_test_first_0123");
    assert_eq!(
        control(&variables, "GET", "/switches", ""),
        json!({
            "new_token_voids_old": true, "refused_requests_count": false, "windows": "fixed", "tokens_per_minute": 3,
            "tokens_per_hour": 4, "calls_per_minute": 5, "calls_per_hour": 6, "expires_in": "45", "token_delay": 0.25,
            "call_delay": 0.5,
        })
    );
    for key in ["sk_test_first_0123", "sk_test_second_0123"] {
        let mut variables = variables.clone();
        variables.insert("EIGHTY_EIGHT_PAY_API_KEY".into(), key.into());
        let token = client(&variables, &["token", "--json"]);
        assert_eq!(
            (token.status, token.json()["expires_in"].clone()),
            (0, json!(45))
        );
    }
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &[]);
    let switches = control(&variables, "GET", "/switches", "");
    assert_eq!(
        (&switches["tokens_per_minute"], &switches["tokens_per_hour"]),
        (&json!(10), &json!(100))
    );
    assert_eq!(
        (&switches["expires_in"], &switches["windows"]),
        (&json!(60), &json!("sliding"))
    );
    // Its clock is this machine's.
    let moved = control(&variables, "POST", "/clock/advance", r#"{"seconds": 3600}"#);
    assert_eq!(moved["code"], 409);
}

#[test]
fn a_virtual_clock_is_moved_over_the_control_port() {
    let directory = TempDir::new().unwrap();
    let (_running, mut variables) =
        start(&directory, &["--virtual-clock", "--tokens-per-hour", "1"]);
    // Clients that live in the real time ask anew each time.
    variables.insert("EIGHTY_EIGHT_PAY_SHARE".into(), "process".into());
    assert_eq!(client(&variables, &["token"]).status, 0);
    assert_eq!(client(&variables, &["token"]).status, 1);
    assert_eq!(
        control(&variables, "POST", "/clock/advance", r#"{"seconds": 3601}"#),
        json!({})
    );
    assert_eq!(client(&variables, &["token"]).status, 0);
    let log = control(&variables, "GET", "/log", "");
    let year_2026 = 1_767_225_600.0;
    assert_eq!(
        (log[0]["time"].as_f64(), log[2]["time"].as_f64()),
        (Some(year_2026), Some(year_2026 + 3601.0))
    );
}

#[test]
fn a_sandbox_that_cannot_start_says_why() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &[]);
    let port = variables["EIGHTY_EIGHT_PAY_BASE_URL"]
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let taken = run(pay88(&["sandbox", "--port", &port]));
    assert_eq!(taken.status, 1);
    assert!(
        taken.err.contains("cannot start") && taken.err.contains("hint: Choose other ports"),
        "{taken:?}"
    );
    for nowhere in ["--ca", "--ready-file"] {
        let ended = run(pay88(&["sandbox", nowhere, "/nonexistent/file"]));
        assert_eq!(ended.status, 1);
        assert!(
            ended.err.contains("/nonexistent/file cannot be written"),
            "{ended:?}"
        );
    }
    for wrong in [
        ["--expires-in", "soon"],
        ["--token-delay", "-1"],
        ["--call-delay", "long"],
    ] {
        assert_eq!(run(pay88(&[&["sandbox"][..], &wrong].concat())).status, 2);
    }
}

#[test]
fn the_ready_file_of_an_earlier_run_is_not_taken_for_this_one() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("ready.env");
    fs::write(&file, "stale").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = run(pay88(&[
        "sandbox",
        "--port",
        &port,
        "--ready-file",
        file.to_str().unwrap(),
    ]));
    assert_eq!((ended.status, file.exists()), (1, false));
}

#[test]
fn it_listens_elsewhere_when_told_to_under_the_names_that_are_given_and_warns() {
    let directory = TempDir::new().unwrap();
    let ready = directory.path().join("ready.env");
    let mut command = pay88(&["sandbox", "--listen", "0.0.0.0", "--name", "127.0.0.2"]);
    command.args([
        "--name",
        "shop.test",
        "--ready-file",
        ready.to_str().unwrap(),
    ]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    await_file(&ready);
    let variables = evaluated(&fs::read_to_string(&ready).unwrap());
    let base_url = &variables["EIGHTY_EIGHT_PAY_BASE_URL"];
    assert!(base_url.starts_with("https://127.0.0.2:"), "{base_url}");
    // By the name that was given, and by its own.
    assert_eq!(client(&variables, &["token"]).status, 0);
    let port = base_url.rsplit(':').next().unwrap();
    for (address, status) in [("localhost", 0), ("127.0.0.3", 1)] {
        let mut variables = variables.clone();
        let other = format!("https://{address}:{port}");
        variables.insert("EIGHTY_EIGHT_PAY_BASE_URL".to_owned(), other);
        let ended = client(&variables, &["token"]);
        assert_eq!(ended.status, status, "{address}: {ended:?}");
        assert!(
            status == 0 || ended.err.contains("certificate"),
            "{ended:?}"
        );
    }
    let control = variables["PAY88_SANDBOX_CONTROL"]
        .rsplit(':')
        .next()
        .unwrap();
    let elsewhere = TcpStream::connect(("127.0.0.2", control.parse().unwrap()));
    assert!(elsewhere.is_err(), "the control port is open to others");
    running.signal(libc::SIGTERM);
    let mut warning = String::new();
    let mut stderr = running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut warning).unwrap();
    assert!(
        warning.contains("0.0.0.0") && warning.contains("real key"),
        "{warning}"
    );
}

#[test]
fn it_listens_on_this_machine_alone_unless_told_otherwise_and_never_without_tls() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &[]);
    let port = variables["EIGHTY_EIGHT_PAY_BASE_URL"]
        .rsplit(':')
        .next()
        .unwrap();
    assert!(TcpStream::connect(("127.0.0.2", port.parse().unwrap())).is_err());
    let ended = run(pay88(&["sandbox", "--listen", "0.0.0.0", "--http"]));
    assert_eq!(ended.status, 2, "{ended:?}");
    let ended = run(pay88(&["sandbox", "--name", "no name"]));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.err.contains("--name"), "{ended:?}");
}

#[test]
fn its_help_lists_paths_and_faults_of_the_control_port() {
    let help = run(pay88(&["sandbox", "--help"])).out;
    for expected in [
        "POST /faults",
        "POST /keys",
        "DELETE /keys",
        "\"cut_before_answer\"",
        "{\"wire\": ",
        "docs/sandbox.md",
    ] {
        assert!(help.contains(expected), "{expected}: {help}");
    }
}

/// Runs a command that speaks to the sandbox, which must do what it is asked to.
fn told(variables: &HashMap<String, String>, arguments: &[&str]) -> Ended {
    let ended = client(variables, &[&["sandbox"][..], arguments].concat());
    assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{arguments:?}");
    ended
}

#[test]
fn faults_are_added_and_removed_by_commands() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &["--tokens-per-minute", "0"]);
    let status = || {
        client(
            &variables,
            &["request", "GET", "/api/echo", "--fail", "--json"],
        )
    };
    let http_status = || match status() {
        Ended { status: 0, .. } => json!(200),
        ended => ended.error_json()["error"]["http_status"].clone(),
    };
    assert_eq!(told(&variables, &["fault", "calls", "418"]).out, "");
    assert_eq!([http_status(), http_status()], [418, 200]);

    told(&variables, &["fault", "/api/echo", "404", "--times", "2"]);
    assert_eq!(
        [http_status(), http_status(), http_status()],
        [404, 404, 200]
    );

    let action = r#"{"answer": {"status": 409}}"#;
    let json = told(&variables, &["fault", "any", action, "--always", "--json"]);
    assert_eq!(json.json(), json!({}));
    assert_eq!([http_status(), http_status()], [409, 409]);
    told(&variables, &["fault", "--clear"]);
    assert_eq!(http_status(), 200);

    told(
        &variables,
        &[
            "fault",
            "calls",
            "cut_before_answer",
            "--merchant",
            TEST_MERCHANT,
        ],
    );
    let fault = [
        "fault",
        "calls",
        "410",
        "--always",
        "--merchant",
        TEST_MERCHANT,
    ];
    told(&variables, &fault);
    let cut = client(&variables, &["request", "POST", "/api/echo", "--json"]);
    assert_eq!(cut.error_json()["error"]["outcome"], "unknown");
    assert_eq!(http_status(), 410);
    told(
        &variables,
        &["fault", "--clear", "--merchant", TEST_MERCHANT],
    );
    assert_eq!(http_status(), 200);

    for (wrong, reason) in [
        (&["nobody", "503"][..], "begins with /"),
        (&["calls", "explode"], "`cut_before_answer`"),
        (&["calls", "600"], "200 to 599"),
        (&["calls"], "ACTION"),
        (&["calls", "503", "--times", "0"], "--times"),
        (&["calls", "503", "--times", "2", "--always"], "--always"),
        (&["calls", "503", "--clear"], "--clear"),
    ] {
        let ended = client(&variables, &[&["sandbox", "fault"][..], wrong].concat());
        assert_eq!(ended.status, 2, "{wrong:?}: {ended:?}");
        assert!(ended.err.contains(reason), "{wrong:?}: {ended:?}");
    }
}

#[test]
fn the_log_is_shown_and_forgotten_by_commands() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &["--virtual-clock"]);
    told(&variables, &["fault", "/api/echo", "cut_before_answer"]);
    client(&variables, &["request", "POST", "/api/echo"]);
    let shown = told(&variables, &["log"]).out;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "00:00:00.000  200  POST /api/auth/token  MCH-COL-TEST-12345 sk_test_…4816",
            "00:00:00.000  -    POST /api/echo  MCH-COL-TEST-12345 sk_test_…4816",
        ]
    );
    let entries = told(&variables, &["log", "--json", "--merchant", TEST_MERCHANT]).json();
    assert_eq!(entries.as_array().unwrap().len(), 2);
    assert_eq!(entries, control(&variables, "GET", "/log", ""));
    told(&variables, &["reset"]);
    assert_eq!(told(&variables, &["log"]).out, "");
}

#[test]
fn clocks_are_moved_and_keys_changed_by_commands() {
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &["--tokens-per-hour", "1"]);
    let mut variables = variables;
    variables.insert("EIGHTY_EIGHT_PAY_SHARE".into(), "process".into());
    let made = evaluated(&told(&variables, &["keys", "--new"]).out);
    let own: HashMap<_, _> = variables.clone().into_iter().chain(made.clone()).collect();
    let merchant = &own["EIGHTY_EIGHT_PAY_MERCHANT_ID"];
    assert_ne!(merchant, TEST_MERCHANT);
    assert_eq!(client(&own, &["token"]).status, 0);
    assert_eq!(client(&own, &["token"]).status, 1);
    told(&variables, &["advance", "3601", "--merchant", merchant]);
    assert_eq!(client(&own, &["token"]).status, 0);

    let all = client(&variables, &["sandbox", "advance", "1"]);
    assert_eq!(all.status, 1);
    assert!(
        all.err.contains("not a virtual one") && all.err.contains("hint: Name a merchant"),
        "{all:?}"
    );

    let added = "sk_test_sandbox_added_by_a_command";
    told(
        &variables,
        &["keys", "--add", added, "--merchant", TEST_MERCHANT],
    );
    let shown = told(&variables, &["keys"]).out;
    let first = shown.lines().next();
    assert_eq!(
        first,
        Some("MCH-COL-TEST-12345  sk_test_…4816 sk_test_…mand")
    );
    assert_eq!(shown.lines().count(), 2);
    let mut with_added = variables.clone();
    with_added.insert("EIGHTY_EIGHT_PAY_API_KEY".into(), added.into());
    assert_eq!(client(&with_added, &["token"]).status, 0);
    told(&variables, &["keys", "--remove", added]);
    assert_eq!(client(&with_added, &["token"]).status, 1);
    let one = told(&variables, &["keys", "--json", "--merchant", merchant]).json();
    assert_eq!(one.as_array().unwrap().len(), 1);
    assert!(!one.to_string().contains(&own["EIGHTY_EIGHT_PAY_API_KEY"]));
}

#[test]
fn without_a_running_sandbox_the_commands_say_what_to_do() {
    let none = run(pay88(&["sandbox", "log"]));
    assert_eq!((none.status, none.out.as_str()), (1, ""));
    assert!(
        none.err.contains("PAY88_SANDBOX_CONTROL") && none.err.contains("--ready-file"),
        "{none:?}"
    );

    let url = "http://127.0.0.1:1";
    let gone = run(pay88(&["sandbox", "reset", "--json", "--control", url]));
    assert_eq!(gone.status, 1);
    let error = &gone.error_json()["error"];
    assert_eq!(error["code"], "connection_failed", "{gone:?}");
    assert!(error["message"].as_str().unwrap().contains(url), "{gone:?}");
    assert!(
        error["hint"].as_str().unwrap().contains("Start one"),
        "{gone:?}"
    );

    for wrong in ["127.0.0.1:1", "https://127.0.0.1:1", ""] {
        let ended = run(pay88(&["sandbox", "log", "--control", wrong]));
        assert_eq!(ended.status, 1);
        assert!(ended.err.contains("--control is no address"), "{ended:?}");
    }
    let directory = TempDir::new().unwrap();
    let (_running, variables) = start(&directory, &["--http"]);
    let unknown = client(&variables, &["sandbox", "log", "--merchant", "MCH-NONE"]);
    assert_eq!(unknown.status, 1);
    assert!(
        unknown.err.contains("No such merchant") && unknown.err.contains("pay88 sandbox keys"),
        "{unknown:?}"
    );
    let client_port = variables["EIGHTY_EIGHT_PAY_BASE_URL"].as_str();
    let other = client(&variables, &["sandbox", "log", "--control", client_port]);
    assert_eq!(other.status, 1, "{other:?}");
    // What starts a sandbox has no place beside a command to one that runs.
    assert_eq!(run(pay88(&["sandbox", "--http", "log"])).status, 2);
}
