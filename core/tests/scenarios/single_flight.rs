//! Promises 1, 4 and 5: one refresh for all who wait, one result, and an end for each of them.

use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pay88::ffi::{Task, prepare_token};
use pay88::{Control, Error, ErrorCode, Outcome, Token, TokenManager};
use pay88_sandbox::{Action, Fault, Match};

use crate::harness::{Harness, block_on, told};
use crate::yardstick::in_time;

const THREADS: usize = 200;

/// All at once on threads of their own.
fn many(manager: &TokenManager) -> Vec<Result<Token, Error>> {
    let start = Arc::new(Barrier::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (manager, start) = (manager.clone(), start.clone());
            thread::Builder::new()
                .stack_size(128 * 1024)
                .spawn(move || {
                    start.wait();
                    manager.get_token()
                })
                .unwrap()
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

fn tasks(manager: &TokenManager) -> Vec<Result<Token, Error>> {
    let (sender, receiver) = mpsc::channel();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let sender = sender.clone();
            prepare_token(manager, None, move |result| sender.send(result).unwrap()).unwrap()
        })
        .collect();
    tasks.into_iter().for_each(Task::start);
    (0..1000)
        .map(|_| receiver.recv_timeout(Duration::from_secs(40)).unwrap())
        .collect()
}

#[test]
fn two_hundred_threads_at_an_empty_cache_make_one_token_request() {
    let harness = Harness::new();
    let manager = harness.manager();
    let tokens: Vec<Token> = many(&manager).into_iter().map(Result::unwrap).collect();
    assert!(tokens.iter().all(|token| token.same_as(&tokens[0])));
    assert_eq!(harness.tokens_requested(), 1);
}

#[test]
fn a_thousand_tasks_at_an_empty_cache_make_one_token_request() {
    let harness = Harness::new();
    let tokens: Vec<Token> = tasks(&harness.manager())
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(tokens.iter().all(|token| token.same_as(&tokens[0])));
    assert_eq!(harness.tokens_requested(), 1);
}

/// How many callers, threads or tasks, ask for a token.
type Ask = fn(&TokenManager) -> Vec<Result<Token, Error>>;

/// Plays `action` on every token request, asks with many threads and with many tasks, and gives the one error.
fn failure(action: &Action, requests: u64) -> Error {
    let attempt = |ask: Ask| {
        let harness = Harness::new();
        harness
            .sandbox
            .set(|switches| switches.token_delay = Duration::from_secs(2));
        harness
            .sandbox
            .fault(Fault::always(Match::Token, action.clone()));
        let started = Instant::now();
        let errors: Vec<Error> = ask(&harness.manager())
            .into_iter()
            .map(Result::unwrap_err)
            .collect();
        assert!(started.elapsed() < Duration::from_secs(30), "{action:?}");
        for error in &errors {
            assert_eq!(told(error), told(&errors[0]), "{action:?}");
            assert_eq!(error.outcome(), Outcome::NotSent, "{action:?}");
            assert_eq!(error.attempt(), Some(1), "{action:?}");
        }
        assert_eq!(harness.tokens_requested(), requests, "{action:?}");
        errors[0].clone()
    };
    let fail = |ask: Ask| {
        let found = Mutex::new(None);
        // Who is not there before the answer is, on a busy machine, is told of it in another way.
        in_time(|| {
            let error = attempt(ask);
            *found.lock().unwrap() = Some(error);
        });
        found.into_inner().unwrap().unwrap()
    };
    thread::scope(|scope| {
        let threads = scope.spawn(|| fail(many));
        let error = fail(tasks);
        assert_eq!(told(&threads.join().unwrap()), told(&error), "{action:?}");
        error
    })
}

#[test]
fn a_refresh_that_is_refused_tells_everybody_the_same_after_one_request() {
    for (status, code) in [
        (401, ErrorCode::CredentialsRejected),
        (403, ErrorCode::AccessDenied),
        (429, ErrorCode::RateLimited),
        (500, ErrorCode::BadResponse),
    ] {
        let error = failure(&Action::status(status), 1);
        assert_eq!((error.code(), error.http_status()), (code, Some(status)));
    }
}

