//! From errors of the library to exceptions.
//!
//! Promises: no Python code runs here. A thread that runs some while the interpreter ends is ended in the middle of it, by
//! an unwinding that must not meet frames of Rust.

use pay88_sys::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The exception of the error's code. The classes are made in Python, since the stable ABI cannot extend exceptions.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let made = || {
        let classes = CLASSES.import(py, "pay88._error", "CLASSES")?;
        let class = match classes.get_item(error.code())? {
            Some(class) => class,
            // A code of a later release of the library.
            None => py.import("pay88._error")?.getattr("Pay88Error")?,
        };
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
    };
    match made() {
        Ok(exception) => PyErr::from_value(exception),
        Err(failure) => failure,
    }
}
