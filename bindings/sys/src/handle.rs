//! Handles of the C ABI, and the text and results that pass through it.
//!
//! Promises: a handle is released exactly once, and what it lends does not outlive it.

use std::ffi::c_char;
use std::ptr::NonNull;

use crate::abi::{Functions, PAY88_OK, pay88_bytes, pay88_error, pay88_status, pay88_str};
use crate::error::{Error, Result};

/// An owned handle.
pub(crate) struct Handle<T> {
    pointer: NonNull<T>,
    release: unsafe extern "C" fn(*mut T),
    pub(crate) functions: &'static Functions,
}

// SAFETY: the header allows any thread to use any handle, many at once where nothing is changed; what changes one takes
// `&mut self` in this crate.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Handle<T> {
    /// Takes a handle that the library gave; `None` for NULL.
    pub(crate) fn from_raw(
        pointer: *mut T,
        release: unsafe extern "C" fn(*mut T),
        functions: &'static Functions,
    ) -> Option<Handle<T>> {
        NonNull::new(pointer).map(|pointer| Handle {
            pointer,
            release,
            functions,
        })
    }

    pub(crate) fn as_ptr(&self) -> *const T {
        self.pointer.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.pointer.as_ptr()
    }

    /// Hands a name and its value to a function that changes the handle.
    pub(crate) fn set(
        &mut self,
        set: SetPair<T>,
        name: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        let handle = self.as_mut_ptr();
        let value = value.as_ref();
        check(self.functions, |error| {
            // SAFETY: the handle is valid and nobody else's, name and value are readable, `error` may be written to.
            unsafe {
                set(
                    handle,
                    name.as_ptr().cast(),
                    name.len(),
                    value.as_ptr().cast(),
                    value.len(),
                    error,
                )
            }
        })
    }
}

/// A function that takes a name and a value.
type SetPair<T> = unsafe extern "C" fn(
    *mut T,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *mut *mut pay88_error,
) -> pay88_status;

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: owned, and not used after this.
        unsafe { (self.release)(self.pointer.as_ptr()) }
    }
}

/// Calls a function that fills an error if it fails.
pub(crate) fn check(
    functions: &'static Functions,
    call: impl FnOnce(*mut *mut pay88_error) -> pay88_status,
) -> Result<()> {
    let mut error = std::ptr::null_mut();
    match call(&mut error) {
        PAY88_OK => Ok(()),
        _ => Err(Error::from_raw(error, functions)),
    }
}

/// Calls a function that fills `out` or an error.
pub(crate) fn obtain<T>(
    functions: &'static Functions,
    release: unsafe extern "C" fn(*mut T),
    call: impl FnOnce(*mut *mut T, *mut *mut pay88_error) -> pay88_status,
) -> Result<Option<Handle<T>>> {
    let mut out = std::ptr::null_mut();
    check(functions, |error| call(&mut out, error))?;
    Ok(Handle::from_raw(out, release, functions))
}

/// # Safety
/// What `text` was read from stays as it is for `'a`.
pub(crate) unsafe fn text<'a>(text: pay88_str) -> &'a str {
    // SAFETY: the header promises `len` bytes of UTF-8, and a pointer that is never NULL.
    unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(text.data.cast(), text.len)) }
}

/// # Safety
/// What `bytes` were read from stays as it is for `'a`.
pub(crate) unsafe fn bytes<'a>(bytes: pay88_bytes) -> &'a [u8] {
    // SAFETY: the header promises `len` bytes, and a pointer that is never NULL.
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }
}
