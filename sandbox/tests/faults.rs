//! Faults look on the wire as they say, hit what they are meant for, and end when they should.

mod client;

use std::io::ErrorKind;
use std::time::{Duration, Instant, SystemTime};

use client::*;
use pay88_sandbox::{Action, Coding, Config, Fault, Match, Piece, Sandbox, TOKEN_PATH, Then};
use serde_json::json;

impl World {
    fn fault(action: Action) -> World {
        let world = World::new();
        world.sandbox.fault(Fault::once(Match::Calls, action));
        world
    }

    /// Sends a charge, and tells what came back until the end of the stream and how many charges were created.
    fn charge_to_the_end(&mut self) -> (String, u64) {
        self.client.send(charge(&self.token));
        let rest = String::from_utf8_lossy(&self.client.rest()).into_owned();
        (rest, self.sandbox.counters().charges_created)
    }

    /// A new connection is served as if nothing had been.
    fn goes_on(&mut self) {
        let mut client = Client::to(&self.sandbox);
        assert_eq!(client.charge(&self.token).status, 200);
    }
}

#[test]
fn a_status_fault_answers_in_place_of_the_rules() {
    let mut world = World::fault(Action::status_with(503, &[("Retry-After", "5")]));
    let answer = world.client.charge(&world.token);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("Retry-After"), Some("5"));
    assert_eq!(answer.json()["code"], 503);
    assert!(answer.header("Date").is_some());
    assert!(world.sandbox.charges().is_empty());
    assert_eq!(
        world.client.charge(&world.token).status,
        200,
        "it was for once"
    );
    assert_eq!(world.sandbox.counters().faults_played, 1);
    assert_eq!(world.sandbox.counters().calls_by_status.get(&503), Some(&1));
}

#[test]
fn retry_after_is_sent_as_it_stands_however_absurd() {
    let world = World::new();
    let mut client = Client::to(&world.sandbox);
    let date = httpdate::fmt_http_date(SystemTime::now());
    for value in ["0", "-1", "1e99", "soon", "", date.as_str()] {
        let action = Action::status_with(429, &[("Retry-After", value)]);
        world.sandbox.fault(Fault::once(Match::Token, action));
        let answer = client.ask(token_request());
        assert_eq!(
            (answer.status, answer.header("Retry-After")),
            (429, Some(value))
        );
    }
    world
        .sandbox
        .fault(Fault::once(Match::Token, Action::status(429)));
    assert_eq!(client.ask(token_request()).header("Retry-After"), None);
}

#[test]
fn any_body_can_stand_in_for_a_token() {
    let world = World::new();
    let mut client = Client::to(&world.sandbox);
    for body in ["", "nonsense", "{\"data\":", "\u{0}"] {
        world
            .sandbox
            .fault(Fault::once(Match::Token, Action::body(body)));
        let answer = client.ask(token_request());
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, body.as_bytes())
        );
    }
    let shape = json!({"data": {"access_token": 7}});
    world
        .sandbox
        .fault(Fault::once(Match::Token, Action::body(shape.clone())));
    assert_eq!(client.ask(token_request()).json(), shape);
    assert_eq!(
        world.sandbox.counters().tokens_issued,
        1,
        "the one of the beginning"
    );
}

#[test]
fn a_redirect_names_its_url() {
    let url = "https://evil.example/token";
    let mut world = World::fault(Action::redirect(307, url));
    let answer = world.client.charge(&world.token);
    assert_eq!((answer.status, answer.header("Location")), (307, Some(url)));
}

#[test]
fn a_cut_after_the_request_leaves_nothing_done() {
    let mut world = World::fault(Action::CutAfterRequest);
    assert_eq!(world.charge_to_the_end(), (String::new(), 0));
    assert_eq!(world.sandbox.log()[1].status, None);
    assert_eq!(world.sandbox.counters().calls, 1);
    world.goes_on();
}

#[test]
fn a_cut_before_the_answer_leaves_the_charge_done() {
    let mut world = World::fault(Action::CutBeforeAnswer);
    assert_eq!(world.charge_to_the_end(), (String::new(), 1));
    assert_eq!(world.sandbox.log()[1].status, None);
    world.goes_on();
}

#[test]
fn a_cut_in_the_head_sends_half_of_it() {
    let mut world = World::fault(Action::CutInHead);
    let (rest, created) = world.charge_to_the_end();
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && !rest.contains("\r\n\r\n"));
    assert_eq!(created, 1);
    world.goes_on();
}

