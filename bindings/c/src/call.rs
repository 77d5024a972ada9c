//! Asynchronous calls: started here, finished by a callback on a thread of the library.
//!
//! Promises: the callback is called exactly once if the call was started and never if it was not; `destroy` is called
//! exactly once in either case, last.

use std::ffi::c_void;

use pay88::ffi::{Canceler, Task, foreign, prepare_request, prepare_token};
use pay88::{Error, Result};

use crate::boundary::boundary;
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::manager::pay88_manager;
use crate::request::pay88_request;
use crate::response::pay88_response;
use crate::status::pay88_status;
use crate::time::timeout;
use crate::token::pay88_token;

/// A handle of an asynchronous call, to cancel it with. Any number of threads may use it at once.
pub struct pay88_call(Canceler);

/// Receives the result of pay88_manager_get_token_async(). With PAY88_OK it gets the token, otherwise the error; the
/// other one is NULL. The callback owns what it gets, and has to release it.
///
/// The library calls it exactly once, also if the call was canceled, the manager was closed, or the library failed.
/// It calls it after *call was written, on a thread of its own with all signals blocked. The callback may call any
/// function of this library; it may also cancel and release its own call. It should be quick, because one thread
/// serves all calls. It must return: no longjmp, no C++ exception, no pthread_exit.
///
/// The callback may fork. The child should call exec or _exit. It may use this library before that, as any child may.
/// If the child returns from the callback, it runs nothing of its parent's calls: no destroy, no other callback, and
/// nothing is sent. The one thread that it has then waits for ever, with all signals blocked. The same holds for
/// pay88_destroy.
pub type pay88_token_callback = Option<
    extern "C" fn(
        user_data: *mut c_void,
        status: pay88_status,
        token: *mut pay88_token,
        error: *mut pay88_error,
    ),
>;

/// Receives the result of pay88_manager_send_async(). With PAY88_OK it gets the response, otherwise the error.
/// Everything else is as for pay88_token_callback.
pub type pay88_response_callback = Option<
    extern "C" fn(
        user_data: *mut c_void,
        status: pay88_status,
        response: *mut pay88_response,
        error: *mut pay88_error,
    ),
>;

/// Called once with the user_data, when the library will not use the user_data any more. That is after the callback,
/// on the same thread. If the call could not be started, it is before the function returns. May be NULL.
pub type pay88_destroy = Option<extern "C" fn(user_data: *mut c_void)>;

/// What the program attached to a call.
struct UserData {
    data: *mut c_void,
    destroy: pay88_destroy,
}

// SAFETY: the pointer is only handed back to the program, which the header tells that this happens on another thread.
unsafe impl Send for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            destroy(self.data);
        }
    }
}

type Callback<T> = extern "C" fn(*mut c_void, pay88_status, *mut T, *mut pay88_error);

/// What tells the program the result.
fn listener<T, H>(
    callback: Callback<H>,
    user_data: UserData,
    give: fn(T) -> *mut H,
) -> impl FnOnce(Result<T>) + Send + 'static
where
    T: 'static,
    H: 'static,
{
    move |result| {
        // The whole of it moves in here and is dropped, which calls `destroy`, when the callback is done.
        let user_data = user_data;
        // A child that the callback forks is not to call `destroy`. What `destroy` forks is left to the task.
        foreign(|| match result {
            Ok(got) => callback(
                user_data.data,
                pay88_status::PAY88_OK,
                give(got),
                std::ptr::null_mut(),
            ),
            Err(error) => callback(
                user_data.data,
                error.code().into(),
                std::ptr::null_mut(),
                pay88_error::give(error),
            ),
        });
    }
}

/// Lets a call run; the program has its handle before.
///
/// # Safety
/// `call` may be written to, or is NULL.
pub(crate) unsafe fn start(task: Task, call: *mut *mut pay88_call) {
    if !call.is_null() {
        // SAFETY: not NULL, and the caller vouches for it.
        unsafe { call.write(give(pay88_call(task.canceler()))) };
    }
    task.start();
}

fn no_callback() -> Error {
    Error::invalid(
        "The argument callback is NULL.",
        "Pass a function that takes the result.",
    )
}

/// As pay88_manager_get_token(), but returns at once. The result goes to the callback. *call gets a handle to cancel
/// the call with, which you release with pay88_call_release(). call may be NULL.
///
/// Errors: PAY88_CONFIG_INVALID for a closed handle, a time out of range, NULL; PAY88_INTERNAL if the system gives no
/// thread. After an error the callback is not called, but destroy is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_get_token_async(
    manager: *const pay88_manager,
    timeout_ms: u64,
    callback: pay88_token_callback,
    user_data: *mut c_void,
    destroy: pay88_destroy,
    call: *mut *mut pay88_call,
    error: *mut *mut pay88_error,
) -> pay88_status {
    // SAFETY: the header demands a valid pointer or NULL.
    boundary!(status(unsafe { error.as_mut() }), || {
        // Taken over first, so that `destroy` runs whatever happens.
        let user_data = UserData {
            data: user_data,
            destroy,
        };
        // SAFETY: the header demands valid pointers or NULL. `manager` and `call` are no references in the signature, since
        // the callback may run, and release or read what they point to, before this function is left.
        let manager = unsafe { manager.as_ref() };
        let callback = callback.ok_or_else(no_callback)?;
        let task = prepare_token(
            &given(manager, "manager")?.0,
            timeout(timeout_ms)?,
            listener(callback, user_data, pay88_token::give),
        )?;
        // SAFETY: the header demands a valid pointer or NULL.
        unsafe { start(task, call) };
        Ok(())
    })
}

/// As pay88_manager_send(), but returns at once. The result goes to the callback. The request stays yours, and you
/// may change or release it at once. *call gets a handle to cancel the call with, which you release with
/// pay88_call_release(). call may be NULL.
///
/// Errors: those that are found before anything is sent, and PAY88_INTERNAL if the system gives no thread. After an error the
/// callback is not called, but destroy is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_send_async(
    manager: *const pay88_manager,
    request: *const pay88_request,
    callback: pay88_response_callback,
    user_data: *mut c_void,
    destroy: pay88_destroy,
    call: *mut *mut pay88_call,
    error: *mut *mut pay88_error,
) -> pay88_status {
    // SAFETY: as in `pay88_manager_get_token_async`.
    boundary!(status(unsafe { error.as_mut() }), || {
        // Taken over first, so that `destroy` runs whatever happens.
        let user_data = UserData {
            data: user_data,
            destroy,
        };
        // SAFETY: as in `pay88_manager_get_token_async`.
        let (manager, request) = unsafe { (manager.as_ref(), request.as_ref()) };
        let manager = given(manager, "manager")?;
        let request = given(request, "request")?;
        let callback = callback.ok_or_else(no_callback)?;
        let task = prepare_request(
            &manager.0,
            request.to_send(None),
            listener(callback, user_data, |answer| give(pay88_response(answer))),
        )?;
        // SAFETY: the header demands a valid pointer or NULL.
        unsafe { start(task, call) };
        Ok(())
    })
}

/// Cancels the call, which soon ends with PAY88_CANCELED, unless its result is there already. Never waits. You may
/// call it at any time, also several times and in the callback. In a forked child it does nothing: the call goes on in the
/// process that began it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_call_cancel(call: Option<&pay88_call>) {
    boundary!(act, || {
        if let Some(call) = call {
            call.0.cancel();
        }
    });
}

/// Releases the handle. The call itself goes on. May be called in the callback. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_call_release(call: Option<Box<pay88_call>>) {
    boundary!(release(call));
}
