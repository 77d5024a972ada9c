//! Randomness from the operating system: never from a generator that a fork would copy.

use ring::rand::{SecureRandom, SystemRandom};

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
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}
