//! The checked settings of a manager, and how they come from the options.
//!
//! Promises: everything in [`Settings`] has been checked. A value that is set and cannot be used is an error, and never
//! counts as not set.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Config;
use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::environment::Environment;
use crate::config::link::open_link;
use crate::config::option::Opt;
use crate::config::option_name::index_of;
use crate::config::share::{MOST_TOKENS_PER_HOUR, Share};
use crate::config::shown::shown;
use crate::error::{Error, Result};
use crate::transport::{Proxy, SystemRoots};

/// The options without a default.
const REQUIRED: [Opt; 2] = [Opt::ApiKey, Opt::MerchantId];

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

impl Config {
    /// The value of an option that has no default.
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
    use crate::test_support::config::config;

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
}
