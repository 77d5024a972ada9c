//! One token for the hosts of a fleet, shown with real stores: a host is played by processes with a directory of their own.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "../host/account.rs"]
mod account;
#[path = "../../src/store/fleet/tests/daemon.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod daemon;
mod forks;
mod harness;
mod leaders;
mod outages;
mod polling;
mod proxy;
mod sealed;
mod together;
#[path = "../host/worker.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod worker;
#[path = "../host/yardstick.rs"]
mod yardstick;
