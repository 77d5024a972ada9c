//! From errors of the library to exceptions.

use pay88_sys::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The exception of the error's code. The classes are made in Python, since the stable ABI cannot extend exceptions.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = || PyResult::Ok(py.import("pay88._error")?.getattr("of")?.unbind());
    let made = MAKE.get_or_try_init(py, make).and_then(|make| {
        make.bind(py).call1((
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
