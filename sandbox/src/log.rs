//! The request log. It never holds a whole API key, token or session ID, nor any body; targets are kept as they came.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::config::seconds;

/// The log keeps this many entries; older ones are dropped.
pub const LOG_LENGTH: usize = 100_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct LogEntry {
    /// When, in seconds since 1970 by the sandbox's clock.
    #[serde(with = "seconds")]
    pub time: Duration,
    /// The number of its connection, from 1; 0 for one that came without any.
    pub connection: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The status it was answered with; `None` where a fault left it without an answer.
    pub status: Option<u16>,
    /// The API key that it named, or that its token was issued for; masked.
    pub key: Option<String>,
    /// The merchant that it named, or that its token was issued for, if it is known.
    pub merchant_id: Option<String>,
    /// The names of its headers, as sent.
    pub headers: Vec<String>,
    /// The length of its body in bytes.
    pub body_length: usize,
}

/// The latest [`LOG_LENGTH`] requests.
#[derive(Default)]
pub(crate) struct Log {
    entries: VecDeque<LogEntry>,
}

impl Log {
    pub(crate) fn add(&mut self, entry: LogEntry) {
        if self.entries.len() == LOG_LENGTH {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The requests of a merchant, or all.
    pub(crate) fn entries(&self, merchant: Option<&str>) -> Vec<LogEntry> {
        let wanted =
            |entry: &&LogEntry| merchant.is_none() || entry.merchant_id.as_deref() == merchant;
        self.entries.iter().filter(wanted).cloned().collect()
    }
}

/// A key as its prefix and last four characters, or as nothing at all where that would show too much of it.
pub(crate) fn masked(key: &str) -> String {
    let prefix = ["sk_test_", "sk_live_"]
        .into_iter()
        .find(|prefix| key.starts_with(prefix))
        .unwrap_or_default();
    let length = key.chars().count();
    if length < prefix.len() + 12 {
        return format!("{prefix}…");
    }
    let last: String = key.chars().skip(length - 4).collect();
    format!("{prefix}…{last}")
}
