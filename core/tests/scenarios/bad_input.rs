//! Promise 8 and bad input: what is wrong is said with what to do, and nothing is ever sent for it.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pay88::{Config, Error, ErrorCode, Outcome, Request, TokenManager};
use pay88_sandbox::{Action, Fault, Match, TEST_KEY, TEST_MERCHANT};

use crate::harness::{EACH_WAY, Harness, Way};

/// A second server, which must see nothing.
struct Bystander {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Bystander {
    fn new() -> Bystander {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        thread::spawn(move || {
            for _ in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Bystander { port, seen }
    }

    fn assert_saw_nothing(&self) {
        // Whatever was under way has arrived by then.
        thread::sleep(Duration::from_millis(100));
        assert_eq!(self.seen.load(Ordering::SeqCst), 0);
    }
}

fn assert_told(error: &Error, code: ErrorCode, what: &str) {
    assert_eq!(error.code(), code, "{what:?}: {error}");
    assert!(
        error.message().len() > 10 && error.hint().len() > 10,
        "{what:?}: {error}"
    );
    assert_eq!(error.outcome(), Outcome::NotSent, "{what:?}");
    assert!(!error.retryable(), "{what:?}");
}

#[test]
fn a_dangerous_endpoint_is_refused_and_no_server_sees_anything() {
    let other = Bystander::new();
    let evil = format!("127.0.0.1:{}", other.port);
    let harness = Harness::new();
    let manager = harness.manager();
    let mut endpoints: Vec<String> = [
        "//{}",
        "//{}/api/x",
        "///{}/x",
        "////{}",
        "/\\{}",
        "\\\\{}",
        "\\/{}",
        "/\\/{}",
        "@{}",
        "@{}/api/x",
        ":@{}",
        ":x@{}/",
        ".{}",
        "https://{}/",
        "http://{}/api",
        "HTTP://{}",
        "hTTps://{}",
        "https:{}",
        "https:/{}",
        "https:\\\\{}",
        "://{}",
        " //{}",
        "\t//{}",
        "\n//{}",
        "/\t/{}",
        "/\r/{}",
        "/x\r\nHost: {}",
        "/x HTTP/1.1\r\nHost: {}\r\n\r\n",
        "/x#@{}",
        "#@{}",
        "?@{}",
        "ws://{}",
        "ftp://{}",
        "//user@{}/",
        "//user:pass@{}/",
        "/.//{}",
        "/..//{}",
        "/%2e%2e//{}",
        "/%2f/{}",
        "/%5c{}",
        "/x/%2f%2f{}",
        "/\u{ff0f}{}",
        "/\u{2215}{}",
        "\u{ff0f}\u{ff0f}{}",
        "/%00{}",
        "/%0d%0aHost:%20{}",
    ]
    .iter()
    .map(|form| form.replace("{}", &evil))
    .collect();
    assert!(endpoints.len() >= 40);
    endpoints.extend(
        [
            "",
            "api/x",
            "/..",
            "/a/../b",
            "/./x",
            "/a//b",
            "/a/%2e%2e/b",
            "/a%zz",
            "/a b",
            "/caf\u{e9}",
            "/a\0b",
            "/api/auth/token",
            "/api/auth/token/",
            "/API/AUTH/TOKEN",
            "/api/auth/%74oken",
            "/api/auth/token?x",
            "/api/auth/token;x",
            "/api/./auth/token",
            "/api/auth/%2574oken",
        ]
        .map(str::to_owned),
    );
    endpoints.push(format!("/{}", "a".repeat(9000)));
    for endpoint in &endpoints {
        for way in EACH_WAY {
            for request in [
                Request::get(endpoint.as_str()),
                Request::post(endpoint.as_str()).body("{}"),
            ] {
                let error = way.call(&manager, request).unwrap_err();
                assert_told(&error, ErrorCode::Refused, endpoint);
            }
        }
    }
    other.assert_saw_nothing();
    let counters = harness.sandbox.counters();
    assert_eq!(
        (
            counters.calls,
            counters.tokens_requested,
            counters.malformed
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_header_of_the_credential_or_the_connection_is_refused_and_nothing_is_sent() {
    let harness = Harness::new();
    let manager = harness.manager();
    for (name, value) in [
        ("Authorization", "Bearer x"),
        ("AUTHORIZATION", ""),
        ("authorization", "Basic eDp5"),
        ("x-session-id", "s"),
        ("X-Session-Id", "s"),
        ("x_session_id", "s"),
        ("x-api-key", "k"),
        ("X-API-KEY", "k"),
        ("x-merchant-id", "m"),
        ("Host", "evil.example"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Keep-Alive", "5"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "close"),
        ("proxy-anything", "x"),
        ("", "x"),
        (" ", "x"),
        ("x y", "x"),
        (" Authorization", "x"),
        ("Authorization ", "x"),
        ("Authorization:", "x"),
        ("x\r\ny", "x"),
        ("x\0", "x"),
        ("\u{fc}", "x"),
        ("x-ok", "a\r\nAuthorization: Bearer x"),
        ("x-ok", "a\nb"),
        ("x-ok", "a\rb"),
        ("x-ok", "a\0b"),
        ("x-ok", "\u{7f}"),
    ] {
        for way in EACH_WAY {
            let request = Request::get("/api/echo").header(name, value);
            let error = way.call(&manager, request).expect_err(name);
            assert_told(&error, ErrorCode::Refused, name);
        }
    }
    let many = (0..101).fold(Request::get("/api/echo"), |r, i| {
        r.header(format!("x-{i}"), "v")
    });
    assert_told(
        &manager.make_request(many).unwrap_err(),
        ErrorCode::Refused,
        "many",
    );
    assert_eq!(
        harness.tokens_requested() + harness.sandbox.counters().calls,
        0
    );
}

#[test]
fn headers_parameters_and_any_method_of_the_caller_arrive() {
    let harness = Harness::new();
    let manager = harness.manager();
    for way in EACH_WAY {
        let request = Request::new("patch", "/api/echo?a=1")
            .param("b c", "d&e=\u{e9}")
            .header("X-Request-Id", " 7 ")
            .header("User-Agent", "shop/1")
            .json(&serde_json::json!({"x": 1}));
        let answer = way.call(&manager, request).unwrap();
        let data = &answer.json().unwrap()["data"];
        assert_eq!(data["method"], "PATCH");
        assert_eq!(data["target"], "/api/echo?a=1&b+c=d%26e%3D%C3%A9");
        assert_eq!(data["headers"]["x-request-id"], "7");
        assert_eq!(data["headers"]["user-agent"], "shop/1");
        assert_eq!(data["headers"]["content-type"], "application/json");
        assert_eq!(data["body"], r#"{"x":1}"#);
    }
}

#[test]
fn a_method_or_a_timeout_that_cannot_be_used_is_invalid_and_nothing_is_sent() {
    let harness = Harness::new();
    let manager = harness.manager();
    for way in EACH_WAY {
        for method in [
            "",
            " ",
            "CONNECT",
            "trace",
            "GET /x HTTP/1.1\r\n",
            "G\u{c9}T",
            &"X".repeat(33),
        ] {
            let error = way
                .call(&manager, Request::new(method, "/api/echo"))
                .unwrap_err();
            assert_told(&error, ErrorCode::ConfigInvalid, method);
        }
        for timeout in [Duration::ZERO, Duration::from_secs(3601), Duration::MAX] {
            let request = Request::get("/api/echo").timeout(timeout);
            let error = way.call(&manager, request).unwrap_err();
            assert_told(&error, ErrorCode::ConfigInvalid, "timeout");
        }
    }
    assert_eq!(
        harness.tokens_requested() + harness.sandbox.counters().calls,
        0
    );
}

fn refused(base_url: &str, api_key: Option<&str>, merchant_id: Option<&str>) -> Error {
    let mut config = Config::without_environment()
        .with("base_url", base_url)
        .unwrap();
    for (name, value) in [("api_key", api_key), ("merchant_id", merchant_id)] {
        if let Some(value) = value {
            config.set(name, value).unwrap();
        }
    }
    TokenManager::new(config).unwrap_err()
}

#[test]
fn credentials_that_cannot_be_right_are_told_without_being_shown() {
    let base = "https://pay.example";
    let live = "sk_live_a1b2c3d4e5f6g7h8";
    for (base, key, merchant, word) in [
        (base, None, Some(TEST_MERCHANT), "EIGHTY_EIGHT_PAY_API_KEY"),
        (
            base,
            Some(""),
            Some(TEST_MERCHANT),
            "EIGHTY_EIGHT_PAY_API_KEY",
        ),
        (
            base,
            Some(" \t\n"),
            Some(TEST_MERCHANT),
            "EIGHTY_EIGHT_PAY_API_KEY",
        ),
        (base, Some(TEST_KEY), None, "EIGHTY_EIGHT_PAY_MERCHANT_ID"),
        (
            base,
            Some(TEST_KEY),
            Some(""),
            "EIGHTY_EIGHT_PAY_MERCHANT_ID",
        ),
        (
            base,
            Some(TEST_KEY),
            Some("\u{a0}"),
            "EIGHTY_EIGHT_PAY_MERCHANT_ID",
        ),
        (
            base,
            Some("pk_test_a1b2c3d4e5f6g7h8"),
            Some(TEST_MERCHANT),
            "api_key",
        ),
        (base, Some(TEST_MERCHANT), Some(TEST_KEY), "api_key"),
        (base, Some("sk_test_"), Some(TEST_MERCHANT), "api_key"),
        (
            base,
            Some("sk_test_a1b2c3d4 e5f6g7h8"),
            Some(TEST_MERCHANT),
            "api_key",
        ),
        (
            base,
            Some("sk_test_a1b2c3d4\r\nx: y"),
            Some(TEST_MERCHANT),
            "api_key",
        ),
        (base, Some(TEST_KEY), Some("COL-29ZTP4"), "merchant_id"),
        (base, Some(TEST_KEY), Some("MCH-COL"), "merchant_id"),
        (base, Some(TEST_KEY), Some("MCH-COL-\r\nx"), "merchant_id"),
        (base, Some(TEST_KEY), Some(TEST_KEY), "merchant_id"),
        (
            "https://api-sandbox.88pay.io",
            Some(live),
            Some(TEST_MERCHANT),
            "sandbox",
        ),
        (
            "https://api.88pay.io",
            Some(TEST_KEY),
            Some(TEST_MERCHANT),
            "production",
        ),
        (
            "https://API.88PAY.IO:443/",
            Some(TEST_KEY),
            Some(TEST_MERCHANT),
            "production",
        ),
        (
            "http://127.0.0.1:9",
            Some(live),
            Some(TEST_MERCHANT),
            "https",
        ),
        (
            "http://localhost:9",
            Some(live),
            Some(TEST_MERCHANT),
            "https",
        ),
        ("http://[::1]:9", Some(live), Some(TEST_MERCHANT), "https"),
    ] {
        let error = refused(base, key, merchant);
        assert_told(&error, ErrorCode::ConfigInvalid, word);
        let text = format!("{error} {error:?}");
        assert!(text.contains(word), "{word}: {error}");
        for secret in [TEST_KEY, live, "a1b2c3d4"] {
            assert!(!text.contains(secret), "{error}");
        }
    }
}

#[test]
fn a_base_url_that_cannot_be_trusted_is_invalid() {
    for base in [
        "",
        " ",
        "api.88pay.io",
        "//api.88pay.io",
        "ftp://api.88pay.io",
        "http://api.88pay.io",
        "http://pay.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "https://user@pay.example",
        "https://user:pass@pay.example",
        "https://pay.example?x=1",
        "https://pay.example/#x",
        "https:pay.example",
        "https:/pay.example",
        "https://",
        "https:///x",
        "https://pay.example\\@evil.example",
        "https://pay exa.mple",
        "https://pay.example/a/../b",
        "https://pay.example/%2e%2e",
        "https://pay.example:0",
        "https://pay.example:99999",
        "file:///etc/passwd",
        "https://pay.example\r\nHost: evil.example",
    ] {
        let error = refused(base, Some(TEST_KEY), Some(TEST_MERCHANT));
        assert_told(&error, ErrorCode::ConfigInvalid, base);
    }
}

#[test]
fn stray_white_space_around_credentials_and_address_does_no_harm() {
    let harness = Harness::new();
    let spaced = |text: &str| format!(" \t{text}\r\n");
    let manager = harness.manager_with(&[
        ("api_key", &spaced(TEST_KEY)),
        ("merchant_id", &spaced(&harness.merchant)),
        (
            "base_url",
            &spaced(&format!("{}/", harness.sandbox.base_url())),
        ),
    ]);
    manager.get_token().unwrap();
    assert_eq!(manager.id(), harness.manager().id());
}

#[test]
fn another_host_takes_keys_of_either_environment() {
    for key in ["sk_live_a1b2c3d4e5f6g7h8", TEST_KEY] {
        let mut config = Config::without_environment();
        config.set("base_url", "https://pay.example").unwrap();
        config.set("api_key", key).unwrap();
        config.set("merchant_id", TEST_MERCHANT).unwrap();
        TokenManager::new(config).unwrap();
    }
}

#[test]
fn a_redirect_of_a_call_is_an_answer_and_its_target_sees_nothing() {
    let other = Bystander::new();
    let target = format!("http://127.0.0.1:{}/x", other.port);
    let harness = Harness::new();
    let manager = harness.manager();
    for way in EACH_WAY {
        for status in [301, 302, 303, 307, 308] {
            harness
                .sandbox
                .fault(Fault::once(Match::Calls, Action::redirect(status, &target)));
            let answer = way.call(&manager, Request::post("/api/echo")).unwrap();
            assert_eq!(answer.status(), status);
            assert_eq!(answer.header("Location"), Some(target.as_bytes()));
        }
    }
    other.assert_saw_nothing();
}

#[test]
fn a_redirect_of_the_token_request_is_a_bad_response_and_its_target_sees_nothing() {
    let other = Bystander::new();
    let target = format!("http://127.0.0.1:{}/x", other.port);
    for status in [301, 302, 303, 307, 308] {
        let harness = Harness::new();
        harness
            .sandbox
            .fault(Fault::once(Match::Token, Action::redirect(status, &target)));
        let error = Way::Blocking
            .call(&harness.manager(), Request::get("/api/echo"))
            .unwrap_err();
        assert_eq!(
            (error.code(), error.http_status()),
            (ErrorCode::BadResponse, Some(status))
        );
        assert_eq!(harness.sandbox.counters().calls, 0);
    }
    other.assert_saw_nothing();
}
