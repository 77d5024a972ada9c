//! Results of asynchronous calls, on their way to a thread of Python.
//!
//! Promises: a thread of the library puts a result into the library's queue; it never attaches to the interpreter and never
//! waits for it. What is never fetched is dropped without noise. A forked child takes nothing from a queue of its parent.

use pay88_sys::{Library, Reply, Result};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::error::exception;
use crate::response::Response;
use crate::token::Token;

/// Receives the results of calls for one event loop.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Completions(pub(crate) pay88_sys::Completions);

#[pymethods]
impl Completions {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Completions> {
        let library =
            Library::of_process().map_err(|error| PyImportError::new_err(error.to_string()))?;
        match library.completions() {
            Ok(completions) => Ok(Completions(completions)),
            Err(error) => Err(exception(py, &error)),
        }
    }

    /// A descriptor that is readable when a result has arrived.
    fn fileno(&self) -> i32 {
        self.0.descriptor()
    }

    /// The results that have arrived: for each, the number of the call, and a token, a response or an exception.
    fn take(&self, py: Python<'_>) -> PyResult<Vec<(u64, Py<PyAny>)>> {
        if self.0.is_inherited() {
            return Ok(Vec::new());
        }
        let taken = self.0.take().map_err(|error| exception(py, &error))?;
        let in_python = |(number, result)| Ok((number, object(py, result)?));
        taken.into_iter().map(in_python).collect()
    }
}

/// A token, a response or an exception.
fn object(py: Python<'_>, result: Result<Reply>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(Reply::Token(token)) => Ok(Py::new(py, Token(token))?.into_any()),
        Ok(Reply::Response(response)) => Ok(Py::new(py, Response(response))?.into_any()),
        Err(error) => Ok(exception(py, &error).into_value(py).into_any()),
    }
}

/// What became of a call whose caller gave up, as the cause of what was raised in its wait. `result` is there if it came
/// nevertheless; without an answer in it, `outcome` says whether the request can have reached 88Pay.
pub(crate) fn given_up<T>(py: Python<'_>, result: Option<Result<T>>, outcome: &str) -> PyErr
where
    Reply: From<T>,
{
    let cause = || {
        let result = result.map(|result| object(py, result.map(Reply::from)));
        let function = py.import("pay88._response")?.getattr("given_up")?;
        function.call1((result.transpose()?, outcome))
    };
    cause().map_or_else(|failure| failure, PyErr::from_value)
}

/// An asynchronous call. It is canceled if this object is dropped.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Call(pub(crate) pay88_sys::Call);

#[pymethods]
impl Call {
    /// Cancels the call, unless its result is there already. Never waits. Does nothing in a forked child: the call goes on
    /// in the process that began it.
    pub(crate) fn cancel(&self) {
        self.0.cancel();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}
