//! Authenticated calls: what makes one, and what is refused.

mod client;

use std::time::Duration;

use client::*;
use pay88_sandbox::{Answer, Clock, Config, Sandbox, TEST_KEY, TEST_MERCHANT, VirtualClock};
use serde_json::json;

const ECHO: &str = "/api/echo";

fn world() -> (Sandbox, Client, Token) {
    let sandbox = plain(unlimited());
    let mut client = Client::to(&sandbox);
    let token = client.token();
    (sandbox, client, token)
}

/// What a call with just these headers gets.
fn called_with(headers: impl Fn(&Token, &Token) -> String) -> Answer {
    let (sandbox, mut client, token) = world();
    let other = client.token();
    let answer = client.ask(request("GET", ECHO, &headers(&token, &other), ""));
    let unauthorized = u64::from(answer.status == 401);
    assert_eq!(sandbox.counters().unauthorized, unauthorized);
    answer
}

fn bearer(token: &Token) -> String {
    format!("Authorization: Bearer {}\r\n", token.access)
}

fn session(token: &Token) -> String {
    format!("x-session-id: {}\r\n", token.session)
}

#[test]
fn a_token_with_its_session_is_accepted() {
    assert_eq!(called_with(|token, _| token.headers()).status, 200);
}

#[test]
fn a_call_without_token_or_session_is_unauthorized() {
    assert_eq!(called_with(|_, _| String::new()).status, 401);
    assert_eq!(called_with(|token, _| bearer(token)).status, 401);
    assert_eq!(called_with(|token, _| session(token)).status, 401);
}

#[test]
fn a_session_of_another_token_is_unauthorized() {
    let answer = called_with(|token, other| bearer(token) + &session(other));
    assert_eq!(answer.status, 401);
}

#[test]
fn a_token_that_was_never_issued_is_unauthorized() {
    let answer =
        called_with(|token, _| format!("Authorization: Bearer x.y.z\r\n{}", session(token)));
    assert_eq!(answer.status, 401);
}

#[test]
fn any_other_scheme_than_bearer_is_unauthorized() {
    for scheme in ["", "Basic ", "bearer", "Bearer  "] {
        let answer = called_with(|token, _| {
            format!(
                "Authorization: {scheme}{}\r\n{}",
                token.access,
                session(token)
            )
        });
        assert_eq!(answer.status, 401, "{scheme:?}");
    }
}

#[test]
fn two_authorizations_or_sessions_are_refused_even_if_equal() {
    let twice = |token: &Token, _: &Token| bearer(token) + &token.headers();
    assert_eq!(called_with(twice).status, 400);
    let twice = |token: &Token, _: &Token| session(token) + &token.headers();
    assert_eq!(called_with(twice).status, 400);
}

#[test]
fn an_api_key_or_merchant_id_on_a_call_is_refused() {
    for secret in [
        format!("x-api-key: {TEST_KEY}\r\n"),
        format!("x-merchant-id: {TEST_MERCHANT}\r\n"),
    ] {
        let answer = called_with(|token, _| token.headers() + &secret);
        assert_eq!(answer.status, 400);
        assert!(
            answer.json()["message"]
                .as_str()
                .unwrap()
                .contains("is not allowed")
        );
    }
}

#[test]
fn a_token_lives_sixty_seconds_and_not_one_more() {
    let clock = VirtualClock::default();
    let sandbox = plain(Config {
        clock: Clock::Virtual(clock.clone()),
        ..Config::default()
    });
    let mut client = Client::to(&sandbox);
    let token = client.token();
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(client.charge(&token).status, 200);
    clock.advance(Duration::from_millis(1));
    let answer = client.charge(&token);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["message"], "Token expired");
}

#[test]
fn a_token_lives_as_long_as_expires_in_says_and_sixty_seconds_where_that_says_nothing() {
    for (expires_in, life) in [
        (json!(5), 5.0),
        (json!("11"), 11.0),
        (json!(59.5), 59.5),
        (json!(3600), 3600.0),
        (json!(1e18), 60.0),
        (json!("soon"), 60.0),
        (json!(null), 60.0),
    ] {
        let clock = VirtualClock::default();
        let sandbox = plain(Config {
            clock: Clock::Virtual(clock.clone()),
            expires_in: expires_in.clone(),
            ..Config::default()
        });
        let mut client = Client::to(&sandbox);
        let token = client.token();
        clock.advance(Duration::from_secs_f64(life - 0.1));
        assert_eq!(client.charge(&token).status, 200, "{expires_in}");
        clock.advance(Duration::from_millis(100));
        assert_eq!(client.charge(&token).status, 401, "{expires_in}");
    }
}

#[test]
fn a_new_token_leaves_the_old_one_alone_unless_switched() {
    let (sandbox, mut client, old) = world();
    client.token();
    assert_eq!(client.charge(&old).status, 200);

    sandbox.set(|switches| switches.new_token_voids_old = true);
    let new = client.token();
    assert_eq!(client.charge(&old).status, 401);
    assert_eq!(client.charge(&new).status, 200);
}

