//! The manager: all that a process knows of one set of credentials, shared by every handle and language.
//!
//! Promises: one refresh at a time, on a thread that belongs to no caller; a token in use is renewed before its end; a
//! failed refresh is told once to all who wait and is remembered. Its lock is never held during I/O, waiting or a
//! caller's code.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::json;

use crate::config::Settings;
use crate::config::credentials::{ApiKey, MerchantId};
use crate::config::endpoint::BaseUrl;
use crate::config::link::open_link;
use crate::config::share::Share;
use crate::error::{Error, Result};
use crate::manager::cache::Cache;
use crate::manager::key_ring::Keys;
use crate::manager::refresh_driver::{self, Job};
use crate::manager::shared_tier::Look;
use crate::manager::single_flight::{Flight, GaveUp, Landing};
use crate::manager::token::{Snapshot, Token};
use crate::platform::clock::Clock;
use crate::platform::process::{PerProcess, Process};
use crate::platform::random;
use crate::platform::thread::Uncanceled;
use crate::policy::backoff::Holds;
use crate::policy::expiry::Lifetime;
use crate::policy::outcome::{no_token_in_time, stopped};
use crate::policy::path_backoff::PathHolds;
use crate::policy::rate_limit::Budget;
use crate::policy::rate_limit::over_budget;
use crate::policy::retry::Unauthorized;
use crate::policy::token_response::Class;
use crate::refresh::record::Issue;
use crate::refresh::{COME_BACK, Kept, Key, Ledger, REFRESH_TIME, Refresh, Terms};
use crate::store::Store;
use crate::telemetry::event::{EventName, emit};
use crate::telemetry::stats::{Counters, Stats};
use crate::time::{BootTime, Reading};
use crate::transport::{Link, Proxy, SystemRoots};

/// The first pause after a renewal ahead of the end that could not start.
pub(crate) const RENEWAL_PAUSE: Duration = Duration::from_millis(500);

/// Whoever may not ask looks that often for what others have asked for, while its own token lasts.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Manager {
    pub(crate) id: u64,
    pub(crate) base_url: BaseUrl,
    pub(crate) merchant_id: MerchantId,
    pub(crate) link: Arc<Link>,
    /// Options that are common to all handles.
    pub(crate) shared: SharedSettings,
    pub(crate) clock: Clock,
    pub(crate) cache: Cache,
    /// Replaced under the lock of `state`.
    keys: ArcSwap<Keys>,
    pub(crate) store: Store,
    /// The number of the last token that was kept here. A forked child counts on from it: no number is used twice in a
    /// line of processes, since whoever keeps tokens knows them by it. Changed under the lock of `state`.
    generations: AtomicU64,
    /// When the last token that was dropped was asked for (boot time): none is taken over that is not newer, in a forked
    /// child either. Changed under the lock of `state`.
    dropped: AtomicU64,
    /// A forked child begins without a refresh under way: nothing inherited is locked.
    state: PerProcess<Mutex<State>>,
    paths: PerProcess<Mutex<PathHolds>>,
    pub(crate) counters: Counters,
    /// Of the handle that was built last, in milliseconds.
    pub(crate) connect_timeout: AtomicU64,
    /// Handles that are open, and when the last one was closed or dropped (boot time).
    handles: AtomicUsize,
    idle_since: AtomicU64,
    launch: Launch,
}

/// Hands a refresh to somebody who carries it out, or back.
pub(crate) type Launch = Box<dyn Fn(&Arc<Manager>, Job) -> Result<(), Job> + Send + Sync>;

/// What must be equal in all handles of a manager.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SharedSettings {
    ca_bundle: Option<PathBuf>,
    system_roots: SystemRoots,
    proxy: Option<Proxy>,
    pub(crate) share: Share,
    pub(crate) safety_margin: Duration,
    pub(crate) tokens_per_minute: u32,
    pub(crate) tokens_per_hour: u32,
}

pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) flight: Option<Arc<Flight>>,
    pub(crate) attempts: u64,
    /// The token of which it was told last that it stays in use although it was answered 401.
    kept: Option<u64>,
}

/// Where a caller without a token stands.
pub(crate) enum Boarding {
    Token(Token),
    /// Somebody else is at it.
    Flight(Arc<Flight>),
    /// No thread can be had: the caller does the work.
    Fly(Job),
}

