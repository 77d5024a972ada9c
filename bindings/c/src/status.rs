//! The numbers: what a function returns, and what is known of a failed request. Named here, decided in the core.

use std::ffi::c_int;

use pay88::{ErrorCode, Outcome};

use crate::boundary::boundary;
use crate::view::pay88_str;

/// The result of a function. Numbers are never reused. They are in groups: 1xx is the caller's input, 2xx the token
/// endpoint, 3xx the connection to 88Pay, 4xx an answer, 9xx the library. Later releases may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pay88_status {
    /// Success.
    PAY88_OK = 0,
    /// An option, credential or argument cannot be used; nothing was sent.
    PAY88_CONFIG_INVALID = 101,
    /// An endpoint or header would endanger the token; nothing was sent.
    PAY88_REFUSED = 102,
    /// The token endpoint answered 401: wrong API key or merchant ID.
    PAY88_CREDENTIALS_REJECTED = 201,
    /// The token endpoint answered 403: account or address not allowed.
    PAY88_ACCESS_DENIED = 202,
    /// No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up.
    PAY88_RATE_LIMITED = 203,
    /// The time limit passed before there was a result.
    PAY88_TIMEOUT = 301,
    /// The caller gave up, or the manager was closed while the call was pending.
    PAY88_CANCELED = 302,
    /// No connection could be made, or it was cut.
    PAY88_CONNECTION_FAILED = 303,
    /// The TLS handshake failed, or the certificate was not accepted.
    PAY88_TLS_FAILED = 304,
    /// The answer is not as 88Pay documents it, was cut, or is too large.
    PAY88_BAD_RESPONSE = 401,
    /// The answer has an HTTP status of 400 or above, and the caller asked for an error.
    PAY88_HTTP_ERROR = 402,
    /// The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which.
    PAY88_INTERNAL = 901,
    /// The call was begun before a fork, in the parent process.
    PAY88_FORKED = 902,
}

/// Whether the request of a failed call can have reached 88Pay.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum pay88_outcome {
    /// Nothing of the request was written to the network. It is safe to repeat.
    PAY88_OUTCOME_NOT_SENT = 0,
    /// Bytes were written and no complete answer came, or the parent process goes on with the call (PAY88_FORKED).
    /// Look the transaction up, do not repeat it.
    PAY88_OUTCOME_UNKNOWN = 1,
    /// A complete answer came.
    PAY88_OUTCOME_ANSWERED = 2,
}

impl From<ErrorCode> for pay88_status {
    fn from(code: ErrorCode) -> pay88_status {
        match code {
            ErrorCode::ConfigInvalid => pay88_status::PAY88_CONFIG_INVALID,
            ErrorCode::Refused => pay88_status::PAY88_REFUSED,
            ErrorCode::CredentialsRejected => pay88_status::PAY88_CREDENTIALS_REJECTED,
            ErrorCode::AccessDenied => pay88_status::PAY88_ACCESS_DENIED,
            ErrorCode::RateLimited => pay88_status::PAY88_RATE_LIMITED,
            ErrorCode::Timeout => pay88_status::PAY88_TIMEOUT,
            ErrorCode::Canceled => pay88_status::PAY88_CANCELED,
            ErrorCode::ConnectionFailed => pay88_status::PAY88_CONNECTION_FAILED,
            ErrorCode::TlsFailed => pay88_status::PAY88_TLS_FAILED,
            ErrorCode::BadResponse => pay88_status::PAY88_BAD_RESPONSE,
            ErrorCode::HttpError => pay88_status::PAY88_HTTP_ERROR,
            ErrorCode::Forked => pay88_status::PAY88_FORKED,
            // The core's enum may grow; a test holds that this list has all of it.
            _ => pay88_status::PAY88_INTERNAL,
        }
    }
}

impl From<Outcome> for pay88_outcome {
    fn from(outcome: Outcome) -> pay88_outcome {
        match outcome {
            Outcome::NotSent => pay88_outcome::PAY88_OUTCOME_NOT_SENT,
            Outcome::Unknown => pay88_outcome::PAY88_OUTCOME_UNKNOWN,
            Outcome::Answered => pay88_outcome::PAY88_OUTCOME_ANSWERED,
        }
    }
}

fn code(status: c_int) -> Option<ErrorCode> {
    ErrorCode::ALL
        .iter()
        .find(|code| code.number() == status)
        .copied()
}

/// The number of statuses, without PAY88_OK.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_status_count() -> usize {
    boundary!(value, || Some(ErrorCode::ALL.len()))
}

/// The status at an index below pay88_status_count(), in the order of their numbers; 0 for a higher index.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_status_at(index: usize) -> pay88_status {
    boundary!(value, || Some(ErrorCode::ALL.get(index).copied()?.into()))
}

/// The name of a status, which is the same in all languages, such as "rate_limited". "ok" for 0; empty for an unknown
/// number. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_status_name(status: c_int) -> pay88_str {
    boundary!(value, || match status {
        0 => Some("ok".into()),
        status => Some(code(status)?.name().into()),
    })
}

/// One sentence that says when a status is used; empty for an unknown number. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_status_summary(status: c_int) -> pay88_str {
    boundary!(value, || match status {
        0 => Some("It worked.".into()),
        status => Some(code(status)?.summary().into()),
    })
}

/// The name of an outcome: "not_sent", "unknown" or "answered"; empty for an unknown number. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_outcome_name(outcome: c_int) -> pay88_str {
    boundary!(value, || {
        [Outcome::NotSent, Outcome::Unknown, Outcome::Answered]
            .iter()
            .find(|known| pay88_outcome::from(**known) as c_int == outcome)
            .map(|known| known.name().into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_core_has_its_own_number_here() {
        for &code in ErrorCode::ALL {
            assert_eq!(pay88_status::from(code) as c_int, code.number(), "{code}");
        }
    }

    #[test]
    fn outcomes_have_the_numbers_of_the_core() {
        for outcome in [Outcome::NotSent, Outcome::Unknown, Outcome::Answered] {
            assert_eq!(pay88_outcome::from(outcome) as i32, outcome as i32);
        }
    }
}
