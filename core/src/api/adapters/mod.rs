//! Lets programs that keep an HTTP client of their own use pay88 for authentication alone.

#[cfg(feature = "reqwest")]
pub mod reqwest;
