//! What a manager is built from.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::Library;
use crate::abi::pay88_config;
use crate::error::{Error, Result};
use crate::handle::Handle;

/// Options by name.
pub struct Config(pub(crate) Handle<pay88_config>);

impl Library {
    /// A configuration with nothing set: every option comes from its environment variable, else it has its default.
    ///
    /// # Errors
    /// `internal` if the library fails.
    pub fn config(self) -> Result<Config> {
        // SAFETY: it has no arguments, and gives an owned handle.
        Config::from_raw(self, unsafe { (self.functions.pay88_config_new)() })
    }

    /// A configuration with nothing set, which reads these variables in place of the process's environment. Bytes that
    /// are not UTF-8 may have been replaced in them.
    ///
    /// # Errors
    /// `config_invalid` for a value that is too long, `internal` if the library fails.
    pub fn config_with_environment<'a>(
        self,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Config> {
        let functions = self.functions;
        // SAFETY: it has no arguments, and gives an owned handle.
        let raw = unsafe { (functions.pay88_config_new_without_environment)() };
        let mut config = Config::from_raw(self, raw)?;
        for (name, value) in variables {
            let set = functions.pay88_config_set_variable;
            let value = bytes_of_variable(name, value);
            config.0.set(set, name, value.as_bytes())?;
        }
        Ok(config)
    }
}

impl Config {
    fn from_raw(library: Library, raw: *mut pay88_config) -> Result<Config> {
        let functions = library.functions;
        Handle::from_raw(raw, functions.pay88_config_release, functions)
            .map(Config)
            .ok_or_else(Error::none)
    }

    /// Sets an option; the value is checked when a manager is built.
    ///
    /// # Errors
    /// `config_invalid` for an unknown name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let set = self.0.functions.pay88_config_set;
        self.0.set(set, name, value)
    }
}

/// What a variable is, of which a language has the text. If bytes may have been replaced, and the process has the same
/// variable, its bytes are known. Else nothing is looked up, because another thread may be changing the environment.
fn bytes_of_variable<'a>(name: &str, text: &'a str) -> Cow<'a, OsStr> {
    match text.contains(char::REPLACEMENT_CHARACTER) {
        true => std::env::var_os(name)
            .filter(|own| own.to_string_lossy() == text)
            .map_or(Cow::Borrowed(OsStr::new(text)), Cow::Owned),
        false => Cow::Borrowed(OsStr::new(text)),
    }
}
