//! The control port shows and steers everything, and says what is wrong with a request.

#![allow(clippy::unwrap_used, reason = "test code")]

mod client;

use std::net::SocketAddr;
use std::time::Duration;

use client::*;
use pay88_sandbox::{
    Answer, Clock, Config, Sandbox, Switches, TEST_KEY, TEST_MERCHANT, TOKEN_PATH, VirtualClock,
};
use serde_json::{Value, json};

struct World {
    sandbox: Sandbox,
    client: Client,
    control: Client,
}

impl World {
    fn new(config: Config) -> World {
        let sandbox = plain(config);
        World {
            client: Client::to(&sandbox),
            control: Client::plain(control_address(&sandbox)),
            sandbox,
        }
    }

    fn control(&mut self, method: &str, target: &str, body: &str) -> Answer {
        self.control.ask(request(method, target, "", body))
    }

    fn get(&mut self, target: &str) -> Value {
        let answer = self.control("GET", target, "");
        assert_eq!(answer.status, 200);
        answer.json()
    }

    fn post(&mut self, target: &str, body: Value) {
        let answer = self.control("POST", target, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
}

fn control_address(sandbox: &Sandbox) -> SocketAddr {
    let url = sandbox.control_url().unwrap();
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn counters_log_and_charges_are_shown() {
    let mut world = World::new(Config::default());
    let token = world.client.token();
    world.client.charge(&token);
    world.client.ask(request("GET", "/api/echo", "", ""));
    let counters = world.get("/counters");
    assert_eq!(counters["tokens_requested"], 1);
    assert_eq!(counters["tokens_issued"], 1);
    assert_eq!(counters["calls"], 2);
    assert_eq!(counters["calls_by_status"], json!({"200": 1, "401": 1}));
    assert_eq!(counters["unauthorized"], 1);
    assert_eq!(
        counters["connections_accepted"], 1,
        "the control port's own are not counted"
    );
    let log = world.get("/log");
    assert_eq!(log.as_array().unwrap().len(), 3);
    assert_eq!(log[0]["target"], TOKEN_PATH);
    assert_eq!(log[1]["status"], 200);
    let charges = world.get("/charges");
    assert_eq!(charges[0]["body"]["amount"], 50000);
    assert_eq!(charges[0]["same_body"], 1);
}

#[test]
fn the_certificate_authority_is_shown_where_there_is_one() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut control = Client::plain(control_address(&sandbox));
    let answer = control.ask(request("GET", "/ca.pem", "", ""));
    assert_eq!(answer.body, sandbox.ca_pem().as_bytes());
    let mut world = World::new(Config::default());
    assert_eq!(world.control("GET", "/ca.pem", "").status, 404);
}

#[test]
fn faults_are_added_and_forgotten() {
    let mut world = World::new(unlimited());
    let token = world.client.token();
    let status = |world: &mut World| world.client.charge(&token).status;

    let answer =
        json!({"answer": {"status": 503, "headers": [["Retry-After", "5"]], "body": {"a": 1}}});
    world.post("/faults", json!({"on": "calls", "action": answer}));
    assert_eq!(status(&mut world), 503);
    assert_eq!(status(&mut world), 200, "once where nothing else is said");

    let answer = json!({"answer": {"status": 502}});
    world.post(
        "/faults",
        json!({"on": {"path": CHARGES}, "times": 2, "action": answer}),
    );
    assert_eq!(
        [status(&mut world), status(&mut world), status(&mut world)],
        [502, 502, 200]
    );

    world.post(
        "/faults",
        json!({"on": "any", "times": null, "action": answer}),
    );
    assert_eq!([status(&mut world), status(&mut world)], [502, 502]);
    assert_eq!(world.control("DELETE", "/faults", "").status, 200);
    assert_eq!(status(&mut world), 200);
}

#[test]
fn what_is_no_fault_is_refused_with_the_reason() {
    let mut world = World::new(Config::default());
    for (body, reason) in [
        ("", "EOF"),
        ("{}", "on"),
        (r#"{"on":"nobody","action":"stall"}"#, "nobody"),
        (r#"{"on":"any","action":"explode"}"#, "explode"),
        (r#"{"on":"any","action":"stall","time":3}"#, "time"),
        (r#"{"on":"any","times":-1,"action":"stall"}"#, "-1"),
        (
            r#"{"on":"any","action":{"delay":{"seconds":-1}}}"#,
            "negative",
        ),
        (
            r#"{"on":"any","action":{"answer":{"status":500,"reason":"x"}}}"#,
            "reason",
        ),
    ] {
        let answer = world.control("POST", "/faults", body);
        assert_eq!(answer.status, 400, "{body}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(reason), "{body}: {message}");
    }
    assert_eq!(world.client.ask(token_request()).status, 200);
}

#[test]
fn switches_named_are_set_and_the_others_stay() {
    let mut world = World::new(Config::default());
    world.post(
        "/switches",
        json!({"expires_in": 5, "windows": "fixed", "token_delay": 0.25}),
    );
    let expected = Switches {
        expires_in: json!(5),
        windows: pay88_sandbox::Windows::Fixed,
        token_delay: Duration::from_millis(250),
        ..plain(Config::default()).switches()
    };
    assert_eq!(world.sandbox.switches(), expected);
    assert_eq!(world.get("/switches")["expires_in"], 5);

    for (body, reason) in [
        (json!({"expires": 5}), "expires"),
        (json!({"tokens_per_minute": "ten"}), "ten"),
        (json!([]), "object"),
    ] {
        let answer = world.control("POST", "/switches", &body.to_string());
        assert_eq!(answer.status, 400);
        assert!(answer.json()["message"].as_str().unwrap().contains(reason));
    }
    assert_eq!(world.sandbox.switches(), expected);
}

#[test]
fn tokens_are_revoked_and_everything_reset() {
    let mut world = World::new(Config::default());
    let token = world.client.token();
    world.post("/revoke", json!({}));
    assert_eq!(world.client.charge(&token).status, 401);
    for _ in 0..10 {
        world.client.ask(token_request());
    }
    world.post(
        "/faults",
        json!({"on": "any", "times": null, "action": "garbage"}),
    );
    world.post("/reset", json!({}));
    let counters = world.get("/counters");
    assert_eq!(counters["tokens_requested"], 0);
    assert_eq!(counters["connections_open"], 1);
    assert_eq!(world.get("/log"), json!([]));
    world.client.token();
}

#[test]
fn keys_are_added_and_removed_and_merchants_suspended() {
    let mut world = World::new(Config::default());
    let key = "sk_test_sandbox_added_over_the_port";
    world.post("/keys", json!({"merchant_id": "MCH-MEX-1", "key": key}));
    let with_new = request("POST", TOKEN_PATH, &key_headers(key, "MCH-MEX-1"), "");
    assert_eq!(world.client.ask(&with_new).status, 200);
    world.post(
        "/suspend",
        json!({"merchant_id": "MCH-MEX-1", "suspended": true}),
    );
    assert_eq!(world.client.ask(&with_new).status, 403);
    let answer = world.control("DELETE", "/keys", &json!({"key": key}).to_string());
    assert_eq!(answer.status, 200);
    assert_eq!(world.client.ask(&with_new).status, 401);
    let nobody = json!({"merchant_id": "MCH-MEX-2", "suspended": true}).to_string();
    assert_eq!(world.control("POST", "/suspend", &nobody).status, 404);
}

#[test]
fn a_virtual_clock_is_advanced_and_the_real_one_is_not() {
    let clock = VirtualClock::default();
    let mut world = World::new(Config {
        clock: Clock::Virtual(clock.clone()),
        ..Config::default()
    });
    let before = clock.now();
    world.post("/clock/advance", json!({"seconds": 59.5}));
    assert_eq!(
        clock.now().duration_since(before).unwrap(),
        Duration::from_millis(59_500)
    );
    for body in [json!({"seconds": -1}), json!({"seconds": "1"}), json!({})] {
        let answer = world.control("POST", "/clock/advance", &body.to_string());
        assert_eq!(answer.status, 400);
    }
    world.post("/clock/advance", json!({"seconds": 1e19}));

    let mut world = World::new(Config::default());
    let answer = world.control("POST", "/clock/advance", r#"{"seconds":1}"#);
    assert_eq!(answer.status, 409);
}

#[test]
fn an_unknown_request_is_answered_with_what_it_was() {
    let mut world = World::new(Config::default());
    let answer = world.control("PUT", "/counters", "");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json()["message"],
        "The control port has no PUT /counters"
    );
    let answer = world.control.ask("nonsense\r\n\r\n");
    assert_eq!(answer.status, 400);
}

#[test]
fn no_secret_is_shown() {
    let mut world = World::new(Config::default());
    let token = world.client.token();
    world.client.charge(&token);
    let all: String = ["/counters", "/log", "/charges", "/switches"]
        .map(|target| world.get(target).to_string())
        .concat();
    for secret in [TEST_KEY, &token.access, &token.session] {
        assert!(!all.contains(secret));
    }
    assert!(all.contains(TEST_MERCHANT), "the charge names its merchant");
}
