//! The account: what a process knows of one set of credentials, and what those who refresh its token share.
//!
//! Promises: what is kept is newer than what was kept before; no number of a token is used twice. Its lock is never held
//! during I/O, waiting or a caller's code.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::link::open_link;
use crate::config::settings::Settings;
use crate::config::share::Share;
use crate::error::{Result, internal};
use crate::manager::cache::Cache;
use crate::manager::key_ring::Keys;
use crate::manager::single_flight::{Completion, SingleFlight};
use crate::manager::token::{Snapshot, Token};
use crate::platform::clock::Clock;
use crate::platform::process::PerProcess;
use crate::platform::random;
use crate::policy::expiry::Lifetime;
use crate::policy::rate_limit::Counts;
use crate::refresh::record::{Issue, Stamp};
use crate::refresh::{COME_BACK, Context, Kept, Key, Ledger, REFRESH_TIME, Refresh};
use crate::store::Store;
use crate::telemetry::stats::Counters;
use crate::time::{BootTime, Reading};
use crate::transport::{Link, Proxy, SystemRoots};

/// The first pause after a renewal ahead of the end that could not start.
pub(crate) const RENEWAL_PAUSE: Duration = Duration::from_millis(500);

/// Whoever may not ask looks that often for what others have asked for, while its own token lasts.
const PEEK_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) base_url: BaseUrl,
    pub(crate) merchant_id: MerchantId,
    pub(crate) link: Arc<Link>,
    /// Options that are common to all handles.
    pub(crate) settings: SharedSettings,
    pub(crate) clock: Clock,
    pub(crate) cache: Cache,
    /// Replaced under the lock of `state`.
    keys: ArcSwap<Keys>,
    pub(crate) store: Store,
    /// The number of the last token that was kept here. A forked child counts on from it: no number is used twice in a
    /// line of processes, since whoever keeps tokens knows them by it. Changed under the lock of `state`.
    generations: AtomicU64,
    /// The last token that was dropped here, and when it was asked for (boot time): neither it nor an older one is taken
    /// over again, in a forked child either. It is known by its number, since one that is read twice from a store may seem
    /// to be of two instants. Changed under the lock of `state`.
    dropped: AtomicU64,
    dropped_at: AtomicU64,
    /// A forked child begins without a refresh under way: nothing inherited is locked.
    state: PerProcess<Mutex<State>>,
    pub(crate) counters: Counters,
    /// Of the handle that was built last, in milliseconds.
    pub(crate) connect_timeout: AtomicU64,
    pub(crate) launch: Launch,
}

/// Hands a refresh to somebody who carries it out, or back.
pub(crate) type Launch = Box<dyn Fn(&Arc<Account>, Job) -> Result<(), Job> + Send + Sync>;

/// What must be equal in all handles of a manager.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SharedSettings {
    ca_bundle: Option<PathBuf>,
    system_roots: SystemRoots,
    proxy: Option<Proxy>,
    max_connections: usize,
    pub(crate) share: Share,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_minute: u32,
    pub(crate) tokens_per_hour: u32,
}

pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) flight: Option<Arc<SingleFlight>>,
    pub(crate) attempts: u64,
    /// The token of which it was told last that it stays in use although it was answered 401.
    pub(crate) kept: Option<u64>,
}

/// A refresh that somebody has to carry out.
pub(crate) struct Job {
    pub(crate) flight: Arc<SingleFlight>,
    /// As they were when it began.
    pub(crate) keys: Arc<Keys>,
    pub(crate) refresh: Box<Refresh>,
}

impl SharedSettings {
    pub(crate) fn of(settings: &Settings) -> SharedSettings {
        SharedSettings {
            ca_bundle: settings.ca_bundle.clone(),
            system_roots: settings.system_roots.clone(),
            proxy: settings.proxy.clone(),
            max_connections: settings.max_connections,
            share: settings.share.clone(),
            safety_margin: settings.safety_margin,
            tokens_per_minute: settings.tokens_per_minute,
            tokens_per_hour: settings.tokens_per_hour,
        }
    }

