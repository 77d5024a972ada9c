//! Makes one charge with the credentials of the environment and prints its status and reference.
//!
//! `pay88 sandbox --exec -- cargo run --example charge`

use pay88::{Config, Request, TokenManager};
use serde_json::json;

fn main() -> Result<(), pay88::Error> {
    let manager = TokenManager::new(Config::new())?;
    let charge = Request::post("/api/transactions/charges").json(&json!({
        "flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"
    }));
    let answer = manager.make_request(charge)?.error_for_status()?;
    let reference = &answer.json()?["data"]["reference"];
    println!(
        "{} {}",
        answer.status(),
        reference.as_str().unwrap_or("without a reference")
    );
    Ok(())
}
