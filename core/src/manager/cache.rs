//! What is valid now: one immutable snapshot behind an atomic pointer.
//!
//! Promises: reading takes no lock and, for up to [`SHARDS`] threads, writes nothing that another thread reads; a token is
//! given out only while a monotonic and the wall clock say so; what replaces a token is newer. Never asks for one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use crate::manager::token::{SHARDS, Shard, Snapshot, Token};
use crate::platform::clock::Clock;
use crate::refresh::record::Stamp;
use crate::time::Reading;

struct Current {
    end: Reading,
    snapshot: Arc<Snapshot>,
    shards: [Arc<Shard>; SHARDS],
}

/// The cached token of a manager.
pub(crate) struct Cache {
    current: ArcSwapOption<Current>,
    /// Hits of the snapshots that are gone.
    past_hits: AtomicU64,
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
            current: ArcSwapOption::empty(),
            past_hits: AtomicU64::new(0),
            clock,
        }
    }

    /// The token, if one is valid.
    #[inline]
    pub(crate) fn get(&self) -> Option<Hit> {
        let guard = self.current.load();
        let current = guard.as_ref()?;
        let now = self.clock.reading();
        if now.reached(current.end) {
            return None;
        }
        let renew_from = &current.snapshot.renew_from;
        let renew = now.mono >= renew_from.load(Ordering::Relaxed)
            && renew_from.swap(u64::MAX, Ordering::Relaxed) != u64::MAX;
        let shard = &current.shards[shard_of_this_thread()];
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(Hit {
            token: Token(shard.clone()),
            renew,
        })
    }

    /// The number of the token that [`Cache::get`] would give, counted alike; `None` also if its renewal is due, which is
    /// for whoever gets it to start. For those who keep the token themselves: it costs no reference.
    pub(crate) fn current(&self) -> Option<u64> {
        let guard = self.current.load();
        let current = guard.as_ref()?;
        let now = self.clock.reading();
        let renew_from = &current.snapshot.renew_from;
        if now.reached(current.end) || now.mono >= renew_from.load(Ordering::Relaxed) {
            return None;
        }
        let shard = &current.shards[shard_of_this_thread()];
        shard.hits.fetch_add(1, Ordering::Relaxed);
        Some(current.snapshot.generation)
    }

    /// The token, if one is valid, without counting or starting anything.
    pub(crate) fn peek(&self) -> Option<Token> {
        let guard = self.current.load();
        let current = guard
            .as_ref()
            .filter(|current| !self.clock.reading().reached(current.end))?;
        Some(Token(current.shards[shard_of_this_thread()].clone()))
    }

    /// The number of the token that is kept, valid or not.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.current
            .load()
            .as_ref()
            .map(|current| current.snapshot.generation)
    }

    /// Which token is kept, valid or not.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.current
            .load()
            .as_ref()
            .map(|current| current.snapshot.stamp)
    }

    /// Replaces the token; gives a handle of the new one. Called under the manager's lock only.
    pub(crate) fn publish(&self, snapshot: Snapshot) -> Token {
        let snapshot = Arc::new(snapshot);
        let shards: [Arc<Shard>; SHARDS] = std::array::from_fn(|_| {
            Arc::new(Shard {
                snapshot: snapshot.clone(),
                hits: AtomicU64::new(0),
            })
        });
        let token = Token(shards[shard_of_this_thread()].clone());
        self.replace(Some(Arc::new(Current {
            end: snapshot.end,
            snapshot,
            shards,
        })));
        token
    }

    /// Drops the token if it is of that generation. Called under the manager's lock only.
    pub(crate) fn invalidate(&self, generation: u64) -> bool {
        let hit = self.generation() == Some(generation);
        if hit {
            self.replace(None);
        }
        hit
    }

    /// A renewal could not start or failed: the next may be tried after `pause`.
    pub(crate) fn renew_later(&self, pause: std::time::Duration) {
        if let Some(current) = self.current.load().as_ref() {
            current
                .snapshot
                .renew_from
                .store(self.clock.reading().plus(pause).mono, Ordering::Relaxed);
        }
    }

    /// How often a token was handed out. Hits that happen while a token is replaced may be missed.
    pub(crate) fn hits(&self) -> u64 {
        let now: u64 = self
            .current
            .load()
            .as_ref()
            .map_or(0, |current| current.shards.iter().map(|s| s.hits()).sum());
        self.past_hits.load(Ordering::Relaxed) + now
    }

    fn replace(&self, with: Option<Arc<Current>>) {
        if let Some(old) = self.current.swap(with) {
            self.past_hits
                .fetch_add(old.shards.iter().map(|s| s.hits()).sum(), Ordering::Relaxed);
        }
    }
}

/// Threads take the shards in turn.
#[inline]
fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    // A thread that is ending may have lost its locals; any shard is right.
    MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        mine.get()
    })
    .unwrap_or(0)
}
