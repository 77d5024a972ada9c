//! Tokens: an access token and the session ID that belongs to it.

use std::fmt;
use std::time::Duration;

use crate::abi::pay88_token;
use crate::handle::{Handle, text};

/// An access token and its session ID. Never changes, and stays readable after its end.
pub struct Token(pub(crate) Handle<pay88_token>);

impl Token {
    /// The access token. A secret.
    pub fn access_token(&self) -> &str {
        // SAFETY: the handle is valid, and lends the text as long as it lives.
        unsafe { text((self.0.functions.pay88_token_access_token)(self.0.as_ptr())) }
    }

    /// The session ID. A secret.
    pub fn session_id(&self) -> &str {
        // SAFETY: the handle is valid, and lends the text as long as it lives.
        unsafe { text((self.0.functions.pay88_token_session_id)(self.0.as_ptr())) }
    }

    /// The life in seconds that 88Pay gave it, counted on 88Pay's side.
    pub fn expires_in(&self) -> u64 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_token_expires_in)(self.0.as_ptr()) }
    }

    /// How long the library will still hand it out; zero when that is over.
    pub fn valid_for(&self) -> Duration {
        // SAFETY: the handle is valid.
        let left = unsafe { (self.0.functions.pay88_token_valid_for_ms)(self.0.as_ptr()) };
        Duration::from_millis(left)
    }

    /// Its number: the tokens of a manager are counted from 1.
    pub fn generation(&self) -> u64 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_token_generation)(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation())
            .field("valid_for", &self.valid_for())
            .finish_non_exhaustive()
    }
}
