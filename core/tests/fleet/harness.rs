//! A sandbox, and hosts that share a store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pay88_sandbox::{Merchant, Sandbox, TEST_KEY};
use serde_json::{Map, Value, json};

use crate::worker::Worker;

pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    options: Map<String, Value>,
    dir: PathBuf,
}

impl Harness {
    pub(crate) fn new(stores: &str) -> Harness {
        Harness::with(stores, |_| ())
    }

    /// `stores` are URLs with commas between them.
    pub(crate) fn with(stores: &str, change: impl FnOnce(&mut pay88_sandbox::Config)) -> Harness {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let merchant = format!("MCH-COL-FLEET-{number}");
        let mut config = pay88_sandbox::Config {
            tls: false,
            control: None,
            merchants: vec![Merchant::new(merchant.as_str(), TEST_KEY)],
            ..Default::default()
        };
        change(&mut config);
        let sandbox = Sandbox::start(config).unwrap();
        let dir = format!("/dev/shm/fleet-test-{}-{number}", std::process::id());
        fs::create_dir(&dir).unwrap();
        let options = json!({
            "api_key": TEST_KEY, "merchant_id": merchant, "base_url": sandbox.base_url(), "share": stores,
        });
        let Value::Object(options) = options else {
            unreachable!()
        };
        Harness {
            sandbox,
            options,
            dir: dir.into(),
        }
    }

    /// Tokens are renewed after eight seconds, which is as often as the most that hosts may have in an hour allow.
    pub(crate) fn hurried(stores: &str) -> Harness {
        let mut harness = Harness::with(stores, |config| {
            config.expires_in = 11.into();
            config.tokens_per_minute = 200;
            config.tokens_per_hour = 400;
        });
        harness.set("tokens_per_minute", "200");
        harness.set("tokens_per_hour", "400");
        harness
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.options.insert(name.into(), value.into());
    }

    /// A process on that host.
    pub(crate) fn worker(&self, host: u32) -> Worker {
        let dir = self.dir.join(host.to_string());
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o2770)).unwrap();
        let mut options = self.options.clone();
        let stores = options["share"].as_str().unwrap();
        let share = format!("host:{},{stores}", dir.display());
        options.insert("share".into(), share.into());
        Worker::start(&options)
    }

    /// So many hosts with so many processes each, all of them up.
    pub(crate) fn workers(&self, hosts: u32, each: u32) -> Vec<Worker> {
        let numbers = (0..hosts).flat_map(|host| (0..each).map(move |_| host));
        let mut workers: Vec<Worker> = numbers.map(|host| self.worker(host)).collect();
        for worker in &mut workers {
            worker.ask("stats");
        }
        workers
    }

    /// Nobody was refused a token, and nobody came with a wrong one.
    pub(crate) fn assert_no_refusals(&self) {
        let counters = self.sandbox.counters();
        assert!(counters.tokens_refused.is_empty(), "{counters:?}");
        assert_eq!(counters.unauthorized, 0);
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Asks again until it is so; says how long that took.
pub(crate) fn until(limit: Duration, what: &str, mut so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}
