//! Promise 9: whatever is shown of a run, in any form, holds no piece of a key, a token or a session ID.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use pay88::ffi::prepare_token;
use pay88::{Config, ErrorCode, Events, Request, Token, TokenManager};
use pay88_sandbox::{Action, Fault, Match, TEST_KEY, TEST_MERCHANT};
use serde_json::json;

use crate::harness::{EACH_WAY, Harness, Way, block_on, charge};

const PIECE: usize = 12;

/// Forms in which a secret may be written: plain, URL-encoded, and base64 at each of the three alignments.
fn forms(secret: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let escaped: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
    let hexadecimal: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
    let mut forms = vec![secret.to_owned(), encoded, escaped, hexadecimal];
    for skip in 0..3 {
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&secret.as_bytes()[skip..]));
        }
    }
    forms
}

/// Every piece of 12 characters of every form.
fn pieces(secrets: &[String]) -> HashSet<Vec<u8>> {
    let forms = secrets.iter().flat_map(|secret| forms(secret));
    forms
        .flat_map(|form| {
            form.as_bytes()
                .windows(PIECE)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn assert_clean(shown: &[String], secrets: &[String]) {
    let pieces = pieces(secrets);
    for text in shown {
        for piece in text.as_bytes().windows(PIECE) {
            assert!(
                !pieces.contains(piece),
                "`{}` of a secret is in: {text}",
                String::from_utf8_lossy(piece)
            );
        }
    }
}

/// Prefixes that say what a secret is, and the shape that all tokens have in common, are none themselves.
fn heart(secret: &str) -> String {
    let secret = secret.strip_prefix("sk_test_sandbox_").unwrap_or(secret);
    secret.strip_prefix("sess_").unwrap_or(secret).to_owned()
}

#[test]
fn a_piece_of_a_secret_is_found_in_every_form() {
    let secret = "0192837465afbecdaabbccdd".to_owned();
    for form in forms(&secret) {
        let shown = vec![format!("before {} after", &form[1..form.len() - 1])];
        let found =
            std::panic::catch_unwind(|| assert_clean(&shown, std::slice::from_ref(&secret)));
        assert!(found.is_err(), "{form}");
    }
    assert_clean(&["sk_test_…ccdd".to_owned()], &[secret]);
}

#[test]
fn nothing_that_is_shown_of_a_run_holds_a_piece_of_a_secret() {
    const NEXT_KEY: &str = "sk_test_sandbox_b7e1c94d02fa6853";
    const WRONG_KEY: &str = "sk_test_sandbox_c3d2e1f0a9b87654";
    const PASSWORD: &str = "proxy-pass-7c6b5a4938271605";
    let events = Events::subscribe(100_000);
    let harness = Harness::new();
    harness.sandbox.add_key(&harness.merchant, NEXT_KEY);
    let mut shown: Vec<String> = Vec::new();
    let mut tokens: Vec<Token> = Vec::new();

    let config = harness.config(&[("previous_api_key", WRONG_KEY)]);
    shown.push(format!("{config:?} {config:#?}"));
    let manager = TokenManager::new(config).unwrap();
    let token = manager.get_token().unwrap();
    shown.push(format!("{manager:?} {token:?} {token:#?}"));
    tokens.push(token.clone());

    // Calls that succeed, are rejected, are cut and fail, with what a caller may have put into them by mistake.
    for way in EACH_WAY {
        let request = charge()
            .header("X-Copy", token.access_token())
            .param("copy", token.session_id());
        shown.push(format!("{request:?}"));
        let answer = way.call(&manager, request).unwrap();
        shown.push(format!("{answer:?}"));
        for action in [
            Action::status(401),
            Action::status(503),
            Action::Garbage,
            Action::CutInHead,
            Action::CutBeforeAnswer,
            Action::redirect(307, "https://evil.example/"),
        ] {
            harness.sandbox.fault(Fault::once(Match::Calls, action));
            match way.call(&manager, charge().timeout(Duration::from_secs(2))) {
                Ok(answer) => shown.push(format!(
                    "{answer:?} {:?}",
                    answer.clone().error_for_status()
                )),
                Err(error) => shown.push(format!("{error} {error:?} {error:#?}")),
            }
            tokens.extend(manager.peek_token().unwrap());
        }
        for request in [
            Request::get(format!("//{}", token.access_token())),
            Request::get("/x").header("Authorization", token.access_token()),
            Request::get("/x").header("x-api-key", TEST_KEY),
        ] {
            let error = way.call(&manager, request).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Refused);
            // The endpoint is the caller's own word, and is shown to find the mistake.
            if !error.message().contains("//") {
                shown.push(format!("{error} {error:?}"));
            }
        }
    }
    shown.push(format!(
        "{:?} {}",
        manager.stats(),
        manager.stats().to_json()
    ));

    // Keys that are replaced, rejected and fallen back from.
    manager.rotate(NEXT_KEY, true).unwrap();
    let _ = manager.invalidate();
    tokens.push(manager.get_token().unwrap());
    for action in [
        Action::status(401),
        Action::status(403),
        Action::status(429),
        Action::status(500),
        Action::Garbage,
        Action::CutInBody,
        Action::body(format!(
            "{{\"data\":{{\"access_token\":\"{}\"}}}}",
            token.access_token()
        )),
    ] {
        let other = Harness::new();
        other.sandbox.fault(Fault::times(2, Match::Token, action));
        let failing = other.manager();
        for error in [
            failing.get_token().unwrap_err(),
            block_on(failing.get_token_async()).unwrap_err(),
        ] {
            shown.push(format!("{error} {error:?} {error:#?}"));
        }
        shown.push(format!("{failing:?} {:?}", failing.stats()));
    }

    // Options that cannot be used, and keys where something else belongs.
    for (name, value) in [
        ("api_key", format!("{WRONG_KEY} {WRONG_KEY}")),
        ("merchant_id", WRONG_KEY.to_owned()),
        (
            "base_url",
            format!("https://{WRONG_KEY}:{PASSWORD}@pay.example"),
        ),
        (
            "proxy",
            format!("http://user:{PASSWORD}@proxy.example:port"),
        ),
        ("proxy", format!("socks5://user:{PASSWORD}@proxy.example")),
        ("timeout", WRONG_KEY.to_owned()),
        ("share", WRONG_KEY.to_owned()),
        ("user_agent_suffix", format!("{WRONG_KEY}\nx")),
    ] {
        // A proxy is looked at only where one may be used.
        let config = harness.config(&[("base_url", "https://pay.example"), (name, &value)]);
        shown.push(format!("{config:?}"));
        let error = TokenManager::new(config).expect_err(name);
        assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{name}: {error}");
        shown.push(format!("{error} {error:?}"));
    }
    let error = Config::without_environment()
        .with(WRONG_KEY, "x")
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    shown.push(format!("{error} {error:?}"));
    let proxied = Config::without_environment()
        .with("api_key", NEXT_KEY)
        .and_then(|c| c.with("merchant_id", TEST_MERCHANT))
        .and_then(|c| c.with("base_url", "https://pay.invalid"))
        .and_then(|c| c.with("share", "process"))
        .and_then(|c| c.with("proxy", &format!("http://user:{PASSWORD}@127.0.0.1:9")))
        .unwrap();
    shown.push(format!("{proxied:?}"));
    let proxied = TokenManager::new(proxied).unwrap();
    shown.push(format!(
        "{proxied:?} {:?}",
        proxied.get_token().unwrap_err()
    ));

    let told: Vec<_> = std::iter::from_fn(|| events.next(Duration::ZERO)).collect();
    assert!(told.len() > 20, "{} events", told.len());
    shown.extend(
        told.iter()
            .map(|event| format!("{event:?} {}", event.to_json())),
    );

    let mut secrets: Vec<String> = [TEST_KEY, NEXT_KEY, WRONG_KEY, PASSWORD].map(heart).into();
    for token in &tokens {
        // The head of a token is the same in all of them and says nothing.
        let parts = token.access_token().split('.').skip(1);
        secrets.extend(parts.map(str::to_owned));
        secrets.push(heart(token.session_id()));
    }
    assert_clean(&shown, &secrets);
}

#[test]
fn what_88pay_says_is_told_with_its_status_and_without_what_it_echoes() {
    for way in EACH_WAY {
        let harness = Harness::new();
        let manager = harness.manager();
        let refused = |status, message: String| Action::Answer {
            status,
            headers: Vec::new(),
            body: json!({"status": "Error", "code": status, "message": message}),
        };
        let token_of = |manager: &TokenManager| match way {
            Way::Blocking => manager.get_token(),
            Way::Asynchronous => {
                let (done, result) = std::sync::mpsc::channel();
                let end = move |result| done.send(result).unwrap();
                prepare_token(manager, None, end)?.start();
                result.recv().unwrap()
            }
            Way::Runtime => block_on(manager.get_token_async()),
        };
        let token = token_of(&manager).unwrap();
        let bearer = token.access_token();
        for (status, message, told, hint) in [
            (404, "Not found".to_owned(), "404: Not found.", "endpoint"),
            (
                405,
                "Method not allowed.".to_owned(),
                "405: Method not allowed.",
                "method",
            ),
            (
                403,
                format!("No: {bearer} {}\r\n", token.session_id()),
                "403: No: … ….",
                "dashboard",
            ),
        ] {
            harness
                .sandbox
                .fault(Fault::once(Match::Calls, refused(status, message)));
            let answer = way.call(&manager, Request::get("/api/echo")).unwrap();
            let error = answer.error_for_status().unwrap_err();
            assert!(error.message().ends_with(told), "{way:?}: {error}");
            assert!(error.hint().contains(hint), "{way:?}: {error}");
        }
        let other = harness.manager_with(&[("merchant_id", "MCH-COL-ECHO")]);
        let echo = refused(401, format!("Invalid API key {TEST_KEY} or merchant ID"));
        harness.sandbox.fault(Fault::once(Match::Token, echo));
        let error = token_of(&other).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CredentialsRejected);
        assert!(
            error
                .message()
                .ends_with("(401: Invalid API key … or merchant ID)."),
            "{error}"
        );
    }
}
