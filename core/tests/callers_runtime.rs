//! Calls on a tokio runtime of the caller: where they run, and what is left when they or it end half-way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread;
use std::time::{Duration, Instant};

use pay88::{Config, ErrorCode, EventName, Events, Outcome, Request, Response, TokenManager};
use pay88_sandbox::{Action, Fault, Match, Sandbox, TEST_KEY, TEST_MERCHANT};
use serde_json::json;

const CHARGES: &str = "/api/transactions/charges";

/// Each test counts the descriptors and threads of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sandbox() -> Sandbox {
    Sandbox::start(pay88_sandbox::Config {
        tls: false,
        control: None,
        ..pay88_sandbox::Config::default()
    })
    .unwrap()
}

fn manager(sandbox: &Sandbox, options: &[(&str, &str)]) -> TokenManager {
    let base_url = sandbox.base_url();
    let mut config = Config::without_environment();
    for (name, value) in [
        ("api_key", TEST_KEY),
        ("merchant_id", TEST_MERCHANT),
        ("base_url", base_url.as_str()),
        ("share", "process"),
        ("timeout", "60"),
    ]
    .iter()
    .chain(options)
    {
        config.set(name, value).unwrap();
    }
    TokenManager::new(config).unwrap()
}

fn charge() -> Request {
    Request::post(CHARGES).json(&json!({
        "flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"
    }))
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

fn names_in(folder: &str) -> HashSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn descriptors() -> usize {
    names_in("/proc/self/fd").len()
}

/// Whether the thread of the library's own asynchronous calls exists.
fn has_the_librarys_thread() -> bool {
    names_in("/proc/self/task").iter().any(|thread| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
        name.is_ok_and(|name| name.trim() == "pay88-io")
    })
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = pay88::Result<Response>> + Send + 'a>>;

/// Polls a call so many times at most, each time that it asks for it.
async fn polled(call: &mut Call<'_>, times: usize) -> Option<pay88::Result<Response>> {
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[test]
fn runtimes_that_follow_each_other_leave_no_descriptor_task_or_thread() {
    let _alone = alone();
    let sandbox = sandbox();
    let manager = manager(&sandbox, &[("max_connections", "8")]);
    let mut after_first = None;
    for round in 0..20 {
        let runtime = runtime();
        runtime.block_on(async {
            let calls: Vec<_> = (0..16)
                .map(|_| {
                    let manager = manager.clone();
                    tokio::spawn(async move { manager.make_request_async(charge()).await })
                })
                .collect();
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap().status(), 200);
            }
        });
        // That one is dropped with the runtime, and so tells of its end.
        assert_eq!(runtime.metrics().num_alive_tasks(), 1);
        drop(runtime);
        let descriptors = descriptors();
        // At most eight for calls and one for the token, which has two ends in this process.
        let first = *after_first.get_or_insert(descriptors);
        assert!(descriptors <= first + 2 * 9, "round {round}: {descriptors}");
    }
    assert!(!has_the_librarys_thread());
    assert_eq!(sandbox.counters().charges_created, 20 * 16);
    assert_eq!(sandbox.counters().tokens_issued, 1);
    let accepted = sandbox.counters().connections_accepted;
    assert!(accepted <= 20, "{accepted} connections");
}

#[test]
fn a_call_that_is_dropped_at_any_await_is_counted_and_leaves_nothing() {
    let _alone = alone();
    let events = Events::subscribe(10_000);
    let runtime = runtime();
    // With a connection of its own for each call, and with a kept one.
    for (servers, idle_timeout) in [(1, "0"), (2, "45")] {
        let sandbox = sandbox();
        let manager = manager(&sandbox, &[("idle_timeout", idle_timeout)]);
        let (mut answered, mut dropped) = (0, 0);
        let before = descriptors();
        for times in 0.. {
            let mut call: Call<'_> = Box::pin(manager.make_request_async(charge()));
            let result = runtime.block_on(polled(&mut call, times));
            drop(call);
            match result {
                None => dropped += 1,
                Some(result) => {
                    assert_eq!(result.unwrap().status(), 200);
                    answered += 1;
                    if answered == 5 {
                        break;
                    }
                }
            }
            assert!(times < 1000, "it never ends");
        }
        assert!(dropped >= 2, "{dropped} were dropped");
        assert_eq!(runtime.metrics().num_alive_tasks(), servers);
        let stats = manager.stats();
        // One that was never polled did not begin.
        assert_eq!(stats.calls, answered + dropped - 1);
        assert_eq!(stats.calls_failed, dropped - 1);
        assert_eq!(stats.calls_repeated, 0);
        let mut in_doubt = 0;
        while let Some(event) = events.next(Duration::ZERO) {
            if event.name == EventName::CallFailed {
                assert_eq!(event.fields["code"], "canceled");
                in_doubt += u64::from(event.fields["outcome"] == "unknown");
            }
        }
        assert!(in_doubt < dropped, "some were dropped before a byte left");
        let created = sandbox.counters().charges_created;
        assert!(
            (answered..=answered + in_doubt).contains(&created),
            "{created} charges, {answered} answers, {in_doubt} in doubt"
        );
        assert_eq!(sandbox.counters().tokens_issued, 1);
        // What the sandbox has of a dropped connection goes a little later.
        until("its descriptors are closed", || descriptors() <= before + 6);
    }
    assert!(!has_the_librarys_thread());
}

