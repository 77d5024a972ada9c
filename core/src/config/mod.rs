//! From what the user typed to settings that can be relied on.
//!
//! Promises: an option that is passed wins over its environment variable, which wins over the default. Everything in
//! [`Config::settings`] has been checked. A value that is set and cannot be used is an error, and never counts as not
//! set. Only this room reads the environment, and only when a manager is built.

pub(crate) mod credentials;
pub(crate) mod endpoint;
mod environment;
pub(crate) mod link;
pub(crate) mod option;
pub(crate) mod share;
mod shown;
pub(crate) mod store_url;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::environment::Environment;
use crate::config::link::open_link;
use crate::config::option::{ENVIRONMENT_PREFIX, OPTIONS, Opt, OptionKind};
use crate::config::share::{MOST_TOKENS_PER_HOUR, Share};
use crate::config::shown::shown;
use crate::error::{Error, Result};
use crate::transport::{Proxy, SystemRoots};

/// The options without a default.
const REQUIRED: [Opt; 2] = [Opt::ApiKey, Opt::MerchantId];

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
    fn refuse_mistyped(&self, option: Option<&str>) -> Result<()> {
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

    /// The value of an option that has no default, without white space around it.
    fn required(&self, option: Opt) -> Result<Zeroizing<String>> {
        let (name, variable) = (option.name(), option.spec().environment_variable());
        let Some(text) = self.get(option)? else {
            return Err(Error::invalid(
                format!("The {name} is missing."),
                match self.environment {
                    Environment::Read | Environment::Given(_) => {
                        format!("Pass it, or set the environment variable {variable}.")
                    }
                    Environment::Ignored => {
                        format!("Pass it; the environment variable {variable} is not read here.")
                    }
                    Environment::Hidden => format!(
                        "Pass it. The environment variable {variable} is not read, since this program runs with rights that its \
                         user does not have (setuid, setgid, or capabilities set by `setcap`)."
                    ),
                },
            ));
        };
        if text.trim().is_empty() {
            return Err(Error::invalid(
                format!("The {name} is blank."),
                format!("Pass it, or leave it out and set the environment variable {variable}."),
            ));
        }
        Ok(text)
    }

    fn seconds(&self, option: Opt, range: std::ops::RangeInclusive<f64>) -> Result<Duration> {
        let text = self.get_or_default(option)?;
        match text.trim().parse::<f64>() {
            Ok(value) if range.contains(&value) => Ok(Duration::from_secs_f64(value)),
            _ => Err(out_of_range(
                option,
                &text,
                "seconds",
                range.start(),
                range.end(),
            )),
        }
    }

    fn whole(&self, option: Opt, range: std::ops::RangeInclusive<u64>) -> Result<u64> {
        let text = self.get_or_default(option)?;
        match text.trim().parse::<u64>() {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(out_of_range(
                option,
                &text,
                "a whole number",
                range.start(),
                range.end(),
            )),
        }
    }

    /// Checks the value of one option, and not whether it goes with the others. An option that is not set passes,
    /// unless it is required. A manager is built only if all options pass together.
    ///
    /// ```
    /// let config = pay88::Config::without_environment().with("timeout", "soon")?;
    /// assert!(config.check("timeout").is_err());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` with what is wrong and what to do.
    pub fn check(&self, name: &str) -> Result<()> {
        self.refuse_mistyped(Some(name))?;
        if name == Opt::BaseUrl.name() {
            return self.base_url().map(drop);
        }
        let mut alone = Config::without_environment()
            .with("api_key", "sk_test_x")?
            .with("merchant_id", "MCH-X-X")?
            // Neither of the documented hosts, so keys of both environments pass.
            .with("base_url", "https://88pay.invalid")?;
        let index = index_of(name)?;
        if let Some(&required) = REQUIRED.iter().find(|option| option.name() == name) {
            self.required(required)?;
        }
        alone.values[index] = self.text(index)?;
        let settings = alone.settings()?;
        if name == Opt::CaBundle.name() && settings.ca_bundle.is_some() {
            open_link(
                &settings.base_url,
                settings.ca_bundle,
                SystemRoots::default(),
                None,
                settings.max_connections,
            )?;
        }
        Ok(())
    }

    pub(crate) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::parse(&self.get_or_default(Opt::BaseUrl)?)
    }

    pub(crate) fn proxy(&self, base_url: &BaseUrl) -> Result<Option<Proxy>> {
        let option = self.get(Opt::Proxy)?;
        let option = option.as_ref().map(|text| match text.trim() {
            "none" => "",
            proxy => proxy,
        });
        let unusable = RefCell::new(None);
        let from_environment = |name: &str| {
            let text = self.environment.text(name).unwrap_or_else(|error| {
                unusable.replace(Some(error));
                None
            });
            text.map(|text| text.to_string())
        };
        let decided = Proxy::decide(option, from_environment, base_url.scheme(), base_url.host());
        if let Some(error) = unusable.into_inner() {
            return Err(error);
        }
        decided.map_err(|message| {
            Error::invalid(
                format!("{message}."),
                "Use http://[user:password@]host:port, or `none` as the option proxy for no proxy.",
            )
        })
    }

    pub(crate) fn ca_bundle(&self) -> Result<Option<PathBuf>> {
        match self.get(Opt::CaBundle)? {
            Some(text) if text.trim().is_empty() => Err(Error::invalid(
                "The option ca_bundle is blank.",
                "Name a PEM file, or leave the option out: then the system's certificate authorities are trusted.",
            )),
            text => Ok(text.map(|text| PathBuf::from(text.trim()))),
        }
    }

    pub(crate) fn system_roots(&self) -> SystemRoots {
        let dirs = self.environment.path("SSL_CERT_DIR").unwrap_or_default();
        SystemRoots {
            file: self.environment.path("SSL_CERT_FILE"),
            dirs: std::env::split_paths(&dirs)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect(),
        }
    }

    pub(crate) fn connect_timeout(&self) -> Result<Duration> {
        self.seconds(Opt::ConnectTimeout, 0.001..=3600.0)
    }

    pub(crate) fn max_connections(&self) -> Result<usize> {
        Ok(self.whole(Opt::MaxConnections, 1..=10_000)? as usize)
    }

    /// All options, checked and parsed.
    pub(crate) fn settings(&self) -> Result<Settings> {
        self.refuse_mistyped(None)?;
        let base_url = self.base_url()?;
        let api_key = ApiKey::parse(Opt::ApiKey, &self.required(Opt::ApiKey)?, &base_url)?;
        let previous_api_key = match self.get(Opt::PreviousApiKey)? {
            Some(text) => Some(ApiKey::parse(Opt::PreviousApiKey, &text, &base_url)?),
            None => None,
        };
        let merchant_id = MerchantId::parse(&self.required(Opt::MerchantId)?)?;
        let system_roots = self.system_roots();
        let share =
            Share::parse(&self.get_or_default(Opt::Share)?)?.with_system_roots(&system_roots);
        let tokens_per_hour = self.whole(Opt::TokensPerHour, 1..=1_000_000)? as u32;
        if share.name() == "fleet" && tokens_per_hour > MOST_TOKENS_PER_HOUR {
            return Err(Error::invalid(
                format!(
                    "The option tokens_per_hour is above {MOST_TOKENS_PER_HOUR}, and hosts share the tokens."
                ),
                "88Pay grants 100 an hour. Set what it grants your account, or share with the processes of the host only.",
            ));
        }
        let proxy = self.proxy(&base_url)?;
        let ca_bundle = self.ca_bundle()?;
        Ok(Settings {
            user_agent: user_agent(
                self.get(Opt::UserAgentSuffix)?
                    .as_ref()
                    .map(|text| text.trim()),
            )?,
            timeout: self.seconds(Opt::Timeout, 0.001..=3600.0)?,
            connect_timeout: self.connect_timeout()?,
            idle_timeout: self.seconds(Opt::IdleTimeout, 0.0..=3600.0)?,
            max_connections: self.max_connections()?,
            safety_margin: self.seconds(Opt::SafetyMargin, 2.0..=3600.0)?,
            tokens_per_minute: self.whole(Opt::TokensPerMinute, 1..=1_000_000)? as u32,
            tokens_per_hour,
            max_response_bytes: self.whole(Opt::MaxResponseBytes, 1024..=1 << 30)?,
            system_roots: match ca_bundle {
                Some(_) => SystemRoots::default(),
                None => system_roots,
            },
            ca_bundle,
            share,
            runtime_dir: self
                .environment
                .path("XDG_RUNTIME_DIR")
                .filter(|dir| dir.is_absolute()),
            base_url,
            api_key,
            previous_api_key,
            merchant_id,
            proxy,
        })
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

/// The checked settings that a manager works with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) api_key: ApiKey,
    pub(crate) previous_api_key: Option<ApiKey>,
    pub(crate) merchant_id: MerchantId,
    pub(crate) base_url: BaseUrl,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Where the system's certificate authorities are, unless `ca_bundle` is set.
    pub(crate) system_roots: SystemRoots,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) share: Share,
    /// `$XDG_RUNTIME_DIR`
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_minute: u32,
    pub(crate) tokens_per_hour: u32,
    pub(crate) max_response_bytes: u64,
    pub(crate) user_agent: String,
}

