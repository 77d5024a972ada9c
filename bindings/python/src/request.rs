//! What `make_request` passes, as the library takes it.

use pay88_sys::{Library, Request};
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
        let raise = |error| exception(py, &error);
        let timeout = seconds(timeout.as_ref())?;
        let (method, endpoint) = (argument("method", method)?, argument("endpoint", endpoint)?);
        let mut request = library.request(&method, &endpoint).map_err(raise)?;
        for (name, value) in headers {
            let (name, value) = (argument("headers", name)?, argument("headers", value)?);
            request.add_header(&name, &value).map_err(raise)?;
        }
        for (name, value) in params {
            let (name, value) = (argument("params", name)?, argument("params", value)?);
            request.add_param(&name, &value).map_err(raise)?;
        }
        let prepare = || {
            if let Some(body) = body {
                request.set_body(body.as_bytes())?;
            }
            if let Some(timeout) = timeout {
                request.set_timeout(timeout)?;
            }
            if *safe_to_repeat {
                request.set_safe_to_repeat(true)?;
            }
            Ok(request)
        };
        prepare().map_err(raise)
    }
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
