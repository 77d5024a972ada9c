//! A plain `fork()` while other threads call, and wait for a token of the fleet.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::daemon::Daemon;
use crate::harness::Harness;
use crate::worker::TOKEN_DELAY;
use crate::yardstick::in_time;

/// The first fork of each round comes while its first token is asked for, and some while the next one is, after that was
/// revoked.
#[test]
fn forks_in_the_middle_of_a_fleets_refresh_hurt_neither_parent_nor_child() {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    thread::scope(|scope| {
        for (kind, port) in [("redis", redis.port), ("memcached", memcached.port)] {
            scope.spawn(move || {
                in_time(|| {
                    let mut in_refreshes = 0;
                    for round in 0..8 {
                        let harness =
                            Harness::with(&format!("{kind}://127.0.0.1:{port}"), |config| {
                                config.token_delay = TOKEN_DELAY;
                            });
                        let mut worker = harness.worker(0);
                        worker.tell("forks 20");
                        thread::sleep(Duration::from_millis(1_000));
                        harness.sandbox.revoke_all();
                        let result = worker.hear().unwrap();
                        assert_eq!(result["failed"], json!([]), "{kind} {round}: {result}");
                        assert_eq!(result["children"], 20);
                        in_refreshes += result["in_refreshes"].as_u64().unwrap();
                        // Another host has the same token.
                        let token = worker.ask("token");
                        assert_eq!(harness.worker(1).ask("token"), token, "{kind} {round}");
                        let counters = harness.sandbox.counters();
                        // A child may be the one that asks; if it ends meanwhile, it is asked once more.
                        assert!((2..=3).contains(&counters.tokens_requested), "{counters:?}");
                        assert!(counters.tokens_refused.is_empty(), "{counters:?}");
                    }
                    println!("{kind}: 160 forks, {in_refreshes} of them in refreshes");
                    // The first of each round is in the first refresh, unless this machine was late; where a child leads the second one,
                    // its forks are not counted.
                    assert!(in_refreshes >= 4, "{kind}: {in_refreshes}");
                });
            });
        }
    });
}
