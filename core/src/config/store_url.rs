//! The URL of a store, as the option `share` has it.
//!
//! Promises: a URL that is not understood as a whole is refused. No message and no `Debug` text has a user, a
//! password or a query.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::transport::{Address, SystemRoots};

/// The longest path that a Unix socket can have on Linux, in bytes.
const LONGEST_SOCKET_PATH: usize = 107;

const HINT: &str = "Use redis://[user:password@]host[:port][/database], rediss:// with the same and ?ca=<PEM file> for a \
                    CA of its own, redis+unix:///path/of/socket[?db=0&user=…&password=…], or memcached://host[:port].";

/// A store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoreUrl {
    pub(crate) kind: Kind,
    pub(crate) address: Address,
    shown: String,
}

/// Which protocol the store speaks, and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Redis or Valkey.
    Redis {
        login: Option<Login>,
        database: u32,
    },
    Memcached,
}

/// How to log in to a Redis.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// `None`: Redis's `default` user.
    pub(crate) user: Option<String>,
    pub(crate) password: Secret,
}

/// What a URL's scheme stands for.
#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Redis,
    Rediss,
    RedisUnix,
    Memcached,
}

impl StoreUrl {
    /// # Errors
    /// `config_invalid` for a text that is not the URL of a store.
    pub(crate) fn parse(text: &str) -> Result<StoreUrl> {
        parse(text).map_err(|why| {
            Error::invalid(format!("The option share names a store that {why}."), HINT)
        })
    }

    pub(crate) fn set_system_roots(&mut self, roots: &SystemRoots) {
        if let Address::Tls {
            ca: None,
            system_roots,
            ..
        } = &mut self.address
        {
            *system_roots = roots.clone();
        }
    }

    /// The URL without user, password and query.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreUrl").field(&self.shown).finish()
    }
}

fn parse(text: &str) -> Result<StoreUrl, &'static str> {
    let text = text.trim();
    if text.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
        return Err("holds characters that no URL has");
    }
    let url = Url::parse(text).map_err(|_| "is no URL")?;
    let parsed = parse_url(&url, text);
    String::from(url).zeroize();
    parsed
}

fn parse_url(url: &Url, text: &str) -> Result<StoreUrl, &'static str> {
    let scheme = match url.scheme() {
        "redis" => Scheme::Redis,
        "rediss" => Scheme::Rediss,
        "redis+unix" => Scheme::RedisUnix,
        "memcached" => Scheme::Memcached,
        _ => return Err("has a scheme that is not redis, rediss, redis+unix or memcached"),
    };
    if !text[url.scheme().len()..].starts_with("://") {
        return Err("does not have two slashes after its scheme");
    }
    if url.fragment().is_some() {
        return Err("holds a `#`, which must be written %23");
    }
    let query = Query::of(url, scheme)?;
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let has_login = user.is_some() || url.password().is_some();
    match scheme {
        Scheme::RedisUnix => {
            if url.host().is_some() || has_login {
                return Err("is a Unix socket and has more than a path before its `?`");
            }
            let path = decoded(url.path())?;
            if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
                return Err("has no path of a Unix socket");
            }
            if path.len() > LONGEST_SOCKET_PATH {
                return Err("has a path that is too long for a Unix socket");
            }
            Ok(StoreUrl {
                kind: Kind::Redis {
                    login: login(query.user, query.password)?,
                    database: number(query.db.as_deref().unwrap_or("0"))?,
                },
                shown: format!("redis+unix://{path}"),
                address: Address::Unix(PathBuf::from(path)),
            })
        }
        Scheme::Redis | Scheme::Rediss | Scheme::Memcached => {
            let host = match Host::parse(url.host_str().unwrap_or_default()) {
                Ok(Host::Domain(name)) => name,
                Ok(Host::Ipv4(address)) => address.to_string(),
                Ok(Host::Ipv6(address)) => address.to_string(),
                Err(_) => return Err("names no host"),
            };
            let default = if scheme == Scheme::Memcached {
                11211
            } else {
                6379
            };
            let port = url.port().unwrap_or(default);
            if port == 0 {
                return Err("names port 0");
            }
            let path = url.path().trim_start_matches('/');
            let kind = if scheme == Scheme::Memcached {
                if has_login {
                    return Err("is a Memcached with a password, which is not supported");
                }
                if !path.is_empty() {
                    return Err("is a Memcached with a path");
                }
                Kind::Memcached
            } else {
                Kind::Redis {
                    login: login(
                        user.map(decoded).transpose()?,
                        url.password().map(decoded).transpose()?,
                    )?,
                    database: if path.is_empty() { 0 } else { number(path)? },
                }
            };
            let bracketed = match host.contains(':') {
                true => format!("[{host}]"),
                false => host.clone(),
            };
            let slash = if path.is_empty() { "" } else { "/" };
            Ok(StoreUrl {
                kind,
                shown: format!("{}://{bracketed}:{port}{slash}{path}", url.scheme()),
                address: match scheme {
                    Scheme::Rediss => Address::Tls {
                        host,
                        port,
                        ca: query.ca.map(PathBuf::from),
                        system_roots: SystemRoots::default(),
                    },
                    _ => Address::Tcp { host, port },
                },
            })
        }
    }
}

