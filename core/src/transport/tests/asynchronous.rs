//! The same promises for asynchronous exchanges.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::server::{Authority, OK, Server, answer_all, read_request};
use super::*;
use crate::test_support::ports::nobody;
use crate::transport::reactor::{Reactor, Task};

/// Starts an exchange whose result is sent there.
fn start(
    runtime: Tokio,
    link: &Arc<Link>,
    body: &'static str,
    limits: Limits,
    result: mpsc::Sender<Result<Answer, Failure>>,
) {
    let link = link.clone();
    runtime.start(async move {
        let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
        let request = request(body, &headers, &sent);
        let exchange = link.exchange_async(&request, &limits, runtime, None, authorize);
        let _ = result.send(exchange.await);
    });
}

#[test]
fn calls_share_connections_and_replace_closed_ones() {
    for by in EACH {
        let authority = Authority::new();
        let server = Server::tls(&authority, &["http/1.1"], |stream, number| {
            if number > 0 {
                return answer_all(stream);
            }
            for _ in 0..3 {
                read_request(stream).unwrap();
                stream.write_all(OK).unwrap();
            }
        });
        let link = link(LinkSettings {
            tls: true,
            ca_bundle: Some(authority.file.clone()),
            ..plain(server.port)
        });
        let mut answered = 0;
        for expected in [1, 1, 1, 2, 2] {
            assert_eq!(by.send(&link, "x", 30 * SECOND).unwrap().body, b"ok");
            assert_eq!(server.connections(), expected, "{by:?}");
            answered += 1;
            if answered == 3 {
                server.wait_for_ends(1);
            }
        }
    }
}

#[test]
fn thirty_two_asynchronous_calls_at_a_time_are_answered() {
    for runtime in TASKS {
        let server = Server::raw(|mut stream, _| answer_all(&mut stream));
        let link = link(plain(server.port));
        let (tx, rx) = mpsc::channel();
        for _ in 0..32 {
            start(runtime, &link, "", limits(30 * SECOND), tx.clone());
        }
        for _ in 0..32 {
            assert_eq!(rx.recv_timeout(40 * SECOND).unwrap().unwrap().body, b"ok");
        }
    }
}

#[test]
fn others_run_between_two_pieces_of_work() {
    // One after the other, as they would be carried out without turns.
    const PIECES: usize = 20;
    let log = Arc::new(Mutex::new(String::new()));
    let (tx, rx) = mpsc::channel::<()>();
    let its = log.clone();
    Tokio::Library.start(async move {
        for _ in 0..PIECES {
            let (its, tx) = (its.clone(), tx.clone());
            tokio::spawn(async move {
                Task::new(Tokio::Library, None)
                    .work(|| its.lock().unwrap().push('w'))
                    .await;
                drop(tx);
            });
        }
        drop(tx);
        loop {
            tokio::task::yield_now().await;
            let mut log = its.lock().unwrap();
            log.push('.');
            if log.matches('w').count() == PIECES {
                break;
            }
        }
    });
    assert!(
        rx.recv_timeout(30 * SECOND)
            .is_err_and(|e| e == mpsc::RecvTimeoutError::Disconnected)
    );
    let log = log.lock().unwrap();
    assert_eq!(log.matches('w').count(), PIECES);
    assert!(!log.contains("ww"), "{log}");
}

#[test]
fn a_failure_says_whether_the_request_left() {
    let authority = Authority::new();
    let other = Authority::new();
    let nobody = nobody();
    let silent = Server::raw(|_stream, _| std::thread::sleep(20 * SECOND));
    let closing = Server::raw(|stream, _| drop(stream));
    let cutting = Server::raw(|mut stream, _| {
        read_request(&mut stream).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .unwrap();
    });
    let garbage = Server::raw(|mut stream, _| {
        read_request(&mut stream).unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").unwrap();
        std::thread::sleep(SECOND);
    });
    let large = Server::raw(|mut stream, _| {
        read_request(&mut stream).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
            .unwrap();
        std::thread::sleep(SECOND);
    });
    let untrusted = Server::tls(&other, &[], |stream, _| answer_all(stream));
    let tls = |port| LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(port)
    };
    // What ends by itself has time enough for that.
    let (short, long) = (SECOND / 2, 10 * SECOND);
    for (name, settings, kind, sent, time) in [
        (
            "refused",
            plain(nobody.address.port()),
            FailureKind::Connect,
            false,
            long,
        ),
        (
            "handshake",
            tls(silent.port),
            FailureKind::Timeout,
            false,
            short,
        ),
        (
            "handshake cut",
            tls(closing.port),
            FailureKind::Connect,
            false,
            long,
        ),
        (
            "untrusted",
            tls(untrusted.port),
            FailureKind::Tls,
            false,
            long,
        ),
        // It has to be sent before its time is over.
        (
            "no answer",
            plain(silent.port),
            FailureKind::Timeout,
            true,
            2 * SECOND,
        ),
        (
            "cut",
            plain(cutting.port),
            FailureKind::Truncated,
            true,
            long,
        ),
        (
            "garbage",
            plain(garbage.port),
            FailureKind::Malformed,
            true,
            long,
        ),
        (
            "large",
            plain(large.port),
            FailureKind::TooLarge,
            true,
            long,
        ),
    ] {
        for (by, body) in EACH.into_iter().flat_map(|by| [(by, "x"), (by, "")]) {
            let failure = by.send(&link(settings.clone()), body, time).unwrap_err();
            assert_eq!(
                (failure.kind, failure.sent),
                (kind, sent),
                "{name}, {by:?}: {}",
                failure.message
            );
            assert!(
                !failure.message.contains("b=c"),
                "{name}: {}",
                failure.message
            );
        }
    }
}