#[test]
fn a_gateway_fault_tells_everybody_the_same_after_two_requests() {
    for status in [502, 503, 504] {
        let error = failure(&Action::status(status), 2);
        assert_eq!(error.code(), ErrorCode::BadResponse);
        assert_eq!(error.http_status(), Some(status));
        assert!(error.retryable());
    }
}

#[test]
fn a_cut_connection_tells_everybody_the_same_after_two_requests() {
    for (action, code) in [
        (Action::CutAfterRequest, ErrorCode::ConnectionFailed),
        (Action::CutBeforeAnswer, ErrorCode::ConnectionFailed),
        (Action::CutInBody, ErrorCode::BadResponse),
    ] {
        let error = failure(&action, 2);
        assert_eq!(error.code(), code, "{action:?}: {error}");
        assert!(
            error.hint().starts_with("Nothing was sent."),
            "{action:?}: {error}"
        );
    }
}

#[test]
fn garbage_tells_everybody_the_same_after_one_request() {
    assert_eq!(failure(&Action::Garbage, 1).code(), ErrorCode::BadResponse);
    assert_eq!(
        failure(&Action::body("<html>"), 1).code(),
        ErrorCode::BadResponse
    );
}

#[test]
fn a_body_that_stalls_tells_everybody_the_same_within_the_time_of_one_request() {
    assert_eq!(failure(&Action::StallInBody, 1).code(), ErrorCode::Timeout);
}

#[test]
fn who_gives_up_leaves_the_refresh_to_the_others() {
    let harness = Harness::new();
    harness
        .sandbox
        .set(|switches| switches.token_delay = Duration::from_secs(5));
    let manager = harness.manager();
    let closing = harness.manager();
    let ask = |manager: &TokenManager, timeout: u64| {
        let manager = manager.clone();
        thread::spawn(move || {
            let started = Instant::now();
            let result = manager.get_token_with(Control {
                timeout: Some(Duration::from_millis(timeout)),
                interrupt: None,
            });
            (result, started.elapsed())
        })
    };
    let patient: Vec<_> = (0..20).map(|_| ask(&manager, 30_000)).collect();
    let hasty = ask(&manager, 300);
    let closed = ask(&closing, 30_000);
    let interrupted = {
        let manager = manager.clone();
        thread::spawn(move || {
            let started = Instant::now();
            let control = Control {
                timeout: None,
                interrupt: Some(&|| started.elapsed() > Duration::from_millis(300)),
            };
            (manager.get_token_with(control), started.elapsed())
        })
    };
    let (sender, receiver) = mpsc::channel();
    let task = prepare_token(&manager, None, move |result| sender.send(result).unwrap()).unwrap();
    let canceler = task.canceler();
    task.start();
    thread::sleep(Duration::from_millis(300));
    canceler.cancel();
    closing.close();

    let soon = Duration::from_secs(4);
    let canceled = receiver.recv_timeout(soon).unwrap().unwrap_err();
    assert_eq!(canceled.code(), ErrorCode::Canceled);
    for (thread, code) in [
        (hasty, ErrorCode::Timeout),
        (closed, ErrorCode::Canceled),
        (interrupted, ErrorCode::Canceled),
    ] {
        let (result, took) = thread.join().unwrap();
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (code, Outcome::NotSent));
        assert!(took < soon, "{code} after {took:?}");
    }
    for thread in patient {
        thread.join().unwrap().0.unwrap();
    }
    assert_eq!(harness.tokens_requested(), 1);
}

#[test]
fn a_task_whose_future_is_dropped_leaves_the_refresh_to_the_others() {
    let harness = Harness::new();
    harness
        .sandbox
        .set(|switches| switches.token_delay = Duration::from_secs(3));
    let manager = harness.manager();
    block_on(async {
        let dropped = tokio::time::timeout(Duration::from_millis(100), manager.get_token_async());
        assert!(dropped.await.is_err());
        manager.get_token_async().await.unwrap();
    });
    assert_eq!(harness.tokens_requested(), 1);
}
