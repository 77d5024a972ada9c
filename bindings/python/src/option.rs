//! Values of options, parameters and times as the library takes them.

use std::time::Duration;

use pay88_sys::from_seconds;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt, PyString};

use crate::error::invalid;

/// An option's value, which is text, a number or a path, as text.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    // Decimal and the numbers of numpy too.
    let number = value.is_instance_of::<PyInt>() || value.hasattr("__float__")?;
    if number && !value.is_instance_of::<PyBool>() {
        return Ok(value.str()?.to_cow()?.into_owned());
    }
    // What is in the value is in no message: it may be a secret, and messages go to logs.
    let path = if value.is_instance_of::<PyString>() {
        Ok(value.clone())
    } else {
        py.import("os")?
            .call_method1("fspath", (value,))
            .map_err(|_| {
                let message = format!("The option {name} must be a string, a number or a path.");
                invalid(py, &message, "Pass it as a string.")
            })
    }?;
    // Bytes are a path that was never decoded; no other option is one.
    let path = match path.cast::<PyBytes>() {
        Ok(_) if name != "ca_bundle" => {
            let message = format!("The option {name} is bytes.");
            return Err(invalid(
                py,
                &message,
                "Pass it as a string: decode() the bytes.",
            ));
        }
        Ok(bytes) => String::from_utf8(bytes.as_bytes().to_vec()).ok(),
        Err(_) => utf8(&path),
    };
    path.ok_or_else(|| {
        let message = format!("The option {name} is not text in UTF-8.");
        invalid(
            py,
            &message,
            "Use a value, or for a file a path, that is UTF-8.",
        )
    })
}

/// A string, unless it holds what cannot be UTF-8, such as bytes of an environment variable or argument that are not.
pub(crate) fn utf8(text: &Bound<'_, PyAny>) -> Option<String> {
    Some(text.cast::<PyString>().ok()?.to_cow().ok()?.into_owned())
}

/// Seconds, for one call.
pub(crate) fn seconds(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout.filter(|timeout| !timeout.is_none()) else {
        return Ok(None);
    };
    let py = timeout.py();
    let hint = "Pass the seconds that the whole call may take, as a number; the time for connecting is the option connect_timeout.";
    if timeout.is_instance_of::<PyBool>() || timeout.is_instance_of::<PyString>() {
        return Err(invalid(py, "The argument timeout must be a number.", hint));
    }
    match timeout.extract::<f64>() {
        Ok(seconds) if seconds > 0.0 => Ok(Some(from_seconds(seconds))),
        Ok(_) => Err(invalid(py, "The argument timeout must be above 0.", hint)),
        Err(_) => Err(invalid(py, "The argument timeout must be a number.", hint)),
    }
}
