//! Checks a token and a call with it: what 88Pay answers, and whether that has the documented shape.
//!
//! The library does not look inside tokens and session IDs, so an unusual shape is a warning and not a failure.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pay88::{Request, Response, Token, TokenManager, mask};
use serde_json::Value;

use super::report::{Check, Report};
use crate::output::Result;

/// The life of every token as documented, in seconds.
const EXPIRES_IN: u64 = 60;

const OPAQUE: &str = "pay88 does not depend on it, but programs that look inside the token do. Ask support@88pay.io if it stays so.";

/// Without a manager nothing can be asked.
pub(super) fn examine(report: &mut Report, manager: Option<&TokenManager>) -> Result<()> {
    let begun = Instant::now();
    let token = match manager.map(TokenManager::get_token) {
        None => {
            report.add(Check::skipped("token", "all checks before it"))?;
            None
        }
        Some(Err(error)) => {
            report.add(Check::error("token", &error))?;
            None
        }
        Some(Ok(token)) => {
            let asked = manager.is_some_and(|manager| manager.stats().tokens_issued > 0);
            let detail = match asked {
                true => format!("granted in {} ms", begun.elapsed().as_millis()),
                false => "shared: it was there already, and cost none".to_owned(),
            };
            report.add(Check::passed("token", detail))?;
            Some(token)
        }
    };
    let (Some(manager), Some(token)) = (manager, token) else {
        for name in ["jwt", "session_id", "expires_in", "cache", "call"] {
            report.add(Check::skipped(name, "a token"))?;
        }
        return Ok(());
    };
    report.add(jwt(&token))?;
    report.add(session_id(token.session_id()))?;
    report.add(expires_in(&token))?;
    report.add(cache(manager, &token))?;
    report.add(call(manager))
}

/// Three parts, signed with ES256, and a life from `iat` to `exp` that equals `expires_in`.
fn jwt(token: &Token) -> Check {
    let unusual = |why: &str| Check::warning("jwt", why, OPAQUE);
    let parts: Vec<&str> = token.access_token().split('.').collect();
    let [header, claims, _signature] = parts.as_slice() else {
        return unusual("the access token is no JWT: it does not have three parts");
    };
    let read = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let (Some(header), Some(claims)) = (read(header), read(claims)) else {
        return unusual("the access token is no JWT: its parts are not JSON in base64url");
    };
    if header["alg"] != "ES256" {
        return unusual("the access token is a JWT, but not signed with ES256");
    }
    match (claims["iat"].as_u64(), claims["exp"].as_u64()) {
        (Some(iat), Some(exp)) if exp.checked_sub(iat) == Some(token.expires_in()) => {
            Check::passed(
                "jwt",
                format!(
                    "three parts, ES256, {} s from iat to exp",
                    token.expires_in()
                ),
            )
        }
        (Some(_), Some(_)) => unusual("the time from iat to exp is not expires_in"),
        _ => unusual("the access token is a JWT without iat and exp"),
    }
}

/// `sess_` and a UUID.
fn session_id(session_id: &str) -> Check {
    let shape = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && parts
                .iter()
                .all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    if session_id.strip_prefix("sess_").is_some_and(shape) {
        return Check::passed(
            "session_id",
            format!("{}, sess_ and a UUID", mask(session_id)),
        );
    }
    Check::warning("session_id", "it is not sess_ and a UUID", OPAQUE)
}

fn expires_in(token: &Token) -> Check {
    let (told, usable) = (token.expires_in(), token.valid_for().as_secs());
    if told == EXPIRES_IN {
        return Check::passed("expires_in", format!("{told} s, used for {usable} s more"));
    }
    Check::warning(
        "expires_in",
        format!("{told} s, where {EXPIRES_IN} s are documented; used for {usable} s more"),
        "pay88 uses the time that 88Pay gives. Programs that assume 60 s would not.",
    )
}

/// The second token is the first one.
fn cache(manager: &TokenManager, first: &Token) -> Check {
    match manager.get_token() {
        Ok(second) if second.same_as(first) => Check::passed(
            "cache",
            "the second token is the first one, without a request",
        ),
        Ok(_) => Check::failed(
            "cache",
            "the second token is another one",
            "Look at the option safety_margin: it leaves nothing of the token's life.",
        ),
        Err(error) => Check::error("cache", &error),
    }
}

/// A call that only reads, sent once whatever becomes of it.
fn call(manager: &TokenManager) -> Check {
    let balance = Request::post("/api/balance").param("id", manager.merchant_id());
    let begun = Instant::now();
    match manager.make_request(balance.once()) {
        Ok(answer) if answer.ok() => Check::passed(
            "call",
            format!(
                "POST /api/balance was answered {} in {} ms",
                answer.status(),
                begun.elapsed().as_millis()
            ),
        ),
        Ok(answer) => refused(answer),
        Err(error) => Check::error("call", &error),
    }
}

fn refused(answer: Response) -> Check {
    let advice = match answer.status() {
        300..=399 => {
            "88Pay does not redirect: check base_url, and that no proxy answers in its place."
        }
        401 => {
            "The token was granted just now. Check that base_url serves tokens and calls of one environment, and that no proxy removes the headers Authorization and x-session-id."
        }
        403 => {
            "Check in the dashboard that the account is verified and may see the balance, and that this server's address is on the allow-list."
        }
        404 => "Check that base_url has no path behind the host, and is 88Pay's.",
        429 => {
            "60 calls a minute and 1,000 an hour are granted: look for other programs that use the same account."
        }
        500.. => "88Pay has a temporary fault; try again later.",
        _ => "Check that the merchant ID belongs to the API key.",
    };
    let detail = match answer.clone().error_for_status() {
        Err(error) => error.message().to_owned(),
        Ok(answer) => format!("88Pay answered with status {}.", answer.status()),
    };
    Check::failed("call", format!("POST /api/balance: {detail}"), advice)
}
