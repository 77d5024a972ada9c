//! From what the user typed (this file) to settings that can be relied on ([`settings`]).
//!
//! Promises: an option that is passed wins over its environment variable, which wins over the default. Only this room
//! reads the environment, and only when a manager is built.

pub(crate) mod credentials;
pub(crate) mod endpoint;
mod environment;
pub(crate) mod link;
pub(crate) mod option;
mod option_name;
pub(crate) mod settings;
pub(crate) mod share;
mod shown;
pub(crate) mod store_url;

use std::ffi::OsStr;
use std::fmt;

use zeroize::Zeroizing;

use crate::config::environment::Environment;
use crate::config::option::{OPTIONS, Opt, OptionKind};
use crate::config::option_name::index_of;
use crate::config::shown::shown;
use crate::error::Result;

/// Collects the options from which a [`TokenManager`](crate::TokenManager) is built. Each option has a name from the
/// table [`OPTIONS`], and a text as its value. An option that is not set comes from its environment variable, or has
/// its default.
///
/// ```
/// let config = pay88::Config::new()
///     .with("api_key", "sk_test_sandbox_0123456789")?
///     .with("merchant_id", "MCH-COL-TEST-12345")?
///     .with("timeout", "10")?;
/// # Ok::<(), pay88::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    values: Vec<Option<Zeroizing<String>>>,
    environment: Environment,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// Starts with no option set: each comes from its environment variable, or has its default.
    ///
    /// ```
    /// // EIGHTY_EIGHT_PAY_API_KEY and EIGHTY_EIGHT_PAY_MERCHANT_ID are read when a manager is built.
    /// let config = pay88::Config::new();
    /// ```
    pub fn new() -> Self {
        Config {
            values: vec![None; OPTIONS.len()],
            environment: Environment::of_process(),
        }
    }

    /// Starts with no option set, and reads no environment: not for options, and not for `HTTPS_PROXY`, `ALL_PROXY`,
    /// `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR` and `XDG_RUNTIME_DIR`.
    ///
    /// ```
    /// let config = pay88::Config::without_environment();
    /// assert!(!config.is_set("api_key"));
    /// ```
    pub fn without_environment() -> Self {
        Config {
            environment: Environment::Ignored,
            ..Self::new()
        }
    }

    /// Passes one environment variable, to be read in place of the process's own. It is for a part of a program that
    /// has an environment of its own, such as a worker or a test.
    ///
    /// From the first call on, a variable that was not passed counts as not set. Names that the library does not read
    /// are ignored. In a program that runs with more rights than its user has, all variables are ignored.
    ///
    /// ```
    /// let mut config = pay88::Config::without_environment();
    /// config.set_variable("EIGHTY_EIGHT_PAY_TIMEOUT", "5");
    /// assert!(config.is_set("timeout"));
    /// ```
    pub fn set_variable(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.environment.give(name, value.as_ref());
    }

    /// Sets an option of the table [`OPTIONS`] by its name. Its value is checked when a manager is built.
    ///
    /// ```
    /// let mut config = pay88::Config::new();
    /// config.set("timeout", "2.5")?;
    /// assert!(config.set("time_out", "2.5").is_err());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` if there is no such option.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let index = index_of(name)?;
        self.values[index] = Some(Zeroizing::new(value.to_owned()));
        Ok(())
    }

    /// Sets an option as [`Config::set`] does, and gives the configuration back.
    ///
    /// ```
    /// let config = pay88::Config::new().with("share", "process")?;
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::set`].
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        self.set(name, value)?;
        Ok(self)
    }

    /// Whether the option has a value, here or in the environment.
    ///
    /// ```
    /// let config = pay88::Config::without_environment().with("timeout", "5")?;
    /// assert!(config.is_set("timeout") && !config.is_set("proxy"));
    /// # Ok::<(), pay88::Error>(())
    /// ```
    pub fn is_set(&self, name: &str) -> bool {
        OPTIONS
            .iter()
            .position(|option| option.name == name)
            .is_some_and(|index| !matches!(self.text(index), Ok(None)))
    }

    /// The text of the option's environment variable, unchanged, if the environment is read and the variable is set.
    /// A diagnosis needs it, to say where a value comes from.
    ///
    /// ```
    /// let mut config = pay88::Config::without_environment();
    /// config.set_variable("EIGHTY_EIGHT_PAY_TIMEOUT", " 5 ");
    /// assert_eq!(config.environment_text("timeout")?.unwrap().as_str(), " 5 ");
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` if there is no such option, or if the variable is not UTF-8.
    pub fn environment_text(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
        let option = &OPTIONS[index_of(name)?];
        self.environment.raw(&option.environment_variable())
    }

    /// The value that was set, else that of the environment.
    fn text(&self, index: usize) -> Result<Option<Zeroizing<String>>> {
        match &self.values[index] {
            Some(value) => Ok(Some(value.clone())),
            None => self
                .environment
                .text(&OPTIONS[index].environment_variable()),
        }
    }

    fn get(&self, option: Opt) -> Result<Option<Zeroizing<String>>> {
        self.text(option as usize)
    }

    /// The value, else the default.
    fn get_or_default(&self, option: Opt) -> Result<Zeroizing<String>> {
        let default = || Zeroizing::new(option.spec().default.to_owned());
        Ok(self.get(option)?.unwrap_or_else(default))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (option, value) in OPTIONS.iter().zip(&self.values) {
            match value {
                Some(_) if option.kind == OptionKind::Secret => map.entry(&option.name, &"…"),
                Some(value) => map.entry(&option.name, &shown(value)),
                None => &mut map,
            };
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::test_support::config::config;

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?}", config(), config().settings().unwrap());
        assert!(!text.contains("0123456789"), "{text}");
    }

    #[test]
    fn a_control_character_is_escaped_where_a_name_or_a_value_is_shown() {
        let mut config = config();
        let error = config.set("timeout\0", "5").unwrap_err();
        assert_eq!(error.message(), "There is no option `timeout\\u{0}`.");
        config.set("timeout", "5\n\0").unwrap();
        let error = config.settings().unwrap_err();
        assert_eq!(error.message(), "The option timeout is `5\\u{a}\\u{0}`.");
    }
}
