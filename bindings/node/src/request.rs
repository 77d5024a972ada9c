//! Requests as TypeScript describes them.

use std::time::Duration;

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use pay88_sys::{Library, Request};

/// A call of 88Pay's API.
#[napi(object, object_to_js = false)]
pub struct RequestParts {
    /// Such as "POST".
    pub method: String,
    /// A path below the base URL.
    pub endpoint: String,
    /// Names and values in turn.
    pub headers: Vec<String>,
    /// Names and values in turn.
    pub params: Vec<String>,
    /// Text, sent as UTF-8.
    pub text: Option<String>,
    /// Any bytes, instead of text.
    pub bytes: Option<Uint8Array>,
    /// Seconds.
    pub timeout: Option<f64>,
    /// Sending it twice does no harm.
    pub safe_to_repeat: bool,
}

impl RequestParts {
    pub(crate) fn build(&self, library: Library) -> pay88_sys::Result<Request> {
        let mut request = library.request(&self.method, &self.endpoint)?;
        for (name, value) in pairs(&self.headers) {
            request.add_header(name, value)?;
        }
        for (name, value) in pairs(&self.params) {
            request.add_param(name, value)?;
        }
        if let Some(text) = &self.text {
            request.set_body(text.as_bytes())?;
        }
        if let Some(bytes) = &self.bytes {
            request.set_body(bytes)?;
        }
        if let Some(timeout) = seconds(self.timeout) {
            request.set_timeout(timeout)?;
        }
        request.set_safe_to_repeat(self.safe_to_repeat)?;
        Ok(request)
    }
}

fn pairs(flat: &[String]) -> impl Iterator<Item = (&str, &str)> {
    flat.chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

/// What is no time at all becomes too long a one, which the library refuses.
pub(crate) fn seconds(timeout: Option<f64>) -> Option<Duration> {
    timeout.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
