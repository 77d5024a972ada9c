//! Whether a call can have reached 88Pay: the outcome that its error tells.

use crate::error::Outcome;

/// What is known of a sending without a complete answer.
pub(crate) fn outcome_of(sent: bool) -> Outcome {
    if sent {
        Outcome::Unknown
    } else {
        Outcome::NotSent
    }
}

/// What is known of two sendings together.
pub(crate) fn combine(a: Outcome, b: Outcome) -> Outcome {
    let rank = |outcome| match outcome {
        Outcome::NotSent => 0,
        Outcome::Answered => 1,
        Outcome::Unknown => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}
