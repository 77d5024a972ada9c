//! The client for the payment provider 88Pay.
//!
//! 88Pay exchanges an API key and a merchant ID for a token and a session ID that live 60 seconds, and grants 10 of them
//! a minute and 100 an hour. [`TokenManager`] holds that pair: it asks once for all who need it, renews it before its
//! end, keeps to the limits, and makes authenticated calls that are never charged twice.
//!
//! # Where things are
//! The rooms, ground first; an import goes down this list, never up:
//! - `error`, `secret`, `time`, `exchange`, `json`: values
//! - `platform`: clocks, random numbers, threads, the runtime, forks
//! - `policy`: the rules, one a file: limits, back-off, expiry, retries, what an answer of 88Pay means
//! - `telemetry`: events and statistics
//! - `transport`: HTTP, TLS, sockets, for blocking and asynchronous callers
//! - `refresh`: the state machine that gets a token
//! - `config`: what the user says, checked
//! - `store`: where a token is shared, among processes and hosts
//! - `manager`: what a process knows of one account
//! - `call`: one authenticated call
//! - `api`: what Rust programs see
//! - `simulation`, `test_support`: for tests alone

#![deny(missing_docs)]

mod api;
mod call;
mod config;
mod error;
mod exchange;
mod json;
mod manager;
mod platform;
mod policy;
mod refresh;
mod secret;
#[cfg(test)]
mod simulation;
mod store;
mod telemetry;
#[cfg(test)]
mod test_support;
mod time;
mod transport;

#[cfg(feature = "reqwest")]
pub use api::adapters;
#[cfg(feature = "test-hooks")]
pub use api::test_hooks as hooks;
pub use api::token_manager::{Control, TokenManager};
pub use call::request::{Request, Response};
pub use config::Config;
pub use config::option::{ENVIRONMENT_PREFIX, OPTIONS, OptionKind, OptionSpec};
pub use error::{Error, ErrorCode, Outcome, Result};
pub use manager::tiers::{TakenName, Tier, TierState};
pub use manager::token::Token;
#[doc(hidden)] // For bindings that run callbacks of a program.
pub use platform::process::foreign;
pub use platform::task::{Canceler, Task};
#[doc(hidden)] // For bindings that are called on threads of a program.
pub use platform::thread::Uncanceled;
pub use secret::mask;
pub use telemetry::event::{Event, EventName, Events, Level};
pub use telemetry::stats::Stats;

/// The version of this library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