#[test]
fn a_runtime_that_was_blocked_takes_the_answers_that_came_in_time() {
    let _alone = alone();
    let sandbox = sandbox();
    let manager = manager(&sandbox, &[]);
    let runtime = runtime();
    runtime.block_on(async {
        manager.get_token_async().await.unwrap();
        let path = || Match::Path(CHARGES.to_owned());
        let soon = Action::Delay {
            seconds: Duration::from_millis(500),
        };
        sandbox.fault(Fault::once(path(), soon));
        let call = |seconds| {
            let request = charge().timeout(Duration::from_secs(seconds));
            let manager = manager.clone();
            tokio::spawn(async move { manager.make_request_async(request).await })
        };
        let (late, soon) = (call(3), call(3));
        while sandbox.counters().charges_created < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sandbox.fault(Fault::once(path(), Action::StallInBody));
        let stalled = call(3);
        while sandbox.counters().charges_created < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(late.await.unwrap().unwrap().status(), 200);
        assert_eq!(soon.await.unwrap().unwrap().status(), 200);
        let error = stalled.await.unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Timeout, Outcome::Unknown)
        );
        assert_eq!(
            manager.make_request_async(charge()).await.unwrap().status(),
            200
        );
    });
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
}

#[test]
fn a_child_that_drops_what_its_parent_waits_for_takes_no_answer_from_it() {
    let _alone = alone();
    let sandbox = sandbox();
    let manager = manager(&sandbox, &[]);
    runtime().block_on(async {
        manager.get_token_async().await.unwrap();
        let late = Action::Delay {
            seconds: Duration::from_secs(4),
        };
        sandbox.fault(Fault::once(Match::Path(CHARGES.to_owned()), late));
        let mut call: Call<'_> = Box::pin(manager.make_request_async(charge()));
        while sandbox.counters().charges_created < 1 {
            assert!(polled(&mut call, 1).await.is_none());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // SAFETY: the child leaves by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: plain system calls.
            unsafe { libc::alarm(20) };
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let polled = call.as_mut().poll(&mut context);
            let forked = matches!(polled, Poll::Ready(Err(e)) if e.code() == ErrorCode::Forked);
            drop(call);
            // SAFETY: leaves the child without running the parent's handlers.
            unsafe { libc::_exit(i32::from(!forked)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child that was forked above.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
        let begun = Instant::now();
        assert_eq!(call.await.unwrap().status(), 200);
        assert!(begun.elapsed() < Duration::from_secs(40));
    });
    assert_eq!(sandbox.counters().charges_created, 1);
}

/// Its task is polled once more before it is dropped.
#[test]
fn a_call_whose_handle_is_closed_when_it_could_be_sent_is_not() {
    let _alone = alone();
    let sandbox = sandbox();
    let one = [("max_connections", "1")];
    let (first, second) = (manager(&sandbox, &one), manager(&sandbox, &one));
    runtime().block_on(async {
        // Until it is known that this server keeps its connections, so that a charge waits for nothing.
        for _ in 0..3 {
            let charged = first.make_request_async(charge()).await;
            assert_eq!(charged.unwrap().status(), 200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let late = Action::Delay {
            seconds: Duration::from_millis(500),
        };
        sandbox.fault(Fault::once(Match::Path(CHARGES.to_owned()), late));
        let mut held: Call<'_> = Box::pin(first.make_request_async(charge()));
        while sandbox.counters().charges_created < 4 {
            assert!(polled(&mut held, 1).await.is_none());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut waiting: Call<'_> = Box::pin(second.make_request_async(charge()));
        assert!(polled(&mut waiting, 1).await.is_none());
        assert_eq!(held.await.unwrap().status(), 200);
        second.close();
        let error = waiting.await.unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Canceled, Outcome::NotSent)
        );
    });
    assert_eq!(sandbox.counters().charges_created, 4);
}

/// Waits by the thread alone, as executors of other crates do.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// The thread of the child is still in the runtime, and so in the event queue, of its parent.
#[test]
fn a_child_that_is_forked_in_a_runtime_makes_calls_of_its_own_without_it() {
    let _alone = alone();
    let sandbox = sandbox();
    let manager = manager(&sandbox, &[]);
    runtime().block_on(async {
        let status = async || manager.make_request_async(charge()).await.unwrap().status();
        assert_eq!(status().await, 200);
        // SAFETY: the child leaves by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: plain system calls.
            unsafe { libc::alarm(60) };
            let good = wait(status()) == 200 && wait(status()) == 200;
            // SAFETY: leaves the child without running the parent's handlers.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        let mut end = 0;
        // SAFETY: waits for the child that was forked above.
        assert_eq!(unsafe { libc::waitpid(child, &mut end, 0) }, child);
        assert_eq!(end, 0);
        assert_eq!(status().await, 200);
    });
    assert_eq!(sandbox.counters().charges_created, 4);
}

/// Run in a process of its own, since one such runtime changes where all later calls run.
const INSIDE: &str = "PAY88_TEST_WITHOUT_DRIVERS";

#[test]
fn a_runtime_without_drivers_leaves_the_waiting_to_the_library() {
    if std::env::var_os(INSIDE).is_none() {
        for drivers in ["none", "io", "time"] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("a_runtime_without_drivers_leaves_the_waiting_to_the_library")
                .env(INSIDE, drivers)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{drivers}: {said}");
            // tokio's own message, once.
            assert_eq!(said.matches(" panicked at ").count(), 1, "{said}");
        }
        return;
    }
    let sandbox = sandbox();
    let manager = manager(&sandbox, &[]);
    let without = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        match std::env::var(INSIDE).as_deref() {
            Ok("io") => {
                runtime.enable_io();
            }
            Ok("time") => {
                runtime.enable_time();
            }
            _ => {}
        }
        runtime.build().unwrap()
    };
    for runtime in [without(), without(), runtime()] {
        let answer = runtime.block_on(manager.make_request_async(charge()));
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert!(has_the_librarys_thread());
}
