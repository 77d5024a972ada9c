//! The credential that 88Pay grants for 60 seconds: an access token and its session ID, always as a pair.
//!
//! A snapshot never changes; a new token is a new snapshot. Never shows the pair in `Debug`.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;

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
    /// Which token it is for those who share it.
    pub(crate) stamp: Stamp,
    pub(crate) lifetime: Lifetime,
    /// Not handed out from then on.
    pub(crate) end: Reading,
    /// On the monotonic clock: whoever is handed the token from then on starts its renewal. Moved on when a renewal
    /// starts or may not start, so that one caller in all that time has the work.
    pub(crate) renew_from: AtomicU64,
    clock: Clock,
}

const BEARER: &str = "Bearer ";

impl Snapshot {
    /// `None` if the pair cannot stand in headers.
    pub(crate) fn new(
        generation: u64,
        grant: &Grant,
        lifetime: Lifetime,
        asked_at: Reading,
        clock: Clock,
    ) -> Option<Snapshot> {
        // Exactly as large as needed: a growing string would leave pieces of the token in freed memory.
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

/// How many threads can read the token at once without meeting at one reference count.
pub(crate) const STRIPES: usize = 8;

/// One reference count and hit counter of a snapshot, on cache lines of their own.
#[repr(align(128))]
pub(crate) struct Stripe {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) hits: AtomicU64,
}

/// An access token and the session ID that belongs to it.
///
/// Cloning it is cheap, and the pair stays readable as long as a clone lives, also after its end. Its memory is zeroed
/// with the last clone.
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Stripe>);

impl Token {
    /// For `Authorization: Bearer …`.
    pub fn access_token(&self) -> &str {
        &self.0.snapshot.bearer.expose()[BEARER.len()..]
    }

    /// For `x-session-id`.
    pub fn session_id(&self) -> &str {
        self.0.snapshot.session_id.expose()
    }

    /// The life in seconds that 88Pay gave it, counted on 88Pay's side; always 60 as documented.
    pub fn expires_in(&self) -> u64 {
        self.0.snapshot.expires_in
    }

    /// How much longer the library will hand it out; zero when that is over.
    pub fn valid_for(&self) -> Duration {
        let snapshot = &self.0.snapshot;
        snapshot.clock.reading().until(snapshot.end)
    }

    /// Its number: tokens of a manager are counted from 1.
    pub fn generation(&self) -> u64 {
        self.0.snapshot.generation
    }

    /// Gives it up as a pointer, for bindings: a handle that needs no memory of its own.
    pub fn into_raw(self) -> *const c_void {
        Arc::into_raw(self.0).cast()
    }

    /// Takes back what [`Token::into_raw`] gave up.
    ///
    /// # Safety
    /// `raw` came from there, and each of these pointers is taken back at most once.
    pub unsafe fn from_raw(raw: *const c_void) -> Token {
        // SAFETY: the caller vouches that `into_raw` made it of such an `Arc`, which it still counts.
        Token(unsafe { Arc::from_raw(raw.cast()) })
    }

    /// Whether both are the same token.
    pub fn same_as(&self, other: &Token) -> bool {
        Arc::ptr_eq(&self.0.snapshot, &other.0.snapshot)
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

impl Stripe {
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}
