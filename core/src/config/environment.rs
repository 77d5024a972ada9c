//! The environment of the process, as far as this program may read it.
//!
//! Promises: a program that runs with more rights than its user has reads none of it (as with `secure_getenv`). A
//! variable that is set but is not text is an error, and never counts as "not set". A blank variable counts as not
//! set.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config::option::ENVIRONMENT_PREFIX;
use crate::error::{Error, Result};

/// The variables that are read besides those of the options.
const VARIABLES: [&str; 9] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "XDG_RUNTIME_DIR",
];

/// Whether a variable of this name can matter.
fn is_read(name: &str) -> bool {
    name.starts_with(ENVIRONMENT_PREFIX) || VARIABLES.contains(&name)
}

/// Whether the environment is read.
#[derive(Clone)]
pub(crate) enum Environment {
    /// The process's environment is read.
    Read,
    /// The caller passes an environment of its own: names and values.
    Given(Vec<(String, Zeroizing<Vec<u8>>)>),
    /// The caller asked that no environment is read.
    Ignored,
    /// The program is setuid or setgid, or has capabilities of its own (as by `setcap`). Whoever starts it could
    /// otherwise say where the API key goes.
    Hidden,
}

impl Environment {
    pub(crate) fn of_process() -> Environment {
        // SAFETY: `getauxval` reads the auxiliary vector that the kernel gave this process; it has no preconditions.
        match unsafe { libc::getauxval(libc::AT_SECURE) } {
            0 => Environment::Read,
            _ => Environment::Hidden,
        }
    }

    /// Sets a variable of the caller's own, in place of the process's. Ignored where the environment is hidden.
    pub(crate) fn give(&mut self, name: &str, value: &OsStr) {
        if !matches!(self, Environment::Given(_)) {
            *self = match Environment::of_process() {
                Environment::Hidden => Environment::Hidden,
                _ => Environment::Given(Vec::new()),
            };
        }
        if let Environment::Given(variables) = self
            && is_read(name)
        {
            variables.retain(|(known, _)| known != name);
            variables.push((name.to_owned(), Zeroizing::new(value.as_bytes().to_vec())));
        }
    }

    /// The text of a variable, if it is set and not blank.
    ///
    /// # Errors
    /// `config_invalid` if it is set and not UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
        Ok(self.raw(name)?.filter(|text| !text.trim().is_empty()))
    }

    /// As [`Environment::text`], but gives a blank variable too.
    pub(crate) fn raw(&self, name: &str) -> Result<Option<Zeroizing<String>>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match value.into_string() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(_) => Err(Error::invalid(
                format!("The environment variable {name} is not UTF-8."),
                "Set it once more as UTF-8 text, or unset it.",
            )),
        }
    }

    /// The path that a variable names, if it is set and not blank. It may have any bytes.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.value(name)?;
        (!value.as_bytes().trim_ascii().is_empty()).then(|| PathBuf::from(value))
    }

    /// The variables that begin with the prefix of the options, in any order. Bytes that are not UTF-8 are replaced.
    pub(crate) fn names_with_prefix(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Environment::Read => std::env::vars_os()
                .map(|(name, _)| name.to_string_lossy().into_owned())
                .collect(),
            Environment::Given(variables) => {
                variables.iter().map(|(name, _)| name.clone()).collect()
            }
            Environment::Ignored | Environment::Hidden => Vec::new(),
        };
        names.retain(|name| name.starts_with(ENVIRONMENT_PREFIX));
        names
    }

    fn value(&self, name: &str) -> Option<OsString> {
        debug_assert!(is_read(name), "{name} belongs into the table");
        match self {
            Environment::Read => std::env::var_os(name),
            Environment::Given(variables) => {
                // Nothing is looked up in the process's environment, which another thread of a caller that has its own
                // may be changing.
                let (_, given) = variables.iter().find(|(known, _)| known == name)?;
                Some(OsStr::from_bytes(given).to_owned())
            }
            Environment::Ignored | Environment::Hidden => None,
        }
    }
}
