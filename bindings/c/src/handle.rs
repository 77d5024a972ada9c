//! From Rust values to pointers that C holds, and back.
//!
//! Every handle but `pay88_token` is a `Box`. Where a function takes `Option<Box<T>>` it gets the handle back; where it takes
//! `Option<&T>` it only looks at it. Results are written to an `Option<&mut MaybeUninit<T>>`, whatever was there before.

use pay88::{Error, Result};

/// A handle for C, which releases it.
pub(crate) fn give<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// The value of a pointer argument, or the error that names it.
pub(crate) fn given<T>(pointer: Option<T>, name: &str) -> Result<T> {
    pointer.ok_or_else(|| null(name))
}

#[cold]
fn null(name: &str) -> Error {
    Error::invalid(
        format!("The argument {name} is NULL."),
        format!("Pass a valid pointer as {name}."),
    )
}
