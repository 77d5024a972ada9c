//! What becomes of a call that gets no answer: its error, and whether it can have been carried out.

use crate::error::{Error, ErrorCode, LOOK_IT_UP, Outcome, limit_reached};
use crate::exchange::{Failure, FailureKind};

/// What is known of a sending without a complete answer.
pub(crate) fn outcome_of(sent: bool) -> Outcome {
    if sent {
        Outcome::Unknown
    } else {
        Outcome::NotSent
    }
}

/// Of two sendings, what is known of both together.
pub(crate) fn combine(a: Outcome, b: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::NotSent => 0,
        Outcome::Answered => 1,
        Outcome::Unknown => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}

const SAFE_TO_REPEAT: &str = "It is safe to repeat: it cannot have been carried out.";

pub(crate) fn canceled(outcome: Outcome) -> Error {
    let hint = match outcome {
        Outcome::Unknown => LOOK_IT_UP,
        _ => SAFE_TO_REPEAT,
    };
    Error::new(ErrorCode::Canceled, "The call was canceled.", hint).with_outcome(outcome)
}

/// What a forked child gets for what its parent has begun. `Unknown` for a call, of which the child cannot tell how far it
/// is: the parent goes on with it.
pub(crate) fn forked(outcome: Outcome) -> Error {
    let hint = match outcome {
        Outcome::Unknown => {
            "The parent process goes on with the call. Look the transaction up, unless repeating it does no harm."
        }
        _ => "Ask again in this process.",
    };
    Error::new(
        ErrorCode::Forked,
        "The call was begun before a fork, in the parent process.",
        hint,
    )
    .with_outcome(outcome)
}

/// The error of an exchange that gave no answer.
pub(crate) fn error_of(what: &str, failure: Failure) -> Error {
    let outcome = outcome_of(failure.sent);
    let code = match failure.kind {
        FailureKind::Timeout => ErrorCode::Timeout,
        FailureKind::Canceled => return canceled(outcome),
        FailureKind::Connect | FailureKind::Cut => ErrorCode::ConnectionFailed,
        FailureKind::Tls => ErrorCode::TlsFailed,
        FailureKind::Truncated | FailureKind::TooLarge | FailureKind::Malformed => {
            ErrorCode::BadResponse
        }
        FailureKind::Internal => ErrorCode::Internal,
    };
    let limit = failure.cause.as_ref().and_then(limit_reached);
    let hint = match (outcome, code, limit) {
        (Outcome::Unknown, ..) => LOOK_IT_UP,
        (_, ErrorCode::ConnectionFailed | ErrorCode::Internal, Some(limit)) => limit,
        (_, ErrorCode::ConnectionFailed, _) => {
            "Nothing was sent. Look at the network, the name and the proxy settings."
        }
        (_, ErrorCode::TlsFailed, _) => {
            "Nothing was sent. Look at the clock, the base_url and the option ca_bundle."
        }
        (_, ErrorCode::Timeout, _) => {
            "Nothing was sent. Look at the network, or give the call more time with `timeout`."
        }
        _ => "Nothing was sent.",
    };
    Error::new(
        code,
        format!("{what}: {}.", failure.message.trim_end_matches('.')),
        hint,
    )
    .with_outcome(outcome)
    .caused_by(failure.cause)
}

/// The caller's deadline passed while it waited for a token.
pub(crate) fn no_token_in_time() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "No token came before the deadline.",
        "Nothing was sent. Look at the network to 88Pay, or give the call more time with `timeout`.",
    )
}
