//! Real time over two renewals: slow, so in a file of its own.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "scenarios/harness.rs"]
#[allow(dead_code)]
mod harness;

use std::thread;
use std::time::{Duration, Instant};

use harness::{Harness, charge};

#[test]
fn over_two_renewals_no_caller_waits_and_no_call_is_answered_401() {
    let harness = Harness::new();
    let manager = harness.manager();
    manager.get_token().unwrap();
    let started = Instant::now();
    let mut calls = 0;
    while started.elapsed() < Duration::from_secs(100) {
        manager.get_token().unwrap();
        assert_eq!(manager.make_request(charge()).unwrap().status(), 200);
        calls += 1;
        thread::sleep(Duration::from_millis(500));
    }
    let (stats, counters) = (manager.stats(), harness.sandbox.counters());
    assert_eq!(stats.waits, 1, "the first token alone is waited for");
    assert_eq!(counters.tokens_issued, 3);
    assert_eq!(counters.unauthorized, 0);
    assert_eq!((counters.charges_created, stats.calls_repeated), (calls, 0));
}
