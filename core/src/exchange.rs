//! What an HTTP exchange gave: an answer, or why there is none.
//!
//! Messages of failures hold no header values, no passwords, no query strings and no bytes of the peer's answer.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

/// A complete answer of any status, its body decoded. `Debug` shows neither headers nor body: both may be secret.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// When it came, by this machine's wall clock.
    pub received: SystemTime,
}

impl Answer {
    /// `Retry-After`: seconds, or a date against the answer's own `Date`.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(self.now()).unwrap_or_default())
    }

    /// The server's time where it says it, so that this host's wall clock does not matter.
    pub(crate) fn now(&self) -> SystemTime {
        let date = self.headers.get(header::DATE);
        date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok())
            .unwrap_or(self.received)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What kind of end it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The deadline came.
    Timeout,
    /// The caller's interrupt asked to stop.
    Canceled,
    /// No connection: name, refusal, unreachable, proxy, `connect_timeout`.
    Connect,
    /// No trusted connection, or a roots file that cannot be used.
    Tls,
    /// Closed or reset before an answer came.
    Cut,
    /// Closed or reset in the middle of the answer's body.
    Truncated,
    /// The body is over the limit.
    TooLarge,
    /// What came is not HTTP.
    Malformed,
    /// A fault of this library or of the system.
    Internal,
}

/// An exchange that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    /// A byte of this request can have reached the network.
    pub sent: bool,
    /// What happened, for people.
    pub message: String,
}

impl Failure {
    pub(crate) fn before_sending(kind: FailureKind, message: String) -> Failure {
        Failure {
            kind,
            sent: false,
            message,
        }
    }

    /// The same, met when the answer had begun: a request that is being answered was processed.
    pub(crate) fn in_answer(self) -> Failure {
        match self.kind {
            FailureKind::Cut => Failure {
                kind: FailureKind::Truncated,
                ..self
            },
            _ => self,
        }
    }
}
