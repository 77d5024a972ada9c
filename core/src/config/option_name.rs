//! The names of options as users type them: finds the option, or the one that was likely meant.
//!
//! Promises: a mistyped name is an error with the nearest one in its hint, and never counts as not set.

use super::Config;
use crate::config::option::{ENVIRONMENT_PREFIX, OPTIONS};
use crate::config::shown::shown;
use crate::error::{Error, Result};

impl Config {
    /// The environment variables that begin with the prefix of the options and belong to no option, sorted. They may
    /// be a program's own. But if one was likely meant for an option that has no value, no manager is built.
    ///
    /// ```
    /// let mut config = pay88::Config::without_environment();
    /// config.set_variable("EIGHTY_EIGHT_PAY_STAGE", "blue");
    /// assert_eq!(config.unknown_variables(), ["EIGHTY_EIGHT_PAY_STAGE"]);
    /// ```
    pub fn unknown_variables(&self) -> Vec<String> {
        let names = self.unknown_names();
        names.iter().map(|name| shown(name)).collect()
    }

    /// Their names, unchanged. They may hold anything.
    fn unknown_names(&self) -> Vec<String> {
        let known = |name: &String| {
            OPTIONS
                .iter()
                .any(|option| option.environment_variable() == *name)
        };
        let mut names = self.environment.names_with_prefix();
        names.retain(|name| !known(name));
        names.sort();
        names
    }

    /// Refuses a variable that was likely meant for an option without a value: for `option`, or for any option. If
    /// the option has a value, a variable of nearly its name is likely the program's own (`…_API_KEY_2`).
    pub(super) fn refuse_mistyped(&self, option: Option<&str>) -> Result<()> {
        for variable in self.unknown_names() {
            let name = variable
                .strip_prefix(ENVIRONMENT_PREFIX)
                .unwrap_or(&variable);
            // Two edits turn a short name into another word: `STORE` is not `SHARE`.
            let edits = if name.chars().count() < 8 { 1 } else { 2 };
            let Some(meant) = nearest(&name.to_ascii_lowercase(), edits)
                .filter(|near| option.is_none_or(|one| one == *near))
            else {
                continue;
            };
            if !self.is_set(meant) {
                return Err(Error::invalid(
                    format!(
                        "The environment variable {} is set, and no option has that name.",
                        shown(&variable)
                    ),
                    format!(
                        "Did you mean {ENVIRONMENT_PREFIX}{}? If the variable is not for pay88, give {meant} a value; the variable is then ignored.",
                        meant.to_ascii_uppercase()
                    ),
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn index_of(name: &str) -> Result<usize> {
    OPTIONS
        .iter()
        .position(|option| option.name == name)
        .ok_or_else(|| unknown_option(name))
}

fn unknown_option(name: &str) -> Error {
    let shown = shown(name);
    let meant = nearest(name, 3).map(|near| format!("Did you mean `{near}`? "));
    let all: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
    Error::invalid(
        format!("There is no option `{shown}`."),
        format!(
            "{}The options are {}.",
            meant.unwrap_or_default(),
            all.join(", ")
        ),
    )
}

/// The option whose name is at most that many edits away.
fn nearest(name: &str, edits: usize) -> Option<&'static str> {
    OPTIONS
        .iter()
        .map(|option| (distance(name, option.name), option.name))
        .min()
        .filter(|(distance, _)| *distance <= edits)
        .map(|(_, near)| near)
}

/// Edit distance, for the hint about a mistyped name.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::test_support::config::config;

    #[test]
    fn an_unknown_option_is_refused_with_the_nearest_name() {
        let error = config().set("api_kee", "x").unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(error.hint().contains("`api_key`"), "{error}");
    }

    /// What is said of a variable of that name if only the two options without a default are set.
    fn said_of_variable(name: &str) -> Result<()> {
        let mut config = config();
        config.set_variable(&format!("{ENVIRONMENT_PREFIX}{name}"), "7");
        assert_eq!(config.unknown_variables().len(), 1);
        config.settings().map(drop)
    }

    #[test]
    fn a_variable_is_refused_only_if_its_name_is_close_to_an_option_for_its_length() {
        for own in [
            "STAGE", "STORE", "PROD", "STATE", "SPACE", "SCOPE", "TOKEN", "A",
        ] {
            assert_eq!(said_of_variable(own), Ok(()), "{own}");
        }
        for mistyped in [
            "BASEURL",
            "TIME_OUT",
            "TIMOUT",
            "SHARED",
            "PROXI",
            "BASE_URI",
            "TOKENS_PER_HOURS",
            "CONECT_TIMEOUTS",
        ] {
            let error = said_of_variable(mistyped).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{mistyped}");
            assert!(error.message().contains(mistyped), "{error}");
        }
    }

    #[test]
    fn the_name_of_a_variable_may_be_anything_and_is_shown_only_where_it_has_no_secret() {
        for own in ["X@Y", "sk_test_0123", "sk_live_0123", "@", "", "é@", "é"] {
            assert_eq!(said_of_variable(own), Ok(()), "{own}");
        }
        let error = said_of_variable("TIMEOUT@").unwrap_err();
        assert!(error.message().contains("variable … is set"), "{error}");
        assert!(
            error.hint().contains("EIGHTY_EIGHT_PAY_TIMEOUT?"),
            "{error}"
        );
    }
}
