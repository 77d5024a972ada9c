//! One token for the processes of a host, shown with real processes that are killed, stopped and forked.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod account;
mod files;
mod forks;
mod harness;
mod leaders;
mod many;
mod sealed;
#[path = "../../src/test_support/skip.rs"]
mod skip;
mod stress;
mod users;
mod worker;
mod yardstick;
