//! Hosts that share a store.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;

use crate::account::Account;
pub(crate) use crate::account::until;
use crate::worker::Worker;

pub(crate) struct Harness(Account);

impl Harness {
    pub(crate) fn new(stores: &str) -> Harness {
        Harness::with(stores, |_| ())
    }

    /// `stores` are URLs with commas between them.
    pub(crate) fn with(stores: &str, change: impl FnOnce(&mut pay88_sandbox::Config)) -> Harness {
        let mut account = Account::new("fleet", change);
        account.set("share", stores);
        Harness(account)
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
