//! Errors of the library on their way to TypeScript, where the classes are.

use napi::{Env, Status};
use napi_derive::napi;
use pay88_sys::Error;

/// What an error says.
#[napi(object, object_from_js = false)]
pub struct Failure {
    /// Such as "rate_limited".
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// "not_sent", "unknown" or "answered".
    pub outcome: &'static str,
    /// The HTTP status that caused it.
    pub http_status: Option<u16>,
    /// Seconds.
    pub retry_after: Option<f64>,
    /// Whether the same call can succeed later.
    pub retryable: bool,
    /// The number of the token refresh that failed.
    pub attempt: Option<f64>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().to_owned(),
            outcome: error.outcome(),
            http_status: error.http_status(),
            retry_after: error.retry_after().map(|after| after.as_secs_f64()),
            retryable: error.retryable(),
            attempt: error.attempt().map(|attempt| attempt as f64),
        }
    }
}

impl Failure {
    /// The system gave no thread for something that makes no call.
    pub(crate) fn no_thread(what: &str, error: &std::io::Error) -> Failure {
        Failure {
            code: "internal".to_owned(),
            message: format!("No thread for {what}: {error}."),
            hint: "End some threads or processes, or raise the limit of this user or container (`ulimit -u`, TasksMax, \
                   pids.max)."
                .to_owned(),
            outcome: "not_sent",
            http_status: None,
            retry_after: None,
            retryable: false,
            attempt: None,
        }
    }
}

/// Throws a `Failure`, a plain object, for TypeScript to catch.
pub(crate) fn throw<F: Into<Failure>>(env: Env) -> impl FnOnce(F) -> napi::Error {
    move |failure| match env.throw(failure.into()) {
        Ok(()) => napi::Error::from_status(Status::PendingException),
        Err(failure) => failure,
    }
}