#[test]
fn a_cut_in_the_body_sends_half_of_it() {
    let mut world = World::fault(Action::CutInBody);
    let (rest, created) = world.charge_to_the_end();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    let length = head.split("Content-Length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    assert_eq!(body.len(), length / 2);
    assert_eq!(created, 1);
    world.goes_on();
}

#[test]
fn a_stalled_request_is_never_answered_nor_carried_out() {
    let mut world = World::fault(Action::Stall);
    let mut wire = tcp(world.sandbox.address());
    wire.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    std::io::Write::write_all(&mut wire, charge(&world.token).as_bytes()).unwrap();
    let error = std::io::Read::read(&mut wire, &mut [0; 1]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    assert!(world.sandbox.charges().is_empty());
    world.goes_on();
}

#[test]
fn a_stalled_body_stops_half_way_with_the_connection_open() {
    let world = World::fault(Action::StallInBody);
    let mut wire = tcp(world.sandbox.address());
    std::io::Write::write_all(&mut wire, charge(&world.token).as_bytes()).unwrap();
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n{") {
        std::io::Read::read_exact(&mut wire, &mut byte).unwrap();
        seen.extend(byte);
    }
    wire.set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let error = std::io::Read::read_to_end(&mut wire, &mut seen).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    let seen = String::from_utf8(seen).unwrap();
    let (_, body) = seen.split_once("\r\n\r\n").unwrap();
    assert!(body.starts_with('{') && !body.ends_with('}'));
    assert_eq!(world.sandbox.counters().charges_created, 1);
}

#[test]
fn a_delayed_answer_comes_late_and_whole() {
    let seconds = Duration::from_millis(300);
    let mut world = World::fault(Action::Delay { seconds });
    let start = Instant::now();
    assert_eq!(world.client.charge(&world.token).status, 200);
    assert!(start.elapsed() >= seconds);
}

#[test]
fn a_delayed_answer_keeps_nobody_else_waiting() {
    let mut world = World::new();
    let seconds = Duration::from_secs(3600);
    world
        .sandbox
        .fault(Fault::once(Match::Token, Action::Delay { seconds }));
    world.client.send(token_request());
    let start = Instant::now();
    while world.sandbox.counters().tokens_issued < 2 {
        assert!(start.elapsed() < LIMIT, "the token is made at once");
        std::thread::yield_now();
    }
    world.goes_on();
    Client::to(&world.sandbox).token();
}

#[test]
fn switched_delays_hold_back_the_answers_they_are_for() {
    let mut world = World::new();
    let (some, long) = (Duration::from_millis(200), Duration::from_secs(3600));
    for (token_delay, call_delay) in [(some, long), (long, some)] {
        world.sandbox.set(|switches| {
            switches.token_delay = token_delay;
            switches.call_delay = call_delay;
        });
        let start = Instant::now();
        if token_delay == some {
            world.client.token();
        } else {
            world.client.charge(&world.token);
        }
        assert!(start.elapsed() >= some);
    }
}

#[test]
fn a_huge_body_comes_in_full_length() {
    let bytes = 100 << 20;
    let mut world = World::fault(Action::HugeBody { bytes });
    world.client.send(charge(&world.token));
    let head = world.client.head().unwrap();
    assert_eq!(head.header("Content-Length"), Some("104857600"));
    world.client.discard(bytes);
    assert_eq!(
        world.client.charge(&world.token).status,
        200,
        "the connection goes on"
    );
}

#[test]
fn garbage_is_no_http() {
    let mut world = World::fault(Action::Garbage);
    world.client.send(charge(&world.token));
    assert_eq!(
        world.client.head().unwrap_err().kind(),
        ErrorKind::InvalidData
    );
    assert_eq!(world.sandbox.counters().charges_created, 0);
    world.goes_on();
}

#[test]
fn a_skewed_date_is_off_by_as_much() {
    for seconds in [7200_i64, -7200, i64::MAX, i64::MIN] {
        let mut world = World::fault(Action::ClockSkew { seconds });
        let answer = world.client.charge(&world.token);
        assert_eq!(answer.status, 200);
        let date = httpdate::parse_http_date(answer.header("Date").unwrap()).unwrap();
        if seconds.abs_diff(0) == 7200 {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let date = date
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs();
            let off = date as i64 - now as i64;
            assert!((seconds - 5..=seconds + 5).contains(&off), "{off}");
        }
    }
}

#[test]
fn a_connection_is_closed_after_the_answer_with_or_without_notice() {
    for announced in [true, false] {
        let mut world = World::fault(Action::CloseAfterAnswer { announced });
        let answer = world.client.charge(&world.token);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("Connection").is_some(), announced);
        assert!(world.client.is_over());
    }
}

#[test]
fn a_connection_cut_before_the_request_asks_for_nothing() {
    let world = World::new();
    world
        .sandbox
        .fault(Fault::once(Match::Any, Action::CutBeforeRequest));
    Client::to(&world.sandbox).ending().unwrap();
    Client::to(&world.sandbox).token();
    assert_eq!(world.sandbox.counters().tokens_requested, 2);
}

#[test]
fn a_stalled_connection_says_nothing_and_leaves_others_alone() {
    let sandbox = Sandbox::start(unlimited()).unwrap();
    sandbox.fault(Fault::once(Match::Any, Action::StallConnection));
    let mut stalled = tcp(sandbox.address());
    while sandbox.counters().faults_played == 0 {
        std::thread::yield_now();
    }
    stalled
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let error = std::io::Read::read(&mut stalled, &mut [0; 1]).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut
    ));
    Client::tls(&sandbox, "localhost").unwrap().token();
}

