//! The credential that 88Pay grants for 60 seconds: an access token and its session ID, always together.
//!
//! A snapshot never changes; a new token is a new snapshot. `Debug` never shows the pair.

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
    /// Tells this token from others, among those who share it.
    pub(crate) stamp: Stamp,
    pub(crate) lifetime: Lifetime,
    /// From then on it is not handed out.
    pub(crate) end: Reading,
    /// On the monotonic clock: a caller that gets the token from then on starts its renewal. It is moved on when a
    /// renewal starts or may not start, so that one caller in all that time has this work.
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

/// How many threads can read the token at once without sharing a reference count.
pub(crate) const SHARDS: usize = 8;

/// One reference count and hit counter of a snapshot, on cache lines of their own.
#[repr(align(128))]
pub(crate) struct Shard {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) hits: AtomicU64,
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
pub struct Token(pub(crate) Arc<Shard>);

impl Token {
    /// The access token, for `Authorization: Bearer …`.
    pub fn access_token(&self) -> &str {
        &self.0.snapshot.bearer.expose()[BEARER.len()..]
    }

    /// The session ID, for `x-session-id`.
    pub fn session_id(&self) -> &str {
        self.0.snapshot.session_id.expose()
    }

    /// The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token. It is
    /// documented to be always 60.
    pub fn expires_in(&self) -> u64 {
        self.0.snapshot.expires_in
    }

    /// For how long the library will still hand the token out; zero when that time is over.
    pub fn valid_for(&self) -> Duration {
        let snapshot = &self.0.snapshot;
        snapshot.clock.reading().until(snapshot.end)
    }

    /// The number of the token. The tokens of a manager are counted from 1.
    pub fn generation(&self) -> u64 {
        self.0.snapshot.generation
    }

    /// Gives the token up as a pointer, for bindings: a handle that needs no memory of its own.
    #[doc(hidden)]
    pub fn into_raw(self) -> *const c_void {
        Arc::into_raw(self.0).cast()
    }

    /// Takes back a token that [`Token::into_raw`] gave up.
    ///
    /// # Safety
    /// `raw` came from [`Token::into_raw`], and each of these pointers is taken back at most once.
    #[doc(hidden)]
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

impl Shard {
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}
