//! The budget alone against the rules of the server, however greedily it is used.

use std::time::Duration;

use pay88_sandbox::Windows;

use super::provider::Provider;
use super::setup::{At, HOUR, MILLISECOND, micros};
use crate::policy::rate_limit::Budget;
use crate::policy::token_response::RateLimit;
use crate::time::BootTime;

const TICK: At = 100 * MILLISECOND;

/// Asks whenever the budget allows it, from `start` seconds after the full hour, with requests that take from 0 to 1.9 s
/// to arrive. The budget is given what the server says, if `listen`.
fn greedy(windows: Windows, start: f64, listen: bool) -> usize {
    let mut provider = Provider::new(windows);
    let mut budget = Budget::new(10, 100);
    let mut random = 88_u32;
    let mut on_the_way: Vec<u32> = Vec::new();
    for tick in 0..3 * HOUR / TICK {
        let now = micros(Duration::from_secs_f64(start)) + tick * TICK;
        provider.go_to(now);
        let now = BootTime(now / MILLISECOND);
        while budget.take(now, 0, false).is_ok() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            on_the_way.push((random >> 16) % 20);
        }
        let arrived = on_the_way.iter().filter(|ticks| **ticks == 0).count();
        on_the_way.retain(|ticks| *ticks > 0);
        for _ in 0..arrived {
            let answer = provider.token_request(false);
            if let Some(told) = RateLimit::of(&answer).filter(|_| listen) {
                budget.note_server_limit(now, told.limit, told.remaining, told.reset_in);
            }
        }
        on_the_way.iter_mut().for_each(|ticks| *ticks -= 1);
    }
    assert_eq!(provider.over_limit(), 0);
    provider.granted.len()
}

#[test]
fn however_greedily_it_is_asked_the_server_never_has_to_refuse() {
    for windows in [Windows::Sliding, Windows::Fixed] {
        for start in [0.0, 58.3, 1800.0, 3598.5, 3599.9] {
            for listen in [false, true] {
                let tokens = greedy(windows, start, listen);
                assert!(
                    (200..=300).contains(&tokens),
                    "{windows:?} from {start} s: {tokens}"
                );
            }
        }
    }
}
