//! HTTP on the wire: what is read, what is refused, and that no bytes bring the server down.

mod client;

use client::*;
use pay88_sandbox::{Config, Sandbox, TEST_KEY, TEST_MERCHANT, TOKEN_PATH};

fn world() -> (Sandbox, Client, Token) {
    let sandbox = plain(unlimited());
    let mut client = Client::to(&sandbox);
    let token = client.token();
    (sandbox, client, token)
}

/// Sends bytes on a fresh connection; gives the status of the answer and whether the connection then ended.
fn refused(bytes: impl AsRef<[u8]>) -> (u16, bool) {
    let sandbox = plain(Config::default());
    let mut client = Client::to(&sandbox);
    let answer = client.ask(bytes);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.json()["code"], answer.status);
    assert_eq!(sandbox.counters().malformed, 1);
    assert_eq!(
        sandbox.counters().tokens_requested + sandbox.counters().calls,
        0
    );
    (answer.status, client.is_over())
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    let (sandbox, mut client, token) = world();
    for _ in 0..5 {
        assert_eq!(client.charge(&token).status, 200);
    }
    assert_eq!(sandbox.counters().connections_accepted, 1);
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let (_sandbox, mut client, token) = world();
    let ask = |status: u16| call("POST", &format!("/api/status/{status}"), &token, "{}");
    client.send([ask(201), ask(404), ask(200)].concat());
    let statuses = [(); 3].map(|()| client.answer().unwrap().status);
    assert_eq!(statuses, [201, 404, 200]);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let (_sandbox, mut client, token) = world();
    for byte in charge(&token).bytes() {
        client.send([byte]);
    }
    assert_eq!(client.answer().unwrap().status, 200);
}

#[test]
fn a_chunked_body_is_read_as_one() {
    let (sandbox, mut client, token) = world();
    let headers =
        token.headers() + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    let (one, two) = CHARGE.split_at(7);
    let chunks = format!(
        "7;note=x\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        two.len()
    );
    client.send(request("POST", CHARGES, &headers, "") + &chunks);
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(sandbox.log()[1].body_length, CHARGE.len());
    assert_eq!(client.charge(&token).status, 200, "the connection goes on");
}

#[test]
fn malformed_chunks_are_refused() {
    let head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "1".repeat(5000);
    for chunks in [
        "x\r\n",
        "2\r\nabc\r\n",
        "-1\r\n",
        "ffffffffffffffffff\r\n",
        long.as_str(),
    ] {
        assert_eq!(refused(format!("{head}{chunks}")), (400, true), "{chunks}");
    }
    assert_eq!(refused(format!("{head}fffffff\r\n")), (413, true));
}

#[test]
fn a_client_that_expects_continue_is_told_to_continue() {
    let (_sandbox, mut client, token) = world();
    let headers = format!(
        "{}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n",
        token.headers(),
        CHARGE.len()
    );
    client.send(request("POST", CHARGES, &headers, ""));
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.ask(CHARGE).status, 200);
}

#[test]
fn answers_to_head_and_of_204_and_304_have_no_body() {
    let (_sandbox, mut client, token) = world();
    client.send(call("HEAD", "/api/bytes/1000", &token, ""));
    let answer = client.answer_to("HEAD").unwrap();
    assert_eq!(answer.header("Content-Length"), Some("1000"));
    for status in [204, 304] {
        let answer = client.ask(call("GET", &format!("/api/status/{status}"), &token, ""));
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("Content-Length"), None);
    }
    assert_eq!(
        client.charge(&token).status,
        200,
        "nothing was left on the connection"
    );
}

#[test]
fn a_connection_is_closed_where_the_client_asks_for_it() {
    let (_sandbox, mut client, token) = world();
    let headers = token.headers() + "Connection: close\r\n";
    let answer = client.ask(request("GET", "/api/echo", &headers, ""));
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(client.is_over());

    let (_sandbox, mut client, token) = world();
    client.send(format!("GET /api/echo HTTP/1.0\r\n{}\r\n", token.headers()));
    assert_eq!(client.answer().unwrap().status, 200);
    assert!(client.is_over());
}

