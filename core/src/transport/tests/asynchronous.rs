//! The same promises for asynchronous exchanges.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::server::{Authority, OK, Server, answer_all, read_request};
use super::*;

pub(super) fn run(link: &Arc<Link>, body: &'static str, limits: Limits) -> Result<Answer, Failure> {
    let (tx, rx) = mpsc::channel();
    start(link, body, limits, tx);
    rx.recv_timeout(20 * SECOND).unwrap()
}

/// Starts an exchange whose result is sent there.
fn start(
    link: &Arc<Link>,
    body: &'static str,
    limits: Limits,
    result: mpsc::Sender<Result<Answer, Failure>>,
) {
    let link = link.clone();
    crate::platform::runtime::spawn(async move {
        let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
        let request = request(body, &headers, &sent);
        let answer = link.exchange_async(&request, &limits, authorize).await;
        if let Err(failure) = &answer {
            assert_eq!(failure.sent, sent.load(Ordering::Acquire));
        }
        let _ = result.send(answer);
    })
    .unwrap();
}

#[test]
fn asynchronous_calls_share_connections_and_replace_closed_ones() {
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
        assert_eq!(run(&link, "x", limits(5 * SECOND)).unwrap().body, b"ok");
        assert_eq!(server.connections(), expected);
        answered += 1;
        if answered == 3 {
            server.wait_for_ends(1);
        }
    }
}

#[test]
fn thirty_two_asynchronous_calls_at_a_time_are_answered() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    let (tx, rx) = mpsc::channel();
    for _ in 0..32 {
        start(&link, "", limits(10 * SECOND), tx.clone());
    }
    for _ in 0..32 {
        assert_eq!(rx.recv_timeout(15 * SECOND).unwrap().unwrap().body, b"ok");
    }
}

#[test]
fn an_asynchronous_failure_says_whether_the_request_left() {
    let authority = Authority::new();
    let other = Authority::new();
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
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
    for (name, settings, kind, sent) in [
        ("refused", plain(refused), FailureKind::Connect, false),
        ("handshake", tls(silent.port), FailureKind::Timeout, false),
        (
            "handshake cut",
            tls(closing.port),
            FailureKind::Connect,
            false,
        ),
        ("untrusted", tls(untrusted.port), FailureKind::Tls, false),
        ("no answer", plain(silent.port), FailureKind::Timeout, true),
        ("cut", plain(cutting.port), FailureKind::Truncated, true),
        ("garbage", plain(garbage.port), FailureKind::Malformed, true),
        ("large", plain(large.port), FailureKind::TooLarge, true),
    ] {
        for body in ["x", ""] {
            let failure = run(&link(settings.clone()), body, limits(SECOND / 2)).unwrap_err();
            assert_eq!(
                (failure.kind, failure.sent),
                (kind, sent),
                "{name}: {}",
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
fn connect_timeout_ends_an_asynchronous_handshake() {
    let authority = Authority::new();
    let silent = Server::raw(|_stream, _| std::thread::sleep(20 * SECOND));
    let link = link(LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(silent.port)
    });
    let limits = Limits {
        connect_timeout: SECOND / 5,
        ..limits(10 * SECOND)
    };
    let start = Instant::now();
    let failure = run(&link, "x", limits).unwrap_err();
    let took = start.elapsed();
    assert_eq!(
        (failure.kind, failure.sent),
        (FailureKind::Connect, false),
        "{}",
        failure.message
    );
    println!("a handshake of 200 ms ended after {took:?}");
    // Ten times what is promised, and less than the deadline.
    assert!(took < 2 * SECOND, "{took:?}");
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
        let _ = link.exchange_async(&request, &limits, authorize).await;
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
fn a_connection_that_was_kept_serves_the_next_runtime() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    for body in ["one", "two", "three"] {
        // Ended with the connection still registered there.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
        let request = request(body, &headers, &sent);
        let limits = limits(10 * SECOND);
        let answer = runtime.block_on(link.exchange_async(&request, &limits, authorize));
        assert_eq!(answer.unwrap().body, b"ok");
    }
    assert_eq!(server.connections(), 1);
}
