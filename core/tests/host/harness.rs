//! Processes of one host: they share in a directory in memory that is the test's own.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pay88::{Config, TokenManager};

use crate::account::Account;
pub(crate) use crate::account::until;
use crate::worker::Worker;

pub(crate) struct Harness(Account);

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut pay88_sandbox::Config)) -> Harness {
        let mut account = Account::new("host", change);
        fs::set_permissions(&account.dir, fs::Permissions::from_mode(0o2770)).unwrap();
        let share = format!("host:{}", account.dir.display());
        account.set("share", &share);
        Harness(account)
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
        let _ = fs::remove_dir_all(self.away());
    }
}

impl Deref for Harness {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.0
    }
}

impl DerefMut for Harness {
    fn deref_mut(&mut self) -> &mut Account {
        &mut self.0
    }
}

/// The lock's file of that record's.
pub(crate) fn lock_of(record: &Path) -> PathBuf {
    let name = record.file_name().unwrap().to_str().unwrap();
    let (hidden, number) = name.split_at(name.find('.').unwrap_or(name.len()));
    record.with_file_name(format!("{hidden}.lock{number}"))
}
