//! What a request's stream came to, by the frames that the server sends.

use std::sync::atomic::Ordering;

use super::asynchronous::{request, run};
use super::server::{Authority, Both, Server};
use super::*;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// The last stream that a GOAWAY names when the server has not yet stopped taking requests.
const MOST: u32 = 0x7fff_ffff;

/// END_STREAM.
const END: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// With room for one stream at a time.
fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 1])
}

/// The head of an answer on the first stream: `:status 200` alone.
fn head(flags: u8) -> Vec<u8> {
    frame(1, 4 | flags, 1, &[0x88])
}

fn data(flags: u8, body: &[u8]) -> Vec<u8> {
    frame(0, flags, 1, body)
}

fn reset(code: u32) -> Vec<u8> {
    frame(3, 0, 1, &code.to_be_bytes())
}

fn go_away(last_stream: u32, code: u32) -> Vec<u8> {
    let payload = [last_stream.to_be_bytes(), code.to_be_bytes()].concat();
    frame(7, 0, 0, &payload)
}

/// Kind, flags and stream of the next frame; nothing when the client has closed.
fn read_frame(stream: &mut dyn Both) -> Option<(u8, u8, u8)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some((head[3], head[4], head[8]))
}

/// Reads until the request on the first stream has ended and the settings are acknowledged.
fn read_request(stream: &mut dyn Both) {
    stream.read_exact(&mut [0; 24]).unwrap();
    let (mut ended, mut acknowledged) = (false, false);
    while !(ended && acknowledged) {
        let (kind, flags, id) = read_frame(stream).unwrap();
        ended |= id == 1 && kind <= 1 && flags & END == END;
        acknowledged |= kind == 4 && flags == 1;
    }
}

fn link_to(server: &Server, authority: &Authority) -> Arc<Link> {
    link(LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(server.port)
    })
}

/// What comes of a request that the server has as a whole and answers with these frames; `cut`: and then closes.
fn outcome(frames: Vec<Vec<u8>>, cut: bool, body: &'static str) -> Result<Answer, Failure> {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["h2"], move |stream, _| {
        stream.write_all(&settings()).unwrap();
        read_request(stream);
        stream.write_all(&frames.concat()).unwrap();
        if !cut {
            // Until the client closes, so that what was written reaches it.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    run(&link_to(&server, &authority), request(body), 5 * SECOND)
}

fn fails(name: &str, frames: &[Vec<u8>], cut: bool, kind: FailureKind, sent: bool) {
    for body in ["x", ""] {
        let failure = outcome(frames.to_vec(), cut, body).unwrap_err();
        let found = (failure.kind, failure.sent);
        assert_eq!(found, (kind, sent), "{name}: {}", failure.message);
    }
}

#[test]
fn a_request_that_the_server_says_it_has_not_processed_is_unsent() {
    for (name, frame) in [
        ("ended in order before it", go_away(0, NO_ERROR)),
        ("refused", reset(REFUSED_STREAM)),
    ] {
        fails(name, &[frame], false, FailureKind::Unprocessed, false);
    }
}

#[test]
fn a_request_that_may_have_been_processed_counts_as_sent() {
    for (name, frame) in [
        ("ended by an error", go_away(0, INTERNAL_ERROR)),
        ("canceled", reset(CANCEL)),
        ("reset by an error", reset(INTERNAL_ERROR)),
        ("reset without one", reset(NO_ERROR)),
    ] {
        fails(name, &[frame], false, FailureKind::Cut, true);
    }
    for (name, frames) in [
        ("cut", vec![]),
        ("taken, then cut", vec![go_away(1, NO_ERROR)]),
        ("end announced, then cut", vec![go_away(MOST, NO_ERROR)]),
    ] {
        fails(name, &frames, true, FailureKind::Cut, true);
    }
}

#[test]
fn an_answer_that_the_server_breaks_off_is_neither_whole_nor_unsent() {
    for (name, frame) in [
        ("ended", go_away(0, NO_ERROR)),
        ("refused", reset(REFUSED_STREAM)),
        ("canceled", reset(CANCEL)),
        ("reset without an error", reset(NO_ERROR)),
    ] {
        let frames = [head(0), data(0, b"half"), frame];
        fails(name, &frames, false, FailureKind::Truncated, true);
    }
}

#[test]
fn a_request_that_was_taken_before_the_end_of_the_connection_is_answered() {
    let frames = vec![go_away(1, NO_ERROR), head(0), data(END, b"ok")];
    assert_eq!(outcome(frames, false, "x").unwrap().body, b"ok");
    let frames = vec![head(END), go_away(1, NO_ERROR)];
    assert_eq!(outcome(frames, false, "x").unwrap().body, b"");
    // What comes after the end of an answer takes nothing from it.
    let frames = vec![head(0), data(END, b"ok"), reset(NO_ERROR)];
    assert_eq!(outcome(frames, false, "x").unwrap().body, b"ok");
}

#[test]
fn a_request_that_waits_for_a_stream_when_the_connection_ends_is_unsent() {
    for (body, kind, sent) in [
        ("x", FailureKind::Unprocessed, false),
        // Without a body nothing tells that it was not written.
        ("", FailureKind::Cut, true),
    ] {
        let authority = Authority::new();
        let (taken, first_is_taken) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let (told, seen) = mpsc::channel();
        let may_go_on = Mutex::new(may_go_on);
        let server = Server::tls(&authority, &["h2"], move |stream, _| {
            stream.write_all(&settings()).unwrap();
            read_request(stream);
            taken.send(()).unwrap();
            let waiting = may_go_on.lock().unwrap();
            waiting.recv_timeout(10 * SECOND).unwrap();
            let frames = [go_away(1, NO_ERROR), head(0), data(END, b"ok")];
            stream.write_all(&frames.concat()).unwrap();
            let rest: Vec<_> = std::iter::from_fn(|| read_frame(stream)).collect();
            told.send(rest).unwrap();
        });
        let link = link_to(&server, &authority);
        let start = |request| {
            let link = link.clone();
            std::thread::spawn(move || run(&link, request, 10 * SECOND))
        };
        let first = start(request("x"));
        first_is_taken.recv_timeout(10 * SECOND).unwrap();
        let second = request(body);
        let queued = second.sent.clone();
        let second = start(second);
        let begun = Instant::now();
        while !queued.load(Ordering::Acquire) {
            assert!(begun.elapsed() < 5 * SECOND, "never queued");
            std::thread::sleep(Duration::from_millis(5));
        }
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap().body, b"ok");
        let failure = second.join().unwrap().unwrap_err();
        let found = (failure.kind, failure.sent);
        assert_eq!(found, (kind, sent), "{}", failure.message);
        let seen = seen.recv_timeout(10 * SECOND).unwrap();
        assert!(seen.iter().all(|(.., id)| *id != 3), "{seen:?}");
        assert_eq!(server.connections(), 1);
    }
}
