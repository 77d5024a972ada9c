//! What 88Pay answered.

use crate::abi::pay88_response;
use crate::error::Result;
use crate::handle::{Handle, bytes, check, text};

/// An answer of any HTTP status.
pub struct Response(pub(crate) Handle<pay88_response>);

impl Response {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_response_status)(self.0.as_ptr()) }
    }

    /// The body, as it is.
    pub fn body(&self) -> &[u8] {
        // SAFETY: the handle is valid, and lends the bytes as long as it lives.
        unsafe { bytes((self.0.functions.pay88_response_body)(self.0.as_ptr())) }
    }

    /// Names in lower case, and values; those of one name stand together.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let functions = self.0.functions;
        let response = self.0.as_ptr();
        // SAFETY: the handle is valid.
        let count = unsafe { (functions.pay88_response_header_count)(response) };
        (0..count).map(move |index| {
            // SAFETY: the handle is valid, and lends both as long as it lives, which the iterator's lifetime sees to.
            unsafe {
                (
                    text((functions.pay88_response_header_name)(response, index)),
                    bytes((functions.pay88_response_header_value)(response, index)),
                )
            }
        })
    }

    /// # Errors
    /// `http_error` if the status is 400 or above.
    pub fn error_for_status(&self) -> Result<()> {
        let functions = self.0.functions;
        check(functions, |error| {
            // SAFETY: the handle is valid, and `error` may be written to.
            unsafe { (functions.pay88_response_error_for_status)(self.0.as_ptr(), error) }
        })
    }
}
