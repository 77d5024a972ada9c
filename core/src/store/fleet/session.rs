//! What can be done in one store for one credential, whatever its protocol.
//!
//! A store holds a value (sealed, never opened here), a lease, and the marks of the hosts that took over the value.
//!
//! Promises: of all that ask for the lease at once, at most one has it. Only the holder of the lease replaces the
//! value, and only if nobody else has written since it got the lease. Each operation ends within its time, whatever
//! the server does. No reason that is reported has a password. Decides nothing: callers know when to take the lease,
//! what to write and what is too old.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::platform::random;

/// The owner of a lease. No two that may hold it at once are equal.
pub(crate) type Owner = [u8; 16];

/// Tells one token's value from the next, for the marks of the hosts that have it.
pub(super) type Generation = [u8; 8];

/// The generation of a value that is about to be written: that of the value before it, if the token is the same.
pub(super) fn next_generation(same: Option<Generation>) -> Result<Generation, String> {
    let next = same.or_else(random::bytes);
    next.ok_or_else(|| "the system gives no random numbers".to_owned())
}

/// Refuses a value that nobody could read again.
pub(super) fn check_length(value: &[u8]) -> Result<(), String> {
    if value.len() > LONGEST_VALUE {
        return Err("the value is too long for a store".to_owned());
    }
    Ok(())
}

/// The longest value, in bytes.
pub(super) const LONGEST_VALUE: usize = 64 * 1024;

/// The length of all marks of a token together, in bytes. A host whose mark does not fit adds none.
pub(super) const LONGEST_MARKS: usize = LONGEST_VALUE;

/// Whether `mine` is to be added to the marks of a token.
pub(super) fn is_missing(mine: &[u8], marks: &[u8]) -> bool {
    let there = |mine: &[u8]| marks.windows(mine.len()).any(|mark| mark == mine);
    !mine.is_empty() && marks.len() + mine.len() <= LONGEST_MARKS && !there(mine)
}

/// How long a lease is at first, until the answer has come in time. A server that stood still gives its lease to
/// somebody who has long gone; that lease then ends soon.
pub(super) fn first_lease(lease: Duration, within: Duration) -> Duration {
    lease.min(within.min(LONGEST) + Duration::from_secs(1))
}

/// No operation has more time than this.
const LONGEST: Duration = Duration::from_secs(60);

/// The deadline of an operation that begins now.
pub(super) fn deadline(within: Duration) -> Instant {
    Instant::now() + within.min(LONGEST)
}

/// A connection to a store, for one refresh of one credential. Each operation ends within its time.
///
/// The errors are reasons for people, without the store's name and without a password. After an error the session may
/// be unusable; the caller opens a new one.
pub(crate) trait Session: Send {
    /// Reads what is there now.
    ///
    /// # Errors
    /// Why it is not known.
    fn read(&mut self, within: Duration) -> Result<Found, String>;

    /// Takes the lease if nobody else has it. Returns whether it did, and what is there. The lease is this session's
    /// for at least `lease` from now, and for some seconds more at the most.
    ///
    /// # Errors
    /// Why it is not known whether the lease was taken.
    fn take_lease(&mut self, lease: Duration, within: Duration) -> Result<(bool, Found), String>;

    /// Replaces the value, to be kept for `keep`, if the lease is still this session's and nobody else has written
    /// since it was taken. Returns whether it did. In the same step keeps the lease for `lease` more, or gives it
    /// back. `fresh` is the mark of this host if the value has a new token, which only this host has so far.
    /// Otherwise the marks stay.
    ///
    /// # Errors
    /// Why it is not known whether the value was written, or why the store refuses to write it.
    fn write(
        &mut self,
        value: &[u8],
        keep: Duration,
        lease: Option<Duration>,
        fresh: Option<&[u8]>,
        within: Duration,
    ) -> Result<bool, String>;

    /// Gives the lease back if it is still this session's.
    ///
    /// # Errors
    /// Why the lease may still be there. It then ends by itself.
    fn release(&mut self, within: Duration) -> Result<(), String>;

    /// Whether the store takes writes, as far as that can be told without writing. Changes nothing.
    ///
    /// # Errors
    /// Why it does not, or why that is not known.
    fn writable(&mut self, within: Duration) -> Result<(), String>;

    /// The marks of the hosts that have the token of the value that this session read last, one after the other. Adds
    /// `mine` to them, unless it is empty. They are given as they are there: whoever can write to the store can
    /// change them. Empty if there is another token by now.
    ///
    /// # Errors
    /// Why it is not known whether the mark was added.
    fn marks(&mut self, mine: &[u8], within: Duration) -> Result<Vec<u8>, String>;
}

/// A store to which a session can be opened.
pub(crate) trait Backend: Send + Sync {
    /// The name of the store for people: its URL without user, password and query.
    fn shown(&self) -> &str;

    /// Connects and logs in, for the credential of that hidden name. A lease that `owner` has already stays its own.
    ///
    /// # Errors
    /// Why that did not happen within the time.
    fn open(&self, name: &str, owner: Owner, within: Duration) -> Result<Box<dyn Session>, String>;
}

/// What a store has for a credential.
pub(crate) struct Found {
    /// Unchanged from what was written.
    pub(crate) value: Option<Zeroizing<Vec<u8>>>,
    /// Somebody else has the lease, for at most this much longer.
    pub(crate) leased: Option<Duration>,
    pub(crate) now: StoreTime,
}

/// What the store's clock said when the operation ended: no less than `earliest`, no more than `latest`. In
/// milliseconds since an instant that is the same for all who ask that store, as long as it keeps its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreTime {
    pub(crate) earliest: u64,
    pub(crate) latest: u64,
}
