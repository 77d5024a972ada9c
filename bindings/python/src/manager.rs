//! Managers: the compiled half of `pay88.TokenManager`.

use std::sync::Mutex;

use pay88_sys::{Error, Library};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::exception;
use crate::library::library;
use crate::option::{seconds, text};
use crate::response::Response;
use crate::token::Token;
use crate::wait::wait;

/// A handle of the process's manager for one set of credentials.
#[pyclass(frozen, subclass, module = "pay88._native")]
pub(crate) struct Manager {
    library: Library,
    manager: pay88_sys::Manager,
    /// What was handed out last, so that one token is one object. Only ever tried, never waited for: a thread that holds
    /// it may not exist in a forked child.
    latest: Mutex<Option<Py<Token>>>,
}

impl Manager {
    /// The token if it is there, without letting go of the GIL, which could take long to come back.
    fn cached(&self) -> Option<pay88_sys::Token> {
        self.manager.peek_token().ok()??;
        // Unlike a peek this counts as use, for which the token is renewed ahead. Should it end at this moment, the wait
        // that begins is given up at once and begun again by the caller, detached.
        self.manager.get_token(None, &mut || true).ok()
    }

    /// The same object as long as the token is the same.
    fn hand_out(&self, py: Python<'_>, token: pay88_sys::Token) -> PyResult<Py<Token>> {
        let Ok(mut latest) = self.latest.try_lock() else {
            return Py::new(py, Token(token));
        };
        match &*latest {
            Some(known) if known.get().0.generation() == token.generation() => {
                Ok(known.clone_ref(py))
            }
            _ => {
                let new = Py::new(py, Token(token))?;
                *latest = Some(new.clone_ref(py));
                Ok(new)
            }
        }
    }
}

#[pymethods]
impl Manager {
    #[new]
    #[pyo3(signature = (api_key=None, merchant_id=None, base_url=None, **options))]
    fn new(
        py: Python<'_>,
        api_key: Option<&Bound<'_, PyAny>>,
        merchant_id: Option<&Bound<'_, PyAny>>,
        base_url: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Manager> {
        let library = library().map_err(|error| PyImportError::new_err(error.to_string()))?;
        let raise = |error: Error| exception(py, &error);
        let mut config = library.config().map_err(raise)?;
        for (name, value) in [
            ("api_key", api_key),
            ("merchant_id", merchant_id),
            ("base_url", base_url),
        ] {
            if let Some(value) = value {
                config.set(name, &text(name, value)?).map_err(raise)?;
            }
        }
        for (name, value) in options.into_iter().flatten() {
            let name: String = name.extract()?;
            if !value.is_none() {
                config.set(&name, &text(&name, &value)?).map_err(raise)?;
            }
        }
        // Reads certificates.
        let manager = py
            .detach(|| pay88_sys::Manager::new(&config))
            .map_err(raise)?;
        Ok(Manager {
            library,
            manager,
            latest: Mutex::new(None),
        })
    }

    /// The number of the manager behind this object: equal numbers mean the same manager of this process.
    #[getter]
    fn manager_id(&self) -> u64 {
        self.manager.id()
    }

    /// The normalised base URL.
    #[getter]
    fn base_url(&self) -> &str {
        self.manager.base_url()
    }

    /// The merchant ID.
    #[getter]
    fn merchant_id(&self) -> &str {
        self.manager.merchant_id()
    }

    /// The token: the cached one at once, else it waits for a new one, at most `timeout` seconds (unless given the
    /// manager's own, 30). However many threads wait, one token is asked for. Raises `Pay88Error`.
    #[pyo3(signature = (timeout=None))]
    fn get_token(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<Token>> {
        let timeout = seconds(timeout)?;
        let token = match self.cached() {
            Some(token) => token,
            None => wait(py, |interrupt| self.manager.get_token(timeout, interrupt))?,
        };
        self.hand_out(py, token)
    }

    /// The cached token, or None if there is none that is valid. Never waits.
    fn peek_token(&self, py: Python<'_>) -> PyResult<Option<Py<Token>>> {
        match self.manager.peek_token() {
            Ok(None) => Ok(None),
            Ok(Some(token)) => self.hand_out(py, token).map(Some),
            Err(error) => Err(exception(py, &error)),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one for each of make_request's")]
    fn _send(
        &self,
        py: Python<'_>,
        method: &str,
        endpoint: &str,
        body: Option<&[u8]>,
        headers: Vec<(String, String)>,
        params: Vec<(String, String)>,
        timeout: Option<f64>,
        safe_to_repeat: bool,
    ) -> PyResult<Response> {
        let timeout = seconds(timeout)?;
        let prepare = || {
            let mut request = self.library.request(method, endpoint)?;
            for (name, value) in &headers {
                request.add_header(name, value)?;
            }
            for (name, value) in &params {
                request.add_param(name, value)?;
            }
            if let Some(body) = body {
                request.set_body(body)?;
            }
            if let Some(timeout) = timeout {
                request.set_timeout(timeout)?;
            }
            request.set_safe_to_repeat(safe_to_repeat)?;
            Ok(request)
        };
        let request = prepare().map_err(|error| exception(py, &error))?;
        wait(py, |interrupt| self.manager.send(&request, interrupt)).map(Response)
    }

    fn _stats_json(&self, py: Python<'_>) -> PyResult<String> {
        self.manager
            .stats_json()
            .map_err(|error| exception(py, &error))
    }

    /// Drops the cached token, for example when another program has revoked it; says whether there was one. Raises
    /// `Pay88Error` if that was done too often lately.
    fn invalidate(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.manager.invalidate(None))
            .map_err(|error| exception(py, &error))
    }

    /// Replaces the API key, for all who use this manager in the process. With `keep_old` the old key is used for up to 24
    /// hours while 88Pay does not accept the new one.
    #[pyo3(signature = (api_key, keep_old=true))]
    fn rotate(&self, py: Python<'_>, api_key: &str, keep_old: bool) -> PyResult<()> {
        py.detach(|| self.manager.rotate(api_key, keep_old))
            .map_err(|error| exception(py, &error))
    }

    /// Ends the pending calls of this object with `canceled` and refuses later ones. Other objects of the same manager go
    /// on. Never waits.
    fn close(&self) {
        self.manager.close();
    }
}
