//! The contender of a program that acts for many merchants: a manager for each, and charges that go round among them.

use pay88::TokenManager;

use super::{charge, token};
use crate::job::{Failure, Job};

/// Followed by how many there are.
pub(crate) const NAME: &str = "merchants-";

/// Each has a key of its own, and its token.
pub(crate) fn charges(
    job: &Job,
    name: &str,
) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let count: usize = name.trim_start_matches(NAME).parse()?;
    let managers: Result<Vec<TokenManager>, Failure> = (0..count)
        .map(|number| {
            token::manager(&Job {
                api_key: format!("{}{number:05}", job.api_key),
                ..job.clone()
            })
        })
        .collect();
    let managers = managers?;
    let job = job.clone();
    let mut next = 0;
    Ok(move |times| {
        for _ in 0..times {
            charge::pay88(&job, &managers[next], 1)?;
            next = (next + 1) % count;
        }
        Ok(())
    })
}
