//! The process's environment, as far as this program may read it.
//!
//! Promises: a program that runs with rights which its user does not have reads none of it (as `secure_getenv`); a variable
//! that is set and is no text is an error and never "unset"; a blank one counts as unset.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::option::ENVIRONMENT_PREFIX;

/// Whether the environment is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// It is.
    Read,
    /// The caller said not to.
    Ignored,
    /// The program is setuid, setgid or has capabilities of its own (as by `setcap`): whoever starts it could say where the
    /// key goes.
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

    /// The text of a variable, if it is set and not blank.
    ///
    /// # Errors
    /// `config_invalid` if it is set and not UTF-8.
    pub(crate) fn text(self, name: &str) -> Result<Option<Zeroizing<String>>> {
        Ok(self.raw(name)?.filter(|text| !text.trim().is_empty()))
    }

    /// As [`Environment::text`], a blank one too.
    pub(crate) fn raw(self, name: &str) -> Result<Option<Zeroizing<String>>> {
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

    /// The path that a variable names, of any bytes, if it is set and not blank.
    pub(crate) fn path(self, name: &str) -> Option<PathBuf> {
        let value = self.value(name)?;
        (!value.as_bytes().trim_ascii().is_empty()).then(|| PathBuf::from(value))
    }

    /// The variables that begin with the prefix of the options, in no order that matters. Bytes that are no UTF-8 are
    /// replaced.
    pub(crate) fn names_with_prefix(self) -> Vec<String> {
        if self != Environment::Read {
            return Vec::new();
        }
        std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.as_bytes().starts_with(ENVIRONMENT_PREFIX.as_bytes()))
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    fn value(self, name: &str) -> Option<OsString> {
        (self == Environment::Read).then(|| std::env::var_os(name))?
    }
}