fn index_of(name: &str) -> Result<usize> {
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

fn out_of_range(
    option: Opt,
    text: &str,
    unit: &str,
    low: impl fmt::Display,
    high: impl fmt::Display,
) -> Error {
    Error::invalid(
        format!("The option {} is `{}`.", option.name(), shown(text)),
        format!(
            "It must be {unit} from {low} to {high}; {} is the default.",
            option.spec().default
        ),
    )
}

/// `pay88/<version>` and the suffix, which must be visible ASCII.
fn user_agent(suffix: Option<&str>) -> Result<String> {
    let own = concat!("pay88/", env!("CARGO_PKG_VERSION"));
    match suffix {
        None | Some("") => Ok(own.to_owned()),
        Some(suffix)
            if suffix.len() <= 256 && suffix.bytes().all(|b| (b' '..=b'~').contains(&b)) =>
        {
            Ok(format!("{own} {suffix}"))
        }
        Some(_) => Err(Error::invalid(
            "The option user_agent_suffix is no header text.",
            "Use at most 256 visible ASCII characters, such as `my-shop/1.2`.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn config() -> Config {
        let mut config = Config::without_environment();
        config.set("api_key", "sk_test_sandbox_0123456789").unwrap();
        config.set("merchant_id", "MCH-COL-TEST-12345").unwrap();
        config
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        let settings = config().settings().unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(30));
        assert_eq!(settings.max_response_bytes, 16 << 20);
        assert_eq!(settings.base_url.as_str(), "https://api-sandbox.88pay.io");
        assert_eq!(settings.tokens_per_hour, 100);
        assert_eq!(settings.share, Share::parse("host").unwrap());
    }

    #[test]
    fn each_option_can_be_checked_by_itself() {
        let config = Config::without_environment()
            .with("api_key", "sk_test_0123456789")
            .and_then(|config| config.with("base_url", "https://api.88pay.io"))
            .and_then(|config| config.with("timeout", "soon"))
            .and_then(|config| config.with("proxy", "socks5://p.example"))
            .and_then(|config| config.with("ca_bundle", "/nonexistent/ca.pem"))
            .unwrap();
        // If key and host do not go together, neither of them is at fault by itself.
        for good in ["api_key", "base_url", "connect_timeout", "share"] {
            assert_eq!(config.check(good), Ok(()), "{good}");
        }
        for (bad, named) in [
            ("timeout", "timeout"),
            ("proxy", "proxy"),
            ("ca_bundle", "/nonexistent/ca.pem"),
            ("merchant_id", "merchant_id is missing"),
            ("api_kee", "no option"),
        ] {
            let error = config.check(bad).unwrap_err();
            assert!(error.message().contains(named), "{error}");
        }
    }

    #[test]
    fn an_unknown_option_is_refused_with_the_nearest_name() {
        let error = config().set("api_kee", "x").unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(error.hint().contains("`api_key`"), "{error}");
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

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (name, value) in [
            ("timeout", "0"),
            ("timeout", "-1"),
            ("timeout", "NaN"),
            ("timeout", "inf"),
            ("timeout", "ten"),
            ("timeout", ""),
            ("safety_margin", "1"),
            ("tokens_per_hour", "0"),
            ("tokens_per_hour", "1.5"),
            ("max_response_bytes", "99999999999999999999"),
            ("share", "redis"),
            ("user_agent_suffix", "a\r\nb: c"),
        ] {
            let error = config().with(name, value).unwrap().settings().unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid, "{name}={value}");
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?}", config(), config().settings().unwrap());
        assert!(!text.contains("0123456789"), "{text}");
    }
}
