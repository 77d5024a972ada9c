//! Charges: which bodies are accepted, and what was created from them. Every accepted body creates a charge; as with 88Pay,
//! nothing recognises a repetition.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::message::Answer;

/// A charge above this amount is refused with 422.
pub const MAX_AMOUNT: f64 = 100_000_000.0;
/// This many charges are kept for inspection; older ones are dropped.
pub const CHARGES_KEPT: usize = 100_000;

const METHOD_CODES: [&str; 8] = [
    "CARDS",
    "CASH",
    "BANK_TRANSFER",
    "NEQUI",
    "DAVIPLATA",
    "PAYPAL",
    "USDT",
    "MERCADOPAGO",
];
const METHOD_CATEGORIES: [&str; 5] = ["CARD", "WALLET", "CASH", "BANK", "CRYPTO"];
/// Countries whose own currency is checked; US dollars are taken everywhere.
const CURRENCIES: [(&str, &str); 9] = [
    ("ARG", "ARS"),
    ("BRA", "BRL"),
    ("CHL", "CLP"),
    ("COL", "COP"),
    ("CRI", "CRC"),
    ("ECU", "USD"),
    ("GTM", "GTQ"),
    ("MEX", "MXN"),
    ("PER", "PEN"),
];

/// A charge that was created.
pub(crate) struct Charge {
    pub(crate) reference: String,
    pub(crate) merchant: String,
    pub(crate) body: Value,
}

/// The charges created, oldest first.
#[derive(Default)]
pub(crate) struct Charges {
    created: VecDeque<Charge>,
}

impl Charges {
    pub(crate) fn add(&mut self, charge: Charge) {
        if self.created.len() == CHARGES_KEPT {
            self.created.pop_front();
        }
        self.created.push_back(charge);
    }

    /// Each charge of a merchant, or of all, with `reference`, `merchant_id`, `body` and `same_body`: how many charges were
    /// made from an equal body.
    pub(crate) fn describe(&self, merchant: Option<&str>) -> Vec<Value> {
        let mut same: HashMap<(&str, String), u64> = HashMap::new();
        for charge in &self.created {
            *same
                .entry((charge.merchant.as_str(), charge.body.to_string()))
                .or_default() += 1;
        }
        self.created
            .iter()
            .filter(|charge| merchant.is_none_or(|merchant| charge.merchant == merchant))
            .map(|charge| {
                let key = (charge.merchant.as_str(), charge.body.to_string());
                json!({
                    "reference": charge.reference,
                    "merchant_id": charge.merchant,
                    "body": charge.body,
                    "same_body": same.get(&key),
                })
            })
            .collect()
    }

    /// The sum of a merchant's charges.
    pub(crate) fn total(&self, merchant: &str) -> f64 {
        self.created
            .iter()
            .filter(|charge| charge.merchant == merchant)
            .filter_map(|charge| charge.body["amount"].as_f64())
            // Not sum(), which is -0.0 of nothing.
            .fold(0.0, |total, amount| total + amount)
    }
}

/// The body of a charge, if it keeps the documented rules: 400 for what is malformed, 422 for what no business rule allows.
pub(crate) fn validated(body: &[u8]) -> Result<Value, Answer> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, &format!("Body is not valid JSON: {error}")))?;
    let fields = body
        .as_object()
        .ok_or_else(|| Answer::error(400, "Body must be a JSON object"))?;

    one_of(fields, "flow", &["PAYIN"], true)?;
    one_of(fields, "method_code", &METHOD_CODES, true)?;
    one_of(fields, "method_category", &METHOD_CATEGORIES, false)?;
    let currency = letters(fields, "currency")?;
    let country = letters(fields, "country")?;
    let amount = match fields.get("amount") {
        None => return Err(missing("amount")),
        Some(amount) => amount
            .as_f64()
            .filter(|amount| amount.is_finite() && *amount > 0.0)
            .ok_or_else(|| Answer::error(400, "Field amount must be a number above 0"))?,
    };
    if text(fields, "description")?.is_some_and(|text| text.chars().count() > 255) {
        return Err(Answer::error(
            400,
            "Field description is longer than 255 characters",
        ));
    }
    if text(fields, "customer_id")?.is_some_and(|id| id.is_empty()) {
        return Err(Answer::error(400, "Field customer_id is empty"));
    }
    for field in ["notification_url", "return_url"] {
        if text(fields, field)?.is_some_and(|url| !is_https(url)) {
            return Err(Answer::error(
                400,
                &format!("Field {field} must be an https URL"),
            ));
        }
    }

    if amount > MAX_AMOUNT {
        return Err(Answer::error(422, "Amount exceeds the limit"));
    }
    let local = CURRENCIES.iter().find(|(code, _)| *code == country);
    if local.is_some_and(|(_, local)| currency != *local && currency != "USD") {
        return Err(Answer::error(
            422,
            &format!("Currency {currency} is not available in {country}"),
        ));
    }
    Ok(body)
}

fn missing(name: &str) -> Answer {
    Answer::error(400, &format!("Field {name} is missing"))
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Answer> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Answer::error(
            400,
            &format!("Field {name} must be a string"),
        )),
    }
}

fn one_of(
    fields: &Map<String, Value>,
    name: &str,
    known: &[&str],
    required: bool,
) -> Result<(), Answer> {
    match text(fields, name)? {
        None if required => Err(missing(name)),
        Some(value) if !known.contains(&value) => Err(Answer::error(
            400,
            &format!("Field {name} must be one of {}", known.join(", ")),
        )),
        _ => Ok(()),
    }
}

fn letters<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Answer> {
    let value = text(fields, name)?.ok_or_else(|| missing(name))?;
    if value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(value)
    } else {
        Err(Answer::error(
            400,
            &format!("Field {name} must be three capital letters"),
        ))
    }
}

fn is_https(url: &str) -> bool {
    url.strip_prefix("https://").is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?', '#', ':'])
            && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}
