//! A token and a charge, as a well-behaved client gets them.

mod client;

use client::*;
use pay88_sandbox::{Config, Sandbox};

#[test]
fn a_token_buys_a_charge_over_tls() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::tls(&sandbox, "localhost").unwrap();
    let token = client.token();
    let answer = client.charge(&token);
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["status"], "Success");
    assert_eq!(body["code"], 200);
    assert_eq!(body["data"]["amount"], 50000);
    assert_eq!(body["data"]["currency"], "COP");
    assert_eq!(body["data"]["reference"].as_str().unwrap().len(), 36);

    let counters = sandbox.counters();
    assert_eq!((counters.tokens_requested, counters.tokens_issued), (1, 1));
    assert_eq!((counters.calls, counters.charges_created), (1, 1));
    assert_eq!(counters.calls_by_status.get(&200), Some(&1));
    assert_eq!(
        (counters.connections_accepted, counters.tls_handshakes),
        (1, 1)
    );
}

#[test]
fn the_certificate_is_good_for_every_name_of_this_machine_and_no_other() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(
            Client::tls(&sandbox, name)
                .unwrap()
                .ask(token_request())
                .status,
            200
        );
    }
    assert!(Client::tls(&sandbox, "api.88pay.io").is_err());
}

#[test]
fn a_certificate_of_another_sandbox_is_not_trusted() {
    let (one, other) = (
        Sandbox::start(Config::default()).unwrap(),
        Sandbox::start(Config::default()).unwrap(),
    );
    assert_ne!(one.ca_pem(), other.ca_pem());
    assert!(one.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}
