//! Answers, as the Python class `pay88.Response` reads them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::exception;

/// An answer of any HTTP status.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Response(pub(crate) pay88_sys::Response);

#[pymethods]
impl Response {
    #[getter]
    fn status_code(&self) -> u16 {
        self.0.status()
    }

    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.body())
    }

    /// Pairs of a name, in lower case, and a value.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs = self
            .0
            .headers()
            .map(|(name, value)| (name, PyBytes::new(py, value)));
        PyList::new(py, pairs.collect::<Vec<_>>())
    }

    /// Raises `http_error` if the status is 400 or above.
    fn raise_for_status(&self, py: Python<'_>) -> PyResult<()> {
        self.0
            .error_for_status()
            .map_err(|error| exception(py, &error))
    }
}
