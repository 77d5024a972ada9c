//! The process's libpay88, and the tables of it.

use napi::Result;
use napi_derive::napi;
use pay88_sys::Library;

/// The library, which lies beside this addon unless the process has it already.
pub(crate) fn library() -> Result<Library> {
    Library::of_process().map_err(|error| napi::Error::from_reason(error.to_string()))
}

/// The version of the library. Throws one sentence if there is none to be had.
#[napi]
pub fn version() -> Result<&'static str> {
    Ok(library()?.version())
}

/// Every option's name in snake case and its default, in words where there is no value; in turn.
#[napi]
pub fn options() -> Result<Vec<&'static str>> {
    let rows = library()?.options();
    Ok(rows.flat_map(|row| [row.name, row.default]).collect())
}

/// Every error code.
#[napi]
pub fn error_codes() -> Result<Vec<&'static str>> {
    Ok(library()?.error_codes().collect())
}

/// Every event's name.
#[napi]
pub fn event_names() -> Result<Vec<&'static str>> {
    Ok(library()?.event_names().collect())
}
