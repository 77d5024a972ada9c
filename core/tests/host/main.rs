//! One token for the processes of a host, shown with real processes that are killed, stopped and forked.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod account;
mod files;
mod forks;
mod harness;
mod leaders;
#[path = "../../src/test_support/skip.rs"]
mod left_out;
mod many;
mod sealed;
mod stress;
mod users;
mod worker;
mod yardstick;
