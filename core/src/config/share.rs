//! The option `share`: who shares a token. Opens no store.

use std::path::PathBuf;

use crate::config::store_url::StoreUrl;
use crate::error::Error;
use crate::transport::SystemRoots;

/// With more tokens an hour than this, hosts cannot count them by name, as they have to.
pub(crate) const MOST_TOKENS_PER_HOUR: u32 = 400;

/// The option `share`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Process,
    /// The processes of this host: those of one user, or of the group of that directory. With stores, also the hosts
    /// that use them.
    Host {
        dir: Option<PathBuf>,
        stores: Vec<StoreUrl>,
    },
}

impl Share {
    pub(crate) fn parse(text: &str) -> Result<Share, Error> {
        let invalid = |why: &str| {
            Error::invalid(
                format!("The option share {why}."),
                "Use `process`, or `host` or `host:` and the absolute path of a directory on a tmpfs, and after it the \
                 URLs of stores, separated by commas.",
            )
        };
        let mut tiers = text.split(',').map(str::trim).peekable();
        let dir = match tiers.peek().copied().unwrap_or_default() {
            "process" => {
                tiers.next();
                return match tiers.next() {
                    None => Ok(Share::Process),
                    Some(_) => Err(invalid("has more after `process`, which shares nothing")),
                };
            }
            "host" => {
                tiers.next();
                None
            }
            tier if tier.contains("://") => None,
            tier => match tier.strip_prefix("host:") {
                Some(dir) if dir.starts_with('/') && !dir.contains('\0') => {
                    tiers.next();
                    Some(PathBuf::from(dir))
                }
                Some(_) => return Err(invalid("has `host:` without an absolute path")),
                None => return Err(invalid("begins with neither `process`, `host` nor a store")),
            },
        };
        let stores = tiers.map(StoreUrl::parse).collect::<Result<_, _>>()?;
        Ok(Share::Host { dir, stores })
    }

    /// The same, where stores without a CA of their own trust those authorities.
    pub(crate) fn with_system_roots(mut self, system_roots: &SystemRoots) -> Share {
        if let Share::Host { stores, .. } = &mut self {
            for store in stores {
                store.set_system_roots(system_roots);
            }
        }
        self
    }

    /// `process`, `host` or `fleet`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Share::Process => "process",
            Share::Host { stores, .. } if stores.is_empty() => "host",
            Share::Host { .. } => "fleet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir_and_stores(text: &str) -> (Option<PathBuf>, Vec<String>) {
        match Share::parse(text).unwrap() {
            Share::Host { dir, stores } => {
                let shown = stores.iter().map(|store| store.shown().to_owned());
                (dir, shown.collect())
            }
            Share::Process => panic!("{text}"),
        }
    }

    #[test]
    fn share_is_process_or_host_or_host_with_an_absolute_path() {
        assert_eq!(Share::parse(" process ").unwrap(), Share::Process);
        assert_eq!(dir_and_stores("host"), (None, vec![]));
        let dir = Some(PathBuf::from("/run/pay"));
        assert_eq!(dir_and_stores("host:/run/pay"), (dir, vec![]));
        for text in [
            "",
            "hosts",
            "host:",
            "host:run/pay",
            "host:/a,/b",
            "process:/x",
            "process,host",
            "host,process",
            "redis://a,host",
            "redis://a,",
        ] {
            assert!(Share::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stores_come_after_the_host_in_the_order_of_their_use() {
        let (dir, stores) = dir_and_stores("host:/run/pay, redis://a:1, memcached://b:2");
        assert_eq!(dir, Some(PathBuf::from("/run/pay")));
        assert_eq!(stores, ["redis://a:1", "memcached://b:2"]);
        assert_eq!(dir_and_stores("redis://a:1").0, None);
    }

    #[test]
    fn no_password_of_a_store_is_shown() {
        let share = Share::parse("redis://:hunter2@cache").unwrap();
        assert!(!format!("{share:?}").contains("hunter2"), "{share:?}");
        let error = Share::parse("host,redis://:hunter2@cache:port").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
}
