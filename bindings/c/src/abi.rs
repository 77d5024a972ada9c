//! What this library is: its versions.

use std::ffi::c_char;

use crate::boundary::boundary;

/// The version of this header: the major version in the upper 16 bits, the minor in the lower. Compare it with
/// pay88_abi_version(). A new minor version only adds to the one before. A new major version has another soname.
pub const PAY88_ABI_VERSION: u32 = 0x0001_0000;

/// The version of the library's ABI: the major version in the upper 16 bits, the minor in the lower. A program that
/// was built with this header works with a library of the same major version whose minor version is equal or higher.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_abi_version() -> u32 {
    boundary!(value, || Some(PAY88_ABI_VERSION))
}

/// The version of the library, such as "0.1.0". Followed by a NUL, valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_version() -> *const c_char {
    boundary!(value, || Some(
        concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
    ))
}
