//! Values of options, parameters and times as the library takes them.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

/// Text, a number or a path as text.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
    if number && !value.is_instance_of::<PyBool>() {
        return Ok(value.str()?.to_cow()?.into_owned());
    }
    let path = match value.cast::<PyString>() {
        Ok(text) => return Ok(text.to_cow()?.into_owned()),
        Err(_) => value.py().import("os")?.call_method1("fspath", (value,)),
    };
    // The value may be a secret, and the message goes to logs.
    path.and_then(|path| path.extract()).map_err(|_| {
        PyTypeError::new_err(format!(
            "The option {name} must be a string, a number or a path."
        ))
    })
}

/// Seconds.
pub(crate) fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    match timeout {
        None => Ok(None),
        Some(seconds) if seconds > 0.0 => Ok(Some(
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX),
        )),
        Some(_) => Err(PyValueError::new_err(
            "The timeout must be a number of seconds above 0.",
        )),
    }
}
