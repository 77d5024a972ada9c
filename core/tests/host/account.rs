//! A sandbox with a merchant of its own, the options of its clients, and a directory in memory where they share.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pay88_sandbox::{Merchant, Sandbox, TEST_KEY};
use serde_json::{Map, Value};

pub(crate) struct Account {
    pub(crate) sandbox: Sandbox,
    pub(crate) options: Map<String, Value>,
    pub(crate) dir: PathBuf,
}

impl Account {
    /// The sandbox speaks plain HTTP on loopback: what is tested here is not the way there.
    pub(crate) fn new(kind: &str, change: impl FnOnce(&mut pay88_sandbox::Config)) -> Account {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let merchant = format!("MCH-COL-{}-{number}", kind.to_uppercase());
        let mut config = pay88_sandbox::Config {
            tls: false,
            control: None,
            merchants: vec![Merchant::new(merchant.as_str(), TEST_KEY)],
            ..Default::default()
        };
        change(&mut config);
        let sandbox = Sandbox::start(config).unwrap();
        let dir = format!("/dev/shm/{kind}-test-{}-{number}", std::process::id());
        fs::create_dir(&dir).unwrap();
        let mut account = Account {
            sandbox,
            options: Map::new(),
            dir: dir.into(),
        };
        account.set("api_key", TEST_KEY);
        account.set("merchant_id", &merchant);
        account.set("base_url", &account.sandbox.base_url());
        account
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.options.insert(name.into(), value.into());
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Asks again until it is so; says how long that took.
pub(crate) fn until(limit: Duration, what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
