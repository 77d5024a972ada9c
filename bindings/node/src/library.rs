//! The process's libpay88, looked for once.

use std::sync::OnceLock;

use napi::{Env, Result};
use napi_derive::napi;
use pay88_sys::{Library, own_directory};

use crate::failure::throw;

/// The library, which lies beside this addon unless the process has it already.
pub(crate) fn library() -> Result<Library> {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    match LIBRARY.get() {
        Some(library) => Ok(*library),
        None => {
            let library = Library::load(&own_directory().unwrap_or_default())
                .map_err(|error| napi::Error::from_reason(error.to_string()))?;
            Ok(*LIBRARY.get_or_init(|| library))
        }
    }
}

/// The version of the library. Throws one sentence if there is none to be had.
#[napi]
pub fn version() -> Result<&'static str> {
    Ok(library()?.version())
}

/// Checks the name of an option. Throws a failure if there is none of that name.
#[napi]
pub fn check_option(env: Env, name: String) -> Result<()> {
    let mut config = library()?.config().map_err(throw(env))?;
    config.set(&name, "").map_err(throw(env))
}
