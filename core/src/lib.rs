//! The client for the payment provider 88Pay.
//!
//! 88Pay exchanges an API key and a merchant ID for a token and a session ID that live 60 seconds, and grants 10 of them
//! a minute and 100 an hour. [`TokenManager`] holds that pair: it asks once for all who need it, renews it before its
//! end, keeps to the limits, and makes authenticated calls that are never charged twice.
//!
//! # Where things are
//! - what the user says: `option` (the table), `config`, `environment`, `credentials`, `endpoint`, `request`
//! - the token: `token` (the pair), `cache` (what is valid now), `lifetime`, `grant` (the server's answer)
//! - how a new one is had: `refresh` (the state machine), `refresh_thread` (its driver), `budget`, `hold`,
//!   `keys`, `flight` (those who wait), `manager`
//! - calls: `call`, `retry`, `path_hold`, `reach`, `transport` (blocking and asynchronous), `task`, `runtime`, `adapters`
//! - among processes: `sharing`, `store` (who shares, and where), `record` (what is shared), `seal`
//! - one per process: `registry`; what is told: `error`, `provider_message`, `event`, `stats`, `survey`

#![deny(missing_docs)]

mod above_stdio;
#[cfg(feature = "reqwest")]
pub mod adapters;
mod budget;
mod cache;
mod call;
mod clock;
mod config;
mod credentials;
mod endpoint;
mod environment;
mod error;
mod event;
mod flight;
mod grant;
mod hold;
#[cfg(feature = "test-hooks")]
pub mod hooks;
mod json;
mod keys;
#[cfg(test)]
mod left_out;
mod lifetime;
mod manager;
mod not_inherited;
mod option;
mod path_hold;
mod process;
mod provider_message;
mod random;
mod reach;
mod record;
mod refresh;
mod refresh_thread;
mod registry;
mod request;
mod retry;
mod runtime;
mod seal;
mod secret;
mod sharing;
mod signal;
#[cfg(test)]
mod simulation;
mod stats;
mod store;
mod survey;
mod task;
#[cfg(test)]
mod test_limits;
mod thread;
mod token;
mod token_manager;
mod transport;

pub use config::Config;
pub use error::{Error, ErrorCode, Outcome, Result};
pub use event::{Event, EventName, Events, Level};
pub use option::{ENVIRONMENT_PREFIX, OPTIONS, OptionKind, OptionSpec};
#[doc(hidden)] // For bindings that run callbacks of a program.
pub use process::foreign;
pub use request::{Request, Response};
pub use secret::mask;
pub use stats::Stats;
pub use survey::{TakenName, Tier, TierState};
pub use task::{Canceler, Task};
#[doc(hidden)] // For bindings that are called on threads of a program.
pub use thread::Uncanceled;
pub use token::Token;
pub use token_manager::{Control, TokenManager};

/// The version of this library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
