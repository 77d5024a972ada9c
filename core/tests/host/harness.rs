//! A sandbox and a directory in memory that is the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pay88::{Config, TokenManager};
use pay88_sandbox::{Merchant, Sandbox, TEST_KEY};
use serde_json::{Map, Value, json};

use crate::worker::Worker;

pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    pub(crate) options: Map<String, Value>,
    pub(crate) dir: PathBuf,
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::with(|_| ())
    }

    /// A sandbox over plain HTTP on loopback: what is tested here is not the way there.
    pub(crate) fn with(change: impl FnOnce(&mut pay88_sandbox::Config)) -> Harness {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let merchant = format!("MCH-COL-HOST-{number}");
        let mut config = pay88_sandbox::Config {
            tls: false,
            control: None,
            merchants: vec![Merchant::new(merchant.as_str(), TEST_KEY)],
            ..Default::default()
        };
        change(&mut config);
        let sandbox = Sandbox::start(config).unwrap();
        let dir = PathBuf::from(format!(
            "/dev/shm/host-test-{}-{number}",
            std::process::id()
        ));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o2770)).unwrap();
        let options = json!({
            "api_key": TEST_KEY, "merchant_id": merchant, "base_url": sandbox.base_url(),
            "share": format!("host:{}", dir.display()),
        });
        let Value::Object(options) = options else {
            unreachable!()
        };
        Harness {
            sandbox,
            options,
            dir,
        }
    }

    /// Tokens are used for a second, so that a refresh comes every second; the budget allows it.
    pub(crate) fn hurried() -> Harness {
        let mut harness = Harness::with(|config| {
            config.expires_in = 11.into();
            config.tokens_per_minute = 100;
            config.tokens_per_hour = 10_000;
        });
        harness.set("tokens_per_minute", "100");
        harness.set("tokens_per_hour", "10000");
        harness
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.options.insert(name.into(), value.into());
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::start(&self.options)
    }

    /// A manager of this process.
    pub(crate) fn manager(&self) -> TokenManager {
        let mut config = Config::without_environment();
        for (name, value) in &self.options {
            config.set(name, value.as_str().unwrap()).unwrap();
        }
        TokenManager::new(config).unwrap()
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.sandbox.counters().tokens_issued
    }

    /// Where the directory is while it is taken away.
    pub(crate) fn away(&self) -> PathBuf {
        self.dir.with_extension("away")
    }

    /// The file of the record.
    pub(crate) fn record(&self) -> PathBuf {
        let entries = fs::read_dir(&self.dir).unwrap();
        let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        let is_record = |path: &Path| !path.to_str().unwrap().contains(".lock");
        paths.into_iter().find(|path| is_record(path)).unwrap()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        for dir in [&self.dir, &self.away()] {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// The lock's file of that record's.
pub(crate) fn lock_of(record: &Path) -> PathBuf {
    let name = record.file_name().unwrap().to_str().unwrap();
    let (hidden, number) = name.split_at(name.find('.').unwrap_or(name.len()));
    record.with_file_name(format!("{hidden}.lock{number}"))
}

/// Asks again until it is so.
pub(crate) fn until(limit: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + limit;
    while !so() {
        assert!(
            std::time::Instant::now() < end,
            "not within {limit:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
