//! What 88Pay answered.

use std::ffi::c_char;

use pay88::Response;
use pay88::ffi::body_with_nul;

use crate::boundary::boundary;
use crate::error::pay88_error;
use crate::handle::given;
use crate::status::pay88_status;
use crate::text::{MAX_NAME, text};
use crate::view::{pay88_bytes, pay88_str};

/// An answer of any HTTP status. It never changes. Any thread may read and release it.
pub struct pay88_response(pub(crate) Response);

/// The HTTP status; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_status(response: Option<&pay88_response>) -> u16 {
    boundary!(value, || Some(response?.0.status()))
}

/// The body, as it is. A NUL follows, which `len` does not count, so that you can hand it to a parser of text.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_body(response: Option<&pay88_response>) -> pay88_bytes {
    boundary!(value, || Some(pay88_bytes::terminated(body_with_nul(
        &response?.0
    ))))
}

/// The value of the first header of that name. Upper and lower case do not matter. Empty if there is no such header.
/// Not followed by a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_response_header(
    response: Option<&pay88_response>,
    name: *const c_char,
    name_len: usize,
) -> pay88_bytes {
    boundary!(value, || {
        // SAFETY: the header demands readable bytes for every length.
        let name = unsafe { text(name, name_len, MAX_NAME, "name") }.ok()?;
        Some(response?.0.header(name)?.into())
    })
}

/// The number of headers.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_header_count(response: Option<&pay88_response>) -> usize {
    boundary!(value, || Some(response?.0.headers().count()))
}

/// The name of the header at an index below pay88_response_header_count(), in lower case; empty for a higher index.
/// Headers of one name follow each other. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_header_name(
    response: Option<&pay88_response>,
    index: usize,
) -> pay88_str {
    boundary!(value, || Some(response?.0.headers().nth(index)?.0.into()))
}

/// The value of the header at an index below pay88_response_header_count(); empty for a higher index. Not followed by
/// a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_header_value(
    response: Option<&pay88_response>,
    index: usize,
) -> pay88_bytes {
    boundary!(value, || Some(response?.0.headers().nth(index)?.1.into()))
}

/// Makes an error of an answer of HTTP status 400 or above: PAY88_HTTP_ERROR, with the status and the message of the
/// answer. For a status below 400 the result is PAY88_OK.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_error_for_status(
    response: Option<&pay88_response>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let response = given(response, "response")?;
        response.0.clone().error_for_status().map(drop)
    })
}

/// Releases the response. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_response_release(response: Option<Box<pay88_response>>) {
    boundary!(release(response));
}
