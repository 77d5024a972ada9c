//! Managers whose calls block: the compiled half of `pay88.TokenManager`.

use pay88_sys::Reply;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::green;
use crate::manager::Manager;
use crate::option::seconds;
use crate::request::Arguments;
use crate::response::Response;
use crate::token::Token;
use crate::wait::wait;

/// A manager whose calls run on the caller's thread.
#[pyclass(frozen, subclass, extends = Manager, module = "pay88._native")]
pub(crate) struct BlockingManager;

#[pymethods]
impl BlockingManager {
    #[new]
    #[pyo3(signature = (api_key=None, merchant_id=None, base_url=None, **options))]
    fn new(
        py: Python<'_>,
        api_key: Option<&Bound<'_, PyAny>>,
        merchant_id: Option<&Bound<'_, PyAny>>,
        base_url: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyClassInitializer<BlockingManager>> {
        let manager = Manager::new(py, api_key, merchant_id, base_url, options)?;
        Ok(PyClassInitializer::from(manager).add_subclass(BlockingManager))
    }

    /// Returns the token. If there is a valid one in the cache, it returns at once.
    ///
    /// Otherwise it waits for a new one, at most `timeout` seconds; without `timeout`, for the manager's own time
    /// (30). However many threads wait, one token is asked for. Raises Pay88Error.
    #[pyo3(signature = (timeout=None))]
    fn get_token(slf: &Bound<'_, Self>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Py<Token>> {
        let py = slf.py();
        let timeout = seconds(timeout)?;
        let shared = slf.as_super().get();
        if let Some(token) = shared.cached(py)? {
            return Ok(token);
        }
        let manager = &shared.manager;
        let token = match green::waiter(py)? {
            None => wait(py, "not_sent", |interrupt| {
                manager.get_token(timeout, interrupt)
            })?,
            Some(waiter) => green::wait(
                &waiter,
                shared.library,
                ("not_sent", true),
                |completions| manager.get_token_queued(timeout, completions, 0),
                Reply::into_token,
            )?,
        };
        shared.hand_out(py, token)
    }

    fn _send(slf: &Bound<'_, Self>, arguments: Arguments<'_>) -> PyResult<Response> {
        let py = slf.py();
        let Manager {
            library, manager, ..
        } = slf.as_super().get();
        let request = arguments.request(py, *library)?;
        match green::waiter(py)? {
            None => wait(py, "unknown", |interrupt| manager.send(&request, interrupt)),
            Some(waiter) => green::wait(
                &waiter,
                *library,
                ("unknown", arguments.safe_to_repeat()),
                |completions| manager.send_queued(&request, completions, 0),
                Reply::into_response,
            ),
        }
        .map(Response)
    }
}
