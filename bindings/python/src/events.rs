//! Events of the library, as the package's `_events.py` takes them.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pay88_sys::Library;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::error::exception;

/// Whether this process was forked from one that logs, and has not gone on with that.
static FORKED: AtomicBool = AtomicBool::new(false);

/// A queue of the events of all managers of this process.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Events(pay88_sys::Events);

#[pymethods]
impl Events {
    /// Subscribes; at most `capacity` events wait.
    #[new]
    fn new(py: Python<'_>, capacity: usize) -> PyResult<Events> {
        let library =
            Library::of_process().map_err(|error| PyImportError::new_err(error.to_string()))?;
        let events = library
            .events(capacity)
            .map_err(|error| exception(py, &error))?;
        static AT_FORK: Once = Once::new();
        AT_FORK.call_once(|| {
            // It fails for want of memory alone, and then children do not log.
            // SAFETY: the function stores a flag and nothing else, and this module is never unmapped.
            unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        });
        FORKED.store(false, Ordering::Relaxed);
        Ok(Events(events))
    }

    /// The next event as JSON, or None if there is none. Never waits.
    fn next(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let event = self
            .0
            .next(Duration::ZERO)
            .map_err(|error| exception(py, &error))?;
        Ok(event.map(|event| event.json().to_owned()))
    }
}

unsafe extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// To be called before anything that can make an event: goes on with the logging of the process that this one was forked
/// from.
pub(crate) fn log_on(py: Python<'_>) -> PyResult<()> {
    if FORKED.load(Ordering::Relaxed) && FORKED.swap(false, Ordering::Relaxed) {
        py.import("pay88._events")?.call_method0("log_on")?;
    }
    Ok(())
}
