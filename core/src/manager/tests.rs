//! What only shows at a moment that a test has to make: a process is at work while another thread changes something.

use std::time::Duration;

use crate::config::Config;
use crate::config::credentials::ApiKey;
use crate::config::option::Opt;
use crate::manager::manager::Manager;
use crate::platform::clock::Clock;

fn manager() -> Manager {
    let mut config = Config::without_environment();
    for (name, value) in [
        ("api_key", "sk_test_sandbox_old"),
        ("merchant_id", "MCH-COL-TEST-1"),
        ("base_url", "http://127.0.0.1:9"),
        ("share", "process"),
    ] {
        config.set(name, value).unwrap();
    }
    Manager::new(&config.settings().unwrap(), Clock::System).unwrap()
}

#[test]
fn what_was_spent_is_counted_for_a_new_key_that_somebody_is_asking_with_already() {
    let manager = manager();
    let account = &manager.account;
    let now = account.clock.boot();
    let new = ApiKey::parse(Opt::ApiKey, "sk_test_sandbox_new", &account.base_url).unwrap();
    account.state().ledger.budget.take(now, 7, false).unwrap();
    let record = account.store.record(&new);
    let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
    contents.done_by = Some(now.plus(Duration::from_secs(20)));
    record.write(&mut lease, &mut contents).unwrap();
    manager.rotate(new, false);
    // Whoever was at work has written what it knew.
    contents.done_by = None;
    record.write(&mut lease, &mut contents).unwrap();
    drop(lease);
    let counted = record.read().unwrap().common.counts.taken;
    assert_eq!(counted.iter().map(|slot| slot.id).collect::<Vec<_>>(), [7]);
}
