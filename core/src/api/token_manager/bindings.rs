//! What the bindings of other languages ask of a manager beyond what a Rust program does.
//!
//! A binding keeps the token as an object of its language, and looks at a word in memory to know whether it may still use
//! it. It waits on the library's threads, for results that are completed there.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::TokenManager;
use crate::call::deadline_in;
use crate::call::request::{Request, Response};
use crate::error::{Outcome, Result};
use crate::manager::token::Token;
use crate::platform::task::Task;

/// Which token is to be used, and for how long nobody has to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// The number of the token.
    pub generation: u64,
    /// What [`generation_word`] was before; 0, which it never is, if it was about to change.
    pub word: u64,
    /// When it ends or its renewal is due, in nanoseconds of CLOCK_MONOTONIC.
    pub monotonic_until: u64,
    /// When it ends, in nanoseconds of CLOCK_REALTIME.
    pub wall_until: u64,
}

/// The token that [`TokenManager::get_token`] would give at once; `None` if that method would have to wait, or would fail.
/// It counts as use of the token, so the token is renewed before it ends.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// # use pay88::ffi::cached;
/// assert!(cached(&manager).is_none());
/// let token = manager.get_token()?;
/// assert!(cached(&manager).unwrap().same_as(&token));
/// # Ok::<(), pay88::Error>(())
/// ```
#[inline(always)]
pub fn cached(manager: &TokenManager) -> Option<Token> {
    if manager.0.closed.is_raised() {
        return None;
    }
    manager.0.cached()
}

/// The number of the token that [`TokenManager::get_token`] would give at once, as [`Token::generation`] returns
/// it. `None` if that method would have to wait, or would fail. It counts as use of the token, so the token is
/// renewed before it ends. It is for bindings that keep the token as an object of their language.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// # use pay88::ffi::current;
/// assert_eq!(current(&manager), None);
/// let token = manager.get_token()?;
/// assert_eq!(current(&manager), Some(token.generation()));
/// # Ok::<(), pay88::Error>(())
/// ```
pub fn current(manager: &TokenManager) -> Option<u64> {
    current_until(manager).map(|current| current.generation)
}

/// What [`current`] says, and for how long that holds.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # use std::sync::atomic::Ordering;
/// # use pay88::ffi::{current_until, generation_word};
/// # let (_sandbox, manager) = doc::manager();
/// let token = manager.get_token()?;
/// let current = current_until(&manager).unwrap();
/// assert_eq!(current.generation, token.generation());
/// // As long as this holds, and the clocks have not reached the instants in `current`, nobody has to ask.
/// assert_eq!(generation_word(&manager).load(Ordering::Acquire), current.word);
/// # Ok::<(), pay88::Error>(())
/// ```
pub fn current_until(manager: &TokenManager) -> Option<Current> {
    // Before all else, so that a change in between is not missed.
    let word = manager.0.manager.account.cache.word.to_keep();
    let token = cached(manager)?;
    let until = token.kept_until();
    Some(Current {
        generation: token.generation(),
        word: word.unwrap_or(0),
        monotonic_until: until.mono,
        wall_until: until.wall,
    })
}

/// A number that is another one after each change of which token is to be used: a token was published or dropped, its
/// next renewal was put off or brought forward, or a handle was closed. It does not change when a token ends or its
/// renewal is due.
pub fn generation_word(manager: &TokenManager) -> &AtomicU64 {
    manager.0.manager.account.cache.word.as_atomic()
}

/// Counts uses of a token that a binding keeps, as hits.
pub fn count_uses(manager: &TokenManager, uses: u64) {
    manager.0.manager.account.cache.count_hits(uses);
}

/// Prepares [`TokenManager::get_token`] on the library's own threads, for bindings. After [`Task::start`], `done`
/// gets the result exactly once, on one of these threads. [`Task`] has an example.
///
/// # Errors
/// `config_invalid` for a closed handle or a timeout out of range, `internal` if the system gives no thread.
/// `done` is then dropped without being called.
pub fn prepare_token(
    manager: &TokenManager,
    timeout: Option<Duration>,
    done: impl FnOnce(Result<Token>) + Send + 'static,
) -> Result<Task> {
    manager.open()?;
    manager.0.count();
    let deadline = deadline_in(timeout.unwrap_or(manager.0.defaults.timeout))?;
    let handle = manager.0.clone();
    Task::new(Outcome::NotSent, done, move |cancel| async move {
        handle.token(deadline, handle.stop(Some(&cancel))).await
    })
}

/// Prepares [`TokenManager::make_request`] on the library's own threads, for bindings, as
/// [`prepare_token`] does for a token.
///
/// # Errors
/// Those that are found before anything is sent. `done` is then dropped without being called.
pub fn prepare_request(
    manager: &TokenManager,
    request: Request,
    done: impl FnOnce(Result<Response>) + Send + 'static,
) -> Result<Task> {
    manager.prepare_call(manager.checked(request)?, done)
}
