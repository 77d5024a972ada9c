//! Words: the number of the token to use, where JavaScript reads it without a call.
//!
//! Promises: what any thread of Node does to a token stands in the words of all of them before it is told to anybody. What
//! others do, the library itself or another language of the process, is written at the next look.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use pay88_sys::Manager;

/// The words of all handles, with the numbers of their managers.
static WORDS: Mutex<Vec<(u64, Weak<Word>)>> = Mutex::new(Vec::new());

/// The bits of a JavaScript number: 0 if there is no token.
type Word = AtomicU64;

fn words() -> MutexGuard<'static, Vec<(u64, Weak<Word>)>> {
    WORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A word of its own for a handle of the manager, as an array of one element. It is freed with the array.
///
/// One for each, since an engine may refuse to have two arrays over the same memory. Where it has none over foreign memory
/// the array is a copy, and only a look tells of changes.
pub(crate) fn word<'env>(env: &'env Env, manager: &Manager) -> Result<Float64ArraySlice<'env>> {
    let word = Arc::new(Word::new(0));
    {
        let mut words = words();
        words.retain(|(_, word)| word.strong_count() > 0);
        words.push((manager.id(), Arc::downgrade(&word)));
    }
    let pointer = word.as_ptr().cast::<f64>();
    // SAFETY: the memory is that of one `f64` and lives until the closure drops the word. JavaScript only reads it.
    unsafe { Float64ArraySlice::from_external(env, pointer, 1, word, |_, word| drop(word)) }
}

/// Writes into the words of the manager which token is to be used now.
pub(crate) fn update(manager: &Manager) {
    // Held while looking, so that what is written last was seen last.
    let words = words();
    let generation = match manager.peek_token() {
        Ok(Some(token)) => token.generation(),
        _ => 0,
    };
    let id = manager.id();
    for word in words.iter().filter(|(of, _)| *of == id) {
        if let Some(word) = word.1.upgrade() {
            word.store((generation as f64).to_bits(), Ordering::Release);
        }
    }
}
