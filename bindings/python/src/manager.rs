//! Managers: what those that block and those that are awaited have in common.

use std::mem;
use std::sync::Mutex;

use pay88_sys::{Error, Kept, Library};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::completion::{Call, Completions};
use crate::error::exception;
use crate::events::log_on;
use crate::option::{seconds, text};
use crate::request::Arguments;
use crate::token::Token;

/// A handle of the process's manager for one set of credentials.
#[pyclass(frozen, subclass, module = "pay88._native")]
pub(crate) struct Manager {
    pub(crate) library: Library,
    pub(crate) manager: pay88_sys::Manager,
    /// Only ever tried, never waited for: a thread that holds it may not exist in a forked child.
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    /// What was handed out last, with its number, so that one token is one object.
    token: Option<(u64, Py<Token>)>,
    /// Whether that one may be handed out again without a call of the library.
    kept: Kept,
}

impl Manager {
    /// The token if it is there, which is used hereby; without letting go of the GIL, which could take long to come back.
    pub(crate) fn cached(&self, py: Python<'_>) -> PyResult<Option<Py<Token>>> {
        log_on(py)?;
        let mut kept = match self.latest.try_lock() {
            Ok(mut latest) => {
                if self.manager.is_current(&mut latest.kept)
                    && let Some((_, token)) = &latest.token
                {
                    return Ok(Some(token.clone_ref(py)));
                }
                mem::take(&mut latest.kept)
            }
            Err(_) => Kept::default(),
        };
        // This may read the host's record and start a renewal, so it does not happen under the lock.
        let Some(token) = self.manager.keep(&mut kept) else {
            return Ok(None);
        };
        let generation = token.generation();
        let token = self.hand_out(py, token)?;
        if let Ok(mut latest) = self.latest.try_lock()
            && latest
                .token
                .as_ref()
                .is_some_and(|(of, _)| *of == generation)
        {
            self.manager.report_uses(&mut latest.kept);
            latest.kept = kept;
        }
        Ok(Some(token))
    }

    /// Tells the library of the tokens that were handed out without a call.
    fn report_uses(&self) {
        if let Ok(mut latest) = self.latest.try_lock() {
            self.manager.report_uses(&mut latest.kept);
        }
    }

    /// The same object as long as the token is the same.
    pub(crate) fn hand_out(&self, py: Python<'_>, token: pay88_sys::Token) -> PyResult<Py<Token>> {
        self.hand_out_as(py, token.generation(), || Py::new(py, Token(token)))
    }

    fn hand_out_as(
        &self,
        py: Python<'_>,
        generation: u64,
        make: impl FnOnce() -> PyResult<Py<Token>>,
    ) -> PyResult<Py<Token>> {
        let Ok(mut latest) = self.latest.try_lock() else {
            return make();
        };
        match &latest.token {
            Some((of, known)) if *of == generation => Ok(known.clone_ref(py)),
            _ => {
                let new = make()?;
                latest.kept.forget();
                latest.token = Some((generation, new.clone_ref(py)));
                Ok(new)
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.report_uses();
    }
}

#[pymethods]
impl Manager {
    #[new]
    #[pyo3(signature = (api_key=None, merchant_id=None, base_url=None, **options))]
    pub(crate) fn new(
        py: Python<'_>,
        api_key: Option<&Bound<'_, PyAny>>,
        merchant_id: Option<&Bound<'_, PyAny>>,
        base_url: Option<&Bound<'_, PyAny>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Manager> {
        log_on(py)?;
        let library =
            Library::of_process().map_err(|error| PyImportError::new_err(error.to_string()))?;
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
            latest: Mutex::default(),
        })
    }

    /// The number of the manager behind this object. Equal numbers mean the same manager of this process.
    #[getter]
    fn manager_id(&self) -> u64 {
        self.manager.id()
    }

    /// The base URL, normalised.
    #[getter]
    fn base_url(&self) -> &str {
        self.manager.base_url()
    }

    /// The merchant ID.
    #[getter]
    fn merchant_id(&self) -> &str {
        self.manager.merchant_id()
    }

    /// Whether this object was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.manager.is_closed()
    }

    /// Returns the cached token, or None if there is no valid one. Never waits.
    fn peek_token(&self, py: Python<'_>) -> PyResult<Option<Py<Token>>> {
        match self.manager.peek_token() {
            Ok(None) => Ok(None),
            Ok(Some(token)) => self.hand_out(py, token).map(Some),
            Err(error) => Err(exception(py, &error)),
        }
    }

    fn _stats_json(&self, py: Python<'_>) -> PyResult<String> {
        self.report_uses();
        self.manager
            .stats_json()
            .map_err(|error| exception(py, &error))
    }

    /// Drops the cached token, for example because another program has revoked it. Returns whether there was one.
    ///
    /// With a token, the cached token is dropped only if it is that one. Raises RateLimitedError if tokens were
    /// dropped too often lately.
    #[pyo3(signature = (token=None))]
    fn invalidate(&self, py: Python<'_>, token: Option<&Bound<'_, Token>>) -> PyResult<bool> {
        log_on(py)?;
        let token = token.map(|token| &token.get().0);
        py.detach(|| self.manager.invalidate(token))
            .map_err(|error| exception(py, &error))
    }

    /// Replaces the API key, for everything in the process that uses this manager.
    ///
    /// With `keep_old` the old key is used for up to 24 hours while 88Pay does not accept the new one.
    #[pyo3(signature = (api_key, keep_old=true))]
    fn rotate(&self, api_key: &Bound<'_, PyAny>, keep_old: bool) -> PyResult<()> {
        let py = api_key.py();
        log_on(py)?;
        let api_key = text("api_key", api_key)?;
        py.detach(|| self.manager.rotate(&api_key, keep_old))
            .map_err(|error| exception(py, &error))
    }

    /// Ends the pending calls of this object with CanceledError, and refuses later ones. Never waits.
    ///
    /// Other objects of the same manager are not affected.
    fn close(&self) {
        self.report_uses();
        self.manager.close();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let Manager { manager, .. } = slf.get();
        let (id, merchant, url) = (manager.id(), manager.merchant_id(), manager.base_url());
        let class = slf.get_type().name()?;
        Ok(format!("<pay88.{class} {id} for {merchant} at {url}>"))
    }

    /// The cached token, which is used hereby, or None; for a call with this timeout.
    fn _cached(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<Token>>> {
        seconds(timeout)?;
        self.cached(py)
    }

    /// The object that stands for this token.
    fn _same(&self, token: &Bound<'_, Token>) -> PyResult<Py<Token>> {
        let generation = token.get().0.generation();
        self.hand_out_as(token.py(), generation, || Ok(token.clone().unbind()))
    }

    fn _start_token(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        number: u64,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Call> {
        let completions = &completions.get().0;
        let timeout = seconds(timeout)?;
        py.detach(|| self.manager.get_token_queued(timeout, completions, number))
            .map(Call)
            .map_err(|error| exception(py, &error))
    }

    fn _start_send(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        number: u64,
        arguments: Arguments<'_>,
    ) -> PyResult<Call> {
        let completions = &completions.get().0;
        let request = arguments.request(py, self.library)?;
        py.detach(|| self.manager.send_queued(&request, completions, number))
            .map(Call)
            .map_err(|error| exception(py, &error))
    }
}
