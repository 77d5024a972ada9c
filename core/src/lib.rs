//! The client for the payment provider 88Pay.
//!
//! 88Pay gives a token and a session ID in exchange for an API key and a merchant ID. The pair lives 60 seconds, and
//! 88Pay grants 10 of them a minute and 100 an hour. [`TokenManager`] holds the pair. It asks once for all who need
//! it, renews it before it ends, and stays within the limits. It makes authenticated calls, and never makes a charge
//! twice on its own.
//!
//! ```no_run
//! use pay88::{Config, Outcome, Request, TokenManager};
//!
//! // EIGHTY_EIGHT_PAY_API_KEY and EIGHTY_EIGHT_PAY_MERCHANT_ID are set.
//! let manager = TokenManager::new(Config::new())?;
//! let charge = serde_json::json!({
//!     "flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"
//! });
//! match manager.make_request(Request::post("/api/transactions/charges").json(&charge)) {
//!     Ok(answer) => println!("{} {}", answer.status(), answer.text()),
//!     Err(error) if error.outcome() == Outcome::Unknown => println!("look the charge up: {error}"),
//!     Err(error) => println!("the charge was not made: {error}"),
//! }
//! # Ok::<(), pay88::Error>(())
//! ```
//!
//! # Where things are
//! The rooms of the source, ground first. An import goes down this list, never up:
//! - `cause`, `error`, `secret`, `time`, `exchange`, `json`: values
//! - `platform`: clocks, random numbers, threads, the runtime, forks
//! - `policy`: the rules, one a file: limits, back-off, expiry, retries, what an answer of 88Pay means
//! - `telemetry`: events and statistics
//! - `transport`: HTTP, TLS, sockets, for blocking and asynchronous callers
//! - `refresh`: the state machine that gets a token
//! - `config`: what the user sets, checked
//! - `store`: where a token is shared, among processes and hosts
//! - `manager`: what a process knows of one account
//! - `call`: one authenticated call
//! - `api`: what Rust programs see
//! - `simulation`, `test_support`: for tests only

#![deny(missing_docs)]

mod api;
mod call;
mod cause;
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
pub use secret::mask;
pub use telemetry::event::{Event, EventName, Events, Level};
pub use telemetry::stats::Stats;

/// What the bindings and the command of this library need beyond what a Rust program uses. It has no stability: any release
/// may change or remove it.
#[doc(hidden)]
pub mod ffi {
    pub use crate::api::token_manager::bindings::{
        Current, cached, count_uses, current, current_until, generation_word, prepare_request,
        prepare_token,
    };
    pub use crate::call::request::body_with_nul;
    pub use crate::error::{by_system, internal, panicked};
    pub use crate::manager::token::{token_from_raw, token_into_raw};
    pub use crate::platform::process::foreign;
    pub use crate::platform::readable::Readable;
    pub use crate::platform::task::{Canceler, Task};
    pub use crate::platform::thread::Uncanceled;
    pub use crate::telemetry::event::descriptor;
}

/// The version of this library, such as `0.1.0`.
///
/// ```
/// assert_eq!(pay88::VERSION.split('.').count(), 3);
/// ```
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
