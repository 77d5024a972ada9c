//! Asynchronous calls: a closure takes the result, on a thread of the library.
//!
//! Promises: the closure is called exactly once if the call was started and never if it was not; it is dropped exactly once
//! in either case. A panic in it ends there.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::abi::{
    Functions, PAY88_OK, pay88_call, pay88_destroy, pay88_error, pay88_response, pay88_status,
    pay88_token,
};
use crate::error::{Error, Result};
use crate::handle::{Handle, obtain};
use crate::manager::Manager;
use crate::request::Request;
use crate::response::Response;
use crate::time::milliseconds;
use crate::token::Token;

/// A call that was started. Dropping it lets the call go on.
pub struct Call(pub(crate) Handle<pay88_call>);

impl Call {
    /// Ends the call soon with `canceled`, unless its result is there already. Never waits. May be called at any time, by
    /// any thread, more than once.
    pub fn cancel(&self) {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_call_cancel)(self.0.as_ptr()) }
    }
}

impl Manager {
    /// As [`Manager::get_token`], without waiting: `done` gets the result, on a thread of the library whose signals are
    /// blocked, perhaps before this function has returned. It should be quick, since one thread serves all calls.
    ///
    /// # Errors
    /// `config_invalid` for a closed handle or a time out of range, `internal` if no thread can be had. `done` is dropped
    /// then without being called.
    pub fn get_token_async(
        &self,
        timeout: Option<Duration>,
        done: impl FnOnce(Result<Token>) + Send + 'static,
    ) -> Result<Call> {
        let functions = self.0.functions;
        start(functions, done, |callback, call, error| {
            // SAFETY: the handle is valid, the callback's functions take its data, both results may be written to.
            unsafe {
                (functions.pay88_manager_get_token_async)(
                    self.0.as_ptr(),
                    milliseconds(timeout),
                    Some(callback.on_complete),
                    callback.data,
                    callback.destroy,
                    call,
                    error,
                )
            }
        })
    }

    /// As [`Manager::send`], without waiting: `done` gets the result as for [`Manager::get_token_async`]. The request may
    /// be changed or dropped at once.
    ///
    /// # Errors
    /// What can be said before anything is sent, and `internal` if no thread can be had. `done` is dropped then without
    /// being called.
    pub fn send_async(
        &self,
        request: &Request,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<Call> {
        let functions = self.0.functions;
        start(functions, done, |callback, call, error| {
            // SAFETY: the handles are valid, the callback's functions take its data, both results may be written to.
            unsafe {
                (functions.pay88_manager_send_async)(
                    self.0.as_ptr(),
                    request.0.as_ptr(),
                    Some(callback.on_complete),
                    callback.data,
                    callback.destroy,
                    call,
                    error,
                )
            }
        })
    }
}

/// What an asynchronous call gives.
trait FromRaw: Sized + 'static {
    type Raw: 'static;

    fn from_raw(raw: *mut Self::Raw, functions: &'static Functions) -> Option<Self>;
}

impl FromRaw for Token {
    type Raw = pay88_token;

    fn from_raw(raw: *mut pay88_token, functions: &'static Functions) -> Option<Token> {
        Handle::from_raw(raw, functions.pay88_token_release, functions).map(Token)
    }
}

impl FromRaw for Response {
    type Raw = pay88_response;

    fn from_raw(raw: *mut pay88_response, functions: &'static Functions) -> Option<Response> {
        Handle::from_raw(raw, functions.pay88_response_release, functions).map(Response)
    }
}

/// A closure as the three arguments that the library takes.
struct Callback<Raw> {
    on_complete: unsafe extern "C" fn(*mut c_void, pay88_status, *mut Raw, *mut pay88_error),
    data: *mut c_void,
    destroy: pay88_destroy,
}

/// What `data` points to.
struct Pending<F> {
    /// Until it is called.
    done: Option<F>,
    functions: &'static Functions,
}

fn start<T: FromRaw, F: FnOnce(Result<T>) + Send + 'static>(
    functions: &'static Functions,
    done: F,
    call: impl FnOnce(Callback<T::Raw>, *mut *mut pay88_call, *mut *mut pay88_error) -> pay88_status,
) -> Result<Call> {
    let pending = Box::new(Pending {
        done: Some(done),
        functions,
    });
    let callback = Callback {
        on_complete: on_complete::<T, F>,
        data: Box::into_raw(pending).cast(),
        destroy: Some(destroy::<F>),
    };
    obtain(functions, functions.pay88_call_release, |out, error| {
        call(callback, out, error)
    })?
    .map(Call)
    .ok_or_else(Error::none)
}

unsafe extern "C" fn on_complete<T: FromRaw, F: FnOnce(Result<T>)>(
    data: *mut c_void,
    status: pay88_status,
    raw: *mut T::Raw,
    error: *mut pay88_error,
) {
    // SAFETY: the library hands back the pointer of `start`, on one thread at a time and before `destroy`.
    let pending = unsafe { &mut *data.cast::<Pending<F>>() };
    let result = match status {
        PAY88_OK => T::from_raw(raw, pending.functions).ok_or_else(Error::none),
        _ => Err(Error::from_raw(error, pending.functions)),
    };
    if let Some(done) = pending.done.take() {
        // The panic was told where it happened; none may cross the ABI, and nobody here could handle it.
        let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
    }
}

unsafe extern "C" fn destroy<F>(data: *mut c_void) {
    // SAFETY: the library hands back the pointer of `start` for the last time.
    let pending = unsafe { Box::from_raw(data.cast::<Pending<F>>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(pending)));
}
