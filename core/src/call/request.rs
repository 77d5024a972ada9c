//! What a caller asks for, and what comes back, as plain values.
//!
//! A request is checked when it is sent, not when it is built. `Debug` never shows a body or the value of a header.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::error::Result;
use crate::exchange::Answer;
use crate::json;
use crate::policy::errors::{Unauthorized, http_error, not_json};

/// Describes a call of 88Pay's API, for [`TokenManager::make_request`](crate::TokenManager::make_request).
///
/// ```
/// let charge = pay88::Request::post("/api/transactions/charges")
///     .json(&serde_json::json!({"flow": "PAYIN", "amount": 50000}))
///     .timeout(std::time::Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) endpoint: String,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) safe_to_repeat: bool,
    pub(crate) once: bool,
}

impl Request {
    /// Starts a request of any method, for any path below the base URL, such as `/api/balance?id=MCH-COL-29ZTP4`.
    ///
    /// ```
    /// let request = pay88::Request::new("POST", "/api/balance?id=MCH-COL-29ZTP4");
    /// ```
    pub fn new(method: impl Into<String>, endpoint: impl Into<String>) -> Request {
        Request {
            method: method.into(),
            endpoint: endpoint.into(),
            params: Vec::new(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            safe_to_repeat: false,
            once: false,
        }
    }

    /// Starts a GET request.
    ///
    /// ```
    /// let request = pay88::Request::get("/api/any/call");
    /// ```
    pub fn get(endpoint: impl Into<String>) -> Request {
        Request::new("GET", endpoint)
    }

    /// Starts a POST request.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/transactions/charges");
    /// ```
    pub fn post(endpoint: impl Into<String>) -> Request {
        Request::new("POST", endpoint)
    }

    /// Adds a parameter to the query, percent-encoded.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/balance").param("id", "MCH-COL-29ZTP4");
    /// ```
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Adds a header. The headers of the credential and of the connection belong to the library; a call that has one
    /// of them is refused.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/balance").header("X-Trace", "42");
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, which may be any bytes. `Content-Type: application/json` is sent unless a header says
    /// otherwise.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/any/call").header("Content-Type", "text/plain").body("Order 42");
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// Sets the body to a JSON value.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/transactions/charges").json(&serde_json::json!({"amount": 50000}));
    /// ```
    #[must_use]
    pub fn json(self, value: &Value) -> Request {
        self.body(value.to_string())
    }

    /// Sets how long the call may take in all, including the wait for a token. Without it, it is the manager's
    /// `timeout`.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/balance").timeout(std::time::Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Request {
        self.timeout = Some(timeout);
        self
    }

    /// Says that sending the request twice does no harm, so that it is repeated after a fault. GET, HEAD, OPTIONS and
    /// `POST /api/balance` need no mark. A charge must not have it.
    ///
    /// ```
    /// let read = pay88::Request::post("/api/a/call/that/only/reads").safe_to_repeat(true);
    /// ```
    #[must_use]
    pub fn safe_to_repeat(mut self, safe: bool) -> Request {
        self.safe_to_repeat = safe;
        self
    }

    /// Sends the request once and gives the answer unchanged, also where it would be sent again otherwise: after a
    /// 401 with another token, after a 429, after a fault. It is for diagnoses, and for callers with a rule of their
    /// own.
    ///
    /// ```
    /// let request = pay88::Request::post("/api/balance").once();
    /// ```
    #[must_use]
    pub fn once(mut self) -> Request {
        self.once = true;
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field(
                "endpoint",
                &self.endpoint.split('?').next().unwrap_or_default(),
            )
            .field(
                "body",
                &self
                    .body
                    .as_ref()
                    .map(|body| format!("{} bytes", body.len())),
            )
            .field("timeout", &self.timeout)
            .field("safe_to_repeat", &self.safe_to_repeat)
            .finish_non_exhaustive()
    }
}

/// Holds an answer of 88Pay, of any status.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// let balance = pay88::Request::post("/api/balance").param("id", manager.merchant_id());
/// let answer = manager.make_request(balance)?;
/// assert!(answer.ok());
/// assert_eq!(answer.header("Content-Type"), Some(&b"application/json"[..]));
/// println!("{}", answer.json()?["data"]);
/// # Ok::<(), pay88::Error>(())
/// ```
#[derive(Clone)]
pub struct Response {
    status: u16,
    headers: HeaderMap,
    /// The body and a NUL, for parsers of C.
    terminated_body: Bytes,
    /// What 88Pay says about a status of 400 or above, without secrets of the request that it repeats; otherwise
    /// empty.
    said: String,
    unauthorized: Option<Unauthorized>,
    retry_after: Option<Duration>,
}

impl Response {
    pub(crate) fn of(mut answer: Answer) -> Response {
        answer.body.reserve_exact(1);
        answer.body.push(0);
        Response {
            status: answer.status.as_u16(),
            retry_after: answer.retry_after(),
            headers: answer.headers,
            terminated_body: answer.body.into(),
            said: String::new(),
            unauthorized: None,
        }
    }

    /// Adds what 88Pay says about it, in its own words.
    pub(crate) fn saying(mut self, said: String) -> Response {
        self.said = said;
        self
    }

    pub(crate) fn unauthorized(mut self, why: Unauthorized) -> Response {
        self.unauthorized = Some(why);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is from 200 to 299.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The value of the first header of that name. Upper and lower case do not matter.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(|value| value.as_bytes())
    }

    /// All headers in the order of the answer, with names in lower case. Headers of one name follow each other.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        match &*self.terminated_body {
            [body @ .., _] => body,
            [] => &[],
        }
    }

    /// The body as text. Bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body()).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `bad_response` if it is not JSON.
    pub fn json(&self) -> Result<Value> {
        json::read(self.body()).map_err(|error| not_json(self.status, error.line(), error.column()))
    }

    /// Gives the answer back if its status is below 400. Otherwise makes an error of it.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// let answer = manager.make_request(pay88::Request::get("/api/no/such/call"))?;
    /// let error = answer.error_for_status().unwrap_err();
    /// assert_eq!((error.code().name(), error.http_status()), ("http_error", Some(404)));
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `http_error` with the status and the `message` of the answer.
    pub fn error_for_status(self) -> Result<Response> {
        if self.status < 400 {
            return Ok(self);
        }
        Err(http_error(
            self.status,
            &self.said,
            self.unauthorized,
            self.retry_after,
        ))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body", &format!("{} bytes", self.body().len()))
            .finish()
    }
}

/// The body of an answer and a NUL after it, for programs in C.
pub fn body_with_nul(answer: &Response) -> &[u8] {
    &answer.terminated_body
}
