//! The rules of tokens and calls, one a file.
//!
//! Each rule takes the time and the random numbers that it needs as arguments. None reads a clock or does I/O.

pub(crate) mod backoff;
pub(crate) mod errors;
pub(crate) mod expiry;
pub(crate) mod outcome;
pub(crate) mod path_backoff;
pub(crate) mod provider_message;
pub(crate) mod rate_limit;
pub(crate) mod retry;
pub(crate) mod token_response;
