//! What is told: events, counters and statistics.
//!
//! Never decides anything.

pub(crate) mod event;
pub(crate) mod stats;