    /// An empty one, with the limits that are set.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::new(self.tokens_per_minute, self.tokens_per_hour)
    }

    /// That in which they contradict `other`.
    pub(crate) fn conflict(&self, other: &SharedSettings) -> Option<&'static str> {
        let mine = self;
        let given = |share: &Share| share.clone().with_system_roots(&SystemRoots::default());
        [
            ("option ca_bundle", mine.ca_bundle == other.ca_bundle),
            ("option proxy", mine.proxy == other.proxy),
            (
                "option max_connections",
                mine.max_connections == other.max_connections,
            ),
            ("option share", given(&mine.share) == given(&other.share)),
            (
                "option safety_margin",
                mine.safety_margin == other.safety_margin,
            ),
            (
                "option tokens_per_minute",
                mine.tokens_per_minute == other.tokens_per_minute,
            ),
            (
                "option tokens_per_hour",
                mine.tokens_per_hour == other.tokens_per_hour,
            ),
            // No option is another one, so it is what 88Pay, or a store alone, is trusted by.
            (
                "environment variable SSL_CERT_FILE or SSL_CERT_DIR",
                mine.system_roots == other.system_roots && mine.share == other.share,
            ),
        ]
        .into_iter()
        .find_map(|(name, equal)| (!equal).then_some(name))
    }
}

