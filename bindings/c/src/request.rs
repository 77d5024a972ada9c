//! What to ask 88Pay for. Checked when it is sent.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::time::Duration;

use pay88::Request;

use crate::boundary::{boundary, silence_panics};
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::status::pay88_status;
use crate::text::{MAX_BODY, MAX_ENDPOINT, MAX_NAME, MAX_VALUE, bytes, pair, text};
use crate::time::timeout;

/// A call of 88Pay's API, to be sent. You may send it several times, and from several threads at once, as long as no
/// thread changes it.
pub struct pay88_request {
    request: Request,
    timeout: Option<Duration>,
}

impl pay88_request {
    fn change(&mut self, with: impl FnOnce(Request) -> Request) {
        let request = std::mem::replace(&mut self.request, Request::get(""));
        self.request = with(request);
    }

    /// What the core is given, to end within that time or the request's own; the body is shared, not copied.
    pub(crate) fn to_send(&self, timeout: Option<Duration>) -> Request {
        let request = self.request.clone();
        match timeout.or(self.timeout) {
            Some(timeout) => request.timeout(timeout),
            None => request,
        }
    }
}

/// Creates a request of any method, for any path below the base URL, such as "/api/balance?id=MCH-COL-29ZTP4".
/// Release it with pay88_request_release().
///
/// Limits: method 256 bytes, endpoint 64 KiB. What 88Pay takes is checked when the request is sent.
/// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_request_new(
    method: *const c_char,
    method_len: usize,
    endpoint: *const c_char,
    endpoint_len: usize,
    request: Option<&mut MaybeUninit<*mut pay88_request>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        silence_panics();
        // SAFETY: the header demands readable bytes for every length.
        let method = unsafe { text(method, method_len, MAX_NAME, "method") }?;
        // SAFETY: as above.
        let endpoint = unsafe { text(endpoint, endpoint_len, MAX_ENDPOINT, "endpoint") }?;
        given(request, "request")?.write(give(pay88_request {
            request: Request::new(method, endpoint),
            timeout: None,
        }));
        Ok(())
    })
}

/// Adds a header. The headers of the credential and of the connection belong to the library. A request that has one
/// of them is refused when it is sent.
///
/// Limits: name 256 bytes, value 64 KiB.
/// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_request_add_header(
    request: Option<&mut pay88_request>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let request = given(request, "request")?;
        // SAFETY: the header demands readable bytes for every length.
        let (name, value) =
            unsafe { pair((name, name_len), (value, value_len), (MAX_NAME, MAX_VALUE)) }?;
        request.change(|request| request.header(name, value));
        Ok(())
    })
}

/// Adds a parameter to the query, percent-encoded.
///
/// Limits: name 256 bytes, value 64 KiB.
/// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_request_add_param(
    request: Option<&mut pay88_request>,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let request = given(request, "request")?;
        // SAFETY: the header demands readable bytes for every length.
        let (name, value) =
            unsafe { pair((name, name_len), (value, value_len), (MAX_NAME, MAX_VALUE)) }?;
        request.change(|request| request.param(name, value));
        Ok(())
    })
}

/// Sets the body, which may be any bytes. They are copied. "Content-Type: application/json" is sent unless you add a
/// header that says otherwise.
///
/// Limits: 64 MiB.
/// Errors: PAY88_CONFIG_INVALID for a longer body and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_request_set_body(
    request: Option<&mut pay88_request>,
    body: *const u8,
    body_len: usize,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let request = given(request, "request")?;
        // SAFETY: the header demands readable bytes for every length.
        let body = unsafe { bytes(body, body_len, MAX_BODY, "body") }?;
        request.change(|request| request.body(body.to_vec()));
        Ok(())
    })
}

/// Sets how long the whole call may take, including the wait for a token: 1 to 3600000 ms. With 0, or without a call
/// of this function, it is the manager's option "timeout".
///
/// Errors: PAY88_CONFIG_INVALID for a value out of range and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_request_set_timeout_ms(
    request: Option<&mut pay88_request>,
    timeout_ms: u64,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let request = given(request, "request")?;
        request.timeout = timeout(timeout_ms)?;
        Ok(())
    })
}

/// If safe is not 0, marks the request as one that does no harm when it is sent twice. The library then repeats it
/// after a fault. GET, HEAD, OPTIONS and POST /api/balance need no mark. A charge must not have it.
///
/// Errors: PAY88_CONFIG_INVALID for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_request_set_safe_to_repeat(
    request: Option<&mut pay88_request>,
    safe: c_int,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        given(request, "request")?.change(|request| request.safe_to_repeat(safe != 0));
        Ok(())
    })
}

/// Releases the request, also while calls with it are pending. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_request_release(request: Option<Box<pay88_request>>) {
    boundary!(release(request));
}
