//! For programs that keep an HTTP client of their own.

#[cfg(feature = "reqwest")]
pub mod reqwest;
