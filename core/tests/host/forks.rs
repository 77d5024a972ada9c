//! A plain `fork()` while other threads call and refresh.

use std::time::Instant;

use serde_json::json;

use crate::stage::Stage;

#[test]
fn forks_in_the_middle_of_calls_and_refreshes_hurt_neither_parent_nor_child() {
    let stage = Stage::hurried();
    let mut player = stage.player();
    let begun = Instant::now();
    let mut result = json!(null);
    // In parts, since each answer has its limit.
    for _ in 0..10 {
        result = player.ask("forks 20");
        assert_eq!(result["failed"], json!([]), "{result}");
        assert_eq!(result["children"], 20);
    }
    println!("200 forks in {:?}, last {result}", begun.elapsed());
    let counters = stage.sandbox.counters();
    assert!(
        counters.tokens_refused.is_empty() && counters.unauthorized == 0,
        "{counters:?}"
    );
    // One token a second for all of them together.
    let most = begun.elapsed().as_secs() + 5;
    assert!(counters.tokens_issued <= most, "{counters:?}");
}
