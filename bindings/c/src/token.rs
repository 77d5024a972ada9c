//! Tokens: an access token and the session ID that belongs to it.

use pay88::Token;

use crate::boundary::{release, value};
use crate::handle::give;
use crate::view::pay88_str;

/// An access token and its session ID, which go together. Never changes; may be read and released by any thread. Stays
/// readable after its end. Its memory is zeroed when its last handle is released and the manager has a newer one.
pub struct pay88_token(pub(crate) Token);

/// The access token, for "Authorization: Bearer ...". A secret. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_access_token(token: Option<&pay88_token>) -> pay88_str {
    value(|| Some(token?.0.access_token().into()))
}

/// The session ID, for "x-session-id". A secret. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_session_id(token: Option<&pay88_token>) -> pay88_str {
    value(|| Some(token?.0.session_id().into()))
}

/// The life in seconds that 88Pay gave it, counted on 88Pay's side.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_expires_in(token: Option<&pay88_token>) -> u64 {
    value(|| Some(token?.0.expires_in()))
}

/// How many milliseconds the library will still hand it out; 0 when that is over.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_valid_for_ms(token: Option<&pay88_token>) -> u64 {
    value(|| u64::try_from(token?.0.valid_for().as_millis()).ok())
}

/// Its number: the tokens of a manager are counted from 1.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_generation(token: Option<&pay88_token>) -> u64 {
    value(|| Some(token?.0.generation()))
}

/// Another handle of the same token, to be released by itself. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_retain(token: Option<&pay88_token>) -> *mut pay88_token {
    value(|| Some(give(pay88_token(token?.0.clone()))))
}

/// Releases it. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_token_release(token: Option<Box<pay88_token>>) {
    release(token);
}