impl Account {
    /// With that store, and that way to have a refresh carried out.
    ///
    /// # Errors
    /// `config_invalid` for certificates that cannot be used.
    pub(crate) fn new(
        settings: &Settings,
        clock: Clock,
        store: Store,
        launch: Launch,
    ) -> Result<Account> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let link = open_link(
            &settings.base_url,
            settings.ca_bundle.clone(),
            settings.system_roots.clone(),
            settings.proxy.clone(),
            settings.max_connections,
        )?;
        Ok(Account {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            base_url: settings.base_url.clone(),
            merchant_id: settings.merchant_id.clone(),
            link,
            settings: SharedSettings::of(settings),
            cache: Cache::new(clock.clone()),
            store,
            keys: ArcSwap::from_pointee(Keys::new(
                settings.api_key.clone(),
                settings.previous_api_key.clone(),
                clock.boot(),
            )),
            generations: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dropped_at: AtomicU64::new(0),
            state: PerProcess::new(),
            counters: Counters::default(),
            connect_timeout: AtomicU64::new(settings.connect_timeout.as_millis() as u64),
            launch,
            clock,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock_or_make(|| State {
            ledger: self.settings.ledger(),
            flight: None,
            attempts: 0,
            kept: None,
        })
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// To be called under the lock of `state`.
    pub(crate) fn set_keys(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
    }

    /// What was spent on the other key: it counts for `key` too.
    pub(crate) fn spent_on_other(&self, keys: &Keys, key: Key) -> Counts {
        keys.other(key)
            .map(|other| self.spent_on(other))
            .unwrap_or_default()
    }

    /// What was spent on that key, as it counts for another one.
    pub(crate) fn spent_on(&self, key: &ApiKey) -> Counts {
        self.store.record(key).counts().for_other_key()
    }

    /// Counts for the current key what was spent on another one. To be called under the lock of `state`.
    pub(crate) fn count(&self, spent: &Counts) {
        self.store
            .record(self.keys().get(Key::Current))
            .count(spent);
    }

    /// Forgets that the current key was not accepted.
    pub(crate) fn forget_fallback(&self) {
        let _state = self.state();
        if let Some(keys) = self.keys().untried() {
            self.set_keys(keys);
        }
    }

    /// This process may not ask before; others may have a token sooner.
    pub(crate) fn renew_later(&self, pause: Duration) {
        self.cache
            .renew_later(pause.clamp(RENEWAL_PAUSE, PEEK_PAUSE));
    }

    pub(crate) fn job(&self, state: &mut State) -> Job {
        state.attempts += 1;
        let flight = Arc::new(SingleFlight::new(state.attempts));
        state.flight = Some(flight.clone());
        let keys = self.keys();
        Job {
            refresh: Box::new(self.refresh(state, &keys)),
            keys,
            flight,
        }
    }

    pub(crate) fn refresh(&self, state: &State, keys: &Keys) -> Refresh {
        let now = self.clock.boot();
        let (key, other_key) = keys.begin_with(now);
        let context = Context {
            id: random::number().unwrap_or_default(),
            newest: self.newest(),
            dropped: self.dropped(),
            kept: self.kept(now),
            safety_margin: self.settings.safety_margin,
            tokens_per_hour: self.settings.tokens_per_hour,
            fleet: self.store.fleet().is_some(),
            limit: refresh_limit(),
        };
        Refresh::new(state.attempts, now, key, other_key, context)
    }

    /// The instant at which the newest token that was ever kept here was asked for.
    pub(crate) fn newest(&self) -> BootTime {
        let kept = self.cache.stamp().unwrap_or_default().asked_at;
        kept.max(BootTime(self.dropped_at.load(Ordering::Relaxed)))
    }

    /// The token that was dropped here last.
    fn dropped(&self) -> Option<u64> {
        Some(self.dropped.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }

    /// Whether it is newer than any that was ever kept here. To be called under the lock of `state`.
    pub(crate) fn is_new(&self, stamp: Stamp) -> bool {
        stamp.asked_at > self.newest() && Some(stamp.id) != self.dropped()
    }

    /// The token that is kept, if it may still be used.
    fn kept(&self, now: BootTime) -> Option<Kept> {
        let token = self.cache.peek()?;
        let snapshot = &*token.0;
        let asked_at = snapshot.stamp.asked_at;
        Some(Kept {
            id: snapshot.stamp.id,
            due: asked_at.plus(snapshot.lifetime.renew),
            end: now.plus(token.valid_for()),
        })
    }

    /// Keeps a token that `key` was granted, asked for at that reading. To be called under the lock of `state`.
    pub(crate) fn publish(&self, issue: &Issue, key: Key, asked_at: Reading) -> Result<Token> {
        let lifetime = self.lifetime(issue);
        if let Some(keys) = self.keys().accepted(key, self.clock.boot()) {
            self.set_keys(keys);
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let clock = self.clock.clone();
        let token = Snapshot::new(generation, &issue.grant, lifetime, asked_at, clock)
            .map(|snapshot| self.cache.publish(snapshot.stamped(issue.stamp)))
            .ok_or_else(|| internal("A checked token does not fit into a header."));
        if issue.budget_shares > 0 {
            // In use, it is what brings this host back to the store.
            let record = self.store.record(self.keys().get(key));
            let ask_at = record.remembered().ask_at;
            let pause = ask_at.map_or(COME_BACK, |at| self.clock.boot().until(at));
            self.cache
                .renew_later(pause.clamp(RENEWAL_PAUSE, COME_BACK));
        }
        token
    }

    pub(crate) fn lifetime(&self, issue: &Issue) -> Lifetime {
        issue.lifetime(self.settings.safety_margin, self.settings.tokens_per_hour)
    }

    /// Ends a flight without a refresh's own result.
    pub(crate) fn abort(&self, flight: &Arc<SingleFlight>, completion: Completion) {
        self.forget_flight(&mut self.state(), flight);
        flight.complete(completion);
    }

    pub(crate) fn forget_flight(&self, state: &mut State, flight: &Arc<SingleFlight>) {
        if state
            .flight
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, flight))
        {
            state.flight = None;
        }
    }

    /// Drops the token if it is of that generation; says whether it was. To be called under the lock of `state`.
    pub(crate) fn drop_token(&self, generation: u64) -> bool {
        // It is noted first: a child may be forked in between.
        let stamp = self.cache.stamp().unwrap_or_default();
        if self.cache.generation() == Some(generation) {
            self.dropped_at
                .fetch_max(stamp.asked_at.0, Ordering::Relaxed);
            self.dropped.store(stamp.id, Ordering::Relaxed);
        }
        self.cache.invalidate(generation)
    }
}

/// How long a refresh may take.
fn refresh_limit() -> Duration {
    #[cfg(feature = "test-hooks")]
    if let Some(shorter) = crate::platform::fault_injection::refresh_time() {
        return shorter;
    }
    REFRESH_TIME
}
