//! The credential that 88Pay grants for 60 seconds: an access token and its session ID, always together.
//!
//! A snapshot never changes; a new token is a new snapshot. `Debug` never shows the pair.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;

use crate::manager::published::Ref;
use crate::platform::clock::Clock;
use crate::policy::expiry::Lifetime;
use crate::policy::token_response::Grant;
use crate::refresh::record::Stamp;
use crate::secret::Secret;
use crate::time::Reading;

/// What all holders of one token share.
pub(crate) struct Snapshot {
    pub(crate) generation: u64,
    pub(crate) authorization: HeaderValue,
    pub(crate) session: HeaderValue,
    /// `Bearer ` and the access token.
    bearer: Secret,
    session_id: Secret,
    expires_in: u64,
    /// Tells this token from others, among those who share it.
    pub(crate) stamp: Stamp,
    pub(crate) lifetime: Lifetime,
    /// From then on it is not handed out.
    pub(crate) end: Reading,
    /// On the monotonic clock: a caller that gets the token from then on starts its renewal. It is moved on when a
    /// renewal starts or may not start, so that one caller at a time has this work.
    pub(crate) renew_from: AtomicU64,
    clock: Clock,
}

const BEARER: &str = "Bearer ";

impl Snapshot {
    /// `None` if the pair cannot be sent in headers.
    pub(crate) fn new(
        generation: u64,
        grant: &Grant,
        lifetime: Lifetime,
        asked_at: Reading,
        clock: Clock,
    ) -> Option<Snapshot> {
        // Exactly as large as needed: a string that grows would leave pieces of the token in freed memory.
        let mut text = String::with_capacity(BEARER.len() + grant.access_token.expose().len());
        text.push_str(BEARER);
        text.push_str(grant.access_token.expose());
        let bearer = Secret::new(text);
        Some(Snapshot {
            generation,
            authorization: bearer.header()?,
            session: grant.session_id.header()?,
            bearer,
            session_id: grant.session_id.clone(),
            expires_in: grant.expires_in,
            stamp: Stamp::default(),
            lifetime,
            end: asked_at.plus(lifetime.usable),
            renew_from: AtomicU64::new(asked_at.plus(lifetime.renew).mono),
            clock,
        })
    }

    pub(crate) fn stamped(self, stamp: Stamp) -> Snapshot {
        Snapshot { stamp, ..self }
    }
}

/// Holds an access token and the session ID that belongs to it.
///
/// Cloning it is cheap. The pair stays readable as long as a clone lives, also after the token has ended. Its memory
/// is zeroed with the last clone.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// let token = manager.get_token()?;
/// let headers = [
///     ("Authorization", format!("Bearer {}", token.access_token())),
///     ("x-session-id", token.session_id().to_owned()),
/// ];
/// // Neither of them is in the debug text.
/// assert!(!format!("{token:?}").contains(token.session_id()));
/// # Ok::<(), pay88::Error>(())
/// ```
#[derive(Clone)]
pub struct Token(pub(crate) Ref<Snapshot>);

impl Token {
    /// The access token, for `Authorization: Bearer …`.
    pub fn access_token(&self) -> &str {
        &self.0.bearer.expose()[BEARER.len()..]
    }

    /// The session ID, for `x-session-id`.
    pub fn session_id(&self) -> &str {
        self.0.session_id.expose()
    }

    /// The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token. It is
    /// documented to be always 60.
    pub fn expires_in(&self) -> u64 {
        self.0.expires_in
    }

    /// For how long the library will still hand the token out; zero when that time is over.
    pub fn valid_for(&self) -> Duration {
        self.0.clock.reading().until(self.0.end)
    }

    /// The number of the token. The tokens of a manager are counted from 1.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Until when whoever keeps the token may use it without asking: it ends then, or its renewal is due.
    pub(crate) fn kept_until(&self) -> Reading {
        let renew_from = self.0.renew_from.load(Ordering::Relaxed);
        Reading {
            mono: self.0.end.mono.min(renew_from),
            wall: self.0.end.wall,
        }
    }

    /// Whether both are the same token.
    pub fn same_as(&self, other: &Token) -> bool {
        self.0.same_as(&other.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation())
            .field("expires_in", &self.expires_in())
            .field("valid_for", &self.valid_for())
            .finish_non_exhaustive()
    }
}

/// Gives a token up as a pointer, for bindings: a handle that needs no memory of its own.
pub fn token_into_raw(token: Token) -> *const c_void {
    token.0.into_raw()
}

/// Takes back a token that [`token_into_raw`] gave up.
///
/// # Safety
/// `raw` came from [`token_into_raw`], and each of these pointers is taken back at most once.
pub unsafe fn token_from_raw(raw: *const c_void) -> Token {
    // SAFETY: the caller vouches for it, and tokens are references to snapshots alone.
    Token(unsafe { Ref::from_raw(raw) })
}
