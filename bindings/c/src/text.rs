//! What C passes: text and bytes as a pointer and a length.
//!
//! Promises: a length above its limit is refused before a byte is read; text is checked to be UTF-8. NULL with length 0
//! is empty.

use std::ffi::c_char;

use pay88::{Error, Result};

/// The longest name of an option, parameter or header, and the longest method.
pub(crate) const MAX_NAME: usize = 256;
/// The longest value of an option, parameter or header.
pub(crate) const MAX_VALUE: usize = 64 << 10;
/// The longest endpoint.
pub(crate) const MAX_ENDPOINT: usize = 64 << 10;
/// The longest body.
pub(crate) const MAX_BODY: usize = 64 << 20;

/// # Safety
/// `data` points to `len` readable bytes that nobody changes meanwhile, or is NULL.
pub(crate) unsafe fn bytes<'a>(
    data: *const u8,
    len: usize,
    max: usize,
    name: &str,
) -> Result<&'a [u8]> {
    if len > max {
        return Err(Error::invalid(
            format!("The argument {name} is {len} bytes long."),
            format!("It may have at most {max} bytes."),
        ));
    }
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Error::invalid(
            format!("The argument {name} is NULL, with a length of {len}."),
            format!("Pass a valid pointer as {name}, or the length 0."),
        ));
    }
    // SAFETY: not NULL, and the caller vouches for `len` bytes.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(
    data: *const c_char,
    len: usize,
    max: usize,
    name: &str,
) -> Result<&'a str> {
    // SAFETY: passed on from the caller.
    let bytes = unsafe { bytes(data.cast(), len, max, name) }?;
    std::str::from_utf8(bytes).map_err(|error| {
        Error::invalid(
            format!(
                "The argument {name} is not UTF-8: see byte {}.",
                error.valid_up_to()
            ),
            "Convert it to UTF-8.",
        )
    })
}

/// The texts of a name and its value, which may have so many bytes.
///
/// # Safety
/// As [`bytes`], for both.
pub(crate) unsafe fn pair<'a>(
    (name, name_len): (*const c_char, usize),
    (value, value_len): (*const c_char, usize),
    (max_name, max_value): (usize, usize),
) -> Result<(&'a str, &'a str)> {
    // SAFETY: passed on from the caller.
    let name = unsafe { text(name, name_len, max_name, "name") }?;
    // SAFETY: as above.
    let value = unsafe { text(value, value_len, max_value, "value") }?;
    Ok((name, value))
}
