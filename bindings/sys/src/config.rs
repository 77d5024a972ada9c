//! What a manager is built from.

use crate::Library;
use crate::abi::pay88_config;
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
}

impl Config {
    /// Sets an option; the value is checked when a manager is built.
    ///
    /// # Errors
    /// `config_invalid` for an unknown name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let functions = self.0.functions;
        let config = self.0.as_mut_ptr();
        check(functions, |error| {
            // SAFETY: the handle is valid and nobody else's, the texts are readable, `error` may be written to.
            unsafe {
                (functions.pay88_config_set)(
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
