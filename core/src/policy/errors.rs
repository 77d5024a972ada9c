//! The errors of tokens and calls: code, message and hint of each.
//!
//! Promises: every error is made here, with two exceptions. An argument that cannot be used is refused where it is checked
//! (`Error::invalid`, `Error::refused`), and a fault of the library is told where it is found (`error.rs`). A hint says what
//! to do, and after a call that may have been carried out it says to look the transaction up.

use std::time::Duration;

use http::StatusCode;

use crate::error::{Error, ErrorCode, LOOK_IT_UP, Outcome, limit_reached};
use crate::exchange::{Failure, FailureKind};
use crate::policy::outcome::{combine, outcome_of};
use crate::policy::rate_limit::{Budget, Limit, Refusal};
use crate::time::BootTime;

const SAFE_TO_REPEAT: &str = "It is safe to repeat: it cannot have been carried out.";
const NOT_88PAY: &str = "Check that base_url is 88Pay's and that no proxy answers in its place.";

// --- A token or a call ---------------------------------------------------------------------------------------------

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

/// An exchange gave no answer.
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

/// A call ends with this error, and `past` is known of its earlier sendings.
pub(crate) fn after_sendings(past: Outcome, error: Error) -> Error {
    let outcome = combine(past, error.outcome());
    let error = match outcome {
        // The last sending may not have left this machine, but an earlier one did.
        Outcome::Unknown => error.with_hint(LOOK_IT_UP),
        _ => error,
    };
    error.with_outcome(outcome)
}

/// The body of an answer is not JSON from that line and column on.
pub(crate) fn not_json(status: u16, line: usize, column: usize) -> Error {
    Error::new(
        ErrorCode::BadResponse,
        format!("The answer of status {status} is not JSON: line {line}, column {column}."),
        "Look at its text.",
    )
    .with_status(status)
    .with_outcome(Outcome::Answered)
}

/// Why a call ends with a 401, where another token was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unauthorized {
    /// It was sent again with another token, and answered 401 again.
    Again,
    /// Its path answered 401 to a new token before: its 401s force none for a while.
    ByPath,
    /// None may be asked for before that time is over.
    Kept(Duration),
}

/// An answer of 400 or above, with what 88Pay says in its own words, or nothing, and the `Retry-After` of it.
pub(crate) fn http_error(
    status: u16,
    said: &str,
    unauthorized: Option<Unauthorized>,
    retry_after: Option<Duration>,
) -> Error {
    let message = match said {
        "" => format!("88Pay answered with status {status}."),
        said => format!("88Pay answered with status {status}: {said}"),
    };
    let hint = match (status, unauthorized) {
        (400 | 422, _) => "Check the parameters against the documentation of this call.",
        (401, Some(Unauthorized::Again)) => {
            "The token was not accepted for this call, also after a new one; check that the account may use it."
        }
        (401, Some(Unauthorized::ByPath)) => {
            "This call was answered 401 with a new token before, so none was asked for now; check that the account may use it."
        }
        (401, Some(Unauthorized::Kept(_))) => {
            "The token was not accepted, and no new one may be asked for yet: too many were rejected or dropped lately. Try again after the given time."
        }
        (401, None) => "The token was not accepted; no new one was asked for.",
        (403, _) => "Check in the dashboard that the account may use this call.",
        (404, _) => "Check the endpoint, and the ID in it.",
        (405, _) => "Check the method: this endpoint takes another one.",
        (429, _) => "Too many calls; 60 a minute and 1,000 an hour are documented.",
        _ => "Look the transaction up before sending it again.",
    };
    let error = Error::new(ErrorCode::HttpError, message, hint)
        .with_status(status)
        .with_outcome(Outcome::Answered);
    match (unauthorized, retry_after) {
        (Some(Unauthorized::Kept(pause)), _) | (_, Some(pause)) => error.with_retry_after(pause),
        _ => error,
    }
}

// --- A token that does not come ------------------------------------------------------------------------------------

/// The caller's deadline passed while it waited for a token.
pub(crate) fn no_token_in_time() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "No token came before the deadline.",
        "Nothing was sent. Look at the network to 88Pay, or give the call more time with `timeout`.",
    )
}

/// A caller that sent a token request itself, since the system gave no thread, had no time to wait for the answer.
pub(crate) fn no_answer_in_time() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "88Pay answered no token request within the time of the calls that sent them.",
        "Nothing was sent for this call. Let the process start a thread, or give calls more time with `timeout`.",
    )
}

