//! What is asked for of codings, and what becomes of a coded answer.

use std::io::Write;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::server::{Server, read_request};
use super::*;

/// `{"a":1}` in a member of gzip.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x07\0\xf8\xff{\"a\":1}\xaf\xac\x1bV\x07\0\0\0";

/// Answers with that much of [`GZIP`], and tells of the codings that were asked for.
fn server(length: usize) -> (Server, mpsc::Receiver<String>) {
    let (tx, rx) = mpsc::channel();
    let server = Server::raw(move |mut stream, _| {
        while let Some(request) = read_request(&mut stream) {
            let asked = request
                .lines()
                .filter_map(|line| line.strip_prefix("accept-encoding: "));
            tx.send(asked.collect::<Vec<_>>().join("|")).unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
            );
            stream
                .write_all(&[head.as_bytes(), &GZIP[..length]].concat())
                .unwrap();
        }
    });
    (server, rx)
}

#[test]
fn no_coding_is_asked_for_and_one_that_comes_is_undone_on_a_connection_that_stays() {
    let (server, asked) = server(GZIP.len());
    let link = link(plain(server.port));
    for secret in [false, true] {
        let mut headers = HeaderMap::new();
        let exchange = |headers: &HeaderMap| {
            let sent = AtomicBool::new(false);
            let request = Request {
                keep_secret: secret,
                ..request("", headers, &sent)
            };
            link.exchange(&request, &limits(5 * SECOND), None, &mut |_| {})
        };
        let answer = exchange(&headers).unwrap();
        assert_eq!(answer.body, b"{\"a\":1}");
        assert!(!answer.headers.contains_key(CONTENT_ENCODING));
        assert_eq!(asked.recv().unwrap(), "identity");
        // A caller may ask for more.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        exchange(&headers).unwrap();
        assert_eq!(asked.recv().unwrap(), "gzip, br");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_coded_answer_that_ends_too_early_was_sent_for() {
    let (server, _asked) = server(GZIP.len() - 9);
    let failure = post(&link(plain(server.port)), "x", &limits(5 * SECOND)).unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Truncated, true));
}
