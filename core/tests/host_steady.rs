//! Real time over four renewals with thirty-two processes: slow, so in a file of its own.

#![cfg(feature = "test-hooks")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "host/player.rs"]
#[allow(dead_code)]
mod player;
#[path = "host/stage.rs"]
#[allow(dead_code)]
mod stage;

use stage::Stage;

/// Parts of the time, since each answer has its limit.
const PARTS: u64 = 8;
const SECONDS: u64 = 25;

#[test]
fn over_four_renewals_thirty_two_processes_need_five_tokens_and_nobody_waits() {
    let stage = Stage::new();
    let mut players: Vec<_> = (0..32).map(|_| stage.player()).collect();
    for player in &mut players {
        assert_eq!(player.ask("call"), 200);
    }
    let mut calls = 0;
    for part in 0..PARTS {
        for (number, player) in players.iter_mut().enumerate() {
            // Some are busy, some call about once a second.
            let millis = 300 + 25 * number;
            player.tell(&format!("steady {SECONDS} {millis}"));
        }
        for player in &mut players {
            let said = player.hear().unwrap();
            assert_eq!(
                (&said["failed"], &said["waits"]),
                (&serde_json::json!([]), &0.into()),
                "part {part}"
            );
            calls += said["calls"].as_u64().unwrap();
        }
    }
    let counters = stage.sandbox.counters();
    println!("{calls} calls, {} tokens", counters.tokens_issued);
    assert!(calls > 5000, "{calls}");
    assert!(counters.tokens_issued <= 5, "{counters:?}");
    assert_eq!(
        (counters.tokens_requested, counters.unauthorized),
        (counters.tokens_issued, 0)
    );
}
