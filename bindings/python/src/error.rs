//! From errors of the library to exceptions.

use pay88_sys::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// A `pay88.Pay88Error`. The class is made in Python, since the stable ABI cannot extend exceptions.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let made = CLASS
        .import(py, "pay88._error", "Pay88Error")
        .and_then(|class| {
            class.call1((
                error.code(),
                error.message(),
                error.hint(),
                error.outcome(),
                error.http_status(),
                error.retry_after().map(|after| after.as_secs_f64()),
                error.retryable(),
                error.attempt(),
            ))
        });
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}
