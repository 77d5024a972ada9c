//! Many merchants in one process: what each of them costs, and what stays when nobody uses any of them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::harness::{Harness, until};
use crate::worker::Worker;

/// What a process may have open for all its merchants.
const MOST_DESCRIPTORS: u64 = 256;

/// The memory that the files take, in bytes.
fn memory(harness: &Harness) -> u64 {
    let entries = fs::read_dir(&harness.dir).unwrap();
    let blocks = entries.map(|entry| entry.unwrap().metadata().unwrap().blocks());
    512 * blocks.sum::<u64>()
}

fn descriptors(worker: &mut Worker) -> u64 {
    worker.ask("descriptors").as_u64().unwrap()
}

/// So many merchants, a token for each; then all handles go.
fn cost_of(merchants: u64) {
    let harness = Harness::new();
    let key = harness.options["api_key"].as_str().unwrap();
    let merchant = harness.options["merchant_id"].as_str().unwrap();
    for number in 0..merchants {
        let (merchant, key) = (format!("{merchant}_{number}"), format!("{key}_{number}"));
        harness.sandbox.add_key(&merchant, &key);
    }
    let mut worker = harness.worker();
    let before = descriptors(&mut worker);
    let begun = Instant::now();
    worker.tell(&format!("many {merchants}"));
    assert_eq!(
        worker.hear_within(Duration::from_millis(200 * merchants)),
        merchants
    );
    println!(
        "{merchants} merchants in {:?}: {} descriptors, {} KiB of shared memory",
        begun.elapsed(),
        descriptors(&mut worker) - before,
        memory(&harness) / 1024
    );
    assert_eq!(harness.tokens(), merchants);
    assert!(descriptors(&mut worker) - before < MOST_DESCRIPTORS);
    assert!(memory(&harness) <= merchants * 4096);
    // In a container's 64 MiB and a process's 1,024 descriptors 10,000 merchants leave room.
    assert!(memory(&harness) * 10_000 / merchants <= 48 << 20);

    worker.ask("release");
    all_are_closed(&mut worker, before);
}

/// The last handle has gone.
fn all_are_closed(worker: &mut Worker, before: u64) {
    let released = Instant::now();
    // A minute is promised.
    until(
        Duration::from_secs(600),
        "all descriptors are closed",
        || descriptors(worker) <= before,
    );
    println!("closed {:?} after the last handle", released.elapsed());
}

#[test]
fn a_thousand_merchants_in_a_process_keep_no_descriptor_and_a_page_each() {
    cost_of(1_000);
}

#[test]
fn asynchronous_calls_leave_no_descriptor_and_the_next_one_after_that_is_answered() {
    let harness = Harness::new();
    let mut worker = harness.worker();
    let before = descriptors(&mut worker);
    for _ in 0..2 {
        // The runtime's three and a connection.
        let meanwhile = worker.ask("asynchronous").as_u64().unwrap();
        assert!(meanwhile > before + 3, "{meanwhile}");
        all_are_closed(&mut worker, before);
    }
}

/// Takes minutes: the sandbox and this process look through a list for each.
#[test]
#[ignore = "the same with ten times as many merchants"]
fn ten_thousand_merchants_in_a_process_keep_no_descriptor_and_a_page_each() {
    cost_of(10_000);
}
