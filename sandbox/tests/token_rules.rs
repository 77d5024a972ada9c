//! The token endpoint refuses whatever a client must not send, and its answers are as documented.

mod client;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::*;
use pay88_sandbox::{Answer, Clock, Config, TEST_KEY, TEST_MERCHANT, TOKEN_PATH, VirtualClock};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

/// What an otherwise good token request gets with more headers, another body, target or method.
fn asked(method: &str, target: &str, more: &str, body: &str) -> Answer {
    let sandbox = plain(Config::default());
    let headers = key_headers(TEST_KEY, TEST_MERCHANT) + more;
    let answer = Client::to(&sandbox).ask(request(method, target, &headers, body));
    if answer.status != 200 {
        assert_eq!(sandbox.counters().tokens_issued, 0);
        assert_eq!(
            sandbox.counters().tokens_refused.get(&answer.status),
            Some(&1)
        );
        let body = answer.json();
        assert_eq!(body["status"], "Error");
        assert_eq!(body["code"], answer.status);
        assert!(body["message"].is_string());
    }
    answer
}

fn with_keys(headers: &str) -> Answer {
    let sandbox = plain(Config::default());
    Client::to(&sandbox).ask(request("POST", TOKEN_PATH, headers, ""))
}

#[test]
fn a_token_answer_has_the_documented_shape() {
    let answer = asked("POST", TOKEN_PATH, "", "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    let body = answer.json();
    assert_eq!(body["status"], "Success");
    assert_eq!(body["code"], 200);
    assert_eq!(body["message"], "Token generated successfully");
    assert_eq!(body["data"]["expires_in"], 60);

    let session = body["data"]["session_id"].as_str().unwrap();
    let uuid = session.strip_prefix("sess_").unwrap();
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(uuid.as_bytes()[14], b'4');
    assert!(b"89ab".contains(&uuid.as_bytes()[19]));
}

#[test]
fn a_token_is_a_jwt_that_the_published_key_verifies() {
    let clock = VirtualClock::default();
    let sandbox = plain(Config {
        clock: Clock::Virtual(clock),
        ..Config::default()
    });
    let token = Client::to(&sandbox).token();
    let (signed, signature) = token.access.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, sandbox.public_key());
    key.verify(signed.as_bytes(), &signature).unwrap();
    assert!(key.verify(b"something else", &signature).is_err());

    let part = |at: usize| -> Value {
        let part = signed.split('.').nth(at).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({"alg": "ES256", "typ": "JWT"}));
    let start = 1_767_225_600;
    assert_eq!(
        part(1),
        json!({"merchant_id": TEST_MERCHANT, "iat": start, "exp": start + 60})
    );
}

#[test]
fn every_token_and_session_is_a_new_one() {
    let sandbox = plain(Config::default());
    let mut client = Client::to(&sandbox);
    let (one, two) = (client.token(), client.token());
    assert_ne!(one.access, two.access);
    assert_ne!(one.session, two.session);
}

#[test]
fn a_body_on_the_token_request_is_refused() {
    assert_eq!(asked("POST", TOKEN_PATH, "", "{}").status, 400);
}

#[test]
fn a_chunked_body_on_the_token_request_is_refused_even_if_empty() {
    let more = "Transfer-Encoding: chunked\r\n";
    let sandbox = plain(Config::default());
    let headers = key_headers(TEST_KEY, TEST_MERCHANT) + more;
    let bytes = request("POST", TOKEN_PATH, &headers, "") + "0\r\n\r\n";
    assert_eq!(Client::to(&sandbox).ask(bytes).status, 400);
}

#[test]
fn a_content_length_of_zero_is_no_body() {
    assert_eq!(
        asked("POST", TOKEN_PATH, "Content-Length: 0\r\n", "").status,
        200
    );
}

#[test]
fn an_authorization_on_the_token_request_is_refused() {
    let more = "Authorization: Bearer x\r\n";
    assert_eq!(asked("POST", TOKEN_PATH, more, "").status, 400);
}

#[test]
fn a_session_id_on_the_token_request_is_refused() {
    assert_eq!(
        asked("POST", TOKEN_PATH, "x-session-id: sess_x\r\n", "").status,
        400
    );
}

#[test]
fn a_query_on_the_token_request_is_refused() {
    assert_eq!(asked("POST", "/api/auth/token?", "", "").status, 400);
    assert_eq!(asked("POST", "/api/auth/token?x=1", "", "").status, 400);
}

#[test]
fn a_key_or_merchant_sent_twice_is_refused() {
    let twice = format!("x-api-key: {TEST_KEY}\r\n");
    assert_eq!(asked("POST", TOKEN_PATH, &twice, "").status, 400);
    let twice = format!("X-Merchant-Id: {TEST_MERCHANT}\r\n");
    assert_eq!(asked("POST", TOKEN_PATH, &twice, "").status, 400);
}

