//! The C ABI of pay88.
//!
//! One file per type of the header, named as its functions are: `pay88_token_…` is in `token.rs`. Each function checks
//! its arguments, calls the core and hands the result over; nothing is decided here. `boundary` keeps panics in,
//! `handle` makes pointers of values, `text` makes values of what C passes.
//!
//! The modules of the header are public so that the compiler holds everything in it to be documented.
//!
//! A pointer's type says who owns it: `Option<&T>` is lent for the call, `Option<Box<T>>` is given up. NULL is `None`.

#![deny(missing_docs)]
// The names are those of the header.
#![allow(non_camel_case_types)]
// What callers must keep to is said once, at the top of the header.
#![allow(clippy::missing_safety_doc)]

pub mod abi;
mod boundary;
pub mod call;
pub mod completions;
pub mod config;
pub mod error;
pub mod events;
mod handle;
#[cfg(feature = "test-hooks")]
pub mod hooks;
pub mod manager;
pub mod option;
pub mod request;
pub mod response;
pub mod stats;
pub mod status;
mod text;
mod time;
pub mod token;
pub mod view;