#[test]
fn a_handshake_can_be_cut_or_end_in_an_alert() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    sandbox.fault(Fault::once(Match::Any, Action::CutHandshake));
    let error = Client::tls(&sandbox, "localhost").err().unwrap();
    assert_ne!(error.kind(), ErrorKind::InvalidData, "{error}");

    sandbox.fault(Fault::once(Match::Any, Action::AlertHandshake));
    let error = Client::tls(&sandbox, "localhost").err().unwrap();
    assert!(error.to_string().contains("HandshakeFailure"), "{error}");

    sandbox.fault(Fault::once(Match::Any, Action::CutBeforeRequest));
    let mut client = Client::tls(&sandbox, "localhost").unwrap();
    assert!(client.is_over());
    assert_eq!(sandbox.counters().tls_handshakes, 1);
    Client::tls(&sandbox, "localhost").unwrap().token();
}

#[test]
fn an_answer_is_cut_over_tls_without_a_goodbye() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::tls(&sandbox, "localhost").unwrap();
    let token = client.token();
    sandbox.fault(Fault::once(Match::Calls, Action::CutInBody));
    client.send(charge(&token));
    client.rest();
    assert_eq!(
        client.ending().unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(sandbox.counters().charges_created, 1);
}

#[test]
fn a_fault_hits_what_it_is_meant_for_and_nothing_else() {
    for (on, token, charge, echo) in [
        (Match::Token, 500, 200, 200),
        (Match::Calls, 200, 500, 500),
        (Match::Path("/api/echo".into()), 200, 200, 500),
        (Match::Path(TOKEN_PATH.into()), 500, 200, 200),
        (Match::Any, 500, 500, 500),
    ] {
        let mut world = World::new();
        world
            .sandbox
            .fault(Fault::always(on.clone(), Action::status(500)));
        assert_eq!(world.client.ask(token_request()).status, token, "{on:?}");
        assert_eq!(world.client.charge(&world.token).status, charge, "{on:?}");
        let request = call("GET", "/api/echo?x=1", &world.token, "");
        assert_eq!(world.client.ask(request).status, echo, "{on:?}");
    }
}

#[test]
fn faults_are_played_as_often_as_said_one_after_the_other_until_cleared() {
    let mut world = World::new();
    world
        .sandbox
        .fault(Fault::times(0, Match::Any, Action::status(599)));
    world
        .sandbox
        .fault(Fault::times(2, Match::Any, Action::status(500)));
    world
        .sandbox
        .fault(Fault::once(Match::Any, Action::status(502)));
    world
        .sandbox
        .fault(Fault::always(Match::Any, Action::status(503)));
    let mut status = || world.client.charge(&world.token).status;
    assert_eq!(
        [status(), status(), status(), status(), status()],
        [500, 500, 502, 503, 503]
    );
    world.sandbox.clear_faults();
    assert_eq!(status(), 200);
}

#[test]
fn a_reset_leaves_the_charge_done_and_what_was_sent_before_arrives() {
    for (action, begun) in [
        (Action::ResetBeforeAnswer, false),
        (Action::ResetInBody, true),
    ] {
        let world = World::fault(action);
        let mut wire = tcp(world.sandbox.address());
        std::io::Write::write_all(&mut wire, charge(&world.token).as_bytes()).unwrap();
        let mut seen = Vec::new();
        let error = std::io::Read::read_to_end(&mut wire, &mut seen).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(seen.starts_with(b"HTTP/1.1 200 OK\r\n"), begun);
        assert_eq!(world.sandbox.counters().charges_created, 1);
    }
}

#[test]
fn a_dripping_answer_is_whole_and_takes_its_time() {
    let seconds = Duration::from_millis(1);
    let mut world = World::fault(Action::Drip { seconds });
    let start = Instant::now();
    let answer = world.client.charge(&world.token);
    assert_eq!(answer.status, 200);
    assert!(start.elapsed() >= seconds * answer.body.len() as u32);
    assert_eq!(world.client.charge(&world.token).status, 200);
}

