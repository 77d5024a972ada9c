//! Results of asynchronous calls, on their way to a thread of Python.
//!
//! Promises: a thread of the library puts a result into a queue and writes to a descriptor; it never attaches to the
//! interpreter and never waits for it. What is never fetched is dropped without noise. A forked child takes nothing from a
//! queue of its parent: neither its lock, nor the wake-up that the parent needs.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use pay88_sys::{CompletionQueue, Reply, Result};
use pyo3::prelude::*;

use crate::error::exception;
use crate::process::Process;
use crate::response::Response;
use crate::token::Token;

/// A completion queue of one thread, with a descriptor that says when there is something in it.
pub(crate) struct PollableQueue<T> {
    shared: Arc<Shared<T>>,
    opened_in: Process,
}

struct Shared<T> {
    /// Results with the numbers of their calls. No thread that holds its lock waits for the interpreter.
    completions: CompletionQueue<(u64, Result<T>)>,
    /// Readable while something may be in the queue. Lives until the last call that may write to it has ended, so that its
    /// number never means another file.
    readable: OwnedFd,
}

impl<T: Send + 'static> PollableQueue<T> {
    pub(crate) fn open() -> std::io::Result<PollableQueue<T>> {
        // SAFETY: it takes no pointers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(PollableQueue {
            shared: Arc::new(Shared {
                completions: CompletionQueue::new(),
                // SAFETY: just opened, and nobody else's.
                readable: unsafe { OwnedFd::from_raw_fd(descriptor) },
            }),
            opened_in: Process::current(),
        })
    }

    /// Whether results arrive in another process: this one was forked meanwhile.
    pub(crate) fn are_elsewhere(&self) -> bool {
        !self.opened_in.is_current()
    }

    /// A descriptor that is readable when something has arrived.
    pub(crate) fn descriptor(&self) -> i32 {
        self.shared.readable.as_raw_fd()
    }

    /// What an asynchronous call is given to put its result here.
    pub(crate) fn on_complete<R: Into<T>>(
        &self,
        number: u64,
    ) -> impl FnOnce(Result<R>) + Send + use<T, R> {
        let shared = Arc::clone(&self.shared);
        move |result| {
            if !shared.completions.push((number, result.map(R::into))) {
                return;
            }
            let one = 1_u64.to_ne_bytes();
            // It fails only if the counter is full, and then the descriptor is readable.
            // SAFETY: the descriptor is open and the bytes are readable.
            unsafe { libc::write(shared.readable.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    /// What has arrived.
    pub(crate) fn take(&self) -> Vec<(u64, Result<T>)> {
        if self.are_elsewhere() {
            return Vec::new();
        }
        let mut count = [0_u8; 8];
        // Before the queue is emptied: what arrives later makes it readable again.
        // SAFETY: the descriptor is open and does not block, the bytes may be written to.
        unsafe { libc::read(self.descriptor(), count.as_mut_ptr().cast(), count.len()) };
        self.shared.completions.take()
    }
}

/// Receives the results of calls for one event loop.
#[pyclass(frozen, module = "pay88._native")]
pub(crate) struct Completions(pub(crate) PollableQueue<Reply>);

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Completions> {
        Ok(Completions(PollableQueue::open()?))
    }

    /// A descriptor that is readable when a result has arrived.
    fn fileno(&self) -> i32 {
        self.0.descriptor()
    }

    /// The results that have arrived: for each, the number of the call, and a token, a response or an exception.
    fn take(&self, py: Python<'_>) -> PyResult<Vec<(u64, Py<PyAny>)>> {
        let in_python = |(number, result)| Ok((number, object(py, result)?));
        self.0.take().into_iter().map(in_python).collect()
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
pub(crate) struct Call {
    call: pay88_sys::Call,
    begun_in: Process,
}

impl From<pay88_sys::Call> for Call {
    fn from(call: pay88_sys::Call) -> Call {
        Call {
            call,
            begun_in: Process::current(),
        }
    }
}

#[pymethods]
impl Call {
    /// Cancels the call, unless its result is there already. Never waits.
    pub(crate) fn cancel(&self) {
        // Calls go on in the process that began them; a forked child has only this object of them.
        if self.begun_in.is_current() {
            self.call.cancel();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel();
    }
}
