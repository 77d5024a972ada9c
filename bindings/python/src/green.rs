//! Waiting in a program of green threads, all of which a blocked thread would stop.
//!
//! Promises: nothing is imported that the program has not imported itself; a wait that is given up cancels its call; one
//! that goes on in a forked child ends with `forked` within a second.

use pay88_sys::{Completions, Library, Reply};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::completion::{Call, given_up};
use crate::error::exception;

/// The function that waits for a descriptor while other green threads run; `None` where a thread is a thread, which is
/// found out without running Python code (see [`crate::error`]).
pub(crate) fn waiter(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    // SAFETY: the GIL is held; the dictionary is the interpreter's and is only borrowed.
    let modules = unsafe {
        Bound::from_borrowed_ptr_or_err(py, pyo3::ffi::PyImport_GetModuleDict())?
            .cast_into_unchecked::<PyDict>()
    };
    if !modules.contains(intern!(py, "gevent.monkey"))?
        && !modules.contains(intern!(py, "eventlet.patcher"))?
    {
        return Ok(None);
    }
    let waiter = py.import("pay88._green")?.call_method0("waiter")?;
    Ok((!waiter.is_none()).then_some(waiter))
}

/// Runs an asynchronous call, and waits for its result by `waiter`. `forked` is the outcome that a child gets which is forked
/// meanwhile, and whether it may call again. What is raised in the wait, such as a `gevent.Timeout`, has as its cause the
/// error of the call, which says whether the request can have reached 88Pay, and has an answer that came nevertheless.
pub(crate) fn wait<T>(
    waiter: &Bound<'_, PyAny>,
    library: Library,
    forked: (&str, bool),
    start: impl FnOnce(&Completions) -> pay88_sys::Result<pay88_sys::Call>,
    expected: fn(Reply) -> pay88_sys::Result<T>,
) -> PyResult<T>
where
    Reply: From<T>,
{
    let py = waiter.py();
    let raise = |error| exception(py, &error);
    let completions = library.completions().map_err(raise)?;
    let call = Call(start(&completions).map_err(raise)?);
    let descriptor = completions.descriptor();
    let wait = || waiter.call1((descriptor,)).map(drop);
    let result = || {
        let (_, result) = completions.take().ok()?.pop()?;
        Some(result.and_then(expected))
    };
    let in_child = || {
        let error = || py.import("pay88._error")?.getattr("forked")?.call1(forked);
        error().map_or_else(|failure| failure, PyErr::from_value)
    };
    loop {
        let waited = wait();
        let Err(raised) = waited else {
            if completions.is_inherited() {
                return Err(in_child());
            }
            match result() {
                Some(result) => return result.map_err(raise),
                None => continue,
            }
        };
        call.cancel();
        // The library ends it at once, and the waiter waits for a second at most. What is raised meanwhile is dropped:
        // the caller gives up already.
        let _ = wait();
        let cause = match completions.is_inherited() {
            true => in_child(),
            false => given_up(py, result(), forked.0),
        };
        raised.set_cause(py, Some(cause));
        return Err(raised);
    }
}
