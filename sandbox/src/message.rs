//! A request and an answer as plain values, apart from how they travel. Header names are compared without case.

use serde_json::{Value, json};

/// A request, complete and without its framing.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// For example `POST`.
    pub method: String,
    /// Path and query, for example `/api/balance?id=MCH-COL-TEST-12345`.
    pub target: String,
    /// Names and values in the order they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query, without the `?`; `None` where there is no `?`.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Every value of a header, in order.
    pub fn header_values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The value of a header that may come once at most, as text (nothing for bytes that are not UTF-8).
    pub(crate) fn header_once<'a>(&'a self, name: &str) -> Result<Option<&'a str>, Answer> {
        let mut values = self.header_values(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Answer::error(
                400,
                &format!("Header {name} must be sent once"),
            ));
        }
        Ok(value.and_then(|value| std::str::from_utf8(value).ok()))
    }

    /// Refuses a header that must not be there.
    pub(crate) fn without_header(&self, name: &str) -> Result<(), Answer> {
        match self.header_values(name).next() {
            Some(_) => Err(Answer::error(
                400,
                &format!("Header {name} is not allowed on this request"),
            )),
            None => Ok(()),
        }
    }
}

/// An answer, without its framing: `Content-Length` and `Connection` are added when it is sent, unless it sets them itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The status, for example 200.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn with_json(status: u16, body: &Value) -> Self {
        Answer {
            status,
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    pub(crate) fn success(message: &str, data: Value) -> Self {
        Answer::with_json(
            200,
            &json!({"status": "Success", "code": 200, "message": message, "data": data}),
        )
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Answer::with_json(
            status,
            &json!({"status": "Error", "code": status, "message": message}),
        )
    }

    pub(crate) fn and_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

/// The bytes that a part of a query stands for.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| (*byte as char).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}
