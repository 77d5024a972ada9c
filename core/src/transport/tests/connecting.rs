//! The way to a server: addresses, certificates, proxies, and what is sent over it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;

use super::server::{Authority, OK, Server, answer_all, read_request};
use super::*;

#[test]
fn a_request_is_sent_once_with_the_headers_that_it_needs_and_no_others() {
    within(120 * SECOND, || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = seen.clone();
        let server = Server::raw(move |mut stream, _| {
            while let Some(request) = read_request(&mut stream) {
                see.lock().unwrap().push(request);
                stream.write_all(OK).unwrap();
            }
        });
        let link = link(plain(server.port));
        post(&link, "{}", &limits(10 * SECOND)).unwrap();
        post(&link, "", &limits(10 * SECOND)).unwrap();
        let seen = seen.lock().unwrap();
        for (request, body) in seen.iter().zip(["{}", ""]) {
            let (head, sent) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!(sent, body);
            let mut lines: Vec<_> = head.lines().collect();
            assert_eq!(lines.remove(0), "POST /a?b=c HTTP/1.1");
            lines.sort_unstable();
            let host = format!("host: 127.0.0.1:{}", server.port);
            let length = format!("content-length: {}", body.len());
            let expected = [
                "accept-encoding: identity",
                "accept: */*",
                "authorization: Bearer t",
                &length,
                &host,
            ];
            assert_eq!(lines, expected);
        }
        assert_eq!(seen.len(), 2);
    });
}

#[test]
fn any_status_is_an_answer_and_a_redirect_is_not_followed() {
    within(120 * SECOND, || {
        for (head, status, body) in [
            (
                "302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0",
                302,
                "",
            ),
            ("500 Oops\r\ncontent-length: 4", 500, "oops"),
            ("204 No Content", 204, ""),
            (
                "200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3",
                200,
                "raw",
            ),
        ] {
            let server = Server::raw(move |mut stream, _| {
                read_request(&mut stream).unwrap();
                write!(stream, "HTTP/1.1 {head}\r\n\r\n{body}").unwrap();
                answer_all(&mut stream);
            });
            let link = link(plain(server.port));
            let answer = post(&link, "x", &limits(10 * SECOND)).unwrap();
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_slice()),
                (status, body.as_bytes())
            );
            post(&link, "x", &limits(10 * SECOND)).unwrap();
            assert_eq!(
                server.connections(),
                1,
                "{head}: the connection was not kept"
            );
        }
    });
}

#[test]
fn localhost_is_resolved_without_asking_anybody() {
    fn nobody(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        panic!("asked")
    }
    within(120 * SECOND, || {
        let server = Server::raw(|mut stream, _| answer_all(&mut stream));
        let settings = LinkSettings {
            host: "localhost".to_owned(),
            ..plain(server.port)
        };
        let link = Link::new(settings, nobody).unwrap();
        assert_eq!(post(&link, "x", &limits(10 * SECOND)).unwrap().body, b"ok");
    });
}

#[test]
fn a_dead_address_does_not_eat_the_time_of_the_next() {
    static PORT: std::sync::OnceLock<u16> = std::sync::OnceLock::new();
    fn dead_then_alive(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        // Nobody answers for 192.0.2.0/24 (RFC 5737): it hangs, or is unreachable at once.
        let dead = SocketAddr::from(([192, 0, 2, 1], 9));
        Ok(vec![
            dead,
            SocketAddr::from(([127, 0, 0, 1], *PORT.get().unwrap())),
        ])
    }
    within(120 * SECOND, || {
        let server = Server::raw(|mut stream, _| answer_all(&mut stream));
        PORT.set(server.port).unwrap();
        let settings = LinkSettings {
            host: "two.invalid".to_owned(),
            ..plain(80)
        };
        // A busy machine is late now and then. Time that is eaten is so each time.
        let took: Vec<Duration> = (0..3)
            .map(|_| {
                let link = Link::new(settings.clone(), dead_then_alive).unwrap();
                let start = Instant::now();
                assert_eq!(post(&link, "x", &limits(10 * SECOND)).unwrap().body, b"ok");
                start.elapsed()
            })
            .collect();
        assert!(took.iter().min() < Some(&SECOND), "{took:?}");
    });
}

#[test]
fn a_name_without_an_address_is_told() {
    fn unknown(_: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::other("no such name"))
    }
    let settings = LinkSettings {
        host: "nothing.invalid".to_owned(),
        ..plain(80)
    };
    let failure = post(&Link::new(settings, unknown).unwrap(), "x", &limits(SECOND)).unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false));
    assert!(
        failure.message.contains("nothing.invalid"),
        "{}",
        failure.message
    );
}

