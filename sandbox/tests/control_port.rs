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

/// A merchant that a test has to itself, and a token of it.
fn merchant(world: &mut World) -> (String, Token) {
    let made = world.control("POST", "/keys", "{}");
    assert_eq!(made.status, 200);
    let made = made.json();
    let (id, key) = (
        made["merchant_id"].as_str().unwrap(),
        made["key"].as_str().unwrap(),
    );
    assert!(
        id.starts_with("MCH-COL-TEST-") && key.starts_with("sk_test_sandbox_"),
        "{made}"
    );
    let answer = world
        .client
        .ask(request("POST", TOKEN_PATH, &key_headers(key, id), ""));
    (id.to_owned(), Token::of(&answer))
}

#[test]
fn a_merchant_meets_its_own_faults_alone_and_they_are_forgotten_alone() {
    let mut world = World::new(unlimited());
    let (mine, my_token) = merchant(&mut world);
    let (other, other_token) = merchant(&mut world);
    let action = json!({"answer": {"status": 503}});
    for id in [&mine, &other] {
        world.post(
            "/faults",
            json!({"on": "any", "merchant_id": id, "times": null, "action": action}),
        );
    }
    world.post(
        "/faults",
        json!({"on": "calls", "action": {"answer": {"status": 502}}}),
    );
    let first = world.client.charge(&my_token).status;
    assert_eq!(first, 503, "the one that was added first");
    let path = format!("/faults?merchant_id={mine}");
    assert_eq!(world.control("DELETE", &path, "").status, 200);
    assert_eq!(
        world.client.charge(&my_token).status,
        502,
        "the one for all is still there"
    );
    assert_eq!(world.client.charge(&my_token).status, 200);
    assert_eq!(world.client.charge(&other_token).status, 503);
    let fault = json!({"on": "any", "merchant_id": mine, "action": "cut_handshake"}).to_string();
    assert_eq!(world.control("POST", "/faults", &fault).status, 400);
}

#[test]
fn counters_log_and_charges_of_one_merchant_are_shown() {
    let mut world = World::new(unlimited());
    let (mine, my_token) = merchant(&mut world);
    let (other, other_token) = merchant(&mut world);
    world.client.charge(&my_token);
    world.client.charge(&other_token);
    world.client.charge(&other_token);
    world.client.ask(request("GET", "/api/echo", "", ""));
    let of =
        |world: &mut World, path: &str, id: &str| world.get(&format!("{path}?merchant_id={id}"));
    for (id, charges) in [(&mine, 1), (&other, 2)] {
        let counters = of(&mut world, "/counters", id);
        assert_eq!(counters["tokens_issued"], 1);
        assert_eq!(counters["tokens_requested"], 1);
        assert_eq!(counters["charges_created"], charges);
        assert_eq!(counters["calls_by_status"], json!({"200": charges}));
        let log = of(&mut world, "/log", id);
        assert_eq!(log.as_array().unwrap().len(), charges + 1);
        assert!(
            log.as_array()
                .unwrap()
                .iter()
                .all(|entry| entry["merchant_id"] == **id)
        );
        let made = of(&mut world, "/charges", id);
        assert_eq!(made.as_array().unwrap().len(), charges);
        assert_eq!(made[0]["same_body"], charges);
    }
    assert_eq!(world.get("/counters")["calls"], 4);
    assert_eq!(world.get("/log").as_array().unwrap().len(), 6);
    assert_eq!(world.get("/charges").as_array().unwrap().len(), 3);
}

#[test]
fn the_clock_of_one_merchant_is_advanced_and_its_tokens_revoked_alone() {
    let mut world = World::new(Config {
        tokens_per_minute: 1,
        ..Config::default()
    });
    let (mine, my_token) = merchant(&mut world);
    let (_, other_token) = merchant(&mut world);
    let advance = |seconds: u64| json!({"seconds": seconds, "merchant_id": mine});
    world.post("/clock/advance", advance(59));
    assert_eq!(world.client.charge(&my_token).status, 200);
    world.post("/clock/advance", advance(2));
    let late = world.client.charge(&my_token);
    assert_eq!(
        (late.status, late.json()["message"].clone()),
        (401, json!("Token expired"))
    );
    assert_eq!(world.client.charge(&other_token).status, 200);
    // Beyond what a time can be, too.
    world.post(
        "/clock/advance",
        json!({"seconds": 1e19, "merchant_id": mine}),
    );
    world.post("/reset", json!({}));
    let (third, third_token) = merchant(&mut world);
    let (_, fourth_token) = merchant(&mut world);
    assert_eq!(
        world
            .control("POST", &format!("/revoke?merchant_id={third}"), "")
            .status,
        200
    );
    assert_eq!(world.client.charge(&third_token).status, 401);
    assert_eq!(world.client.charge(&fourth_token).status, 200);
}

#[test]
fn what_is_for_one_merchant_never_reaches_all() {
    let mut world = World::new(Config::default());
    let token = world.client.token();
    for (method, target, status) in [
        ("POST", "/revoke?merchant_id=MCH-NONE", 404),
        ("POST", "/revoke?merchant=MCH-COL-TEST-12345", 400),
        ("POST", "/revoke?merchant_id=MCH-COL-TEST-12345&x=1", 400),
        ("POST", "/reset?merchant_id=MCH-COL-TEST-12345", 400),
        ("DELETE", "/faults?merchant_id=MCH-NONE", 404),
    ] {
        assert_eq!(world.control(method, target, "").status, status, "{target}");
    }
    let nobody = json!({"seconds": 1, "merchant_id": "MCH-NONE"}).to_string();
    assert_eq!(world.control("POST", "/clock/advance", &nobody).status, 404);
    assert_eq!(world.client.charge(&token).status, 200);
    let encoded = world.control("GET", "/log?merchant_id=MCH%2dCOL%2DTEST-12345", "");
    assert_eq!(encoded.json().as_array().unwrap().len(), 2);
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

    // One part may be given, the other made up.
    let made = world.control(
        "POST",
        "/keys",
        &json!({"merchant_id": "MCH-MEX-1"}).to_string(),
    );
    assert_eq!(made.json()["merchant_id"], "MCH-MEX-1");
    let shown = world.get("/keys");
    assert_eq!(
        shown[0],
        json!({"merchant_id": TEST_MERCHANT, "keys": ["sk_test_…4816"], "suspended": false})
    );
    assert_eq!(shown[1]["keys"].as_array().unwrap().len(), 1);
    assert_eq!(shown[1]["suspended"], true);
    assert!(
        !shown
            .to_string()
            .contains(made.json()["key"].as_str().unwrap())
    );
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
