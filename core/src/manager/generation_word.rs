//! The generation word: a number in memory that tells whoever keeps the token when to ask again.
//!
//! Promises: it is another one before anybody can see a change, and yet another one when the change has ended; it never comes
//! back to what it was; a fork at any moment leaves nothing that makes the child keep what it must not. It cannot tell that
//! time passes.

use std::sync::atomic::{AtomicU64, Ordering};

/// In the upper 16 bits how many changes are under way, in the lower 48 how many have ended, and one more: it is never 0.
pub(crate) struct GenerationWord(AtomicU64);

const ENDED: u64 = 1;
const UNDER_WAY: u64 = 1 << 48;

impl GenerationWord {
    pub(crate) fn new() -> GenerationWord {
        GenerationWord(AtomicU64::new(1))
    }

    /// What others read without a call.
    pub(crate) fn as_atomic(&self) -> &AtomicU64 {
        &self.0
    }

    /// For whoever then gets the token and keeps it: that token is the one to use, within its time, as long as the word is
    /// this. `None` while a change is under way, and then the token must not be kept: it may have been read before the
    /// change, and a child that is forked in between never sees the change end. Such a child keeps none from this word any
    /// more, and asks each time.
    pub(crate) fn to_keep(&self) -> Option<u64> {
        let word = self.0.load(Ordering::Acquire);
        (word < UNDER_WAY).then_some(word)
    }

    /// Makes a change of which token is to be used. It has ended also if `change` panics.
    pub(crate) fn change<T>(&self, change: impl FnOnce() -> T) -> T {
        struct Ended<'a>(&'a AtomicU64);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(UNDER_WAY - ENDED, Ordering::Release);
            }
        }
        self.0.fetch_add(UNDER_WAY, Ordering::AcqRel);
        let _ended = Ended(&self.0);
        change()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;

    #[test]
    fn no_token_is_kept_that_is_read_while_a_change_is_under_way() {
        let word = GenerationWord::new();
        let now = || word.as_atomic().load(Ordering::Acquire);
        let before = now();
        assert_eq!(word.to_keep(), Some(before));
        word.change(|| {
            assert_ne!(now(), before, "it could be learned of already");
            assert_eq!(word.to_keep(), None);
            // A child that is forked here by another thread never sees it end.
            assert_eq!(in_a_child(|| i32::from(word.to_keep().is_some())), 0);
            // Two at once, of which the inner one ends first.
            word.change(|| ());
            assert_eq!(word.to_keep(), None);
        });
        assert_eq!(word.to_keep(), Some(now()));
        assert_ne!(now(), before);
    }

    #[test]
    fn a_change_that_panics_has_ended() {
        let word = GenerationWord::new();
        let before = word.to_keep();
        let panicked = std::panic::catch_unwind(|| word.change(|| panic!("by the test")));
        assert!(panicked.is_err() && word.to_keep().is_some() && word.to_keep() != before);
    }
}
