//! Events of the library, as the package's `_events.py` takes them.

use std::time::Duration;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::error::exception;
use crate::library::library;

/// A queue of the events of all managers of this process.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Events(pay88_sys::Events);

#[pymethods]
impl Events {
    /// Subscribes; at most `capacity` events wait.
    #[new]
    fn new(py: Python<'_>, capacity: usize) -> PyResult<Events> {
        let library = library().map_err(|error| PyImportError::new_err(error.to_string()))?;
        library
            .events(capacity)
            .map(Events)
            .map_err(|error| exception(py, &error))
    }

    /// The next event as JSON, if one is there. Never waits.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let event = self
            .0
            .next(Duration::ZERO)
            .map_err(|error| exception(py, &error))?;
        Ok(event.map(|event| event.json().to_owned()))
    }
}
