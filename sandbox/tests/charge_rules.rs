//! Charges and balance: the documented fields, and what they may hold.

#![allow(clippy::unwrap_used, reason = "test code")]

mod client;

use client::*;
use pay88_sandbox::{Answer, MAX_AMOUNT, TEST_MERCHANT};
use serde_json::{Value, json};

impl World {
    fn post(&mut self, body: &str) -> Answer {
        self.client.ask(call("POST", CHARGES, &self.token, body))
    }

    /// The status of the minimal charge with one field set (or, with null, left out).
    fn with(&mut self, field: &str, value: Value) -> u16 {
        let mut body: Value = serde_json::from_str(CHARGE).unwrap();
        let fields = body.as_object_mut().unwrap();
        match value {
            Value::Null => fields.remove(field),
            value => fields.insert(field.into(), value),
        };
        let before = self.sandbox.counters().charges_created;
        let answer = self.post(&body.to_string());
        let created = self.sandbox.counters().charges_created - before;
        assert_eq!(created, u64::from(answer.status == 200), "{body}");
        answer.status
    }
}

#[test]
fn the_documented_minimum_is_a_charge() {
    let mut world = World::new();
    let answer = world.post(CHARGE);
    assert_eq!(answer.status, 200);
    let reference = answer.json()["data"]["reference"].clone();
    let charges = world.sandbox.charges();
    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0]["reference"], reference);
    assert_eq!(charges[0]["merchant_id"], TEST_MERCHANT);
    assert_eq!(
        charges[0]["body"],
        serde_json::from_str::<Value>(CHARGE).unwrap()
    );
}

#[test]
fn a_repeated_charge_is_charged_again_and_told_as_the_same_body() {
    let mut world = World::new();
    world.post(CHARGE);
    world.post(&CHARGE.replace("50000", "50001"));
    world.post(CHARGE);
    let same: Vec<Value> = world
        .sandbox
        .charges()
        .iter()
        .map(|charge| charge["same_body"].clone())
        .collect();
    assert_eq!(same, [json!(2), json!(1), json!(2)]);
}

#[test]
fn a_required_field_that_is_missing_is_refused() {
    let mut world = World::new();
    for field in ["flow", "method_code", "amount", "currency", "country"] {
        assert_eq!(world.with(field, Value::Null), 400, "{field}");
    }
}

#[test]
fn a_field_of_the_wrong_kind_is_refused() {
    let mut world = World::new();
    for (field, value) in [
        ("flow", json!("PAYOUT")),
        ("flow", json!(1)),
        ("method_code", json!("CHEQUE")),
        ("method_category", json!("CHEQUE")),
        ("method_category", json!(1)),
        ("amount", json!("50000")),
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("amount", json!(true)),
        ("currency", json!("cop")),
        ("currency", json!("PESO")),
        ("country", json!("CO")),
        ("country", json!(57)),
        ("description", json!("x".repeat(256))),
        ("description", json!(1)),
        ("customer_id", json!("")),
        ("customer_id", json!(17)),
        ("notification_url", json!("http://shop.example/hook")),
        ("notification_url", json!("https://")),
        ("notification_url", json!("https://shop.example/a b")),
        ("return_url", json!("shop.example")),
    ] {
        assert_eq!(world.with(field, value.clone()), 400, "{field} {value}");
    }
}

#[test]
fn every_documented_field_is_accepted() {
    let mut world = World::new();
    for (field, value) in [
        ("method_code", json!("NEQUI")),
        ("method_category", json!("WALLET")),
        ("amount", json!(0.01)),
        ("amount", json!(MAX_AMOUNT)),
        ("currency", json!("USD")),
        ("description", json!("ñ".repeat(255))),
        ("customer_id", json!("c-1")),
        ("notification_url", json!("https://shop.example/hook?x=1")),
        ("return_url", json!("https://shop.example/back")),
        ("something_else", json!({"kept": true})),
    ] {
        assert_eq!(world.with(field, value.clone()), 200, "{field} {value}");
    }
}

#[test]
fn what_no_business_rule_allows_is_422() {
    let mut world = World::new();
    assert_eq!(world.with("amount", json!(MAX_AMOUNT + 1.0)), 422);
    assert_eq!(world.with("currency", json!("MXN")), 422);
    assert_eq!(world.with("country", json!("MEX")), 422);
}

#[test]
fn what_is_no_json_object_is_refused_and_harms_nobody() {
    let mut world = World::new();
    let deep = "[".repeat(1_000_000);
    for body in [
        "{",
        "[]",
        "null",
        "\"x\"",
        "{}x",
        "\u{0}",
        deep.as_str(),
        r#"{"amount":1e999}"#,
    ] {
        assert_eq!(world.post(body).status, 400);
    }
    let headers = world.token.headers() + "Content-Type: application/json\r\n";
    let empty = request("POST", CHARGES, &headers, "");
    assert_eq!(world.client.ask(empty).status, 400);
    assert_eq!(world.post(CHARGE).status, 200);
}

#[test]
fn charges_and_balance_take_post_only() {
    let mut world = World::new();
    for path in [CHARGES, "/api/balance"] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = world.client.ask(call(method, path, &world.token, ""));
            assert_eq!(answer.status, 405);
            assert_eq!(answer.header("Allow"), Some("POST"));
        }
    }
}

#[test]
fn the_balance_adds_up_the_charges_of_the_merchant() {
    let mut world = World::new();
    let target = format!("/api/balance?id={TEST_MERCHANT}");
    let answer = world.client.ask(call("POST", &target, &world.token, ""));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("\"net_balance\":0.0,"), "{text}");
    world.post(CHARGE);
    world.post(CHARGE);
    for id in [TEST_MERCHANT.to_owned(), TEST_MERCHANT.replace('-', "%2D")] {
        let target = format!("/api/balance?id={id}");
        let answer = world.client.ask(call("POST", &target, &world.token, ""));
        assert_eq!(answer.status, 200);
        let data = &answer.json()["data"];
        assert_eq!(data["total_payin"], "100000.00");
        assert_eq!(data["net_balance"], 100000.0);
    }
}

#[test]
fn a_balance_of_nobody_of_two_of_another_or_with_a_body_is_refused() {
    let mut world = World::new();
    let own = format!("id={TEST_MERCHANT}");
    for (query, body, status) in [
        (String::new(), "", 400),
        ("?".into(), "", 400),
        (format!("?{own}&{own}"), "", 400),
        (format!("?{own}"), "{}", 400),
        ("?id=MCH-COL-OTHER-1".into(), "", 403),
        ("?id=%".into(), "", 403),
    ] {
        let target = format!("/api/balance{query}");
        let answer = world.client.ask(call("POST", &target, &world.token, body));
        assert_eq!(answer.status, status, "{target}");
    }
}
