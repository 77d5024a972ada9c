//! What this library is: its versions.

use std::ffi::c_char;

use crate::boundary::value;

/// The major and minor version of this header, for comparison with pay88_abi_version(). A new minor version adds to the
/// one before; a new major version has another soname.
pub const PAY88_ABI_VERSION: u32 = 0x0001_0000;

/// The version of the ABI: major in the upper, minor in the lower 16 bits. A program built with this header works with a
/// library whose major version is equal and whose minor version is not less.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_abi_version() -> u32 {
    value(|| Some(PAY88_ABI_VERSION))
}

/// The version of the library, such as "0.1.0". Followed by a NUL, valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
