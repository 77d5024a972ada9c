//! Carries out authenticated calls: charges, balance, and three helper paths for tests (`/api/echo`,
//! `/api/status/<n>`, `/api/bytes/<n>`). The caller is known before; nothing here looks at tokens.

use serde_json::{Map, Value, json};

use crate::charges::{Charge, validated};
use crate::message::{Answer, Request, percent_decoded};
use crate::service::State;
use crate::tokens::Signer;

const CHARGES: &str = "/api/transactions/charges";
const BALANCE: &str = "/api/balance";
/// The most bytes that `/api/bytes/<n>` gives.
const MAX_BYTES: usize = 64 << 20;

/// The limit that calls to this path count against.
pub(crate) fn bucket(path: &str) -> &'static str {
    if path == BALANCE {
        "balance"
    } else {
        "transactions"
    }
}

/// Carries out a call of an authenticated merchant.
pub(crate) fn carry_out(
    state: &mut State,
    signer: &Signer,
    merchant: &str,
    request: &Request,
) -> Result<Answer, Answer> {
    let takes_json = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    if takes_json && !request.body.is_empty() && !is_json(request)? {
        return Err(Answer::error(
            400,
            "Content-Type application/json is required",
        ));
    }
    match request.path() {
        CHARGES => charge(state, signer, merchant, request),
        BALANCE => balance(state, merchant, request),
        "/api/echo" => Ok(echo(request)),
        path => {
            if let Some(status) = number_after(path, "/api/status/") {
                status_asked(status)
            } else if let Some(length) = number_after(path, "/api/bytes/") {
                bytes_asked(length)
            } else {
                Err(Answer::error(404, "Not found"))
            }
        }
    }
}

fn charge(
    state: &mut State,
    signer: &Signer,
    merchant: &str,
    request: &Request,
) -> Result<Answer, Answer> {
    only_post(request)?;
    let body = validated(&request.body)?;
    let reference = signer
        .uuid()
        .map_err(|_| Answer::error(500, "No randomness to be had"))?;
    let data = json!({
        "reference": reference,
        "amount": body["amount"],
        "currency": body["currency"],
    });
    state.charges.add(Charge {
        reference,
        merchant: merchant.to_owned(),
        body,
    });
    state.count(Some(merchant), |counters| counters.charges_created += 1);
    Ok(Answer::success("Transaction created successfully", data))
}

fn balance(state: &State, merchant: &str, request: &Request) -> Result<Answer, Answer> {
    only_post(request)?;
    if !request.body.is_empty() {
        return Err(Answer::error(400, "No body is allowed on this request"));
    }
    let pairs = request.query().unwrap_or_default().split('&');
    let mut ids = pairs.filter_map(|pair| pair.strip_prefix("id="));
    let id = match (ids.next(), ids.next()) {
        (Some(id), None) => percent_decoded(id),
        _ => return Err(Answer::error(400, "Query id must be sent once")),
    };
    if id != merchant.as_bytes() {
        return Err(Answer::error(403, "Access denied"));
    }
    let total = state.charges.total(merchant);
    let data = json!({
        "merchant_id": merchant,
        "total_payin": format!("{total:.2}"),
        "total_payout": "0.00",
        "net_balance": total,
    });
    Ok(Answer::success("Balance retrieved successfully", data))
}

/// The request as it arrived, with secrets masked.
fn echo(request: &Request) -> Answer {
    let mut headers = Map::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        let shown = match name.as_str() {
            "authorization" | "x-session-id" => "…".into(),
            _ => String::from_utf8_lossy(value),
        };
        match headers.get_mut(&name) {
            Some(Value::String(have)) => *have = format!("{have}, {shown}"),
            _ => {
                headers.insert(name, shown.into());
            }
        }
    }
    let data = json!({
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body": String::from_utf8_lossy(&request.body),
    });
    Answer::success("Echo", data)
}

fn status_asked(status: usize) -> Result<Answer, Answer> {
    match u16::try_from(status) {
        Ok(status @ 200..=299) => Ok(Answer::with_json(
            status,
            &json!({"status": "Success", "code": status, "message": "As asked", "data": {}}),
        )),
        Ok(status @ 300..=599) => Err(Answer::error(status, "As asked")),
        _ => Err(Answer::error(400, "Status must be 200 to 599")),
    }
}

fn bytes_asked(length: usize) -> Result<Answer, Answer> {
    if length > MAX_BYTES {
        return Err(Answer::error(400, "That many bytes are not given"));
    }
    Ok(Answer {
        status: 200,
        headers: vec![("Content-Type".into(), "application/octet-stream".into())],
        body: vec![b'x'; length],
    })
}

fn only_post(request: &Request) -> Result<(), Answer> {
    match request.method.as_str() {
        "POST" => Ok(()),
        _ => Err(Answer::error(405, "Method not allowed").and_header("Allow", "POST")),
    }
}

fn is_json(request: &Request) -> Result<bool, Answer> {
    let media_type = request.header_once("content-type")?.unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    Ok(essence.eq_ignore_ascii_case("application/json"))
}

fn number_after(path: &str, prefix: &str) -> Option<usize> {
    path.strip_prefix(prefix)?.parse().ok()
}
