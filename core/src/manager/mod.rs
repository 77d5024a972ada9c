//! What a process knows of one account, shared by every handle and language: the cached token, the refresh that is under
//! way and those who wait for it, the keys, and what is shared with other processes.
//!
//! No lock is held across I/O.

pub(crate) mod account;
pub(crate) mod cache;
pub(crate) mod generation_word;
pub(crate) mod key_ring;
#[allow(clippy::module_inception)]
pub(crate) mod manager;
pub(crate) mod published;
pub(crate) mod refresh_driver;
pub(crate) mod registry;
pub(crate) mod shared_tier;
pub(crate) mod single_flight;
pub(crate) mod statistics;
#[cfg(test)]
mod tests;
pub(crate) mod tiers;
pub(crate) mod token;
