//! One manager per process and credentials.
//!
//! A manager is found by base URL, merchant and key (the current or the previous one). It is kept while a handle
//! is open and 10 minutes longer, looked at when another is built; there is no timer. Without an open handle it gives way to
//! a manager with other options.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::config::Settings;
use crate::config::credentials::ApiKey;
use crate::error::{Error, Result};
use crate::manager::manager::Manager;
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;

const KEPT_UNUSED: Duration = Duration::from_secs(600);

type Managers = Mutex<Vec<Arc<Manager>>>;

static MANAGERS: PerProcess<Managers> = PerProcess::new();

fn managers() -> MutexGuard<'static, Vec<Arc<Manager>>> {
    MANAGERS.lock()
}

/// The manager of these settings, with one handle more.
pub(crate) fn attach(settings: &Settings, clock: Clock) -> Result<Arc<Manager>> {
    let find = |managers: &[Arc<Manager>], key: &ApiKey| {
        managers
            .iter()
            .find(|manager| same_account(manager, settings) && manager.account.keys().has(key))
            .cloned()
    };
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
    {
        let mut managers = managers();
        // One that nobody holds gives way to other options.
        managers.retain(|manager| {
            let in_the_way =
                || same_account(manager, settings) && manager.conflict(settings).is_some();
            !manager.idle_for(Duration::ZERO) || !manager.idle_for(KEPT_UNUSED) && !in_the_way()
        });
        if let Some(manager) = find(&managers, &settings.api_key) {
            return take(manager);
        }
        // The manager of the key that this one replaces goes on with the new key.
        if let Some(manager) = settings
            .previous_api_key
            .as_ref()
            .and_then(|key| find(&managers, key))
        {
            let manager = take(manager)?;
            manager.rotate(settings.api_key.clone(), true);
            return Ok(manager);
        }
    }
    // Reads certificates, so not under the lock.
    let made = Arc::new(Manager::new(settings, clock)?);
    let mut managers = managers();
    if let Some(first) = find(&managers, &settings.api_key) {
        return take(first);
    }
    made.attach(settings);
    managers.push(made.clone());
    Ok(made)
}

/// Changes the key of a manager, unless another manager has that key already.
pub(crate) fn rotate(manager: &Arc<Manager>, key: ApiKey, keep_old: bool) -> Result<()> {
    let managers = managers();
    let taken = managers.iter().any(|other| {
        !Arc::ptr_eq(other, manager)
            && other.account.base_url == manager.account.base_url
            && other.account.merchant_id == manager.account.merchant_id
            && other.account.keys().has(&key)
    });
    if taken {
        return Err(Error::invalid(
            "Another manager of this process uses the new key already.",
            "Build a manager with the new key and use that one.",
        ));
    }
    manager.rotate(key, keep_old);
    Ok(())
}

fn same_account(manager: &Manager, settings: &Settings) -> bool {
    let account = &manager.account;
    account.base_url == settings.base_url && account.merchant_id == settings.merchant_id
}