pub(crate) fn no_token_of_another_process() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "Another process of this host is asking for a token, and none came in time.",
        "Nothing was sent. Try again; look for a process that hangs or is stopped.",
    )
}

pub(crate) fn no_token_of_another_host() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "Another host is asking for a token, and none came in time.",
        "Nothing was sent. Try again; look for a host that hangs.",
    )
}

/// The budget allows no token now.
pub(crate) fn over_budget(budget: &Budget, now: BootTime, refusal: Refusal) -> Error {
    let (per_minute, per_hour) = budget.limits();
    let message = match refusal.limit {
        Limit::Minute => format!("The {per_minute} tokens that 88Pay grants in a minute are used up."),
        Limit::Hour => format!("The {per_hour} tokens that 88Pay grants in an hour are used up."),
        Limit::Share => "No store can be reached, and this host's share of the tokens that 88Pay grants is used up."
            .to_owned(),
        Limit::Reserve => {
            "Too many tokens were invalidated or rejected lately to ask for another one now."
                .to_owned()
        }
        Limit::Server => "88Pay says that no more tokens are left for now.".to_owned(),
    };
    Error::new(
        ErrorCode::RateLimited,
        message,
        "Nothing was sent. Try again after the given time; look for other programs or hosts that use the same key.",
    )
    .with_retry_after(now.until(refusal.until))
}

/// The token endpoint answered 2xx, and not with a token.
pub(crate) fn unusable_token(why: &str) -> Error {
    Error::new(
        ErrorCode::BadResponse,
        format!("The token endpoint's answer cannot be used: {why}."),
        NOT_88PAY,
    )
}

/// The token endpoint refused, with what 88Pay says in its own words, or nothing. `pause` is what a 429 asks for.
pub(crate) fn token_refused(status: StatusCode, said: &str, pause: Option<Duration>) -> Error {
    let answer = match said {
        "" => status.as_str().to_owned(),
        said => format!("{}: {said}", status.as_str()),
    };
    let (code, message, hint) = match status.as_u16() {
        401 => (
            ErrorCode::CredentialsRejected,
            "88Pay does not accept this API key and merchant ID",
            "Copy both from the dashboard once more; a key belongs to one environment, sandbox or production; a replaced key ends after 24 hours.",
        ),
        403 => (
            ErrorCode::AccessDenied,
            "88Pay denies access to this account or from this address",
            "In the dashboard check that the account is verified (KYC) and not suspended, and that this server's address is on the allow-list; else write to support@88pay.io.",
        ),
        429 => (
            ErrorCode::RateLimited,
            "88Pay grants no more tokens for now",
            "10 a minute and 100 an hour are granted to a key: look for other programs that use the same key without pay88.",
        ),
        500.. => (
            ErrorCode::BadResponse,
            "The token endpoint gave no token",
            "88Pay has a temporary fault; try again later.",
        ),
        _ => (
            ErrorCode::BadResponse,
            "The token endpoint gave no token",
            NOT_88PAY,
        ),
    };
    let error =
        Error::new(code, format!("{message} ({answer})"), hint).with_status(status.as_u16());
    match pause {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    }
}

// --- A tier that cannot be used ------------------------------------------------------------------------------------

/// `in_directory`: the user has named one for the files of the host.
pub(crate) fn no_host(reason: &str, in_directory: bool) -> Error {
    let hint = match in_directory {
        true => {
            "The directory of `share` has to be on a tmpfs and belong to a group that all users who share are in. Only that \
             group may write to it (mode 2770)."
        }
        false => {
            "Mount a tmpfs at /dev/shm, or set `share` to `host:` and a directory on one. Until then each process goes \
             on by itself."
        }
    };
    Error::invalid(
        format!("Nothing can be shared on this host: {reason}."),
        hint,
    )
}

/// `url` is as it may be shown, without a password.
pub(crate) fn no_store(reason: &str, url: &str) -> Error {
    let reason = reason.strip_prefix(url).unwrap_or(reason);
    let reason = reason.trim_start_matches([':', ' ']);
    Error::new(
        ErrorCode::ConnectionFailed,
        format!("The store {url} cannot be used: {reason}."),
        "Check that it runs, that it can be reached from here, and its URL in `share`. Meanwhile the next store is used; \
         without any, each host goes on with its share of the budget.",
    )
}
