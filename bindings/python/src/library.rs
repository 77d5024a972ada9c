//! The process's libpay88, looked for once.

use std::sync::OnceLock;

use pay88_sys::{Library, LoadError, own_directory};

/// The library, which lies beside this extension unless the process has it already.
pub(crate) fn library() -> Result<Library, LoadError> {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    match LIBRARY.get() {
        Some(library) => Ok(*library),
        None => {
            let library = Library::load(&own_directory().unwrap_or_default())?;
            Ok(*LIBRARY.get_or_init(|| library))
        }
    }
}
