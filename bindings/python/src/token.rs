//! Tokens as Python sees them.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyString, PyTuple};

/// What a token can be asked for by, as in 88Pay's answer. It is no `collections.abc.Mapping` all the same: error reporters
/// print those with all that is in them.
const KEYS: [&str; 3] = ["access_token", "expires_in", "session_id"];

/// An access token and the session ID that belongs to it. It never changes, and stays readable after it has
/// ended.
///
/// dict(token) has the names of 88Pay's answer. That dictionary holds the secrets; repr() and str() of the token
/// do not show them.
#[pyclass(frozen, module = "pay88")]
pub(crate) struct Token(pub(crate) pay88_sys::Token);

#[pymethods]
impl Token {
    /// The access token, for `Authorization: Bearer …`. A secret.
    #[getter]
    fn access_token(&self) -> &str {
        self.0.access_token()
    }

    /// The session ID, for `x-session-id`. A secret.
    #[getter]
    fn session_id(&self) -> &str {
        self.0.session_id()
    }

    /// The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token.
    #[getter]
    fn expires_in(&self) -> u64 {
        self.0.expires_in()
    }

    /// For how many seconds the library will still hand the token out; 0.0 when that time is over.
    #[getter]
    fn valid_for(&self) -> f64 {
        self.0.valid_for().as_secs_f64()
    }

    fn __getitem__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        match &*name.to_cow()? {
            "access_token" => Ok(self.access_token().into_pyobject(py)?.into_any()),
            "session_id" => Ok(self.session_id().into_pyobject(py)?.into_any()),
            "expires_in" => Ok(self.expires_in().into_pyobject(py)?.into_any()),
            _ => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }

    /// The names by which its parts can be read, as in token["expires_in"].
    fn keys(&self) -> Vec<&'static str> {
        KEYS.to_vec()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyTuple::new(py, KEYS)?.try_iter()
    }

    fn __len__(&self) -> usize {
        KEYS.len()
    }

    fn __contains__(&self, name: &Bound<'_, PyAny>) -> bool {
        KEYS.iter().any(|key| name.eq(key).unwrap_or(false))
    }

    fn __eq__(&self, other: &Token) -> bool {
        self.access_token() == other.access_token() && self.session_id() == other.session_id()
    }

    fn __hash__(&self) -> u64 {
        self.0.generation()
    }

    fn __repr__(&self) -> String {
        format!(
            "<pay88.Token, valid for {:.1} s>",
            self.0.valid_for().as_secs_f64()
        )
    }
}
