//! What C reads: borrowed text and bytes.
//!
//! `data` is never NULL, so that it can be passed on without a look at `len`.

use std::ffi::c_char;

/// Text in UTF-8 that you may read but do not own. It is valid as long as the handle that it came from. A text that
/// belongs to no handle is valid for ever. `data` is never NULL. A NUL follows the text only where a function says
/// so; `len` does not count it. Print it with `printf("%.*s", PAY88_STR(text))`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pay88_str {
    /// The first byte.
    pub data: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

/// Bytes that you may read but do not own. They are valid as long as the handle that they came from. `data` is never
/// NULL. Only where a function says so does a NUL follow, which `len` does not count.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct pay88_bytes {
    /// The first byte.
    pub data: *const u8,
    /// The number of bytes.
    pub len: usize,
}

impl pay88_str {
    pub(crate) const EMPTY: pay88_str = pay88_str {
        data: c"".as_ptr(),
        len: 0,
    };
}

impl pay88_bytes {
    pub(crate) const EMPTY: pay88_bytes = pay88_bytes {
        data: c"".as_ptr().cast(),
        len: 0,
    };

    /// Bytes whose last is a NUL, which is not counted.
    pub(crate) fn terminated(bytes: &[u8]) -> pay88_bytes {
        debug_assert_eq!(bytes.last(), Some(&0));
        pay88_bytes {
            data: bytes.as_ptr(),
            len: bytes.len() - 1,
        }
    }
}

impl From<&str> for pay88_str {
    fn from(text: &str) -> pay88_str {
        if text.is_empty() {
            return pay88_str::EMPTY;
        }
        pay88_str {
            data: text.as_ptr().cast(),
            len: text.len(),
        }
    }
}

impl From<&[u8]> for pay88_bytes {
    fn from(bytes: &[u8]) -> pay88_bytes {
        if bytes.is_empty() {
            return pay88_bytes::EMPTY;
        }
        pay88_bytes {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// Owned text that is followed by a NUL.
pub(crate) struct Terminated(Box<str>);

impl Terminated {
    pub(crate) fn new(text: &str) -> Terminated {
        Terminated([text, "\0"].concat().into())
    }

    pub(crate) fn view(&self) -> pay88_str {
        pay88_str {
            data: self.0.as_ptr().cast(),
            len: self.0.len() - 1,
        }
    }
}
