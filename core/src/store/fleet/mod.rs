//! The tier that hosts share: stores that hold the newest token's record, one lease and one count for each credential.

mod connection;
mod memcached;
mod redis;
mod server;
mod tick;
mod url;

pub(crate) use server::{Found, Server, Session, StoreTime};
pub(crate) use url::StoreUrl;

#[cfg(test)]
mod tests;
