//! What `make_request` passes, as the library takes it.

use pay88_sys::{Library, Request, RequestParts};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{exception, invalid};
use crate::events::log_on;
use crate::option::{seconds, utf8};

/// The arguments of one call, as the package's `_request.py` puts them together.
#[derive(FromPyObject)]
pub(crate) struct Arguments<'py>(
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Option<Bound<'py, PyBytes>>,
    Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    Option<Bound<'py, PyAny>>,
    bool,
);

impl Arguments<'_> {
    pub(crate) fn safe_to_repeat(&self) -> bool {
        self.6
    }

    pub(crate) fn request(&self, py: Python<'_>, library: Library) -> PyResult<Request> {
        let Arguments(method, endpoint, body, headers, params, timeout, safe_to_repeat) = self;
        log_on(py)?;
        let timeout = seconds(timeout.as_ref())?;
        let (method, endpoint) = (argument("method", method)?, argument("endpoint", endpoint)?);
        let headers = texts("headers", headers)?;
        let params = texts("params", params)?;
        library
            .request_of(RequestParts {
                method: &method,
                endpoint: &endpoint,
                headers: borrowed(&headers),
                params: borrowed(&params),
                body: body.as_ref().map(|body| body.as_bytes()),
                timeout,
                safe_to_repeat: *safe_to_repeat,
            })
            .map_err(|error| exception(py, &error))
    }
}

/// Names and values of an argument that has several.
fn texts(
    name: &str,
    pairs: &[(Bound<'_, PyAny>, Bound<'_, PyAny>)],
) -> PyResult<Vec<(String, String)>> {
    pairs
        .iter()
        .map(|(key, value)| Ok((argument(name, key)?, argument(name, value)?)))
        .collect()
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The text of an argument. What it holds is in no message: it may be a secret.
fn argument(name: &str, text: &Bound<'_, PyAny>) -> PyResult<String> {
    utf8(text).ok_or_else(|| {
        let message = format!("The argument {name} holds text that cannot be UTF-8.");
        invalid(
            text.py(),
            &message,
            "It has surrogates, as bytes have that were decoded though they are not UTF-8.",
        )
    })
}
