//! The table of options. Every language's arguments, the environment variables and the documentation follow it.
//!
//! Holds names, units and defaults only. `config` knows what a value means.

/// Says how the text of an option is read.
///
/// ```
/// use pay88::{OPTIONS, OptionKind};
///
/// let timeout = OPTIONS.iter().find(|option| option.name == "timeout").unwrap();
/// assert_eq!(timeout.kind, OptionKind::Seconds);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// A secret text, which is never shown.
    Secret,
    /// Seconds, as a decimal number such as `30` or `2.5`.
    Seconds,
    /// A whole number.
    Count,
    /// A whole number of bytes.
    Bytes,
    /// The path of a file.
    Path,
}

/// Describes one option: a row of the table [`OPTIONS`].
///
/// ```
/// for option in pay88::OPTIONS {
///     println!("{:<20} {} [default: {}]", option.name, option.summary, option.default);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OptionSpec {
    /// The name in snake case. The environment variable is `EIGHTY_EIGHT_PAY_` and the name in capitals.
    pub name: &'static str,
    /// How its text is read.
    pub kind: OptionKind,
    /// The value if the option is set nowhere. If that is no fixed value, it is described in words.
    pub default: &'static str,
    /// What the option does.
    pub summary: &'static str,
}

/// Begins the name of every environment variable of an option.
///
/// ```
/// assert_eq!(pay88::OPTIONS[0].environment_variable(), format!("{}API_KEY", pay88::ENVIRONMENT_PREFIX));
/// ```
pub const ENVIRONMENT_PREFIX: &str = "EIGHTY_EIGHT_PAY_";

impl OptionSpec {
    /// The environment variable that is read if the option is not set. A blank variable counts as not set.
    ///
    /// ```
    /// let names: Vec<String> = pay88::OPTIONS.iter().map(|option| option.environment_variable()).collect();
    /// assert!(names.contains(&"EIGHTY_EIGHT_PAY_BASE_URL".to_owned()));
    /// ```
    pub fn environment_variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.to_ascii_uppercase())
    }
}

macro_rules! options {
    ($($id:ident $name:literal $kind:ident $default:literal $summary:literal;)*) => {
        /// An option, as an index into [`OPTIONS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Opt { $($id,)* }

        /// Lists every option, in the order of the documentation. [`Config`](crate::Config) takes them by name.
        ///
        /// ```
        /// assert!(pay88::OPTIONS.iter().any(|option| option.name == "share" && option.default == "host"));
        /// ```
        pub const OPTIONS: &[OptionSpec] =
            &[$(OptionSpec { name: $name, kind: OptionKind::$kind, default: $default, summary: $summary },)*];
    };
}

options! {
    ApiKey "api_key" Secret "required" "API key from the dashboard, `sk_test_…` or `sk_live_…`.";
    MerchantId "merchant_id" Text "required" "Merchant ID, `MCH-{COUNTRY}-{ID}`.";
    BaseUrl "base_url" Text "https://api-sandbox.88pay.io" "Address of 88Pay. The default is its sandbox; production is https://api.88pay.io.";
    PreviousApiKey "previous_api_key" Secret "none" "The key before the present one. It is used for up to 24 hours while 88Pay does not accept the new one.";
    Timeout "timeout" Seconds "30" "How long a call may take in all, including the wait for a token; 0.001 to 3600.";
    ConnectTimeout "connect_timeout" Seconds "5" "How long it may take to make a connection; 0.001 to 3600.";
    CaBundle "ca_bundle" Path "SSL_CERT_FILE, SSL_CERT_DIR, the system's authorities" "PEM file of the certificate authorities to trust for 88Pay, in place of the system's.";
    Proxy "proxy" Secret "HTTPS_PROXY, ALL_PROXY, NO_PROXY" "HTTP proxy (`http://[user:password@]host:port`), used for https by CONNECT; `none` for no proxy. Never used for loopback addresses.";
    Share "share" Secret "host" "Who shares the token. `host`: all processes of this user on this host. `host:<dir>`: all processes of a group that may write to that directory, on a tmpfs. `process`: this process alone. To share among several hosts, add the URLs of stores after a host, or name them alone, separated by commas in the order of their use: `redis://`, `rediss://`, `redis+unix://`, `memcached://`.";
    SafetyMargin "safety_margin" Seconds "10" "How long before its end a token is no longer handed out; 2 to 3600.";
    TokensPerMinute "tokens_per_minute" Count "10" "How many tokens may be asked for in any minute; 1 to 1000000.";
    TokensPerHour "tokens_per_hour" Count "100" "How many tokens may be asked for in any hour; 1 to 1000000.";
    MaxResponseBytes "max_response_bytes" Bytes "16777216" "The largest answer that a call reads; 1024 to 1073741824.";
    IdleTimeout "idle_timeout" Seconds "45" "How long a connection is kept that is not in use; 0 to 3600.";
    MaxConnections "max_connections" Count "64" "How many connections to 88Pay calls may have open at once; 1 to 10000. Further calls wait, first come first served, each within its own time. Token requests have as many of their own, so calls cannot hold them up.";
    UserAgentSuffix "user_agent_suffix" Text "none" "Text that is added to the User-Agent, for example `my-shop/1.2`.";
}

impl Opt {
    pub(crate) fn spec(self) -> &'static OptionSpec {
        &OPTIONS[self as usize]
    }

    pub(crate) fn name(self) -> &'static str {
        self.spec().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_variables_of_the_documentation_come_out() {
        assert_eq!(
            Opt::ApiKey.spec().environment_variable(),
            "EIGHTY_EIGHT_PAY_API_KEY"
        );
        assert_eq!(
            Opt::BaseUrl.spec().environment_variable(),
            "EIGHTY_EIGHT_PAY_BASE_URL"
        );
        assert_eq!(Opt::UserAgentSuffix.name(), "user_agent_suffix");
    }
}
