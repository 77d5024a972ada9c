//! One manager per process and credentials.
//!
//! A manager is found by base URL, merchant and key (the current or the previous one). It is kept while a handle
//! is open and 10 minutes longer. Each that is built looks at a few of the others, however many there are; there is no
//! timer. Without an open handle it gives way to a manager with other options.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::settings::Settings;
use crate::error::{Error, Result};
use crate::manager::manager::Manager;
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;

const KEPT_UNUSED: Duration = Duration::from_secs(600);

/// Whoever builds a manager looks at so many merchants for managers that nobody has used for long: more than one, so that
/// they go faster than others come.
const LOOKED_AT: usize = 4;

static MANAGERS: PerProcess<Mutex<Registry>> = PerProcess::new();

fn managers() -> MutexGuard<'static, Registry> {
    MANAGERS.lock()
}

#[derive(Default)]
struct Registry {
    /// Those of each merchant: a few, since there is one for each of its keys.
    merchants: HashMap<Arc<Merchant>, Vec<Arc<Manager>>>,
    /// Each of these merchants once, the one that is looked at next before the others.
    to_look_at: VecDeque<Arc<Merchant>>,
}

type Merchant = (BaseUrl, MerchantId);

impl Registry {
    fn of(&self, merchant: &Merchant) -> &[Arc<Manager>] {
        self.merchants.get(merchant).map_or(&[], Vec::as_slice)
    }

    fn find(&self, merchant: &Merchant, key: &ApiKey) -> Option<Arc<Manager>> {
        let mut managers = self.of(merchant).iter();
        managers
            .find(|manager| manager.account.keys().has(key))
            .cloned()
    }

    fn add(&mut self, merchant: Merchant, manager: Arc<Manager>) {
        match self.merchants.entry(Arc::new(merchant)) {
            Entry::Occupied(mut known) => known.get_mut().push(manager),
            Entry::Vacant(new) => {
                self.to_look_at.push_back(new.key().clone());
                new.insert(vec![manager]);
            }
        }
    }

    /// Takes out those of a merchant for which `goes` is true.
    fn take_out(
        &mut self,
        merchant: &Merchant,
        goes: impl Fn(&Manager) -> bool,
    ) -> Vec<Arc<Manager>> {
        match self.merchants.get_mut(merchant) {
            Some(managers) => managers.extract_if(.., |manager| goes(manager)).collect(),
            None => Vec::new(),
        }
    }

    /// Takes out those of the next merchants that nobody has used for long.
    fn look(&mut self) -> Vec<Arc<Manager>> {
        let mut unused = Vec::new();
        for _ in 0..LOOKED_AT.min(self.to_look_at.len()) {
            let Some(merchant) = self.to_look_at.pop_front() else {
                break;
            };
            unused.extend(self.take_out(&merchant, |manager| manager.idle_for(KEPT_UNUSED)));
            if self.of(&merchant).is_empty() {
                self.merchants.remove(&merchant);
            } else {
                self.to_look_at.push_back(merchant);
            }
        }
        unused
    }
}

/// The manager of these settings, with one handle more.
pub(crate) fn attach(settings: &Settings, clock: Clock) -> Result<Arc<Manager>> {
    let merchant = (settings.base_url.clone(), settings.merchant_id.clone());
    let take = |manager: Arc<Manager>| match manager.conflict(settings) {
        None => {
            manager.attach(settings);
            Ok(manager)
        }
        Some(setting) => Err(Error::invalid(
            format!(
                "The {setting} is not the one that this process already uses for these credentials."
            ),
            "Give every manager of these credentials the same one, or close the others first, each with its `close` (in C \
             `pay88_manager_close`).",
        )),
    };
    // They are dropped, and their secrets zeroed, when the lock is free again.
    let _unused;
    let _in_the_way;
    {
        let mut managers = managers();
        _unused = managers.look();
        // One that nobody holds gives way to other options.
        _in_the_way = managers.take_out(&merchant, |manager| {
            manager.idle_for(KEPT_UNUSED)
                || manager.idle_for(Duration::ZERO) && manager.conflict(settings).is_some()
        });
    }
    let mut made = None;
    loop {
        let replaced = {
            let mut managers = managers();
            if let Some(manager) = managers.find(&merchant, &settings.api_key) {
                return take(manager);
            }
            let old = settings.previous_api_key.as_ref();
            match (old.and_then(|key| managers.find(&merchant, key)), &made) {
                (Some(manager), _) => Some(take(manager)?),
                (None, Some(made)) => {
                    let made: &Arc<Manager> = made;
                    made.attach(settings);
                    managers.add(merchant, made.clone());
                    return Ok(made.clone());
                }
                (None, None) => None,
            }
        };
        // The manager of the key that this one replaces goes on with the new key.
        match replaced {
            Some(manager) => {
                let from = settings.previous_api_key.as_ref();
                match replace(&manager, from, settings.api_key.clone(), true) {
                    Ok(()) => return Ok(manager),
                    // Another thread has built one with the new key meanwhile, or has replaced the old one.
                    Err(_) => manager.detach(),
                }
            }
            // Reads certificates, so not under the lock. Another thread may build it meanwhile.
            None => made = Some(Arc::new(Manager::new(settings, clock.clone())?)),
        }
    }
}

