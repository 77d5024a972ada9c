//! Why an exchange gave no answer.
//!
//! Messages hold no header values, no passwords, no query strings and no bytes of the peer's answer.

use std::error::Error;
use std::io;

use super::tls;

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
    /// The server says that it has not processed the request and will not (RFC 9113, 8.7), or the connection ended while the
    /// request waited for its turn. Never together with `sent`.
    Unprocessed,
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
    /// A byte of this request can have reached the network, and the server has not said that it left it alone.
    pub sent: bool,
    /// What happened, for people.
    pub message: String,
}

impl Failure {
    pub(super) fn before_sending(kind: FailureKind, message: String) -> Failure {
        Failure {
            kind,
            sent: false,
            message,
        }
    }

    /// The same, met when the answer had begun: a request that is being answered was processed.
    pub(super) fn in_answer(self) -> Failure {
        match self.kind {
            FailureKind::Cut | FailureKind::Unprocessed => Failure {
                kind: FailureKind::Truncated,
                ..self
            },
            _ => self,
        }
    }

    /// A failure that hyper met on a connection. Who knows whether bytes have left sets `sent`.
    pub(super) fn of_exchange(error: &(dyn Error + 'static)) -> Failure {
        if let Some(found) = tls::find(error) {
            return Failure::before_sending(FailureKind::Tls, tls::explain(found, tls::OPTIONS));
        }
        let cut = |why: &str| (FailureKind::Cut, format!("the connection was cut: {why}"));
        let malformed = || {
            let message = "the server's answer is not valid HTTP".to_owned();
            (FailureKind::Malformed, message)
        };
        let mut found = cut("it ended before the answer was complete");
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(http) = error.downcast_ref::<hyper::Error>() {
                if http.is_parse() {
                    found = malformed();
                    break;
                }
            } else if let Some(why) = error.downcast_ref().and_then(unprocessed) {
                found = (FailureKind::Unprocessed, why.to_owned());
                break;
            } else if let Some(io) = error.downcast_ref::<io::Error>() {
                found = match io.kind() {
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => malformed(),
                    io::ErrorKind::UnexpectedEof => found,
                    _ => cut(&io.kind().to_string()),
                };
                break;
            }
            next = error.source();
        }
        let (kind, message) = found;
        Failure::before_sending(kind, message)
    }
}

/// Why the request of a stream that ended so was certainly not processed.
///
/// h2 ends with a GOAWAY the streams above the last one that the server names, and requests that come after it, which are
/// never written; those that the server has taken go on, or end with an I/O error if it cuts them. (hyper has one more
/// way: a GOAWAY between queueing a stream and looking at the connection again. Both are one step of a task, in which
/// the only thread of `crate::runtime` reads nothing.) A GOAWAY with an error code is not believed, since by its own
/// account something went wrong.
fn unprocessed(error: &h2::Error) -> Option<&'static str> {
    if !error.is_remote() {
        return None;
    }
    match error.reason()? {
        h2::Reason::NO_ERROR if error.is_go_away() => {
            Some("the server ended the connection and did not take the request")
        }
        h2::Reason::REFUSED_STREAM if error.is_reset() => Some("the server refused the request"),
        _ => None,
    }
}
