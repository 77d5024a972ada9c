//! What the operating system gives: clocks, random numbers, threads, the runtime, descriptors, forks.
//!
//! Never knows 88Pay, a token or an option.

pub(crate) mod above_stdio;
pub(crate) mod cancel;
pub(crate) mod clock;
#[cfg(feature = "test-hooks")]
pub(crate) mod fault_injection;
pub(crate) mod not_inherited;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod readable;
pub(crate) mod runtime;
#[cfg(test)]
pub(crate) mod seeded;
pub(crate) mod task;
pub(crate) mod thread;
#[cfg(any(test, feature = "test-hooks"))]
pub(crate) mod virtual_clock;
