//! The process's copy of libpay88, for extensions written in Rust.
//!
//! An extension does not link the core: it calls [`Library::load`], which asks the loader for the copy that the process
//! has already, so that all languages of a process share their managers. The types here are handles of the C ABI that
//! release themselves; what the functions do is documented in `pay88.h`.
//!
//! Promises: no unsafe function is public; nothing is unloaded; a library of another ABI is refused before any other
//! function of it is called. Never starts a thread of its own, nor holds a lock while
//! anything waits.
//!
//! A crate that uses this in a shared object must link that with `-z nodelete`, since libpay88 keeps pointers into it.

#![deny(missing_docs)]

/// Made by `build.rs` from `pay88.h`. Not all of it is used.
#[allow(dead_code, non_camel_case_types, clippy::type_complexity)]
mod abi {
    include!(concat!(env!("OUT_DIR"), "/abi.rs"));
}
mod asynchronous;
mod completion;
mod config;
mod error;
mod events;
mod handle;
mod interrupt;
mod kept;
mod loader;
mod manager;
mod queued;
mod request;
mod response;
mod table;
mod time;
mod token;

pub use asynchronous::Call;
pub use completion::{CompletionQueue, Reply};
pub use config::Config;
pub use error::{Error, Result};
pub use events::{Event, Events};
pub use kept::Kept;
pub use loader::{Library, LoadError, SONAME, own_directory};
pub use manager::Manager;
pub use queued::Completions;
pub use request::{Request, RequestParts};
pub use response::Response;
pub use table::OptionRow;
pub use time::from_seconds;
pub use token::Token;
