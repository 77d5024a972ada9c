//! What a manager is built from.

use std::ffi::c_char;

use crate::Library;
use crate::abi::{pay88_config, pay88_error, pay88_status};
use crate::error::{Error, Result};
use crate::handle::{Handle, check};

/// Options by name.
pub struct Config(pub(crate) Handle<pay88_config>);

impl Library {
    /// A configuration with nothing set: every option comes from its environment variable, else it has its default.
    ///
    /// # Errors
    /// `internal` if the library fails.
    pub fn config(self) -> Result<Config> {
        let functions = self.functions;
        // SAFETY: it has no arguments, and gives an owned handle.
        let config = unsafe { (functions.pay88_config_new)() };
        Handle::new(config, functions.pay88_config_release, functions)
            .map(Config)
            .ok_or_else(Error::none)
    }

    /// A configuration with nothing set, which reads these variables in place of the process's environment.
    ///
    /// # Errors
    /// `config_invalid` for a value that is too long, `internal` if the library fails.
    pub fn config_with_environment<'a>(
        self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Config> {
        let functions = self.functions;
        // SAFETY: it has no arguments, and gives an owned handle.
        let config = unsafe { (functions.pay88_config_new_without_environment)() };
        let mut config = Handle::new(config, functions.pay88_config_release, functions)
            .map(Config)
            .ok_or_else(Error::none)?;
        for (name, value) in variables {
            config.put(functions.pay88_config_set_variable, name, value)?;
        }
        Ok(config)
    }
}

/// A function that takes a name and a value.
type Set = unsafe extern "C" fn(
    *mut pay88_config,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *mut *mut pay88_error,
) -> pay88_status;

impl Config {
    /// Sets an option; the value is checked when a manager is built.
    ///
    /// # Errors
    /// `config_invalid` for an unknown name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.put(self.0.functions.pay88_config_set, name, value)
    }

    fn put(&mut self, set: Set, name: &str, value: &str) -> Result<()> {
        let config = self.0.as_mut_ptr();
        check(self.0.functions, |error| {
            // SAFETY: the handle is valid and nobody else's, the texts are readable, `error` may be written to.
            unsafe {
                set(
                    config,
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
