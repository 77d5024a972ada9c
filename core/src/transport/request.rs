//! What is sent, and when it is given up.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method};

/// A request.
pub(crate) struct Request<'a> {
    pub method: &'a Method,
    /// Path and query, already checked.
    pub target: &'a str,
    pub headers: &'a HeaderMap,
    pub body: Bytes,
    /// The answer's body leaves no copy in buffers that this room frees.
    pub keep_secret: bool,
    /// Sending it twice does no harm.
    pub repeatable: bool,
    /// It waits for a connection with its own kind alone, and not behind other requests.
    pub urgent: bool,
    /// Whether a byte of it can have left. It can be read even after the exchange was dropped half-way.
    pub sent: &'a AtomicBool,
}

/// When a request is given up.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub deadline: Instant,
    /// For name, connection, proxy and handshake together.
    pub connect_timeout: Duration,
    /// A kept connection that was idle longer is not used again.
    pub idle_timeout: Duration,
    pub max_response_bytes: u64,
}

/// `host:port`, with the brackets that IPv6 needs.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Adds the headers that every request has to those of the caller.
pub(super) fn headers_to_send(mut headers: HeaderMap, method: &Method, body: &Bytes) -> HeaderMap {
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    // Without this header a server may choose any coding (RFC 9110, 12.5.3).
    headers
        .entry(ACCEPT_ENCODING)
        .or_insert(HeaderValue::from_static("identity"));
    // Where a body is expected, an empty one has to be announced (RFC 9110, 8.6). hyper does not do so.
    if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    headers
}
