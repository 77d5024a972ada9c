//! Tokens that a language keeps as objects of its own: whether such a token is still the one to use, without a call of the
//! library.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{pay88_current, pay88_manager};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::manager::Manager;
use crate::token::Token;

/// What a language knows of the token that it keeps.
#[derive(Default)]
pub struct Kept {
    /// How long the token may be used without a call; `None` if it may not.
    current: Option<pay88_current>,
    /// How often that was done since the library was told.
    uses: u64,
}

/// The library's word, which is there as long as the handle that it came from.
pub(crate) struct GenerationWord(NonNull<AtomicU64>);

// SAFETY: the header allows any thread to read it, and the library writes it atomically.
unsafe impl Send for GenerationWord {}
// SAFETY: as above.
unsafe impl Sync for GenerationWord {}

impl GenerationWord {
    pub(crate) fn of(handle: &Handle<pay88_manager>) -> Result<GenerationWord> {
        // SAFETY: the handle is valid.
        let word = unsafe { (handle.functions.pay88_manager_generation_word)(handle.as_ptr()) };
        let word = NonNull::new(word.cast_mut().cast()).ok_or_else(Error::none)?;
        Ok(GenerationWord(word))
    }
}

impl Kept {
    /// Another token is kept from now on.
    pub fn forget(&mut self) {
        self.current = None;
    }
}

impl Manager {
    /// Whether the token that [`Manager::keep`] gave is still the one to use; counts the use. No call of the library.
    pub fn is_current(&self, kept: &mut Kept) -> bool {
        let is_current = kept.current.is_some_and(|current| {
            // SAFETY: the handle lives, and so does its word.
            let word = unsafe { self.1.0.as_ref() }.load(Ordering::Acquire);
            word == current.word
                && clock(libc::CLOCK_MONOTONIC_COARSE) < current.monotonic_until
                && clock(libc::CLOCK_REALTIME_COARSE) < current.realtime_until
        });
        kept.uses += u64::from(is_current);
        is_current
    }

    /// The token that [`Manager::get_token`] would give at once, to be kept; `None` if it would have to wait or fail. It
    /// counts as use.
    pub fn keep(&self, kept: &mut Kept) -> Option<Token> {
        self.report_uses(kept);
        kept.forget();
        let mut current = pay88_current {
            generation: 0,
            word: 0,
            monotonic_until: 0,
            realtime_until: 0,
        };
        // SAFETY: the handle is valid, and the result may be written to.
        let generation = unsafe {
            (self.0.functions.pay88_manager_current_until)(self.0.as_ptr(), &mut current)
        };
        if generation == 0 {
            return None;
        }
        let token = self.peek_token().ok()??;
        // It may have been renewed in between.
        kept.current = (token.generation() == generation).then_some(current);
        Some(token)
    }

    /// Tells the library of the uses that it does not know of.
    pub fn report_uses(&self, kept: &mut Kept) {
        let uses = std::mem::take(&mut kept.uses);
        if uses > 0 {
            // SAFETY: the handle is valid.
            unsafe { (self.0.functions.pay88_manager_count_uses)(self.0.as_ptr(), uses) }
        }
    }
}

/// In nanoseconds. An error is later than everything.
fn clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one.
    match unsafe { libc::clock_gettime(clock, &mut time) } {
        0 => (time.tv_sec as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(time.tv_nsec as u64),
        _ => u64::MAX,
    }
}
