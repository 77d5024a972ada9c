//! Tokens: an access token and the session ID that belongs to it.

use std::mem::ManuallyDrop;

use pay88::Token;
use pay88::ffi::{token_from_raw, token_into_raw};

use crate::boundary::boundary;
use crate::view::pay88_str;

/// An access token and its session ID, which belong together. It never changes. Any thread may read and release it,
/// also after the token has ended. Its memory is zeroed when its last handle is released and the manager has a newer
/// token.
// Other handles are boxes. This one is a counted reference to what the manager holds: a program reads the cached token so
// often that an allocation would be most of its cost. Hence the raw pointers below.
pub struct pay88_token(());

impl pay88_token {
    pub(crate) fn give(token: Token) -> *mut pay88_token {
        token_into_raw(token).cast_mut().cast()
    }

    /// The token that a handle stands for; the handle keeps it.
    ///
    /// # Safety
    /// `token` is a handle that is not released meanwhile, or NULL.
    pub(crate) unsafe fn lend(token: *const pay88_token) -> Option<ManuallyDrop<Token>> {
        if token.is_null() {
            return None;
        }
        // SAFETY: only `give` makes handles, and `ManuallyDrop` leaves the reference with this one.
        Some(ManuallyDrop::new(unsafe { token_from_raw(token.cast()) }))
    }
}

/// The access token, for "Authorization: Bearer ...". A secret. Not followed by a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_access_token(token: *const pay88_token) -> pay88_str {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        Some(token.access_token().into())
    })
}

/// The session ID, for "x-session-id". A secret. Not followed by a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_session_id(token: *const pay88_token) -> pay88_str {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        Some(token.session_id().into())
    })
}

/// The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_expires_in(token: *const pay88_token) -> u64 {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        Some(token.expires_in())
    })
}

/// For how many milliseconds the library will still hand the token out; 0 when that time is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_valid_for_ms(token: *const pay88_token) -> u64 {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        u64::try_from(token.valid_for().as_millis()).ok()
    })
}

/// The number of the token. The tokens of a manager are counted from 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_generation(token: *const pay88_token) -> u64 {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        Some(token.generation())
    })
}

/// Gives another handle of the same token, which you release too. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_retain(token: *const pay88_token) -> *mut pay88_token {
    boundary!(value, || {
        // SAFETY: the header demands a handle or NULL.
        let token = unsafe { pay88_token::lend(token) }?;
        Some(pay88_token::give(Token::clone(&token)))
    })
}

/// Releases the handle of the token. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_token_release(token: *mut pay88_token) {
    boundary!(value, || {
        // SAFETY: the header demands a handle that is used no more.
        unsafe { pay88_token::lend(token) }.map(ManuallyDrop::into_inner);
        Some(())
    });
}
