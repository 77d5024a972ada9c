//! `pay88 doctor`: each thing that can be in the way to 88Pay is provoked, and has to come with its advice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

#[path = "../../core/src/test_support/ports.rs"]
mod ports;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use pay88_sandbox::{Action, Config, Fault, Match};
use ports::nobody;
use support::Stand;
use support::diagnosis::{doctor, with_fault};

#[test]
fn plain_http_to_this_machine_is_a_warning() {
    let stand = Stand::with(Config {
        tls: false,
        ..Config::default()
    });
    doctor(&stand, &[("CA_BUNDLE", None)])
        .expect(
            "tls",
            "warning",
            &["not used", "88Pay itself is reached over https"],
        )
        .passes("clock", "call");
}

#[test]
fn a_host_without_an_address_fails_at_its_name() {
    let stand = Stand::start();
    doctor(
        &stand,
        &[
            ("BASE_URL", Some("https://no-such-host.invalid")),
            ("CONNECT_TIMEOUT", Some("2")),
        ],
    )
    .passes("api_key", "environment")
    .expect("dns", "failed", &["no-such-host.invalid", "name servers"])
    .skips("connection", "call");
}

#[test]
fn a_name_that_only_the_proxy_knows_is_no_failure() {
    let stand = Stand::start();
    let (listener, target) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        stand.sandbox.address(),
    );
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    // A proxy that leads everywhere to the sandbox. It ends with the test.
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), TcpStream::connect(target).unwrap());
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    doctor(
        &stand,
        &[
            ("BASE_URL", Some("https://no-such-host.invalid")),
            ("PROXY", Some(&proxy)),
        ],
    )
    .expect("dns", "passed", &["the proxy can reach it"])
    .passes("connection", "connection")
    .expect("tls", "failed", &["base_url"])
    .skips("clock", "call");
}

#[test]
fn a_port_where_nobody_listens_fails_at_the_connection() {
    let stand = Stand::start();
    let nobody = nobody();
    let there = format!("https://{}", nobody.address);
    doctor(&stand, &[("BASE_URL", Some(&there))])
        .expect("dns", "passed", &["needs no look-up"])
        .expect("connection", "failed", &["refused", "Look at the network"])
        .skips("tls", "call");
}

#[test]
fn a_server_that_says_nothing_fails_in_time() {
    let stand = Stand::start();
    stand
        .sandbox
        .fault(Fault::always(Match::Any, Action::StallConnection));
    let begun = std::time::Instant::now();
    doctor(&stand, &[("CONNECT_TIMEOUT", Some("0.5"))])
        .expect("connection", "failed", &[])
        .skips("tls", "call");
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn a_certificate_of_an_unknown_authority_fails_at_tls() {
    let (stand, other) = (Stand::start(), Stand::start());
    let ca = other.directory.path().join("ca.pem");
    doctor(&stand, &[("CA_BUNDLE", ca.to_str())])
        .passes("dns", "connection")
        .expect("tls", "failed", &["certificate", "ca_bundle"])
        .skips("clock", "call");
    assert_eq!(stand.sandbox.counters().tokens_requested, 0);
}

#[test]
fn a_server_that_does_not_speak_tls_is_told() {
    let stand = Stand::with(Config {
        tls: false,
        ..Config::default()
    });
    let base_url = format!("https://{}", stand.sandbox.address());
    doctor(
        &stand,
        &[("BASE_URL", Some(&base_url)), ("CA_BUNDLE", None)],
    )
    .expect("tls", "failed", &["does not seem to speak TLS"])
    .skips("clock", "call");
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much_it_matters() {
    for (seconds, status, said) in [
        (-3600, "failed", "ahead of"),
        (3600, "failed", "behind"),
        (-30, "warning", "ahead of"),
        (30, "warning", "behind"),
        (2, "passed", "agrees"),
    ] {
        let (_, diagnosis) = with_fault(Match::Path("/".into()), Action::ClockSkew { seconds });
        diagnosis
            .expect("clock", status, &[said])
            .passes("token", "call");
        if status != "passed" {
            diagnosis.expect("clock", status, &["NTP"]);
        }
    }
    let undated = Action::status_with(401, &[("Date", "some day")]);
    let (_, diagnosis) = with_fault(Match::Path("/".into()), undated);
    diagnosis.expect("clock", "warning", &["no usable Date"]);
}
