//! Waiting outside of Python.
//!
//! Promises: no wait holds the GIL, and each ends soon after a signal whose handler raises, Ctrl-C above all.

use pay88_sys::Result;
use pyo3::prelude::*;

use crate::error::exception;

/// Runs a blocking call without the GIL. What a signal handler raises meanwhile is raised here; its cause is then the
/// library's error, which says whether the request can have reached 88Pay.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    call: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<T> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let result = py.detach(|| {
        call(&mut || {
            match Python::try_attach(|py| py.check_signals()) {
                Some(Ok(())) => false,
                Some(Err(exception)) => {
                    raised = Some(exception);
                    true
                }
                // The interpreter is ending: nobody is left to wait for.
                None => true,
            }
        })
    });
    match (raised, result) {
        (None, Ok(value)) => Ok(value),
        (None, Err(error)) => Err(exception(py, &error)),
        (Some(raised), Ok(_)) => Err(raised),
        (Some(raised), Err(error)) => {
            raised.set_cause(py, Some(exception(py, &error)));
            Err(raised)
        }
    }
}