#[test]
fn any_method_but_post_is_refused_at_the_token_endpoint() {
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = asked(method, TOKEN_PATH, "", "");
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("Allow"), Some("POST"));
    }
}

#[test]
fn unknown_missing_and_mismatched_credentials_get_the_documented_401() {
    let sandbox = plain(Config::default());
    sandbox.add_key("MCH-MEX-OTHER-1", "sk_test_sandbox_of_another_merchant");
    let mut client = Client::to(&sandbox);
    for headers in [
        key_headers("sk_test_sandbox_wrong_wrong_wrong", TEST_MERCHANT),
        key_headers(TEST_KEY, "MCH-COL-OTHER-1"),
        key_headers(TEST_KEY, "MCH-MEX-OTHER-1"),
        key_headers("sk_test_sandbox_of_another_merchant", TEST_MERCHANT),
        format!("x-api-key: {TEST_KEY}\r\n"),
        format!("x-merchant-id: {TEST_MERCHANT}\r\n"),
        String::new(),
    ] {
        let answer = client.ask(request("POST", TOKEN_PATH, &headers, ""));
        assert_eq!(answer.status, 401, "{headers}");
        let expected =
            json!({"status": "Error", "code": 401, "message": "Invalid API key or merchant ID"});
        assert_eq!(answer.json(), expected);
    }
    assert_eq!(sandbox.counters().tokens_refused.get(&401), Some(&7));
    assert_eq!(sandbox.counters().unauthorized, 0, "that counts calls only");
}

#[test]
fn credentials_that_are_no_text_are_refused_like_wrong_ones() {
    let sandbox = plain(Config::default());
    let mut bytes = b"POST /api/auth/token HTTP/1.1\r\nHost: x\r\nx-api-key: ".to_vec();
    bytes.extend(b"\xff\xfe\r\nx-merchant-id: \x80\r\n\r\n");
    assert_eq!(Client::to(&sandbox).ask(bytes).status, 401);
}

#[test]
fn a_suspended_merchant_gets_the_documented_403_until_it_is_let_in_again() {
    let sandbox = plain(Config::default());
    assert!(sandbox.suspend(TEST_MERCHANT, true));
    assert!(!sandbox.suspend("MCH-COL-NOBODY-1", true));
    let mut client = Client::to(&sandbox);
    let answer = client.ask(token_request());
    assert_eq!(answer.status, 403);
    let expected = json!({"status": "Error", "code": 403, "message": "Access denied"});
    assert_eq!(answer.json(), expected);
    sandbox.suspend(TEST_MERCHANT, false);
    client.token();
}

#[test]
fn a_key_can_be_rotated_with_both_good_in_between() {
    let sandbox = plain(Config::default());
    let new = "sk_test_sandbox_new_0123456789abcdef";
    let mut client = Client::to(&sandbox);
    let with_new = request("POST", TOKEN_PATH, &key_headers(new, TEST_MERCHANT), "");
    assert_eq!(client.ask(&with_new).status, 401);
    sandbox.add_key(TEST_MERCHANT, new);
    assert_eq!(client.ask(&with_new).status, 200);
    let old = client.token();
    sandbox.remove_key(TEST_KEY);
    assert_eq!(client.ask(token_request()).status, 401);
    assert_eq!(client.ask(&with_new).status, 200);
    assert_eq!(client.charge(&old).status, 200, "issued tokens live on");
}

#[test]
fn expires_in_is_told_as_switched_whatever_its_type() {
    let sandbox = plain(unlimited());
    let mut client = Client::to(&sandbox);
    for value in [
        json!(0),
        json!(59.5),
        json!("60"),
        json!(1e18),
        json!([1]),
        json!(-5),
    ] {
        sandbox.set(|switches| switches.expires_in = value.clone());
        let answer = client.ask(token_request());
        assert_eq!(answer.json()["data"]["expires_in"], value);
    }
    sandbox.set(|switches| switches.expires_in = Value::Null);
    let answer = client.ask(token_request());
    assert!(
        !answer.json()["data"]
            .as_object()
            .unwrap()
            .contains_key("expires_in")
    );
}

#[test]
fn every_answer_is_dated_and_says_where_the_limit_stands() {
    for (answer, remaining) in [
        (asked("POST", TOKEN_PATH, "", ""), "9"),
        (asked("POST", TOKEN_PATH, "", "{}"), "9"),
        (asked("GET", TOKEN_PATH, "", ""), "9"),
        (with_keys(""), "10"),
    ] {
        assert!(httpdate::parse_http_date(answer.header("Date").unwrap()).is_ok());
        assert_eq!(answer.header("X-RateLimit-Limit"), Some("10"));
        assert_eq!(answer.header("X-RateLimit-Remaining"), Some(remaining));
        let reset: u64 = answer.header("X-RateLimit-Reset").unwrap().parse().unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!((now + 50..=now + 61).contains(&reset), "{reset} at {now}");
    }
}
