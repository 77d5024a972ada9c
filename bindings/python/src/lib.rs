//! `pay88._native`: the compiled part of the Python package.
//!
//! Promises: the GIL is released in every wait, and a signal that Python handles ends the wait; no thread of the library
//! ever attaches to the interpreter; nothing it prints, raises or pickles holds a secret. What needs no speed and no C ABI is not here but in the package's Python files.

#![deny(missing_docs)]

mod blocking;
mod completion;
mod error;
mod events;
mod green;
mod manager;
mod option;
mod request;
mod response;
mod token;
mod wait;

/// The compiled part of pay88; not to be imported by programs.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::exceptions::PyImportError;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::blocking::BlockingManager;
    #[pymodule_export]
    use crate::completion::{Call, Completions};
    #[pymodule_export]
    use crate::events::Events;
    #[pymodule_export]
    use crate::manager::Manager;
    #[pymodule_export]
    use crate::response::Response;
    #[pymodule_export]
    use crate::token::Token;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let library = pay88_sys::Library::of_process()
            .map_err(|error| PyImportError::new_err(error.to_string()))?;
        module.add("version", library.version())
    }
}
