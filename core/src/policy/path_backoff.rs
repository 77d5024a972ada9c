//! Paths whose 401 does not come from the token.
//!
//! If a path answers 401 to a new token too, each call of it would cost a token. So its 401 goes to the caller, and asks for
//! no token, for 60 s. The time doubles up to an hour, until the path answers something else. A pure data structure of a
//! bounded size.

use std::collections::HashMap;
use std::time::Duration;

use crate::policy::backoff::ExponentialBackoff;
use crate::time::BootTime;

const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(60), Duration::from_secs(3600));

/// More paths than an API has. If there are more, the one whose pause ends first is forgotten.
const MOST: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: BootTime,
    streak: u32,
}

/// The pauses, by method and path without query.
#[derive(Debug, Default)]
pub(crate) struct PathBackoffs(HashMap<String, Pause>);

impl PathBackoffs {
    /// Whether a 401 of this path may ask for a new token.
    pub(crate) fn may_force(&self, path: &str, now: BootTime) -> bool {
        self.0.get(path).is_none_or(|pause| now >= pause.until)
    }

    /// The path answered 401 to a new token too.
    pub(crate) fn rejected_again(&mut self, path: &str, now: BootTime) {
        if self.0.len() >= MOST
            && !self.0.contains_key(path)
            && let Some(first) = self
                .0
                .iter()
                .min_by_key(|(_, pause)| pause.until)
                .map(|(path, _)| path.clone())
        {
            self.0.remove(&first);
        }
        let pause = self.0.entry(path.to_owned()).or_insert(Pause {
            until: now,
            streak: 0,
        });
        // Calls that were under way at the same time count once.
        if now >= pause.until {
            pause.until = now.plus(BACKOFF.pause(pause.streak));
            pause.streak += 1;
        }
    }

    /// The path answered something else.
    pub(crate) fn answered(&mut self, path: &str) {
        if !self.0.is_empty() {
            self.0.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_always_answers_401_forces_at_most_six_tokens_in_an_hour() {
        let mut paths = PathBackoffs::default();
        let forced = (0..3600)
            .filter(|second| {
                let now = BootTime(second * 1000);
                let may = paths.may_force("GET /x", now);
                paths.rejected_again("GET /x", now);
                may
            })
            .count();
        assert_eq!(forced, 6);
        assert!(paths.may_force("GET /y", BootTime(0)));
        paths.answered("GET /x");
        assert!(paths.may_force("GET /x", BootTime(3_600_000)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut paths = PathBackoffs::default();
        for i in 0..10_000 {
            paths.rejected_again(&format!("GET /{i}"), BootTime(i));
        }
        assert_eq!(paths.0.len(), MOST);
    }
}
