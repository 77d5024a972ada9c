//! Waiting outside of Python.
//!
//! Promises: no wait holds the GIL, and each ends soon after a signal whose handler raises, Ctrl-C above all.

use pay88_sys::{Reply, Result};
use pyo3::prelude::*;

use crate::completion::given_up;
use crate::error::exception;

/// Runs a blocking call without the GIL. What a signal handler raises meanwhile is raised here; its cause is then the
/// library's error, which says whether the request can have reached 88Pay. An answer that came nevertheless is with it;
/// without one that is `outcome`.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    outcome: &str,
    call: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<T> + Send,
) -> PyResult<T>
where
    Reply: From<T>,
{
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
    match raised {
        None => result.map_err(|error| exception(py, &error)),
        Some(raised) => {
            raised.set_cause(py, Some(given_up(py, Some(result), outcome)));
            Err(raised)
        }
    }
}
