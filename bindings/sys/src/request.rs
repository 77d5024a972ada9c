//! What to ask 88Pay for.

use std::time::Duration;

use crate::Library;
use crate::abi::pay88_request;
use crate::error::{Error, Result};
use crate::handle::{Handle, check, obtain};

/// A call of 88Pay's API, which may be sent several times. Endpoint and headers are judged when it is sent.
pub struct Request(pub(crate) Handle<pay88_request>);

impl Library {
    /// A request of any method and of any path below the base URL.
    ///
    /// # Errors
    /// `config_invalid` for texts of absurd length.
    pub fn request(self, method: &str, endpoint: &str) -> Result<Request> {
        let functions = self.functions;
        obtain(functions, functions.pay88_request_release, |out, error| {
            // SAFETY: the texts are readable, and both results may be written to.
            unsafe {
                (functions.pay88_request_new)(
                    method.as_ptr().cast(),
                    method.len(),
                    endpoint.as_ptr().cast(),
                    endpoint.len(),
                    out,
                    error,
                )
            }
        })?
        .map(Request)
        .ok_or_else(Error::none)
    }
}

impl Request {
    /// Adds a header. Those of the credential and of the connection are refused when the request is sent.
    ///
    /// # Errors
    /// `config_invalid` for texts of absurd length.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        let functions = self.0.functions;
        let request = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, the texts are readable, `error` may be written to.
            unsafe {
                (functions.pay88_request_add_header)(
                    request,
                    name.as_ptr().cast(),
                    name.len(),
                    value.as_ptr().cast(),
                    value.len(),
                    error,
                )
            }
        })
    }

    /// Adds a parameter to the query; it is percent-encoded.
    ///
    /// # Errors
    /// `config_invalid` for texts of absurd length.
    pub fn add_param(&mut self, name: &str, value: &str) -> Result<()> {
        let functions = self.0.functions;
        let request = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, the texts are readable, `error` may be written to.
            unsafe {
                (functions.pay88_request_add_param)(
                    request,
                    name.as_ptr().cast(),
                    name.len(),
                    value.as_ptr().cast(),
                    value.len(),
                    error,
                )
            }
        })
    }

    /// Sets the body. `Content-Type: application/json` is sent unless a header says otherwise.
    ///
    /// # Errors
    /// `config_invalid` above 64 MiB.
    pub fn set_body(&mut self, body: &[u8]) -> Result<()> {
        let functions = self.0.functions;
        let request = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, the bytes are readable, `error` may be written to.
            unsafe { (functions.pay88_request_set_body)(request, body.as_ptr(), body.len(), error) }
        })
    }

    /// Sets how long the call may take in all, at most an hour. Without it, the manager's own time holds.
    ///
    /// # Errors
    /// `config_invalid` for more than an hour.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        let functions = self.0.functions;
        let request = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, and `error` may be written to.
            unsafe {
                (functions.pay88_request_set_timeout_ms)(
                    request,
                    milliseconds(Some(timeout)),
                    error,
                )
            }
        })
    }

    /// Says that sending it twice does no harm, so that it is repeated after a fault.
    ///
    /// # Errors
    /// `internal` if the library fails.
    pub fn set_safe_to_repeat(&mut self, safe: bool) -> Result<()> {
        let functions = self.0.functions;
        let request = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, and `error` may be written to.
            unsafe { (functions.pay88_request_set_safe_to_repeat)(request, safe.into(), error) }
        })
    }
}

/// A time as the ABI takes it: rounded up, and 0 only for none.
pub(crate) fn milliseconds(timeout: Option<Duration>) -> u64 {
    let Some(timeout) = timeout else { return 0 };
    let rounded_up = timeout.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(rounded_up).unwrap_or(u64::MAX)
}
