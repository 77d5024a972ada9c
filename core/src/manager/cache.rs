//! What is valid now: the token that is published.
//!
//! Promises: reading takes no lock; a token is given out only while a monotonic and the wall clock say so; what replaces a
//! token is newer. Never asks for one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::manager::generation_word::GenerationWord;
use crate::manager::published::{Published, Ref};
use crate::manager::token::{Snapshot, Token};
use crate::platform::clock::Clock;
use crate::refresh::record::Stamp;

/// One caller begins the renewal. If nothing has come of it after this time, another one looks whether it is still under
/// way. It is not in a child that was forked meanwhile, and not if the renewal panicked.
const RENEWAL_TIME: Duration = Duration::from_secs(1);

/// The cached token of a manager.
pub(crate) struct Cache {
    published: Published<Snapshot>,
    /// Tells of each change of which token is to be used.
    pub(crate) word: GenerationWord,
    clock: Clock,
}

/// A token that may be used, and whether this caller is the one to renew it.
pub(crate) struct Hit {
    pub(crate) token: Token,
    pub(crate) renew: bool,
}

impl Cache {
    pub(crate) fn new(clock: Clock) -> Cache {
        Cache {
            published: Published::new(),
            word: GenerationWord::new(),
            clock,
        }
    }

    /// The token, if one is valid. Inlined, since three calls in a row took a seventh of the time of a read in C.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<Hit> {
        let snapshot = self.published.take()?;
        let now = self.clock.reading();
        if now.reached(snapshot.end) {
            self.ended(snapshot);
            return None;
        }
        let renew_from = &snapshot.renew_from;
        let due = renew_from.load(Ordering::Relaxed);
        let renew = now.mono >= due && {
            let again = now.plus(RENEWAL_TIME).mono;
            let first =
                renew_from.compare_exchange(due, again, Ordering::Relaxed, Ordering::Relaxed);
            first.is_ok()
        };
        Some(Hit {
            token: Token(snapshot),
            renew,
        })
    }

    #[cold]
    fn ended(&self, snapshot: Ref<Snapshot>) {
        drop(snapshot);
        self.published.count_unused();
    }

    /// Counts hits of those who keep the token.
    pub(crate) fn count_hits(&self, hits: u64) {
        self.published.count_uses(hits);
    }

    /// The token, if one is valid, without counting or starting anything.
    pub(crate) fn peek(&self) -> Option<Token> {
        let snapshot = self.published.peek()?;
        (!self.clock.reading().reached(snapshot.end)).then_some(Token(snapshot))
    }

    /// The number of the token that is kept, valid or not.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.published.peek().map(|snapshot| snapshot.generation)
    }

    /// Which token is kept, valid or not.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.published.peek().map(|snapshot| snapshot.stamp)
    }

    /// Replaces the token; gives a handle of the new one. Called under the manager's lock only.
    pub(crate) fn publish(&self, snapshot: Snapshot) -> Token {
        self.word.change(|| Token(self.published.publish(snapshot)))
    }

    /// Drops the token if it is of that generation. Called under the manager's lock only.
    pub(crate) fn invalidate(&self, generation: u64) -> bool {
        let hit = self.generation() == Some(generation);
        if hit {
            self.word.change(|| self.published.clear());
        }
        hit
    }

    /// A renewal could not start or failed: the next may be tried after `pause`.
    pub(crate) fn renew_later(&self, pause: Duration) {
        if let Some(snapshot) = self.published.peek() {
            let from = self.clock.reading().plus(pause).mono;
            self.word
                .change(|| snapshot.renew_from.store(from, Ordering::Relaxed));
        }
    }

    /// How often a token was handed out.
    pub(crate) fn hits(&self) -> u64 {
        self.published.uses()
    }
}