#[test]
fn connect_timeout_ends_a_handshake() {
    let authority = Authority::new();
    let silent = Server::raw(|_stream, _| std::thread::sleep(20 * SECOND));
    let link = link(LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(silent.port)
    });
    for by in EACH {
        let limits = Limits {
            connect_timeout: SECOND / 5,
            ..limits(30 * SECOND)
        };
        let start = Instant::now();
        let failure = by.post(&link, "x", limits).unwrap_err();
        let took = start.elapsed();
        assert_eq!(
            (failure.kind, failure.sent),
            (FailureKind::Connect, false),
            "{by:?}: {}",
            failure.message
        );
        // Far more than what is promised, and less than the deadline.
        assert!(took < 15 * SECOND, "{by:?}: {took:?}");
    }
}

#[test]
fn a_dropped_asynchronous_call_still_tells_whether_it_left() {
    let silent = Server::raw(|_stream, _| std::thread::sleep(20 * SECOND));
    let link = link(plain(silent.port));
    let sent = Arc::new(AtomicBool::new(false));
    let its = sent.clone();
    let task = crate::platform::runtime::spawn(async move {
        let headers = HeaderMap::new();
        let request = request("x", &headers, &its);
        let limits = limits(10 * SECOND);
        let exchange = link.exchange_async(&request, &limits, Tokio::Library, None, authorize);
        let _ = exchange.await;
    })
    .unwrap();
    let start = Instant::now();
    while !sent.load(Ordering::Acquire) {
        assert!(start.elapsed() < 5 * SECOND, "never sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    task.abort();
    assert!(sent.load(Ordering::Acquire));
}

#[test]
fn a_connection_that_was_kept_serves_whoever_waits_next() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    for by in EACH.into_iter().cycle().take(9) {
        assert_eq!(by.send(&link, "x", 30 * SECOND).unwrap().body, b"ok");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_runtime_that_has_ended_leaves_its_connection_and_no_descriptor_of_its_own() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    // As of a manager that is open: its connections stay.
    link.handles().fetch_add(1, Ordering::SeqCst);
    let runtime = callers_runtime();
    let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
    let request = request("x", &headers, &sent);
    let limits = limits(30 * SECOND);
    let exchange = link.exchange_async(&request, &limits, Tokio::Callers, None, authorize);
    assert_eq!(runtime.block_on(exchange).unwrap().body, b"ok");
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    let pool = &link.shared().unwrap().pool;
    let kept = pool.take(limits.idle_timeout, true).unwrap();
    assert!(kept.connection.socket.programs_runtime().is_some());
    pool.put_back(kept);
    // It ends while the connection is in the pool, or while it is used.
    for is_used in [false, true] {
        let runtime = callers_runtime();
        let exchange = link.exchange_async(&request, &limits, Tokio::Callers, None, authorize);
        assert_eq!(runtime.block_on(exchange).unwrap().body, b"ok");
        let used = is_used.then(|| pool.take(limits.idle_timeout, true).unwrap());
        drop(runtime);
        if let Some(used) = used {
            pool.put_back(used);
        }
        let left = pool.take(limits.idle_timeout, true).unwrap();
        assert!(left.connection.socket.programs_runtime().is_none());
        pool.put_back(left);
    }
    // Nor does a link that has gone leave its task in a runtime that goes on.
    drop(link);
    let gone = async {
        while runtime.metrics().num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    runtime
        .block_on(async { tokio::time::timeout(30 * SECOND, gone).await })
        .expect("the task stays");
}