impl SharedSettings {
    fn of(settings: &Settings) -> SharedSettings {
        SharedSettings {
            ca_bundle: settings.ca_bundle.clone(),
            system_roots: settings.system_roots.clone(),
            proxy: settings.proxy.clone(),
            share: settings.share.clone(),
            safety_margin: settings.safety_margin,
            tokens_per_minute: settings.tokens_per_minute,
            tokens_per_hour: settings.tokens_per_hour,
        }
    }
}

impl Manager {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Result<Manager> {
        let store = Store::new(settings, clock.clone());
        Manager::with(settings, clock, store, Box::new(refresh_driver::launch))
    }

    /// With that store, and that way to have a refresh carried out.
    pub(crate) fn with(
        settings: &Settings,
        clock: Clock,
        store: Store,
        launch: Launch,
    ) -> Result<Manager> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let link = open_link(
            &settings.base_url,
            settings.ca_bundle.clone(),
            settings.system_roots.clone(),
            settings.proxy.clone(),
        )?;
        let now = clock.boot();
        Ok(Manager {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            base_url: settings.base_url.clone(),
            merchant_id: settings.merchant_id.clone(),
            link,
            shared: SharedSettings::of(settings),
            cache: Cache::new(clock.clone()),
            store,
            keys: ArcSwap::from_pointee(Keys::new(
                settings.api_key.clone(),
                settings.previous_api_key.clone(),
                now,
            )),
            generations: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            state: PerProcess::new(),
            paths: PerProcess::new(),
            counters: Counters::default(),
            connect_timeout: AtomicU64::new(settings.connect_timeout.as_millis() as u64),
            handles: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now.0),
            launch,
            clock,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let Ok(state) = self.state.get_or_try_make(|| {
            let (per_minute, per_hour) =
                (self.shared.tokens_per_minute, self.shared.tokens_per_hour);
            Ok::<_, Infallible>(Mutex::new(State {
                ledger: Ledger {
                    budget: Budget::new(per_minute, per_hour),
                    holds: Holds::default(),
                },
                flight: None,
                attempts: 0,
                kept: None,
            }))
        });
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths(&self) -> MutexGuard<'_, PathHolds> {
        let Ok(paths) = self
            .paths
            .get_or_try_make(|| Ok::<_, Infallible>(Mutex::default()));
        paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// To be called under the lock of `state`.
    pub(crate) fn set_keys(&self, keys: Keys) {
        self.keys.store(Arc::new(keys));
    }

    // --- Handles -----------------------------------------------------------------------------------------------

    pub(crate) fn has_key(&self, key: &ApiKey) -> bool {
        self.keys().has(key)
    }

    /// That in which `settings` contradicts this manager.
    pub(crate) fn conflict(&self, settings: &Settings) -> Option<&'static str> {
        let (mine, other) = (&self.shared, SharedSettings::of(settings));
        let given = |share: &Share| share.clone().with_system_roots(&SystemRoots::default());
        [
            ("option ca_bundle", mine.ca_bundle == other.ca_bundle),
            ("option proxy", mine.proxy == other.proxy),
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

    pub(crate) fn attach(&self, settings: &Settings) {
        self.handles.fetch_add(1, Ordering::SeqCst);
        self.link.attach();
        self.connect_timeout.store(
            settings.connect_timeout.as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    pub(crate) fn detach(&self) {
        self.idle_since.store(self.clock.boot().0, Ordering::SeqCst);
        self.handles.fetch_sub(1, Ordering::SeqCst);
        self.link.detach();
    }

    /// Whether no handle has been open for that long.
    pub(crate) fn idle_for(&self, time: Duration) -> bool {
        self.handles.load(Ordering::SeqCst) == 0
            && self.clock.boot() >= BootTime(self.idle_since.load(Ordering::SeqCst)).plus(time)
    }

    // --- Tokens ------------------------------------------------------------------------------------------------

    /// The cached token; starts its renewal when that is due.
    #[inline]
    pub(crate) fn cached(self: &Arc<Self>) -> Option<Token> {
        let hit = self.cache.get()?;
        if hit.renew {
            self.renew_ahead();
        }
        Some(hit.token)
    }

    pub(crate) fn peek(&self) -> Option<Token> {
        self.cache.peek()
    }

    /// A token, waiting on this thread. `stop` is asked at least every 50 ms, with nothing locked.
    pub(crate) fn token(
        self: &Arc<Self>,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Token> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let mut waited = false;
        loop {
            if stop() {
                return Err(stopped());
            }
            if Instant::now() >= deadline {
                return Err(no_token_in_time());
            }
            let flight = match self.board()? {
                Boarding::Token(token) => return Ok(token),
                Boarding::Flight(flight) => flight,
                Boarding::Fly(job) => {
                    let (flight, begun_in) = (job.flight.clone(), Process::current());
                    self.fly(job, Some((deadline, stop)));
                    if !begun_in.is_current() {
                        // `stop` has forked, and the flight with its lock is the parent's.
                        return Err(stopped());
                    }
                    flight
                }
            };
            self.counters.waits.add_once(&mut waited);
            if let Some(result) = settled(flight.wait(deadline, stop)) {
                return result;
            }
        }
    }

    /// A token, waiting in a task. Deadline and cancellation are the caller's.
    pub(crate) async fn token_async(self: &Arc<Self>) -> Result<Token> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let mut waited = false;
        loop {
            let flight = match self.board()? {
                Boarding::Token(token) => return Ok(token),
                Boarding::Flight(flight) => flight,
                Boarding::Fly(job) => {
                    let flight = job.flight.clone();
                    self.fly(job, None);
                    flight
                }
            };
            self.counters.waits.add_once(&mut waited);
            if let Some(result) = settled(Ok(flight.landing().await)) {
                return result;
            }
        }
    }

    /// Takes part in the refresh that is under way, or starts one.
    pub(crate) fn board(self: &Arc<Self>) -> Result<Boarding> {
        let under_way = |state: &State| {
            // Somebody may have landed since this caller looked.
            if let Some(token) = self.cache.peek() {
                return Some(Boarding::Token(token));
            }
            state.flight.clone().map(Boarding::Flight)
        };
        if let Some(boarding) = under_way(&self.state()) {
            return Ok(boarding);
        }
        let shared = match self.look() {
            Look::Token(token) => return Ok(Boarding::Token(token)),
            Look::Refused(error) => return Err(error),
            Look::Open | Look::Kept(_) => true,
            Look::Alone => false,
        };
        let job = {
            let mut state = self.state();
            if let Some(boarding) = under_way(&state) {
                return Ok(boarding);
            }
            if !shared && let Some(error) = state.ledger.refusal(self.clock.boot()) {
                return Err(error);
            }
            self.job(&mut state)
        };
        let flight = job.flight.clone();
        Ok(match (self.launch)(self, job) {
            Ok(()) => Boarding::Flight(flight),
            Err(job) => Boarding::Fly(job),
        })
    }

    #[cold]
    fn renew_ahead(self: &Arc<Self>) {
        let _uncanceled = Uncanceled::begin();
        if self.state().flight.is_some() {
            return;
        }
        let look = self.look();
        let job = {
            let mut state = self.state();
            let pause = |error: Error| error.retry_after().unwrap_or_default();
            let later = match look {
                Look::Token(_) => return,
                Look::Refused(error) => Some(pause(error)),
                Look::Kept(again) => {
                    self.cache.renew_later(again.max(RENEWAL_PAUSE));
                    return;
                }
                Look::Open => None,
                Look::Alone => state.ledger.refusal(self.clock.boot()).map(pause),
            };
            if state.flight.is_some() {
                return;
            }
            if let Some(pause) = later {
                self.renew_later(pause);
                return;
            }
            self.job(&mut state)
        };
        if let Err(job) = (self.launch)(self, job) {
            // Nobody waits, so nobody has to do it now.
            self.cache.renew_later(RENEWAL_PAUSE);
            self.ground(&job.flight, Landing::Superseded);
        }
    }

    /// This process may not ask before; others may have a token sooner.
    pub(crate) fn renew_later(&self, pause: Duration) {
        let longest = match self.store.is_shared() {
            true => LOOK_PAUSE,
            false => Duration::MAX,
        };
        self.cache.renew_later(pause.clamp(RENEWAL_PAUSE, longest));
    }

    fn job(&self, state: &mut State) -> Job {
        state.attempts += 1;
        let flight = Arc::new(Flight::new(state.attempts));
        state.flight = Some(flight.clone());
        let keys = self.keys();
        Job {
            refresh: self.refresh(state, &keys),
            keys,
            flight,
        }
    }

    pub(crate) fn refresh(&self, state: &State, keys: &Keys) -> Refresh {
        let now = self.clock.boot();
        let (key, other_key) = keys.begin_with(now);
        let refresh = Refresh::new(state.attempts, now, refresh_limit(), key, other_key);
        if self.store.record(keys.get(Key::Current)).is_none() {
            return refresh;
        }
        refresh.sharing(
            now,
            Terms {
                id: random::number().unwrap_or_default(),
                newest: self.newest(),
                kept: self.kept(now),
                safety_margin: self.shared.safety_margin,
                tokens_per_hour: self.shared.tokens_per_hour,
                fleet: self.store.fleet().is_some(),
            },
        )
    }

    /// The instant at which the newest token that was ever kept here was asked for.
    pub(crate) fn newest(&self) -> BootTime {
        let kept = self.cache.stamp().unwrap_or_default().asked_at;
        kept.max(BootTime(self.dropped.load(Ordering::Relaxed)))
    }

    /// The token that is kept, if it may still be used.
    fn kept(&self, now: BootTime) -> Option<Kept> {
        let token = self.cache.peek()?;
        let snapshot = &token.0.snapshot;
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
            .ok_or_else(|| Error::internal("A checked token does not fit into a header."));
        if issue.apart > 0 {
            // In use, it is what brings this host back to the store.
            let record = self.store.record(self.keys().get(key));
            let ask_at = record.and_then(|record| record.remembered().ask_at);
            let pause = ask_at.map_or(COME_BACK, |at| self.clock.boot().until(at));
            self.cache
                .renew_later(pause.clamp(RENEWAL_PAUSE, COME_BACK));
        }
        token
    }

    pub(crate) fn lifetime(&self, issue: &Issue) -> Lifetime {
        issue.lifetime(self.shared.safety_margin, self.shared.tokens_per_hour)
    }

    /// Ends a flight without a refresh's own result.
    pub(crate) fn ground(&self, flight: &Arc<Flight>, landing: Landing) {
        self.unflight(&mut self.state(), flight);
        flight.land(landing);
    }

    pub(crate) fn unflight(&self, state: &mut State, flight: &Arc<Flight>) {
        if state
            .flight
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, flight))
        {
            state.flight = None;
        }
    }

    // --- Rejected tokens ---------------------------------------------------------------------------------------

    /// Drops the token of that generation, if it is the one that is kept; a newer one stays.
    ///
    /// # Errors
    /// `rate_limited` if the reserve for forced tokens is used up; the token stays then.
    pub(crate) fn invalidate(&self, generation: u64, reason: &str) -> Result<bool> {
        if self.cache.generation() != Some(generation) {
            return Ok(false);
        }
        // Under the lock of `state`. What is dropped is noted first: a child may be forked in between.
        let drop_it = |_: &mut State| {
            let stamp = self.cache.stamp().unwrap_or_default();
            if self.cache.generation() == Some(generation) {
                self.dropped.fetch_max(stamp.asked_at.0, Ordering::Relaxed);
            }
            self.cache.invalidate(generation)
        };
        let changed = self.change(|record, state| {
            if self.cache.generation() != Some(generation) {
                return Ok(false);
            }
            let stamp = self.cache.stamp().unwrap_or_default();
            // A token that has ended, that has a successor or that somebody else has dropped costs nothing to drop.
            let shared = record.as_ref().and_then(|record| record.good());
            let costs = self.cache.peek().is_some()
                && state.flight.is_none()
                && (record.is_none() || shared.is_some_and(|issue| issue.stamp == stamp));
            let now = self.clock.boot();
            // All hosts that drop this token force one new one together.
            let id = stamp.id as u32;
            let budget = &mut state.ledger.budget;
            if costs && let Err(refusal) = budget.force(now, id) {
                return Err(over_budget(budget, now, refusal));
            }
            if let Some(record) = record.filter(|_| costs) {
                record.rejected = Some(stamp.id);
            }
            Ok(drop_it(state))
        })?;
        let dropped = changed.unwrap_or_else(|| drop_it(&mut self.state()));
        if !dropped {
            return Ok(false);
        }
        emit(
            EventName::TokenInvalidated,
            self.id,
            || json!({"generation": generation, "reason": reason}),
        );
        Ok(dropped)
    }

    /// A call with that generation was answered 401: it is sent again with another token.
    ///
    /// # Errors
    /// Why there is no other one, and none may be asked for.
    pub(crate) fn answered_401(&self, path: &str, generation: u64) -> Result<(), Unauthorized> {
        // A newer token is there, or somebody else has dropped this one: neither costs one more.
        if self.cache.generation() != Some(generation) {
            return Ok(());
        }
        if let Look::Token(_) = self.look() {
            return Ok(());
        }
        if !self.paths().may_force(path, self.clock.boot()) {
            return Err(Unauthorized::ByPath);
        }
        let invalidated = self.invalidate(generation, "answered 401");
        invalidated.map(drop).map_err(|error| {
            let pause = error.retry_after().unwrap_or_default();
            if self.state().kept.replace(generation) != Some(generation) {
                emit(
                    EventName::TokenKept,
                    self.id,
                    || json!({"generation": generation, "message": error.message(), "pause": pause.as_secs_f64()}),
                );
            }
            Unauthorized::Kept(pause)
        })
    }

    pub(crate) fn answered_401_again(&self, path: &str) {
        self.paths().rejected_again(path, self.clock.boot());
    }

    pub(crate) fn answered_otherwise(&self, path: &str) {
        self.paths().answered(path);
    }

    // --- Keys --------------------------------------------------------------------------------------------------

    /// Replaces the key. Tokens that were handed out live on; what is held against the old key is forgotten.
    pub(crate) fn rotate(&self, key: ApiKey, keep_old: bool) {
        let flight = {
            let mut state = self.state();
            let Some(keys) = self.keys().rotated(key, keep_old, self.clock.boot()) else {
                return;
            };
            self.set_keys(keys);
            let keys = self.keys();
            self.store.keep(|key| keys.has(key));
            state.ledger.holds.clear();
            state.ledger.budget.forget_told();
            let flight = state.flight.take();
            if flight.is_some() {
                // It may have been the renewal of a token that is still in use.
                self.cache.renew_later(Duration::ZERO);
            }
            flight
        };
        // That others were told the new key is wrong may be why it is set again. Where that cannot be changed it ends soon.
        let _: Result<Option<()>> = self.change(|record, _| {
            if let Some(record) = record {
                let hold = record.hold.take();
                record.hold = hold.filter(|hold| hold.class != Class::Unauthorized);
            }
            Ok(())
        });
        emit(
            EventName::KeyRotated,
            self.id,
            || json!({"keep_old": keep_old}),
        );
        if let Some(flight) = flight {
            flight.land(Landing::Superseded);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        // What is shared counts, not what this process has seen of it last.
        let _: Look = self.look();
        let now = self.clock.boot();
        let token = self.cache.peek();
        let (share, share_path, share_degraded) = self.store.status();
        let (store, store_degraded, hosts) = self.store.fleet_status(self.keys().get(Key::Current));
        let state = self.state();
        Stats {
            share,
            share_path,
            share_degraded,
            store,
            store_degraded,
            hosts,
            tokens_shared: self.counters.shared.get(),
            manager_id: self.id,
            hits: self.cache.hits(),
            waits: self.counters.waits.get(),
            refreshes: state.attempts,
            tokens_issued: self.counters.issued.get(),
            refreshes_failed: self.counters.failed.get(),
            calls: self.counters.calls.get(),
            calls_repeated: self.counters.calls_repeated.get(),
            calls_failed: self.counters.calls_failed.get(),
            calls_answered: self.counters.calls_answered(),
            generation: token.as_ref().map_or(0, Token::generation),
            token_age: token
                .as_ref()
                .map(|token| token.0.snapshot.stamp.asked_at.until(now)),
            token_valid_for: token.as_ref().map_or(Duration::ZERO, Token::valid_for),
            budget_left: state.ledger.budget.left(now),
            budget_split: state.ledger.budget.hosts(),
            hold: state.ledger.holds.current(now),
        }
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

/// What a wait means to the caller; `None` to look again.
pub(crate) fn settled(waited: Result<Landing, GaveUp>) -> Option<Result<Token>> {
    match waited {
        // The machine may have slept while the answer was on its way.
        Ok(Landing::Token(token)) if token.valid_for().is_zero() => None,
        Ok(Landing::Token(token)) => Some(Ok(token)),
        Ok(Landing::Failed(error)) => Some(Err(error)),
        Ok(Landing::Superseded) => None,
        Err(GaveUp::Deadline) => Some(Err(no_token_in_time())),
        Err(GaveUp::Stopped) => Some(Err(stopped())),
    }
}