#[test]
fn a_tls_connection_that_is_closed_says_goodbye() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::tls(&sandbox, "localhost").unwrap();
    let headers = key_headers(TEST_KEY, TEST_MERCHANT) + "Connection: close\r\n";
    client.ask(request("POST", TOKEN_PATH, &headers, ""));
    client.ending().unwrap();
}

#[test]
fn a_refusal_arrives_although_the_body_is_still_being_sent() {
    let sandbox = plain(Config::default());
    let mut client = Client::to(&sandbox);
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
    client.send(vec![b'x'; 8_000_000]);
    assert_eq!(client.answer().unwrap().status, 413);
    client.ending().unwrap();
}

#[test]
fn what_is_no_http_is_refused() {
    for bytes in [
        "garbage\r\n\r\n",
        "GET /x HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: x\r\nBad\u{1}: y\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}",
    ] {
        assert_eq!(refused(bytes), (400, true), "{bytes:?}");
    }
}

#[test]
fn a_missing_or_repeated_host_is_refused() {
    assert_eq!(refused("GET /x HTTP/1.1\r\n\r\n"), (400, true));
    assert_eq!(
        refused("GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        (400, true)
    );
}

#[test]
fn ambiguous_framing_is_refused() {
    let with = |headers: &str| refused(format!("POST /x HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    for headers in [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 0x1\r\n",
    ] {
        assert_eq!(with(headers), (400, true), "{headers}");
    }
    assert_eq!(with("Transfer-Encoding: gzip, chunked\r\n"), (501, true));
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        (501, true)
    );
}

#[test]
fn a_head_or_body_beyond_the_limits_is_refused() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    assert_eq!(refused(long), (431, true));
    let endless = format!("GET /{}", "x".repeat(80_000));
    assert_eq!(refused(endless), (431, true));
    let many = "a: b\r\n".repeat(200);
    assert_eq!(
        refused(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
        (431, true)
    );
    for length in ["99999999", "99999999999999999999999999"] {
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(refused(head), (413, true));
    }
}

#[test]
fn a_client_that_stops_in_the_middle_is_not_counted_as_a_request() {
    let (sandbox, client, token) = world();
    drop(client);
    let whole = charge(&token);
    for length in [1, 30, whole.len() / 2, whole.len() - 1] {
        Client::to(&sandbox).send(&whole[..length]);
    }
    let mut client = Client::to(&sandbox);
    assert_eq!(client.charge(&token).status, 200);
    assert_eq!(sandbox.counters().calls, 1);
}

#[test]
fn no_bytes_bring_the_server_down() {
    let (sandbox, mut client, token) = world();
    // A fixed xorshift, so that a failure comes back.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let good = charge(&token).into_bytes();
    for _ in 0..500 {
        let mut bytes = good.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() as usize % bytes.len();
            match random() % 3 {
                0 => bytes[at] = random() as u8,
                1 => bytes.insert(at, random() as u8),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut wire = tcp(sandbox.address());
        // The server may have answered and closed before all was written.
        let _ = std::io::Write::write_all(&mut wire, &bytes);
        let _ = wire.shutdown(std::net::Shutdown::Write);
        let _ = std::io::copy(&mut wire, &mut std::io::sink());
    }
    assert_eq!(client.charge(&token).status, 200);
    let counters = sandbox.counters();
    assert!(counters.malformed > 10, "{counters:?}");
    assert!(counters.calls > 10, "{counters:?}");
}

#[test]
fn plain_http_on_the_tls_port_ends_and_harms_nobody() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::to(&sandbox);
    client.send(token_request());
    let answer = client.rest();
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(sandbox.counters().tokens_requested, 0);
    Client::tls(&sandbox, "localhost").unwrap().token();
}
