//! The engine against the sandbox, through its public API: one module for each group of promises.
//!
//! Everything is on loopback and sets what it needs itself; nothing depends on the environment.

#![allow(clippy::unwrap_used, reason = "test code")]

mod bad_answers;
mod bad_input;
mod charges;
mod harness;
mod keys;
mod one_manager;
mod secrets;
mod single_flight;
#[path = "../host/yardstick.rs"]
mod yardstick;

#[cfg(feature = "test-hooks")]
mod clocks;
#[cfg(feature = "test-hooks")]
mod limits;
#[cfg(feature = "test-hooks")]
mod rejected_tokens;
