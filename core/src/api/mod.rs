//! The Rust face of the library. It holds no rule, and nothing imports it.

#[cfg(feature = "reqwest")]
pub mod adapters;
pub(crate) mod probe;
#[cfg(feature = "test-hooks")]
pub mod test_hooks;
pub(crate) mod token_manager;
