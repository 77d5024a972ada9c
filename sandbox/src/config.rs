//! The settings of a sandbox, and those that can be changed while it runs. Nothing here is read from the environment.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Clock;
use crate::log::masked;

/// The API key that a sandbox with default settings accepts. Public, and good for nothing else.
pub const TEST_KEY: &str = "sk_test_sandbox_5f0c2a7d9e3b4816";
/// The merchant that [`TEST_KEY`] belongs to.
pub const TEST_MERCHANT: &str = "MCH-COL-TEST-12345";

/// The settings with which a sandbox is started. The default serves TLS on a free loopback port, with a control port,
/// for one test merchant.
#[derive(Clone, Debug)]
pub struct Config {
    /// Serve TLS with a certificate of its own for `localhost`, `127.0.0.1` and `::1` (default), or plain HTTP, on loopback only.
    pub tls: bool,
    /// The address to listen on. Port 0, the default, takes a free port. Only an address that is not loopback can be
    /// reached by others.
    pub listen: SocketAddr,
    /// More names and addresses that the certificate is for. The base URL has the first one.
    pub names: Vec<String>,
    /// The address of the control port: plain HTTP, loopback only. `None` for none.
    pub control: Option<SocketAddr>,
    /// Who may ask for tokens.
    pub merchants: Vec<Merchant>,
    /// The clock that it uses.
    pub clock: Clock,
    /// See [`Switches::new_token_voids_old`].
    pub new_token_voids_old: bool,
    /// See [`Switches::refused_requests_count`].
    pub refused_requests_count: bool,
    /// See [`Switches::windows`].
    pub windows: Windows,
    /// See [`Switches::tokens_per_minute`].
    pub tokens_per_minute: u32,
    /// See [`Switches::tokens_per_hour`].
    pub tokens_per_hour: u32,
    /// See [`Switches::calls_per_minute`].
    pub calls_per_minute: u32,
    /// See [`Switches::calls_per_hour`].
    pub calls_per_hour: u32,
    /// See [`Switches::expires_in`].
    pub expires_in: Value,
    /// See [`Switches::token_delay`].
    pub token_delay: Duration,
    /// See [`Switches::call_delay`].
    pub call_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config {
            tls: true,
            listen: loopback,
            names: Vec::new(),
            control: Some(loopback),
            merchants: vec![Merchant::new(TEST_MERCHANT, TEST_KEY)],
            clock: Clock::System,
            new_token_voids_old: false,
            refused_requests_count: true,
            windows: Windows::Sliding,
            tokens_per_minute: 10,
            tokens_per_hour: 100,
            calls_per_minute: 0,
            calls_per_hour: 0,
            expires_in: Value::from(60),
            token_delay: Duration::ZERO,
            call_delay: Duration::ZERO,
        }
    }
}

/// A merchant and its API keys. It has several while one key is replaced by another. `Debug` masks the keys.
#[derive(Clone)]
pub struct Merchant {
    /// The merchant ID, for example [`TEST_MERCHANT`].
    pub id: String,
    /// The API keys accepted for it.
    pub keys: Vec<String>,
    /// A suspended merchant is answered 403 `Access denied`.
    pub suspended: bool,
}

impl Merchant {
    /// A merchant in good standing with one key.
    pub fn new(id: impl Into<String>, key: impl Into<String>) -> Self {
        Merchant {
            id: id.into(),
            keys: vec![key.into()],
            suspended: false,
        }
    }
}

impl fmt::Debug for Merchant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(|key| masked(key)).collect();
        f.debug_struct("Merchant")
            .field("id", &self.id)
            .field("keys", &keys)
            .field("suspended", &self.suspended)
            .finish()
    }
}

/// How requests are counted against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// The last 60 s and the last 3600 s, whenever that is.
    Sliding,
    /// The minute and the hour of the clock.
    Fixed,
}

/// What the documentation leaves open, and what a test wants to change while the sandbox runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switches {
    /// A new token makes the earlier tokens of the same key and merchant invalid (default: no).
    pub new_token_voids_old: bool,
    /// A token request that names a known key but is refused, for whatever reason, counts against the limit too
    /// (default: yes).
    pub refused_requests_count: bool,
    /// How limits are counted (default: sliding).
    pub windows: Windows,
    /// Token requests a minute and key; 0 for no limit (default: 10).
    pub tokens_per_minute: u32,
    /// Token requests an hour and key; 0 for no limit (default: 100).
    pub tokens_per_hour: u32,
    /// Calls a minute and merchant; the balance is counted separately. 0 for no limit (default: 0; 88Pay documents
    /// 60).
    pub calls_per_minute: u32,
    /// Calls an hour and merchant; the balance is counted separately. 0 for no limit (default: 0; 88Pay documents
    /// 1000).
    pub calls_per_hour: u32,
    /// The `expires_in` of token answers, of any JSON type; `null` leaves the field out (default: 60). A number or a string of
    /// digits from 0 to 3600 is also how many seconds the token is accepted for; with anything else it is 60.
    pub expires_in: Value,
    /// How many seconds the answer to a token request is delayed, after the token was made (default: 0).
    #[serde(with = "seconds")]
    pub token_delay: Duration,
    /// How many seconds the answer to a call is delayed, after the call was carried out (default: 0).
    #[serde(with = "seconds")]
    pub call_delay: Duration,
}

impl Switches {
    /// The switches as a configuration sets them.
    pub(crate) fn of(config: &Config) -> Self {
        Switches {
            new_token_voids_old: config.new_token_voids_old,
            refused_requests_count: config.refused_requests_count,
            windows: config.windows,
            tokens_per_minute: config.tokens_per_minute,
            tokens_per_hour: config.tokens_per_hour,
            calls_per_minute: config.calls_per_minute,
            calls_per_hour: config.calls_per_hour,
            expires_in: config.expires_in.clone(),
            token_delay: config.token_delay,
            call_delay: config.call_delay,
        }
    }

    /// How long a token is accepted.
    pub(crate) fn token_life(&self) -> Duration {
        let seconds = match &self.expires_in {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        seconds
            .filter(|seconds| (0.0..=3600.0).contains(seconds))
            .map_or(Duration::from_secs(60), Duration::from_secs_f64)
    }
}

/// Durations as a JSON number of seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}
