//! The same promises for asynchronous exchanges.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::server::{Authority, OK, Server, answer_all, read_request};
use super::*;

pub(super) fn request(body: &'static str) -> AsyncRequest {
    AsyncRequest {
        method: Method::POST,
        target: "/a?secret=query".to_owned(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        keep_secret: false,
        sent: Arc::default(),
    }
}

fn limits(time: Duration) -> AsyncLimits {
    AsyncLimits {
        deadline: Instant::now() + time,
        connect_timeout: 5 * SECOND,
        idle_timeout: 45 * SECOND,
        max_response_bytes: 1 << 20,
    }
}

pub(super) fn run(
    link: &Arc<Link>,
    request: AsyncRequest,
    time: Duration,
) -> Result<Answer, Failure> {
    run_within(link, request, limits(time))
}

fn run_within(
    link: &Arc<Link>,
    request: AsyncRequest,
    limits: AsyncLimits,
) -> Result<Answer, Failure> {
    let link = link.clone();
    let (tx, rx) = mpsc::channel();
    crate::runtime::handle().unwrap().spawn(async move {
        let answer = link.exchange_async(request, limits, |headers| {
            headers.insert("authorization", HeaderValue::from_static("Bearer t"));
        });
        let _ = tx.send(answer.await);
    });
    rx.recv_timeout(20 * SECOND).unwrap()
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
    for expected in [1, 1, 1, 2, 2] {
        assert_eq!(run(&link, request("x"), 5 * SECOND).unwrap().body, b"ok");
        assert_eq!(server.connections(), expected);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn thirty_two_asynchronous_calls_at_a_time_are_answered() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    let (tx, rx) = mpsc::channel();
    for _ in 0..32 {
        let (link, tx) = (link.clone(), tx.clone());
        crate::runtime::handle().unwrap().spawn(async move {
            let answer = link
                .exchange_async(request(""), limits(10 * SECOND), |_| {})
                .await;
            let _ = tx.send(answer);
        });
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
            let failure = run(&link(settings.clone()), request(body), SECOND / 2).unwrap_err();
            assert_eq!(
                (failure.kind, failure.sent),
                (kind, sent),
                "{name}: {}",
                failure.message
            );
            assert!(
                !failure.message.contains("secret"),
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
    let limits = AsyncLimits {
        connect_timeout: SECOND / 5,
        ..limits(10 * SECOND)
    };
    let start = Instant::now();
    let failure = run_within(&link, request("x"), limits).unwrap_err();
    assert_eq!(
        (failure.kind, failure.sent),
        (FailureKind::Connect, false),
        "{}",
        failure.message
    );
    assert!(start.elapsed() < SECOND);
}

#[test]
fn a_dropped_asynchronous_call_still_tells_whether_it_left() {
    let silent = Server::raw(|_stream, _| std::thread::sleep(20 * SECOND));
    let link = link(plain(silent.port));
    let request = request("x");
    let sent = request.sent.clone();
    assert!(!sent.load(Ordering::Acquire));
    let task = crate::runtime::handle().unwrap().spawn(async move {
        let _ = link
            .exchange_async(request, limits(10 * SECOND), |_| {})
            .await;
    });
    let start = Instant::now();
    while !sent.load(Ordering::Acquire) {
        assert!(start.elapsed() < 5 * SECOND, "never sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    task.abort();
    assert!(sent.load(Ordering::Acquire));
}
