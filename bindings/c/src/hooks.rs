//! Faults on demand, for tests. Only in builds with the feature `test-hooks`, never in a shipped one or in the header.

use crate::boundary::boundary;

/// The next so many calls panic inside the library.
///
/// cbindgen:ignore
#[unsafe(no_mangle)]
pub extern "C" fn pay88_test_panic_in_calls(times: u32) {
    boundary!(value, || {
        pay88::hooks::panic_in_calls(times);
        Some(())
    });
}