/// The parameters that a URL of its scheme may have, each once.
#[derive(Default)]
struct Query {
    ca: Option<String>,
    db: Option<String>,
    user: Option<String>,
    password: Option<String>,
}

impl Query {
    fn of(url: &Url, scheme: Scheme) -> Result<Query, &'static str> {
        let mut query = Query::default();
        for (name, value) in url.query_pairs() {
            let place = match (scheme, &*name) {
                (Scheme::Rediss, "ca") => &mut query.ca,
                (Scheme::RedisUnix, "db") => &mut query.db,
                (Scheme::RedisUnix, "user") => &mut query.user,
                (Scheme::RedisUnix, "password") => &mut query.password,
                _ => return Err("has a parameter that its scheme does not know"),
            };
            if value.is_empty() {
                return Err("has a parameter without a value");
            }
            if place.replace(value.into_owned()).is_some() {
                return Err("has a parameter twice");
            }
        }
        if query.ca.as_ref().is_some_and(|ca| !ca.starts_with('/')) {
            return Err("names its CA by a path that is not absolute");
        }
        Ok(query)
    }
}

fn login(user: Option<String>, password: Option<String>) -> Result<Option<Login>, &'static str> {
    match (user, password) {
        (None, None) => Ok(None),
        (_, Some(password)) if password.is_empty() => Err("has an empty password"),
        (user, Some(password)) => Ok(Some(Login {
            user,
            password: Secret::new(password),
        })),
        (Some(_), None) => {
            Err("has a user without a password (a password alone is written `:password@`)")
        }
    }
}