#[test]
fn a_certificate_that_does_not_fit_is_refused_with_advice() {
    within(120 * SECOND, || {
        let (ours, other) = (Authority::new(), Authority::new());
        for (config, trusted, advice) in [
            (ours.server(&["localhost"], &[], false), &other, "ca_bundle"),
            (
                ours.server(&["elsewhere.example"], &[], false),
                &ours,
                "base_url",
            ),
            (ours.server(&["localhost"], &[], true), &ours, "clock"),
        ] {
            let server = Server::raw(move |stream, _| {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                assert!(read_request(&mut stream).is_none(), "the request was sent");
            });
            let settings = LinkSettings {
                tls: true,
                host: "localhost".to_owned(),
                ca_bundle: Some(trusted.file.clone()),
                ..plain(server.port)
            };
            let failure = post(&link(settings), "x", &limits(10 * SECOND)).unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false));
            assert!(failure.message.contains(advice), "{}", failure.message);
        }
    });
}

#[test]
fn a_ca_bundle_that_cannot_be_used_is_told_when_the_link_is_opened() {
    let with = |path: PathBuf| LinkSettings {
        tls: true,
        ca_bundle: Some(path),
        ..plain(443)
    };
    let empty = std::env::temp_dir().join(format!("pay88-empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "no certificate here\n").unwrap();
    let missing = PathBuf::from("/nonexistent/ca.pem");
    for path in [missing, empty.clone()] {
        let Err(failure) = Link::open(with(path.clone())) else {
            panic!("{} was taken", path.display());
        };
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(
            failure.message.contains(path.to_str().unwrap()),
            "{}",
            failure.message
        );
    }
    std::fs::remove_file(empty).unwrap();
}

/// A proxy that opens a tunnel, wherever to, to `port`, if the credentials are right.
fn proxy_to(port: u16, seen: Arc<Mutex<Vec<String>>>) -> Server {
    Server::raw(move |mut stream, _| {
        let request = read_request(&mut stream).unwrap();
        let good = request.contains("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n");
        seen.lock().unwrap().push(request);
        if !good {
            stream
                .write_all(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            return;
        }
        let mut onward = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
        std::thread::spawn(move || io::copy(&mut from, &mut to));
        let _ = io::copy(&mut onward, &mut stream);
    })
}

fn through(proxy: &str, authority: &Authority) -> LinkSettings {
    let proxy = Proxy::decide(Some(proxy), |_| None, "https", "pay.example").unwrap();
    LinkSettings {
        tls: true,
        host: "pay.example".to_owned(),
        port: 443,
        ca_bundle: Some(authority.file.clone()),
        system_roots: SystemRoots::default(),
        proxy,
        max_connections: 64,
    }
}

#[test]
fn a_proxy_opens_a_tunnel_and_sees_nothing_of_the_request() {
    within(120 * SECOND, || {
        let authority = Authority::new();
        let config = authority.server(&["pay.example"], &[], false);
        let server = Server::raw(move |stream, _| {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            answer_all(&mut rustls::StreamOwned::new(connection, stream));
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let proxy = proxy_to(server.port, seen.clone());
        let url = |user| format!("http://{user}@127.0.0.1:{}", proxy.port);
        // Tunnels, the first by each, that all of them then use.
        for (count, first) in EACH.into_iter().enumerate() {
            let tunnelled = link(through(&url("user:p%40ss"), &authority));
            for by in [first].into_iter().chain(EACH) {
                let answer = by.send(&tunnelled, "x", 10 * SECOND);
                assert_eq!(answer.unwrap().body, b"ok", "{by:?}");
            }
            assert_eq!(proxy.connections(), count + 1, "{first:?}");
        }
        for request in seen.lock().unwrap().iter() {
            assert!(
                request.starts_with("CONNECT pay.example:443 HTTP/1.1\r\n"),
                "{request}"
            );
            assert!(!request.contains("Bearer"), "{request}");
        }
        for by in EACH {
            let refused = link(through(&url("user:wrong"), &authority));
            let failure = by.send(&refused, "x", 10 * SECOND).unwrap_err();
            let got = (failure.kind, failure.sent);
            assert_eq!(got, (FailureKind::Connect, false), "{by:?}");
            assert!(failure.message.contains("407"), "{}", failure.message);
            assert!(!failure.message.contains("wrong"), "{}", failure.message);
        }
    });
}

#[test]
fn a_proxy_that_says_nonsense_or_too_much_is_given_up() {
    within(120 * SECOND, || {
        let authority = Authority::new();
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(40_000));
        for answer in [
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nmore",
            "",
            "HTTP/1.1 502 Bad\r\n\r\n",
            &long,
        ] {
            let answer = answer.to_owned();
            let proxy = Server::raw(move |mut stream, _| {
                read_request(&mut stream).unwrap();
                let _ = stream.write_all(answer.as_bytes());
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0; 64]);
            });
            let url = format!("http://127.0.0.1:{}", proxy.port);
            for by in EACH {
                let link = link(through(&url, &authority));
                let failure = by.send(&link, "x", 10 * SECOND).unwrap_err();
                let got = (failure.kind, failure.sent);
                let told = &failure.message;
                assert_eq!(got, (FailureKind::Connect, false), "{by:?}: {told}");
                // Its own time-out would be no sign that it was given up.
                assert!(!told.contains("no connection within"), "{by:?}: {told}");
            }
        }
    });
}

#[test]
fn an_odd_header_of_a_proxy_costs_no_tunnel_and_an_unreadable_one_is_named() {
    within(120 * SECOND, || {
        let authority = Authority::new();
        for (header, told) in [
            ("via : 1.1 proxy", "the TLS handshake"),
            ("via: \u{1}", "the TLS handshake"),
            ("via: a\r\n b", "the TLS handshake"),
            ("no header", "the TLS handshake"),
            ("via: \0secret", "the header via"),
        ] {
            let proxy = Server::raw(move |mut stream, _| {
                read_request(&mut stream).unwrap();
                write!(stream, "HTTP/1.1 200 OK\r\n{header}\r\n\r\n").unwrap();
                let _ = stream.read(&mut [0; 64]);
            });
            let url = format!("http://127.0.0.1:{}", proxy.port);
            for by in EACH {
                let link = link(through(&url, &authority));
                let failure = by.send(&link, "x", 5 * SECOND).unwrap_err();
                assert!(
                    failure.message.contains(told),
                    "{header}: {}",
                    failure.message
                );
                assert!(!failure.message.contains("secret"), "{}", failure.message);
            }
        }
    });
}

#[test]
fn the_proxy_is_decided_by_the_option_then_the_environment() {
    let decide = |option: Option<&str>, env: &[(&str, &str)], scheme: &str, host: &str| {
        let env: HashMap<_, _> = env.iter().copied().collect();
        Proxy::decide(
            option,
            |name| env.get(name).map(|v| v.to_string()),
            scheme,
            host,
        )
        .map(|proxy| proxy.map(|p| format!("{}:{}", p.host, p.port)))
    };
    let found = |text: &str| Ok(Some(text.to_owned()));
    let env = [
        ("HTTPS_PROXY", "http://env:1"),
        ("NO_PROXY", "exempt.example, .inner.example"),
    ];
    assert_eq!(decide(None, &[], "https", "a.example"), Ok(None));
    assert_eq!(decide(None, &env, "https", "a.example"), found("env:1"));
    assert_eq!(
        decide(Some("http://opt:2"), &env, "https", "a.example"),
        found("opt:2")
    );
    assert_eq!(
        decide(Some("opt:2"), &env, "https", "exempt.example"),
        found("opt:2")
    );
    assert_eq!(decide(Some(""), &env, "https", "a.example"), Ok(None));
    assert_eq!(decide(None, &env, "https", "exempt.example"), Ok(None));
    assert_eq!(decide(None, &env, "https", "x.inner.example"), Ok(None));
    assert_eq!(
        decide(None, &[("ALL_PROXY", "http://all")], "https", "a.example"),
        found("all:80")
    );
    assert_eq!(
        decide(
            None,
            &[("https_proxy", "http://[::1]:3")],
            "https",
            "a.example"
        ),
        found("::1:3")
    );
    // What is exempt is so whatever the proxy is.
    for proxy in ["socks5://h:1", "https://h:1", "http://u:secret@"] {
        for name in ["ALL_PROXY", "HTTPS_PROXY", "all_proxy"] {
            let env = [(name, proxy), ("NO_PROXY", "other.example, exempt.example")];
            assert_eq!(decide(None, &env, "https", "exempt.example"), Ok(None));
            assert!(decide(None, &env, "https", "a.example").is_err());
            assert_eq!(
                decide(None, &[(name, proxy), ("no_proxy", "*")], "https", "a"),
                Ok(None)
            );
        }
        let env = [("NO_PROXY", "exempt.example")];
        assert!(decide(Some(proxy), &env, "https", "exempt.example").is_err());
    }
    for (scheme, host) in [
        ("http", "a.example"),
        ("https", "localhost"),
        ("https", "127.0.0.1"),
        ("https", "::1"),
        ("https", "[::1]"),
    ] {
        assert_eq!(
            decide(Some("http://opt:2"), &env, scheme, host),
            Ok(None),
            "{scheme} {host}"
        );
    }
    for bad in [
        "socks5://u:secret@h:1",
        "https://u:secret@h:1",
        "http://u:secret@",
        "http://u:secret@h:99999999",
    ] {
        let told = decide(None, &[("ALL_PROXY", bad)], "https", "a.example").unwrap_err();
        assert!(
            told.contains("ALL_PROXY") && !told.contains("secret"),
            "{told}"
        );
        assert!(
            decide(Some(bad), &[], "https", "a.example")
                .unwrap_err()
                .starts_with("proxy ")
        );
    }
}

#[test]
fn the_debug_text_of_a_proxy_has_no_credentials() {
    let proxy = Proxy::decide(
        Some("http://user:secret@h:1"),
        |_| None,
        "https",
        "a.example",
    );
    let text = format!("{proxy:?}");
    assert!(text.contains('h') && !text.contains("secret"), "{text}");
    assert!(
        !text.contains("user") && !text.contains("dXNlcjpzZWNyZXQ"),
        "{text}"
    );
}
