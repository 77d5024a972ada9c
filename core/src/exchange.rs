//! What an HTTP exchange gave: an answer, or why there is none. Knows no HTTP library.
//!
//! Messages of failures hold no header values, no passwords, no query strings and no bytes of the server's answer.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};

use crate::cause::Cause;

/// A complete answer of any status, its body decoded. `Debug` shows neither headers nor body: both may be secret.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// When it came, by this machine's wall clock.
    pub received: SystemTime,
}

impl Answer {
    /// `Retry-After`: seconds, or a date compared with the answer's own `Date`.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(self.now()).unwrap_or_default())
    }

    /// The server's time if the answer has it, so that this host's wall clock does not matter.
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

/// How an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The deadline came.
    Timeout,
    /// The caller's interrupt asked to stop.
    Canceled,
    /// There was no connection: name, refusal, unreachable host, proxy, `connect_timeout`.
    Connect,
    /// There was no trusted connection, or the file of roots cannot be used.
    Tls,
    /// The connection was closed or reset before an answer came.
    Cut,
    /// The connection was closed or reset in the middle of the answer's body.
    Truncated,
    /// The body is over the limit.
    TooLarge,
    /// The server sent something that is not HTTP.
    Malformed,
    /// A fault of this library or of the system.
    Internal,
}

/// Why an exchange gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    /// Whether a byte of this request can have reached the network.
    pub sent: bool,
    /// What happened, for people.
    pub message: String,
    /// What the system, TLS or the look-up of a name said of it.
    pub cause: Option<Cause>,
}

impl Failure {
    pub(crate) fn before_sending(kind: FailureKind, message: String) -> Failure {
        Failure {
            kind,
            sent: false,
            message,
            cause: None,
        }
    }

    /// The system refused something: its words follow those of `what`.
    pub(crate) fn by_system(kind: FailureKind, what: &str, error: &io::Error) -> Failure {
        Failure::before_sending(kind, format!("{what}: {error}")).because(Cause::of_system(error))
    }

    /// The same, with what lies below it.
    pub(crate) fn because(self, cause: Cause) -> Failure {
        Failure {
            cause: Some(cause),
            ..self
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
