//! A strict, stateful stand-in for the payment provider 88Pay, for tests of clients in any language.
//!
//! [`Sandbox::start`] serves the token endpoint, charges and balance as they are documented, over TLS with a certificate
//! authority of its own, and refuses whatever a client must not send. [`Fault`]s make it misbehave, a [`VirtualClock`] makes
//! hours pass at once, [`Counters`] and the log tell what arrived. [`Service`] is the same without any network. The control
//! port gives all that to tests that are not written in Rust.
//!
//! The processes of a host share a token unless they are told not to: a client of a sandbox takes `share=process`, or a key
//! that no sandbox had before, so that it does not come with what an earlier one with this port has granted or counted.
//!
//! It prints nothing, reads no environment variable, and writes no file but the one it is told to by [`Sandbox::write_ca`].
//!
//! ```
//! use pay88_sandbox::{Config, Request, Sandbox, TEST_KEY, TEST_MERCHANT};
//!
//! let sandbox = Sandbox::start(Config::default())?;
//! assert!(sandbox.base_url().starts_with("https://localhost:"));
//!
//! // The rules can be asked without a connection as well.
//! let answer = sandbox.handle(&Request {
//!     method: "POST".into(),
//!     target: "/api/auth/token".into(),
//!     headers: vec![
//!         ("x-api-key".into(), TEST_KEY.into()),
//!         ("x-merchant-id".into(), TEST_MERCHANT.into()),
//!     ],
//!     body: Vec::new(),
//! });
//! assert_eq!(answer.status, 200);
//! assert_eq!(answer.json()["data"]["expires_in"], 60);
//! assert_eq!(sandbox.counters().tokens_issued, 1);
//! sandbox.stop();
//! # std::io::Result::Ok(())
//! ```

mod calls;
mod charges;
mod clock;
mod coding;
mod config;
pub mod control;
mod counters;
mod exchange;
mod fault;
mod http;
mod limits;
mod log;
mod message;
mod sandbox;
mod server;
mod service;
mod tls;
mod tokens;

pub use charges::{CHARGES_KEPT, MAX_AMOUNT};
pub use clock::{Clock, VirtualClock};
pub use config::{Config, Merchant, Switches, TEST_KEY, TEST_MERCHANT, Windows};
pub use counters::Counters;
pub use fault::{Action, Coding, Fault, Match, Piece, Then};
pub use log::{LOG_LENGTH, LogEntry};
pub use message::{Answer, Request};
pub use sandbox::Sandbox;
pub use service::{Service, TOKEN_PATH};
