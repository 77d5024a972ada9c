//! How long a token is used: derived from what the server said, the margin, and the hourly budget.
//!
//! A pure function. Facts: tokens live 60 s, and the documentation asks for 10 s of margin ("Token Caching
//! Strategy"); 50 s of use and renewal from 47 s make 77 tokens an hour in continuous use.

use std::time::Duration;

/// How long before the end of its use a token is renewed, if it is in use.
const RENEWAL_LEAD: Duration = Duration::from_secs(3);

/// The least margin: how long a request may take to arrive.
const LEAST_MARGIN: Duration = Duration::from_secs(2);

/// Times of a token, counted from before its request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// For how long it is handed out.
    pub(crate) usable: Duration,
    /// From then on it is renewed, if somebody asks for it.
    pub(crate) renew: Duration,
    /// The margin was made shorter, because the budget would not last with it.
    pub(crate) stretched: bool,
}

impl Lifetime {
    pub(crate) fn derive(expires_in: Duration, margin: Duration, tokens_per_hour: u32) -> Lifetime {
        let period = Duration::from_secs(3600) / tokens_per_hour.max(1);
        let lifetime = Self::until(expires_in.saturating_sub(margin));
        if lifetime.renew >= period {
            return lifetime;
        }
        Lifetime {
            stretched: margin > LEAST_MARGIN,
            ..Self::longest(expires_in)
        }
    }

    /// The longest life, for a token while the hosts of a fleet cannot tell each other of newer ones.
    pub(crate) fn longest(expires_in: Duration) -> Lifetime {
        Self::until(expires_in.saturating_sub(LEAST_MARGIN))
    }

    fn until(usable: Duration) -> Lifetime {
        Lifetime {
            usable,
            renew: usable - RENEWAL_LEAD.min(usable / 10),
            stretched: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(expires_in: u64, margin: u64, per_hour: u32) -> (f64, f64, bool) {
        let l = Lifetime::derive(
            Duration::from_secs(expires_in),
            Duration::from_secs(margin),
            per_hour,
        );
        (l.usable.as_secs_f64(), l.renew.as_secs_f64(), l.stretched)
    }

    #[test]
    fn sixty_seconds_give_fifty_of_use_and_renewal_from_forty_seven() {
        assert_eq!(derive(60, 10, 100), (50.0, 47.0, false));
        assert_eq!(derive(3600, 10, 100), (3590.0, 3587.0, false));
    }

    #[test]
    fn where_it_has_to_last_two_seconds_are_left() {
        let longest = Lifetime::longest(Duration::from_secs(60));
        assert_eq!(longest.usable, Duration::from_secs(58));
        assert_eq!(longest.renew, Duration::from_secs(55));
    }

    #[test]
    fn a_period_that_the_budget_cannot_carry_gives_up_the_margin() {
        assert_eq!(derive(11, 10, 100), (9.0, 8.1, true));
        assert_eq!(derive(45, 10, 100), (43.0, 40.0, true));
        assert_eq!(derive(60, 59, 100), (58.0, 55.0, true));
        assert_eq!(derive(45, 10, 200), (35.0, 32.0, false));
    }
}
