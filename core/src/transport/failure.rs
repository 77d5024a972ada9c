//! Why an exchange gave no answer.
//!
//! Messages hold no header values, no passwords, no query strings and no bytes of the server's answer.

use std::error::Error;
use std::fmt::Display;
use std::io;

use super::answer_head::UnreadableHeader;
use super::tls;
use crate::cause::Cause;
use crate::exchange::{Failure, FailureKind};

impl Failure {
    /// A failure that hyper met on a connection. The caller knows whether bytes have left, and sets `sent`.
    pub(super) fn of_exchange(error: &(dyn Error + 'static)) -> Failure {
        if let Some(found) = tls::find(error) {
            return tls::failure(found, tls::OPTIONS);
        }
        let cut = |why: &str| (FailureKind::Cut, format!("the connection was cut: {why}"));
        let malformed = |why: &dyn Display| {
            let message = format!("the server's answer is not valid HTTP{why}");
            (FailureKind::Malformed, message)
        };
        let mut found = cut("it ended before the answer was complete");
        let mut cause = None;
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(http) = error.downcast_ref::<hyper::Error>() {
                if http.is_parse() {
                    found = malformed(&"");
                    break;
                }
            } else if let Some(io) = error.downcast_ref::<io::Error>() {
                let unreadable = io
                    .get_ref()
                    .and_then(|e| e.downcast_ref::<UnreadableHeader>());
                cause = io.raw_os_error().map(|_| Cause::of_system(io));
                found = match (unreadable, io.kind()) {
                    (Some(header), _) => malformed(&format_args!(": {header}")),
                    (_, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => malformed(&""),
                    (_, io::ErrorKind::UnexpectedEof) => found,
                    (_, kind) => cut(&kind.to_string()),
                };
                break;
            }
            next = error.source();
        }
        let (kind, message) = found;
        Failure {
            cause,
            ..Failure::before_sending(kind, message)
        }
    }
}
