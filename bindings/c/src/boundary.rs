//! The border between C and Rust: the body of every function of the header is one [`boundary!`], which `tests/boundary.rs`
//! sees to.
//!
//! Promises: no panic crosses it, and none prints anything; NULL where a handle is needed gives a neutral value or
//! `config_invalid`; a thread that is canceled inside is so when it has left. Never depends on a Cargo feature.

use std::any::Any;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use pay88::ffi::{Uncanceled, panicked};
use pay88::{Outcome, Result};

use crate::error::pay88_error;
use crate::status::{pay88_outcome, pay88_status};
use crate::view::{pay88_bytes, pay88_str};

/// The whole body of a function of the header: the kind of function, with what it needs to say that it failed, and what it
/// does. `boundary!(value, || …)` runs [`value`], `boundary!(status(error), || …)` runs [`status`], and so on;
/// `boundary!(release(handle))` is all that a function does which takes a handle back.
macro_rules! boundary {
    (release($handle:expr)) => {
        $crate::boundary::release($handle)
    };
    ($kind:ident, $body:expr) => {
        $crate::boundary::$kind($body)
    };
    ($kind:ident($error:expr), $body:expr) => {
        $crate::boundary::$kind($error, $body)
    };
}
pub(crate) use boundary;

/// What a function without an error channel returns for NULL, for an index that does not exist, and at a panic.
pub(crate) trait Neutral {
    const NEUTRAL: Self;
}

macro_rules! neutral {
    ($($kind:ty = $value:expr;)*) => { $(impl Neutral for $kind { const NEUTRAL: $kind = $value; })* };
}

neutral! {
    () = ();
    bool = false;
    u16 = 0;
    u32 = 0;
    u64 = 0;
    usize = 0;
    // "None": a delay, where 0 would mean "at once".
    i64 = -1;
    // "None": a descriptor.
    i32 = -1;
    f64 = f64::NAN;
    pay88_str = pay88_str::EMPTY;
    pay88_bytes = pay88_bytes::EMPTY;
    pay88_status = pay88_status::PAY88_OK;
    // The one that is safe to believe.
    pay88_outcome = pay88_outcome::PAY88_OUTCOME_UNKNOWN;
}

impl Neutral for *const u64 {
    const NEUTRAL: *const u64 = std::ptr::null();
}

impl<T> Neutral for *mut T {
    const NEUTRAL: *mut T = std::ptr::null_mut();
}

/// Text that ends with a NUL.
impl Neutral for *const c_char {
    const NEUTRAL: *const c_char = c"".as_ptr();
}

/// Silences panics: what is told of one is in the error. The hook is of this library's own copy of Rust's runtime, so
/// that no other code's panics go through it.
pub(crate) fn silence_panics() {
    static DONE: AtomicBool = AtomicBool::new(false);
    // No `Once`: a fork while another thread is inside one would leave the child waiting for ever.
    if !DONE.swap(true, Ordering::Relaxed) {
        std::panic::set_hook(Box::new(|_| {}));
    }
}

fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(body))
}

/// Runs what makes no call, so that nothing was sent before a panic either.
pub(crate) fn not_sent<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    guarded(body).unwrap_or_else(|panic| Err(panicked(&*panic, Outcome::NotSent)))
}

/// Runs a function that cannot fail and makes no system call; `None` is [`Neutral::NEUTRAL`].
pub(crate) fn value<T: Neutral>(body: impl FnOnce() -> Option<T>) -> T {
    guarded(body).ok().flatten().unwrap_or(T::NEUTRAL)
}

/// Runs a function that does something and cannot fail.
pub(crate) fn act(body: impl FnOnce()) {
    let _uncanceled = Uncanceled::begin();
    value(|| {
        body();
        Some(())
    });
}

/// Takes a handle back.
pub(crate) fn release<T>(handle: Option<Box<T>>) {
    act(|| drop(handle));
}

/// Runs a function that can fail. `error` gets the details if it does, and is left alone otherwise.
pub(crate) fn status(
    error: Option<&mut *mut pay88_error>,
    body: impl FnOnce() -> Result<()>,
) -> pay88_status {
    let _uncanceled = Uncanceled::begin();
    status_at_once(error, body)
}

/// [`status`] for what mostly is done in nanoseconds. Where it makes system calls it turns cancellation off itself.
pub(crate) fn status_at_once(
    error: Option<&mut *mut pay88_error>,
    body: impl FnOnce() -> Result<()>,
) -> pay88_status {
    let failure = match guarded(body) {
        Ok(Ok(())) => return pay88_status::PAY88_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => panicked(&*panic, Outcome::Unknown),
    };
    let status = pay88_status::from(failure.code());
    if let Some(error) = error {
        *error = pay88_error::give(failure);
    }
    status
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;

    use super::*;
    use crate::error::pay88_error_outcome;

    #[test]
    fn only_what_makes_no_call_is_known_to_have_sent_nothing_at_a_panic() {
        let panics = || -> Result<()> { resume_unwind(Box::new("provoked")) };
        let mut outcomes = Vec::new();
        for body in [&panics as &dyn Fn() -> Result<()>, &|| not_sent(panics)] {
            let mut error = std::ptr::null_mut();
            let status = status(Some(&mut error), body);
            assert!(status == pay88_status::PAY88_INTERNAL);
            // SAFETY: given to us alone, just now.
            let error = unsafe { Box::from_raw(error) };
            outcomes.push(pay88_error_outcome(Some(&error)));
        }
        assert!(
            outcomes
                == [
                    pay88_outcome::PAY88_OUTCOME_UNKNOWN,
                    pay88_outcome::PAY88_OUTCOME_NOT_SENT
                ]
        );
    }
}
