//! What went wrong, as the library says it.

use std::fmt;
use std::time::Duration;

use crate::abi::{Functions, pay88_error, pay88_str};
use crate::handle::{Handle, text};

/// The result of what can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Holds no secret.
pub struct Error(Option<Handle<pay88_error>>);

impl Error {
    pub(crate) fn from_raw(error: *mut pay88_error, functions: &'static Functions) -> Error {
        Error(Handle::from_raw(
            error,
            functions.pay88_error_release,
            functions,
        ))
    }

    /// A library that could not even make an error.
    pub(crate) fn none() -> Error {
        Error(None)
    }

    fn read<T>(
        &self,
        otherwise: T,
        read: impl FnOnce(&'static Functions, *const pay88_error) -> T,
    ) -> T {
        match &self.0 {
            Some(handle) => read(handle.functions, handle.as_ptr()),
            None => otherwise,
        }
    }

    fn text(
        &self,
        otherwise: &'static str,
        read: impl FnOnce(&'static Functions) -> unsafe extern "C" fn(*const pay88_error) -> pay88_str,
    ) -> &str {
        self.read(otherwise, |functions, error| {
            // SAFETY: the handle is valid, and lends the text as long as it lives, which `self` sees to.
            unsafe { text(read(functions)(error)) }
        })
    }

    /// The name of the code, such as "rate_limited".
    pub fn code(&self) -> &str {
        self.text("internal", |functions| functions.pay88_error_name)
    }

    /// What happened.
    pub fn message(&self) -> &str {
        self.text("The library gave no error.", |functions| {
            functions.pay88_error_message
        })
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        self.text("Please report it.", |functions| functions.pay88_error_hint)
    }

    /// "not_sent", "unknown" or "answered": whether the request can have reached 88Pay.
    pub fn outcome(&self) -> &'static str {
        self.read("unknown", |functions, error| {
            // SAFETY: the handle is valid; a C enum's numbers are those of an int.
            let outcome = unsafe { (functions.pay88_error_outcome)(error) };
            // SAFETY: any number may be asked for, and the text is valid for ever.
            unsafe { text((functions.pay88_outcome_name)(outcome as _)) }
        })
    }

    /// The HTTP status that caused it.
    pub fn http_status(&self) -> Option<u16> {
        self.read(None, |functions, error| {
            // SAFETY: the handle is valid.
            let status = unsafe { (functions.pay88_error_http_status)(error) };
            (status != 0).then_some(status)
        })
    }

    /// How long to wait before the next try makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        self.read(None, |functions, error| {
            // SAFETY: the handle is valid.
            let after = unsafe { (functions.pay88_error_retry_after_ms)(error) };
            u64::try_from(after).ok().map(Duration::from_millis)
        })
    }

    /// Whether the same call may be tried again later and can then succeed.
    pub fn retryable(&self) -> bool {
        self.read(false, |functions, error| {
            // SAFETY: the handle is valid.
            unsafe { (functions.pay88_error_retryable)(error) }
        })
    }

    /// The number of the token refresh that failed, from 1 in each manager.
    pub fn attempt(&self) -> Option<u64> {
        self.read(None, |functions, error| {
            // SAFETY: the handle is valid.
            let attempt = unsafe { (functions.pay88_error_attempt)(error) };
            (attempt != 0).then_some(attempt)
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code())
            .field("message", &self.message())
            .field("hint", &self.hint())
            .field("outcome", &self.outcome())
            .field("http_status", &self.http_status())
            .field("retry_after", &self.retry_after())
            .field("retryable", &self.retryable())
            .finish()
    }
}

impl std::error::Error for Error {}