#[test]
fn a_coded_answer_says_how_and_is_not_the_text() {
    for (coding, name, begin) in [
        (Coding::Gzip, "gzip", &[0x1f, 0x8b, 8][..]),
        (Coding::Deflate, "deflate", &[0x78]),
        (Coding::RawDeflate, "deflate", &[]),
    ] {
        let mut world = World::fault(Action::Coded { coding });
        let answer = world.client.charge(&world.token);
        assert_eq!(answer.header("Content-Encoding"), Some(name));
        assert!(answer.body.starts_with(begin) && !answer.body.starts_with(b"{"));
        let raw = match coding {
            Coding::Gzip => &answer.body[10..answer.body.len() - 8],
            Coding::Deflate => &answer.body[2..],
            Coding::RawDeflate => &answer.body,
        };
        let text = miniz_oxide::inflate::decompress_to_vec(raw).unwrap();
        assert!(text.starts_with(b"{\"code\":200"), "{coding:?}");
        assert_eq!(world.sandbox.counters().charges_created, 1);
    }
}

#[test]
fn lines_stand_in_the_head_as_they_are() {
    let lines = vec!["Odd : \u{1}".to_owned(), " folded".to_owned()];
    let mut world = World::fault(Action::HeadLines { lines });
    world.client.send(charge(&world.token));
    let wanted = "HTTP/1.1 200 OK\r\nOdd : \u{1}\r\n folded\r\nContent-Type: ";
    let mut seen = vec![0; wanted.len()];
    world.client.read_exactly(&mut seen);
    assert_eq!(String::from_utf8(seen).unwrap(), wanted);
    assert_eq!(world.sandbox.counters().charges_created, 1);
}

#[test]
fn pieces_are_sent_as_they_stand_and_the_connection_ends_as_said() {
    let pieces = vec![
        Piece::Text("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n".into()),
        Piece::Pause(Duration::from_millis(100)),
        Piece::Bytes(vec![0xff, 0]),
        Piece::Repeat {
            text: "ab".into(),
            times: Some(3),
            every: Duration::from_millis(20),
        },
    ];
    for then in [Then::Close, Then::Cut, Then::Reset, Then::Keep] {
        let pieces = pieces.clone();
        let mut world = World::fault(Action::Wire { pieces, then });
        let start = Instant::now();
        let answer = world.client.charge(&world.token);
        assert_eq!(answer.body, b"\xff\0ababab");
        assert!(start.elapsed() >= Duration::from_millis(160));
        assert_eq!(world.sandbox.counters().charges_created, 0);
        match then {
            Then::Keep => assert_eq!(world.client.charge(&world.token).status, 200),
            Then::Reset => {
                let error = world.client.ending().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
            _ => world.client.ending().unwrap(),
        }
    }
}

#[test]
fn the_end_that_is_meant_is_told_under_tls_and_the_other_one_is_not() {
    for (then, told) in [(Then::Close, true), (Then::Cut, false)] {
        let sandbox = Sandbox::start(unlimited()).unwrap();
        let pieces = vec![Piece::Text(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
        )];
        sandbox.fault(Fault::once(Match::Token, Action::Wire { pieces, then }));
        let mut client = Client::tls(&sandbox, "localhost").unwrap();
        assert_eq!(client.ask(token_request()).status, 200);
        assert_eq!(client.ending().is_ok(), told);
    }
}

#[test]
fn a_flood_ends_when_the_client_has_gone() {
    let pieces = vec![
        Piece::Text("HTTP/1.1 200 OK\r\n".into()),
        Piece::Repeat {
            text: "X-Filler: 0123456789\r\n".into(),
            times: None,
            every: Duration::ZERO,
        },
    ];
    let then = Then::Close;
    let mut world = World::fault(Action::Wire { pieces, then });
    world.client.send(charge(&world.token));
    world.client.discard(10 << 20);
    world.client = Client::to(&world.sandbox);
    let start = Instant::now();
    while world.sandbox.counters().connections_open > 1 {
        assert!(start.elapsed() < LIMIT, "the flood goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_stall_after_pieces_keeps_the_connection_open() {
    let pieces = vec![Piece::Text("HTTP/1.1 200 OK\r\n\r\n".into())];
    let then = Then::Stall;
    let mut world = World::fault(Action::Wire { pieces, then });
    world.client.send(charge(&world.token));
    assert_eq!(world.client.head().unwrap().status, 200);
    assert_eq!(world.sandbox.counters().connections_open, 1);
    world.goes_on();
}