/// Changes the key of a manager, unless another manager has that key already.
pub(crate) fn rotate(manager: &Arc<Manager>, key: ApiKey, keep_old: bool) -> Result<()> {
    replace(manager, None, key, keep_old)
}

/// The same, if the manager still has the key `from`.
fn replace(
    manager: &Arc<Manager>,
    from: Option<&ApiKey>,
    key: ApiKey,
    keep_old: bool,
) -> Result<()> {
    let account = &manager.account;
    let merchant = (account.base_url.clone(), account.merchant_id.clone());
    manager.rotate(&key, keep_old, || {
        let managers = managers();
        if from.is_some_and(|from| !account.keys().has(from)) {
            return Err(Error::invalid(
                "The key of this manager was replaced meanwhile.",
                "Build a manager with the key that is to be used.",
            ));
        }
        let mut others = managers.of(&merchant).iter();
        if others.any(|other| !Arc::ptr_eq(other, manager) && other.account.keys().has(&key)) {
            return Err(Error::invalid(
                "Another manager of this process uses the new key already.",
                "Build a manager with the new key and use that one.",
            ));
        }
        Ok(managers)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::virtual_clock::VirtualClock;
    use crate::test_support::config::config_with;

    fn settings(merchant: usize) -> Settings {
        let merchant = format!("MCH-COL-TEST-{merchant}");
        let config = config_with(&[
            ("api_key", "sk_test_sandbox_registry"),
            ("merchant_id", merchant.as_str()),
            ("base_url", "http://127.0.0.1:9"),
            ("share", "process"),
        ]);
        config.settings().unwrap()
    }

    /// However many there are, building one more looks at a few.
    #[test]
    fn managers_that_nobody_uses_go_a_few_at_a_time_and_the_others_stay() {
        let clock = Arc::new(VirtualClock::default());
        let mut registry = Registry::default();
        let in_use = settings(0);
        for number in 0..100 {
            let settings = settings(number);
            let merchant = (settings.base_url.clone(), settings.merchant_id.clone());
            let manager = Manager::new(&settings, Clock::Virtual(clock.clone())).unwrap();
            if settings.merchant_id == in_use.merchant_id {
                manager.attach(&settings);
            }
            registry.add(merchant, Arc::new(manager));
        }
        for _ in 0..100 {
            assert!(registry.look().is_empty(), "ten minutes are promised");
        }
        clock.advance(KEPT_UNUSED);
        let mut gone = 0;
        for _ in 0..100_usize.div_ceil(LOOKED_AT) {
            let unused = registry.look().len();
            assert!(unused <= LOOKED_AT);
            gone += unused;
        }
        assert_eq!(gone, 99);
        let merchant = (in_use.base_url.clone(), in_use.merchant_id.clone());
        let kept = registry.find(&merchant, &in_use.api_key).unwrap();
        assert_eq!(registry.merchants.len(), 1);
        kept.detach();
        clock.advance(KEPT_UNUSED);
        assert_eq!(registry.look().len(), 1);
        assert!(registry.merchants.is_empty() && registry.to_look_at.is_empty());
    }
}
