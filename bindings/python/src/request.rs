//! What `make_request` passes, as the library takes it.

use pay88_sys::{Library, Request};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::exception;
use crate::option::seconds;

/// The arguments of one call, as the package's `_request.py` puts them together.
#[derive(FromPyObject)]
pub(crate) struct Arguments<'py>(
    String,
    String,
    Option<Bound<'py, PyBytes>>,
    Vec<(String, String)>,
    Vec<(String, String)>,
    Option<f64>,
    bool,
);

impl Arguments<'_> {
    pub(crate) fn safe_to_repeat(&self) -> bool {
        self.6
    }

    pub(crate) fn request(&self, py: Python<'_>, library: Library) -> PyResult<Request> {
        let Arguments(method, endpoint, body, headers, params, timeout, safe_to_repeat) = self;
        let timeout = seconds(*timeout)?;
        let prepare = || {
            let mut request = library.request(method, endpoint)?;
            for (name, value) in headers {
                request.add_header(name, value)?;
            }
            for (name, value) in params {
                request.add_param(name, value)?;
            }
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
        prepare().map_err(|error| exception(py, &error))
    }
}
