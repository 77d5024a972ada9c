//! Random numbers from the operating system, never from a generator that a fork would copy.

#[cfg(test)]
use std::cell::RefCell;

use ring::rand::{SecureRandom, SystemRandom};

#[cfg(test)]
thread_local! {
    /// Where the random bytes of this thread come from, instead of the system.
    pub(crate) static SEEDED: RefCell<Option<super::seeded::Random>> = const { RefCell::new(None) };
}

/// A random number from 0 to 1, for jitter. One half if the system gives none.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// A random number; `None` if the system gives none.
pub(crate) fn number() -> Option<u64> {
    bytes().map(u64::from_le_bytes)
}

/// Random bytes; `None` if the system gives none.
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    #[cfg(test)]
    if let Some(bytes) = SEEDED.with_borrow_mut(|seeded| Some(seeded.as_mut()?.bytes())) {
        return Some(bytes);
    }
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}
