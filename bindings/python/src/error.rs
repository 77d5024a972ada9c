//! From errors of the library to exceptions, and those of this extension's own arguments.
//!
//! Promises: no Python code runs here. A thread that runs some while the interpreter ends is ended in the middle of it, by
//! an unwinding that must not meet frames of Rust.

use pay88_sys::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// The exception of the error's code. The classes are made in Python, since the stable ABI cannot extend exceptions.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let made = || {
        let exception = instance(py, error.code(), error.message(), error.hint())?;
        exception.setattr("outcome", error.outcome())?;
        exception.setattr("http_status", error.http_status())?;
        let retry_after = error.retry_after().map(|after| after.as_secs_f64());
        exception.setattr("retry_after", retry_after)?;
        exception.setattr("retryable", error.retryable())?;
        exception.setattr("attempt", error.attempt())?;
        Ok(exception)
    };
    made().map_or_else(|failure: PyErr| failure, PyErr::from_value)
}

/// `config_invalid`, for an option or argument that the library is not asked about.
pub(crate) fn invalid(py: Python<'_>, message: &str, hint: &str) -> PyErr {
    instance(py, "config_invalid", message, hint).map_or_else(|failure| failure, PyErr::from_value)
}

/// An instance of the code's class, with what the class has where nothing else is set. Its `__init__` is not called, which
/// is Python code.
fn instance<'py>(
    py: Python<'py>,
    code: &str,
    message: &str,
    hint: &str,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASSES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let classes = CLASSES.import(py, "pay88._error", "CLASSES")?;
    let known = classes.get_item(code)?;
    let class = match &known {
        Some(class) => class.clone(),
        None => py.import("pay88._error")?.getattr("Pay88Error")?,
    };
    let exception = class.call_method1("__new__", (&class,))?;
    exception.setattr("args", (message,))?;
    exception.setattr("message", message)?;
    exception.setattr("hint", hint)?;
    if known.is_none() {
        // A code of a later release of the library.
        exception.setattr("code", code)?;
    }
    Ok(exception)
}
