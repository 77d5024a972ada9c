//! What to ask 88Pay for.

use std::time::Duration;

use crate::Library;
use crate::abi::pay88_request;
use crate::error::{Error, Result};
use crate::handle::{Handle, check, obtain};
use crate::time::milliseconds;

/// A call of 88Pay's API, which may be sent several times. Endpoint and headers are checked when it is sent.
pub struct Request(pub(crate) Handle<pay88_request>);

/// All that a call of a language says of a request; see the methods of [`Request`] for each.
pub struct RequestParts<'a, Headers, Params> {
    /// Such as "POST".
    pub method: &'a str,
    /// A path below the base URL.
    pub endpoint: &'a str,
    /// Names and values.
    pub headers: Headers,
    /// Names and values of the query.
    pub params: Params,
    /// What is sent; nothing if there is none.
    pub body: Option<&'a [u8]>,
    /// How long the call may take in all; the manager's own time without it.
    pub timeout: Option<Duration>,
    /// Whether sending it twice does no harm.
    pub safe_to_repeat: bool,
}

impl Library {
    /// A request with all that a call of a language says of it.
    ///
    /// # Errors
    /// `config_invalid` for texts of absurd length, a body above 64 MiB and a time above an hour.
    pub fn request_of<'a>(
        self,
        parts: RequestParts<
            'a,
            impl IntoIterator<Item = (&'a str, &'a str)>,
            impl IntoIterator<Item = (&'a str, &'a str)>,
        >,
    ) -> Result<Request> {
        let mut request = self.request(parts.method, parts.endpoint)?;
        for (name, value) in parts.headers {
            request.add_header(name, value)?;
        }
        for (name, value) in parts.params {
            request.add_param(name, value)?;
        }
        if let Some(body) = parts.body {
            request.set_body(body)?;
        }
        if let Some(timeout) = parts.timeout {
            request.set_timeout(timeout)?;
        }
        if parts.safe_to_repeat {
            request.set_safe_to_repeat(true)?;
        }
        Ok(request)
    }

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
        let add = self.0.functions.pay88_request_add_header;
        self.0.set(add, name, value)
    }

    /// Adds a parameter to the query; it is percent-encoded.
    ///
    /// # Errors
    /// `config_invalid` for texts of absurd length.
    pub fn add_param(&mut self, name: &str, value: &str) -> Result<()> {
        let add = self.0.functions.pay88_request_add_param;
        self.0.set(add, name, value)
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