fn number(text: &str) -> Result<u32, &'static str> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or("has a database that is no number")
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| "is not UTF-8")?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> StoreUrl {
        StoreUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn login_of(store: &StoreUrl) -> Option<(Option<&str>, &str)> {
        match &store.kind {
            Kind::Redis { login, .. } => login
                .as_ref()
                .map(|login| (login.user.as_deref(), login.password.expose())),
            Kind::Memcached => None,
        }
    }

    fn tcp(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address::Tcp { host, port }
    }

    #[test]
    fn each_scheme_says_where_the_store_is_and_who_asks() {
        let plain = store("redis://Cache-1");
        assert_eq!(plain.address, tcp("cache-1", 6379));
        assert_eq!(plain.shown(), "redis://cache-1:6379");
        assert_eq!(login_of(&plain), None);

        let full = store("redis://pay:p%40ss%3A%2F@127.0.0.1:7000/3");
        assert_eq!(full.address, tcp("127.0.0.1", 7000));
        assert_eq!(login_of(&full), Some((Some("pay"), "p@ss:/")));
        assert!(matches!(full.kind, Kind::Redis { database: 3, .. }));
        assert_eq!(full.shown(), "redis://127.0.0.1:7000/3");

        let six = store("redis://:secret@[::1]/");
        assert_eq!(six.address, tcp("::1", 6379));
        assert_eq!(login_of(&six), Some((None, "secret")));
        assert_eq!(six.shown(), "redis://[::1]:6379");

        let tls = store("rediss://cache?ca=%2Fetc%2Fca.pem");
        let expected = Address::Tls {
            system_roots: SystemRoots::default(),
            host: "cache".into(),
            port: 6379,
            ca: Some("/etc/ca.pem".into()),
        };
        assert_eq!(tls.address, expected);
        assert_eq!(tls.shown(), "rediss://cache:6379");

        let unix = store("redis+unix:///run/redis.sock?db=2&user=pay&password=a%2Bb");
        assert_eq!(unix.address, Address::Unix("/run/redis.sock".into()));
        assert_eq!(login_of(&unix), Some((Some("pay"), "a+b")));
        assert!(matches!(unix.kind, Kind::Redis { database: 2, .. }));
        assert_eq!(unix.shown(), "redis+unix:///run/redis.sock");

        let memcached = store(" memcached://cache ");
        assert_eq!(memcached.address, tcp("cache", 11211));
        assert!(memcached.kind == Kind::Memcached);
    }

    #[test]
    fn what_is_not_understood_whole_is_refused() {
        for text in [
            "",
            "redis",
            "redis:cache",
            "redis:/cache",
            "redis://",
            "redis://:0x",
            "redis://cache:0",
            "redis://cache:66000",
            "redis://cache/x",
            "redis://cache/1/2",
            "redis://cache/-1",
            "redis://cache/99999999999",
            "redis://cache?db=1",
            "redis://cache?ca=/x",
            "redis://cache#1",
            "redis://pay@cache",
            "redis://pay:@cache",
            "redis://ca che",
            "redis://cache\\x",
            "redis://:%ff@cache",
            "rediss://cache?ca=",
            "rediss://cache?ca=ca.pem",
            "rediss://cache?ca=/a&ca=/b",
            "rediss://cache?verify=no",
            "redis+unix://cache/x",
            "redis+unix://",
            "redis+unix:///",
            "redis+unix:///x?db=a",
            "redis+unix:///x?user=a",
            "redis+unix:///x?host=a",
            "memcached://",
            "memcached://cache/1",
            "memcached://u:p@cache",
            "memcached://cache?x=1",
            "http://cache",
            "rediss+insecure://cache",
        ] {
            let refused = StoreUrl::parse(text).map(|store| store.shown);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
        let long = format!("redis+unix:///{}", "x".repeat(107));
        assert!(StoreUrl::parse(&long).is_err());
    }

    #[test]
    fn no_text_of_it_holds_a_password() {
        for text in [
            "redis://hush-user:hush-word@cache/1",
            "redis+unix:///x?password=hush-word&user=hush-user",
        ] {
            assert!(!format!("{:?}{}", store(text), store(text).shown()).contains("hush"));
        }
        for text in [
            "redis://hush-user:hush-word@cache/x",
            "hush-user:hush-word@cache",
            "redis://hush-user:hush-word@",
            "redis://u:hush-word@ca^che",
            "redis+unix:///x?password=hush-word&hush=1",
        ] {
            let error = StoreUrl::parse(text).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("hush"), "{error}");
        }
    }

    #[test]
    fn two_stores_are_equal_if_nothing_of_them_differs() {
        assert_eq!(store("redis://a"), store("redis://A:6379/"));
        assert_ne!(store("redis://:x@a"), store("redis://:y@a"));
        assert_ne!(store("redis://a/1"), store("redis://a/2"));
        assert_ne!(store("redis://a"), store("rediss://a"));
    }
}
