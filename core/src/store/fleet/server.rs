//! One store of the list `share`, and the sessions that are opened to it.
//!
//! It keeps no connection. No reason that it reports has a password.

use std::time::Duration;

use super::connection::Connection;
use super::memcached::Memcached;
use super::memcached_clock::ServerClock;
use super::redis::Redis;
use super::session::{Backend, Owner, Session, deadline};
use crate::config::store_url::{Kind, StoreUrl};
use crate::transport::Dialer;

/// One store. It keeps no connection, and a fork does it no harm.
pub(crate) struct Server {
    url: StoreUrl,
    dialer: Dialer,
    clock: ServerClock,
}

impl Server {
    pub(crate) fn new(url: StoreUrl) -> Server {
        Server {
            dialer: Dialer::new(url.address.clone()),
            clock: ServerClock::new(),
            url,
        }
    }
}

impl Backend for Server {
    fn shown(&self) -> &str {
        self.url.shown()
    }

    fn open(&self, name: &str, owner: Owner, within: Duration) -> Result<Box<dyn Session>, String> {
        let deadline = deadline(within);
        let connection = Connection::dial(&self.dialer, deadline)?;
        Ok(match &self.url.kind {
            Kind::Redis { login, database } => {
                let mut redis = Redis::new(connection, name, owner);
                redis.log_in(login.as_ref(), *database, deadline)?;
                Box::new(redis)
            }
            Kind::Memcached => {
                let clock = self.clock.of_this_process();
                Box::new(Memcached::new(connection, name, owner, clock))
            }
        })
    }
}
