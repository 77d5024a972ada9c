//! Asynchronous calls and events of the real library, at a sandbox of this process.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pay88_sandbox::{Action, Config, Fault, Match, Merchant, Sandbox, TEST_MERCHANT};
use pay88_sys::{Completions, Library, Manager, Reply, Result};

mod support;

/// Whatever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// How long to look for what must not come.
const MOMENT: Duration = Duration::from_millis(200);

fn library() -> Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    *LIBRARY.get_or_init(|| {
        let directory = support::directory("asynchronous");
        support::install(&directory);
        Library::load(&directory).unwrap()
    })
}

/// A sandbox, and a manager with credentials of its own.
fn manager(test: &str) -> (Sandbox, Manager) {
    let key = format!("sk_test_sandbox_{test}");
    let sandbox = Sandbox::start(Config {
        merchants: vec![Merchant::new(TEST_MERCHANT, &key)],
        ..Config::default()
    })
    .unwrap();
    let ca = support::directory(test).join("ca.pem");
    sandbox.write_ca(&ca).unwrap();
    let mut config = library().config().unwrap();
    for (name, value) in [
        ("api_key", key.as_str()),
        ("merchant_id", TEST_MERCHANT),
        ("base_url", &sandbox.base_url()),
        ("ca_bundle", ca.to_str().unwrap()),
        ("share", "process"),
    ] {
        config.set(name, value).unwrap();
    }
    (sandbox, Manager::new(&config).unwrap())
}

/// Says "dropped" when it goes.
struct Witness(Sender<String>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send("dropped".to_owned());
    }
}

/// A closure that tells what it was called with, and that it was dropped.
fn told<T: 'static>(
    read: fn(T) -> String,
) -> (impl FnOnce(Result<T>) + Send + 'static, Receiver<String>) {
    let (sender, receiver) = channel();
    let witness = Witness(sender);
    let done = move |result: Result<T>| {
        let text = result.map_or_else(|error| error.code().to_owned(), read);
        witness.0.send(text).unwrap();
    };
    (done, receiver)
}

/// All that the closure told until it was dropped.
fn heard(receiver: &Receiver<String>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match receiver.recv_timeout(LIMIT) {
            Ok(text) => all.push(text),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("{all:?} and no end"),
        }
    }
}

#[test]
fn a_token_is_given_to_the_closure_once_and_the_closure_dropped() {
    let (sandbox, manager) = manager("async_token");
    let (done, receiver) = told(|token: pay88_sys::Token| token.session_id().to_owned());
    manager.get_token_async(None, done).unwrap();
    let heard = heard(&receiver);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("sess_"), "{heard:?}");
    assert_eq!(heard[1], "dropped");
    assert_eq!(sandbox.counters().tokens_issued, 1);
}

#[test]
fn an_answer_is_given_to_the_closure_though_the_request_is_gone() {
    let (_sandbox, manager) = manager("async_send");
    let (done, receiver) = told(|answer: pay88_sys::Response| answer.status().to_string());
    let request = library().request("GET", "/api/echo").unwrap();
    manager.send_async(&request, done).unwrap();
    drop(request);
    assert_eq!(heard(&receiver), ["200", "dropped"]);
}

#[test]
fn a_canceled_call_ends_with_canceled_and_only_once() {
    let (sandbox, manager) = manager("async_cancel");
    sandbox.fault(Fault::always(Match::Calls, Action::Stall));
    let (done, receiver) = told(|answer: pay88_sys::Response| answer.status().to_string());
    let request = library().request("GET", "/api/echo").unwrap();
    let call = manager.send_async(&request, done).unwrap();
    assert!(receiver.recv_timeout(MOMENT).is_err());
    call.cancel();
    call.cancel();
    assert_eq!(heard(&receiver), ["canceled", "dropped"]);
}

#[test]
fn a_call_that_cannot_start_drops_the_closure_uncalled() {
    let (sandbox, manager) = manager("async_closed");
    manager.close();
    let (done, receiver) = told(|token: pay88_sys::Token| token.session_id().to_owned());
    let Err(error) = manager.get_token_async(None, done) else {
        panic!("a closed manager took a call");
    };
    assert_eq!(error.code(), "config_invalid");
    assert_eq!(heard(&receiver), ["dropped"]);
    assert_eq!(sandbox.counters().tokens_issued, 0);
}

