//! What the library reports: events, counters and statistics. Never decides anything.

pub(crate) mod event;
pub(crate) mod stats;
