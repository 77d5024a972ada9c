//! Answers whose headers are not as they should be.

use std::io::Write;

use super::server::{Server, answer_all, read_request};
use super::*;

/// What comes of an answer with this header, which the server sends on a connection that it keeps.
fn answer_with(by: By, header: &'static [u8]) -> Result<Answer, Failure> {
    let server = Server::raw(move |mut stream, _| {
        read_request(&mut stream).unwrap();
        let framed = b"HTTP/1.1 200 OK\r\nx-first: 1\r\n";
        let rest = b"\r\nx-last: 2\r\ncontent-length: 2\r\n\r\nok";
        stream
            .write_all(&[&framed[..], header, rest].concat())
            .unwrap();
        answer_all(&mut stream);
    });
    let link = link(plain(server.port));
    let answer = by.charge(&link, 2 * SECOND)?;
    by.send(&link, "x", 2 * SECOND).unwrap();
    assert_eq!(server.connections(), 1, "the connection was not kept");
    Ok(answer)
}

#[test]
fn an_odd_header_loses_no_answer() {
    within(120 * SECOND, || {
        let odd: [&[u8]; 9] = [
            b"set-cookie: a=\x01b",
            b"set-cookie: a=\x7fb",
            b"server : nginx",
            b"server\t: nginx",
            b"x-folded: one\r\n two",
            b"a line that is no header",
            b": no name",
            b"x\x01y: z",
            b"x-latin: caf\xe9",
        ];
        for (by, header) in EACH
            .into_iter()
            .flat_map(|by| odd.map(|header| (by, header)))
        {
            let shown = String::from_utf8_lossy(header);
            let answer = answer_with(by, header).unwrap_or_else(|e| panic!("{shown}: {e:?}"));
            assert_eq!(answer.body, b"ok", "{shown}");
            assert_eq!(answer.headers["x-first"], "1", "{shown}");
            assert_eq!(answer.headers["x-last"], "2", "{shown}");
        }
    });
}

#[test]
fn a_header_that_cannot_be_read_is_named_without_its_value() {
    within(120 * SECOND, || {
        let unreadable: [(&[u8], &str); 5] = [
            (b"set-cookie: \0secret", "set-cookie"),
            (b"set-cookie: a\rsecret", "set-cookie"),
            (b"content-length : 2", "content-length"),
            (b"Transfer-Encoding: secret\x01", "transfer-encoding"),
            (b"secret\0", "a line without a colon"),
        ];
        for (by, (header, name)) in EACH.into_iter().flat_map(|by| unreadable.map(|u| (by, u))) {
            let failure = answer_with(by, header).unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Malformed, true));
            assert!(failure.message.contains(name), "{}", failure.message);
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
    });
}