#[test]
fn revoked_tokens_are_unauthorized_and_new_ones_are_not() {
    let (sandbox, mut client, old) = world();
    sandbox.revoke_all();
    let answer = client.charge(&old);
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (401, Some("Token revoked"))
    );
    let new = client.token();
    assert_eq!(client.charge(&new).status, 200);
}

#[test]
fn an_unauthorized_call_does_nothing() {
    let (sandbox, mut client, token) = world();
    sandbox.revoke_all();
    client.charge(&token);
    assert!(sandbox.charges().is_empty());
}

#[test]
fn a_body_needs_the_json_content_type() {
    let (_sandbox, mut client, token) = world();
    for (content_type, status) in [
        ("", 400),
        ("Content-Type: text/plain\r\n", 400),
        ("Content-Type: application/x-www-form-urlencoded\r\n", 400),
        (
            "Content-Type: application/json\r\nContent-Type: application/json\r\n",
            400,
        ),
        ("Content-Type: application/json\r\n", 200),
        ("content-type: Application/JSON; charset=utf-8\r\n", 200),
    ] {
        for method in ["POST", "PUT", "PATCH"] {
            let headers = token.headers() + content_type;
            let answer = client.ask(request(method, ECHO, &headers, "{}"));
            assert_eq!(answer.status, status, "{method} {content_type}");
        }
    }
}

#[test]
fn echo_shows_the_request_and_no_secret() {
    let (_sandbox, mut client, token) = world();
    let headers =
        token.headers() + "X-Twice: 1\r\nx-twice: 2\r\nContent-Type: application/json\r\n";
    let answer = client.ask(request("PUT", "/api/echo?a=b%20c", &headers, "[1]"));
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(!text.contains(&token.access) && !text.contains(&token.session));
    let data = &answer.json()["data"];
    assert_eq!(data["method"], "PUT");
    assert_eq!(data["target"], "/api/echo?a=b%20c");
    assert_eq!(data["headers"]["x-twice"], "1, 2");
    assert_eq!(data["headers"]["authorization"], "…");
    assert_eq!(data["body"], "[1]");
}

#[test]
fn any_status_can_be_had_and_is_counted() {
    let (sandbox, mut client, token) = world();
    for status in [
        200, 201, 204, 302, 304, 400, 401, 403, 404, 422, 429, 500, 502, 503, 504, 599,
    ] {
        let answer = client.ask(call("GET", &format!("/api/status/{status}"), &token, ""));
        assert_eq!(answer.status, status);
        assert_eq!(sandbox.counters().calls_by_status.get(&status), Some(&1));
    }
    assert_eq!(
        client.ask(call("GET", "/api/status/99", &token, "")).status,
        400
    );
    assert_eq!(
        client.ask(call("GET", "/api/status/x", &token, "")).status,
        404
    );
}

#[test]
fn bytes_come_in_the_number_asked_for() {
    let (_sandbox, mut client, token) = world();
    for length in [0, 1, 70_000] {
        let answer = client.ask(call("GET", &format!("/api/bytes/{length}"), &token, ""));
        assert_eq!(answer.body.len(), length);
    }
    let answer = client.ask(call("GET", "/api/bytes/99999999999", &token, ""));
    assert_eq!(answer.status, 400);
}

#[test]
fn an_unknown_path_is_not_found_and_only_who_is_authenticated_learns_it() {
    let (_sandbox, mut client, token) = world();
    for path in [
        "/",
        "/api",
        "/api/transactions/charges/",
        "/API/echo",
        "/api/auth/token/",
    ] {
        let answer = client.ask(call("GET", path, &token, ""));
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["code"], 404);
    }
    assert_eq!(client.ask(request("GET", "/nowhere", "", "")).status, 401);
}

#[test]
fn the_log_tells_every_request_and_no_secret() {
    let (sandbox, mut client, token) = world();
    client.charge(&token);
    client.ask(request("GET", "/nowhere", "", ""));
    let log = sandbox.log();
    let seen: Vec<_> = log
        .iter()
        .map(|entry| {
            (
                entry.connection,
                entry.method.as_str(),
                entry.target.as_str(),
                entry.status,
            )
        })
        .collect();
    let expected = [
        (1, "POST", "/api/auth/token", Some(200)),
        (1, "POST", CHARGES, Some(200)),
        (1, "GET", "/nowhere", Some(401)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(log[0].key.as_deref(), Some("sk_test_…4816"));
    assert_eq!(log[1].key, log[0].key);
    assert_eq!(log[2].key, None);
    assert_eq!(log[1].body_length, CHARGE.len());
    assert_eq!(log[0].headers, ["Host", "x-api-key", "x-merchant-id"]);

    let all = serde_json::to_string(&log).unwrap() + &format!("{log:?}");
    for secret in [TEST_KEY, &token.access, &token.session] {
        for piece in secret.as_bytes().windows(12) {
            assert!(!all.contains(std::str::from_utf8(piece).unwrap()));
        }
    }
}

#[test]
fn a_configuration_shows_no_key_when_printed() {
    assert!(!format!("{:?}", Config::default()).contains(TEST_KEY));
}