#[test]
fn a_panic_in_the_closure_ends_there() {
    let (_sandbox, manager) = manager("async_panic");
    let (sender, receiver) = channel();
    let witness = Witness(sender);
    let done = move |_: Result<pay88_sys::Token>| {
        let _witness = witness;
        std::panic::resume_unwind(Box::new("the caller's own"));
    };
    manager.get_token_async(None, done).unwrap();
    assert_eq!(heard(&receiver), ["dropped"]);
    let (done, receiver) = told(|token: pay88_sys::Token| token.expires_in().to_string());
    manager.get_token_async(None, done).unwrap();
    assert_eq!(heard(&receiver), ["60", "dropped"]);
}

/// Waits until so many have come, and gives the tags with what came.
fn taken(completions: &Completions, number: usize) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    while all.len() < number {
        let mut readable = libc::pollfd {
            fd: completions.descriptor(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry, which may be written to.
        let ready = unsafe { libc::poll(&raw mut readable, 1, LIMIT.as_millis() as i32) };
        assert_eq!(ready, 1, "{} of {number} came", all.len());
        all.extend(
            completions
                .take()
                .unwrap()
                .into_iter()
                .map(|(tag, result)| {
                    let text = match result {
                        Ok(Reply::Token(token)) => token.expires_in().to_string(),
                        Ok(Reply::Response(response)) => response.status().to_string(),
                        Err(error) => error.code().to_owned(),
                    };
                    (tag, text)
                }),
        );
    }
    all
}

#[test]
fn a_queue_gives_every_result_once_with_its_tag() {
    let (_sandbox, manager) = manager("queued");
    let completions = library().completions().unwrap();
    assert!(completions.take().unwrap().is_empty() && !completions.is_inherited());
    let request = library().request("GET", "/api/echo").unwrap();
    manager
        .send_queued(&request, &completions, u64::MAX)
        .unwrap();
    drop(request);
    assert_eq!(taken(&completions, 1), [(u64::MAX, "200".to_owned())]);
    // More than are taken with one call of the library.
    for tag in 0..1000 {
        manager.get_token_queued(None, &completions, tag).unwrap();
    }
    let mut all = taken(&completions, 1000);
    all.sort();
    assert!(
        all.into_iter()
            .eq((0..1000).map(|tag| (tag, "60".to_owned())))
    );
    assert!(completions.take().unwrap().is_empty());
}

#[test]
fn a_queue_gets_what_was_canceled_and_nothing_that_was_not_taken() {
    let (sandbox, manager) = manager("queued_cancel");
    sandbox.fault(Fault::always(Match::Calls, Action::Stall));
    let completions = library().completions().unwrap();
    let request = library().request("GET", "/api/echo").unwrap();
    let call = manager.send_queued(&request, &completions, 1).unwrap();
    std::thread::sleep(MOMENT);
    assert!(completions.take().unwrap().is_empty());
    call.cancel();
    call.cancel();
    assert_eq!(taken(&completions, 1), [(1, "canceled".to_owned())]);
    manager.close();
    let Err(error) = manager.send_queued(&request, &completions, 2) else {
        panic!("a closed manager took a call");
    };
    assert_eq!(error.code(), "config_invalid");
    assert!(completions.take().unwrap().is_empty());
}

#[test]
fn events_of_a_manager_come_to_every_queue() {
    let (_sandbox, manager) = manager("async_events");
    let queues = [library().events(100), library().events(100)].map(Result::unwrap);
    let (done, receiver) = told(|token: pay88_sys::Token| token.session_id().to_owned());
    manager.get_token_async(None, done).unwrap();
    let secret = heard(&receiver).remove(0);
    for queue in &queues {
        // Other tests of this process have managers too.
        let event = loop {
            let event = queue.next(LIMIT).unwrap().unwrap();
            if event.manager_id() == manager.id() {
                break event;
            }
        };
        assert_eq!(event.name(), "token_issued");
        assert!(event.time() > 1_700_000_000_000);
        assert!(
            event.json().contains("\"name\":\"token_issued\""),
            "{}",
            event.json()
        );
        assert!(!event.json().contains(&secret));
    }
}

#[test]
fn a_wait_for_events_ends_and_impossible_queues_are_refused() {
    let queue = library().events(1).unwrap();
    while queue.next(Duration::ZERO).unwrap().is_some() {}
    for capacity in [0, 1_000_001] {
        let Err(error) = library().events(capacity) else {
            panic!("a queue of {capacity}");
        };
        assert_eq!(error.code(), "config_invalid");
    }
    assert!(queue.next(Duration::from_secs(3601)).is_err());
}
