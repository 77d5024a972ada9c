//! Errors: owned by whoever received them, never kept by a thread.

use once_cell::race::OnceBox;
use pay88::Error;
use serde_json::json;

use crate::boundary::boundary;
use crate::status::{pay88_outcome, pay88_status};
use crate::view::{Terminated, pay88_str};

/// Why something failed. It never changes. Any thread may read and release it.
pub struct pay88_error {
    error: Error,
    name: Terminated,
    message: Terminated,
    hint: Terminated,
    /// Made when it is asked for. No thread waits for one that makes it: a child that is forked meanwhile would wait for ever.
    json: OnceBox<Terminated>,
}

impl pay88_error {
    pub(crate) fn new(error: Error) -> Box<pay88_error> {
        Box::new(pay88_error {
            name: Terminated::new(error.code().name()),
            message: Terminated::new(error.message()),
            hint: Terminated::new(error.hint()),
            json: OnceBox::new(),
            error,
        })
    }

    pub(crate) fn give(error: Error) -> *mut pay88_error {
        Box::into_raw(pay88_error::new(error))
    }

    fn retry_after_ms(&self) -> Option<i64> {
        let after = self.error.retry_after()?;
        i64::try_from(after.as_nanos().div_ceil(1_000_000)).ok()
    }

    fn json(&self) -> Terminated {
        let error = &self.error;
        let json = json!({
            "status": error.code().number(),
            "name": error.code().name(),
            "message": error.message(),
            "hint": error.hint(),
            "http_status": error.http_status(),
            "retry_after_ms": self.retry_after_ms(),
            "retryable": error.retryable(),
            "outcome": error.outcome().name(),
            "attempt": error.attempt(),
        });
        Terminated::new(&json.to_string())
    }

    pub(crate) fn status(&self) -> pay88_status {
        self.error.code().into()
    }
}

/// The status of the error, for programs. PAY88_OK for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_status(error: Option<&pay88_error>) -> pay88_status {
    boundary!(value, || Some(error?.status()))
}

/// The name of the status, such as "rate_limited". Followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_name(error: Option<&pay88_error>) -> pay88_str {
    boundary!(value, || Some(error?.name.view()))
}

/// What happened, in words for people. Followed by a NUL. Has no secret.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_message(error: Option<&pay88_error>) -> pay88_str {
    boundary!(value, || Some(error?.message.view()))
}

/// What to do about it, in words for people. Followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_hint(error: Option<&pay88_error>) -> pay88_str {
    boundary!(value, || Some(error?.hint.view()))
}

/// The HTTP status of the answer that caused the error; 0 if no answer did.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_http_status(error: Option<&pay88_error>) -> u16 {
    boundary!(value, || error?.error.http_status())
}

/// How many milliseconds to wait before another try makes sense, rounded up; -1 if that is not known.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_retry_after_ms(error: Option<&pay88_error>) -> i64 {
    boundary!(value, || error?.retry_after_ms())
}

/// Whether you may try the same call again later and it can then succeed. Never true with PAY88_OUTCOME_UNKNOWN,
/// unless the request was marked as safe to repeat.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_retryable(error: Option<&pay88_error>) -> bool {
    boundary!(value, || Some(error?.error.retryable()))
}

/// Whether the request can have reached 88Pay. PAY88_OUTCOME_UNKNOWN for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_outcome(error: Option<&pay88_error>) -> pay88_outcome {
    boundary!(value, || Some(error?.error.outcome().into()))
}

/// The number of the token request that failed, counted from 1 in each manager; 0 if the error is not about one. All
/// callers that waited for the same token request get the same number.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_attempt(error: Option<&pay88_error>) -> u64 {
    boundary!(value, || error?.error.attempt())
}

/// All of the above as one JSON object, for programs that would rather make one call than eight. Followed by a NUL. Has no
/// secret.
///
///   "status"           the number of the status
///   "name"             the name of the status
///   "message", "hint"  the texts for people
///   "http_status"      null if no answer caused the error
///   "retry_after_ms"   null if that is not known
///   "retryable"        true or false
///   "outcome"          the name of the outcome
///   "attempt"          null if the error is not about a token request
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_json(error: Option<&pay88_error>) -> pay88_str {
    boundary!(value, || {
        let error = error?;
        Some(error.json.get_or_init(|| Box::new(error.json())).view())
    })
}

/// Releases the error. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_error_release(error: Option<Box<pay88_error>>) {
    boundary!(release(error));
}
