//! What is told where the system refuses descriptors or threads: each case is a process of its own, this test once more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use pay88::ffi::prepare_request;
use pay88::{Config, Control, Request, TokenManager};
use pay88_sandbox::{Action, Fault, Match, Sandbox, TEST_KEY, TEST_MERCHANT};

/// What the child does.
const ROLE: &str = "PAY88_TEST_ROLE";

/// The child: calls with whatever the system gives it, and says what came of it.
#[test]
#[ignore = "the other tests start it"]
fn child() {
    let role = std::env::var(ROLE).unwrap();
    let (role, base_url) = role
        .split_once(' ')
        .unwrap_or((&role, "http://127.0.0.1:9"));
    let timeout = if role == "runtime" { "2" } else { "30" };
    let manager = Config::without_environment()
        .with("api_key", TEST_KEY)
        .and_then(|config| config.with("timeout", timeout))
        .and_then(|config| config.with("merchant_id", TEST_MERCHANT))
        .and_then(|config| config.with("base_url", base_url))
        .and_then(|config| config.with("share", "process"))
        .and_then(TokenManager::new)
        .unwrap();
    let error = match role {
        "blocking" => {
            no_more_descriptors();
            manager.get_token().unwrap_err()
        }
        "asynchronous" => {
            no_more_descriptors();
            let never = |_| panic!("it was started");
            let prepared = prepare_request(&manager, Request::get("/api/echo"), never);
            prepared.map(drop).unwrap_err()
        }
        "threads" => {
            let never = |_| panic!("it was started");
            let prepared = prepare_request(&manager, Request::get("/api/echo"), never);
            prepared.map(drop).unwrap_err()
        }
        "runtime" => {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(manager.get_token_async()).unwrap_err()
        }
        // As an exception that a signal handler raises: it is told once.
        "interrupt" => {
            let asked = Cell::new(0);
            let interrupt = || {
                asked.set(asked.get() + 1);
                asked.get() == 3
            };
            let control = Control {
                interrupt: Some(&interrupt),
                ..Control::default()
            };
            let request = Request::post("/api/transactions/charges")
                .json(&serde_json::json!({"amount": 50000}));
            let error = manager.make_request_with(request, control).unwrap_err();
            assert_eq!(asked.get(), 3, "it is not asked again");
            error
        }
        role => panic!("{role}"),
    };
    println!("{} | {} | {}", error.code(), error.message(), error.hint());
}

/// From here on every descriptor is refused to this process.
fn no_more_descriptors() {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is valid for reading.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn said(mut command: Command, role: &str) -> String {
    let arguments = [
        "child",
        "--exact",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let done = command.args(arguments).env(ROLE, role).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    said
}

#[test]
fn a_process_without_descriptors_is_told_of_its_limit() {
    for (role, code) in [
        ("blocking", "connection_failed"),
        ("asynchronous", "internal"),
    ] {
        let said = said(Command::new(std::env::current_exe().unwrap()), role);
        assert!(said.contains(&format!("{code} | ")), "{role}: {said}");
        assert!(
            said.contains("Too many open files") && said.contains("ulimit -n"),
            "{role}: {said}"
        );
        assert!(!said.contains("report"), "{role}: {said}");
    }
}

/// What the child says as that user, who may have no more threads; `None` where this test may not start it so.
fn said_without_threads(role: &str, user: libc::uid_t) -> Option<String> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        assert!(
            std::env::var_os("PAY88_TEST_NOTHING_SKIPPED").is_none(),
            "it needs root"
        );
        eprintln!("left out: it needs root");
        return None;
    }
    // Where another user may start it.
    let name = role.split(' ').next().unwrap();
    let directory = std::env::temp_dir().join(format!("pay88-{name}-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    let program = directory.join("program");
    // Not by this process: a child that another thread starts meanwhile has what is written open, and it cannot be run.
    let mut copy = Command::new("cp");
    copy.arg(std::env::current_exe().unwrap()).arg(&program);
    assert!(copy.status().unwrap().success());
    // A user of its own has one process and one thread of the test harness.
    let mut command = Command::new(&program);
    // SAFETY: these calls are safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 1,
            };
            let refused = libc::setgid(user)
                + libc::setuid(user)
                + libc::setrlimit(libc::RLIMIT_NPROC, &limit);
            match refused {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    let said = said(command, role);
    fs::remove_dir_all(&directory).unwrap();
    Some(said)
}

#[test]
fn a_user_without_threads_is_told_of_the_limit() {
    let Some(said) = said_without_threads("threads", 64_123) else {
        return;
    };
    assert!(said.contains("internal | "), "{said}");
    assert!(
        said.contains("ulimit -u") && !said.contains("report"),
        "{said}"
    );
}

#[test]
fn an_interrupt_that_says_stop_once_ends_the_call_of_a_user_without_threads() {
    let sandbox = Sandbox::start(pay88_sandbox::Config {
        tls: false,
        ..pay88_sandbox::Config::default()
    })
    .unwrap();
    // The caller asks for the token itself, and waits before it asks once more.
    sandbox.fault(Fault::always(Match::Token, Action::status(503)));
    let role = format!("interrupt {}", sandbox.base_url());
    let Some(said) = said_without_threads(&role, 64_124) else {
        return;
    };
    assert!(said.contains("canceled | "), "{said}");
    // On a busy machine the first request may not have been read by then.
    assert!(sandbox.counters().tokens_requested <= 1);
}

#[test]
fn a_task_that_asks_for_the_token_itself_blocks_its_thread_no_longer_than_its_own_time() {
    let sandbox = Sandbox::start(pay88_sandbox::Config {
        tls: false,
        ..pay88_sandbox::Config::default()
    })
    .unwrap();
    // The request itself has ten seconds.
    sandbox.fault(Fault::always(Match::Token, Action::Stall));
    let role = format!("runtime {}", sandbox.base_url());
    let Some(said) = said_without_threads(&role, 64_125) else {
        return;
    };
    assert!(
        said.contains("timeout | No token came before the deadline"),
        "{said}"
    );
}
