//! Requests as TypeScript describes them.

use std::time::Duration;

use napi::bindgen_prelude::{Either, Uint8Array};
use pay88_sys::{Library, Request};

/// Text, which is sent as UTF-8, or any bytes.
pub(crate) type Body = Either<String, Uint8Array>;

/// What most calls do without.
pub(crate) struct Extras {
    /// Names and values in turn.
    pub(crate) headers: Option<Vec<String>>,
    /// Names and values in turn.
    pub(crate) params: Option<Vec<String>>,
    /// Seconds.
    pub(crate) timeout: Option<f64>,
    /// Sending it twice does no harm.
    pub(crate) safe_to_repeat: bool,
}

pub(crate) fn build(
    library: Library,
    method: &str,
    endpoint: &str,
    body: Option<&Body>,
    extras: &Extras,
) -> pay88_sys::Result<Request> {
    let mut request = library.request(method, endpoint)?;
    for (name, value) in pairs(extras.headers.as_deref().unwrap_or_default()) {
        request.add_header(name, value)?;
    }
    for (name, value) in pairs(extras.params.as_deref().unwrap_or_default()) {
        request.add_param(name, value)?;
    }
    match body {
        Some(Either::A(text)) => request.set_body(text.as_bytes())?,
        Some(Either::B(bytes)) => request.set_body(bytes)?,
        None => {}
    }
    if let Some(timeout) = seconds(extras.timeout) {
        request.set_timeout(timeout)?;
    }
    if extras.safe_to_repeat {
        request.set_safe_to_repeat(true)?;
    }
    Ok(request)
}

/// Of names and values in turn.
pub(crate) fn pairs(flat: &[String]) -> impl Iterator<Item = (&str, &str)> {
    flat.chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

/// What is no time at all becomes too long a one, which the library refuses.
pub(crate) fn seconds(timeout: Option<f64>) -> Option<Duration> {
    timeout.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
