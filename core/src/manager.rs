//! The manager: all that a process knows of one set of credentials, shared by every handle and language.
//!
//! Promises: one refresh at a time, on a thread that belongs to no caller; a token in use is renewed before its end; a
//! failed refresh is told once to all who wait and is remembered. Its lock is never held during I/O, waiting or a
//! caller's code.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use crate::budget::{Budget, Refusal};
use crate::cache::Cache;
use crate::clock::{BootTime, Clock, Reading};
use crate::config::Settings;
use crate::credentials::{ApiKey, MerchantId};
use crate::endpoint::BaseUrl;
use crate::error::{Error, ErrorCode, Result};
use crate::event::{EventName, emit};
use crate::flight::{Flight, GaveUp, Landing};
use crate::grant::{Grant, MAX_TOKEN_ANSWER, RateLimit, Rejection};
use crate::hold::Holds;
use crate::lifetime::Lifetime;
use crate::path_hold::PathHolds;
use crate::reach::open_link;
use crate::refresh::{Action, Finish, Input, Key, Ledger, Refresh, over_budget};
use crate::stats::{Counters, Stats};
use crate::token::{Snapshot, Token};
use crate::transport::{self, Limits, Link};
use crate::{random, thread};

/// A replaced key works 24 hours longer (88Pay documentation, "Key Rotation Policy").
const OLD_KEY_TIME: Duration = Duration::from_secs(24 * 3600);

/// While the previous key is in use, the new one is tried again this often.
const NEW_KEY_TRIED_EVERY: Duration = Duration::from_secs(300);

/// A thread that sends a token request needs little; TLS needs most of it.
const STACK: usize = 512 * 1024;

/// Token requests come a minute apart, so a connection that is kept for calls rarely serves one.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// The first pause after a renewal ahead of the end that could not start.
const RENEWAL_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Manager {
    pub(crate) id: u64,
    pub(crate) base_url: BaseUrl,
    pub(crate) merchant_id: MerchantId,
    pub(crate) link: Arc<Link>,
    /// Options that are common to all handles.
    shared: SharedSettings,
    clock: Clock,
    cache: Cache,
    state: Mutex<State>,
    paths: Mutex<PathHolds>,
    pub(crate) counters: Counters,
    /// Of the handle that was built last, in milliseconds.
    connect_timeout: AtomicU64,
    /// Handles alive, and when the last one was let go (boot time).
    handles: AtomicUsize,
    idle_since: AtomicU64,
}

/// What must be equal in all handles of a manager.
#[derive(Clone, Debug, PartialEq)]
struct SharedSettings {
    ca_bundle: Option<PathBuf>,
    proxy: Option<transport::Proxy>,
    share: String,
    safety_margin: Duration,
    tokens_per_minute: u32,
    tokens_per_hour: u32,
}

struct State {
    ledger: Ledger,
    keys: Keys,
    flight: Option<Arc<Flight>>,
    attempts: u64,
    generations: u64,
}

struct Keys {
    current: ApiKey,
    /// The key before it, and until when it is used.
    previous: Option<(ApiKey, BootTime)>,
    /// Changes with every rotation: a refresh of an earlier epoch publishes nothing.
    epoch: u64,
    /// Until then the previous key is tried first.
    prefer_previous: Option<BootTime>,
}

/// A refresh that somebody has to carry out.
pub(crate) struct Job {
    pub(crate) flight: Arc<Flight>,
    epoch: u64,
    refresh: Refresh,
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
        static IDS: AtomicU64 = AtomicU64::new(1);
        let link = open_link(
            &settings.base_url,
            settings.ca_bundle.clone(),
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
            state: Mutex::new(State {
                ledger: Ledger {
                    budget: Budget::new(settings.tokens_per_minute, settings.tokens_per_hour),
                    holds: Holds::default(),
                },
                keys: Keys {
                    current: settings.api_key.clone(),
                    previous: settings
                        .previous_api_key
                        .clone()
                        .map(|key| (key, now.plus(OLD_KEY_TIME))),
                    epoch: 0,
                    prefer_previous: None,
                },
                flight: None,
                attempts: 0,
                generations: 0,
            }),
            paths: Mutex::default(),
            counters: Counters::default(),
            connect_timeout: AtomicU64::new(settings.connect_timeout.as_millis() as u64),
            handles: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now.0),
            clock,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths(&self) -> MutexGuard<'_, PathHolds> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- Handles -----------------------------------------------------------------------------------------------

    pub(crate) fn has_key(&self, key: &ApiKey) -> bool {
        let state = self.state();
        state.keys.current == *key
            || state
                .keys
                .previous
                .as_ref()
                .is_some_and(|(previous, _)| previous == key)
    }

    /// The option in which `settings` contradicts this manager.
    pub(crate) fn conflict(&self, settings: &Settings) -> Option<&'static str> {
        let (mine, other) = (&self.shared, SharedSettings::of(settings));
        [
            ("ca_bundle", mine.ca_bundle == other.ca_bundle),
            ("proxy", mine.proxy == other.proxy),
            ("share", mine.share == other.share),
            ("safety_margin", mine.safety_margin == other.safety_margin),
            (
                "tokens_per_minute",
                mine.tokens_per_minute == other.tokens_per_minute,
            ),
            (
                "tokens_per_hour",
                mine.tokens_per_hour == other.tokens_per_hour,
            ),
        ]
        .into_iter()
        .find_map(|(name, equal)| (!equal).then_some(name))
    }

    pub(crate) fn attach(&self, settings: &Settings) {
        self.handles.fetch_add(1, Ordering::SeqCst);
        self.connect_timeout.store(
            settings.connect_timeout.as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    pub(crate) fn detach(&self) {
        self.idle_since.store(self.clock.boot().0, Ordering::SeqCst);
        self.handles.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether no handle has existed for that long.
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
        self.counters.waits.add();
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
                    let flight = job.flight.clone();
                    self.fly(job, Some((deadline, stop)));
                    flight
                }
            };
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
        self.counters.waits.add();
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
            if let Some(result) = settled(Ok(flight.landing().await)) {
                return result;
            }
        }
    }

    /// Takes part in the refresh that is under way, or starts one.
    fn board(self: &Arc<Self>) -> Result<Boarding> {
        let job = {
            let mut state = self.state();
            // Somebody may have landed since this caller looked.
            if let Some(token) = self.cache.peek() {
                return Ok(Boarding::Token(token));
            }
            if let Some(flight) = &state.flight {
                return Ok(Boarding::Flight(flight.clone()));
            }
            if let Some(error) = state.ledger.refusal(self.clock.boot()) {
                return Err(error);
            }
            self.job(&mut state)
        };
        let flight = job.flight.clone();
        Ok(match self.launch(job) {
            Ok(()) => Boarding::Flight(flight),
            Err(job) => Boarding::Fly(job),
        })
    }

    #[cold]
    fn renew_ahead(self: &Arc<Self>) {
        let job = {
            let mut state = self.state();
            if state.flight.is_some() {
                return;
            }
            let now = self.clock.boot();
            let refused = state.ledger.refusal(now);
            if let Some(pause) = refused.map(|error| error.retry_after().unwrap_or_default()) {
                self.cache.renew_later(pause.max(RENEWAL_PAUSE));
                return;
            }
            self.job(&mut state)
        };
        if let Err(job) = self.launch(job) {
            // Nobody waits, so nobody has to do it now.
            self.cache.renew_later(RENEWAL_PAUSE);
            self.ground(&job.flight, Landing::Superseded);
        }
    }

    fn job(&self, state: &mut State) -> Job {
        let now = self.clock.boot();
        state.attempts += 1;
        state.keys.previous = state.keys.previous.take().filter(|(_, until)| now < *until);
        let other_key = state.keys.previous.is_some();
        let key = match state.keys.prefer_previous {
            Some(until) if other_key && now < until => Key::Previous,
            _ => Key::Current,
        };
        let flight = Arc::new(Flight::new(state.attempts));
        state.flight = Some(flight.clone());
        Job {
            epoch: state.keys.epoch,
            refresh: Refresh::new(flight.attempt, now, key, other_key),
            flight,
        }
    }

    /// Hands the job to a thread of its own, or back.
    fn launch(self: &Arc<Self>, job: Job) -> Result<(), Job> {
        // The closure is lost with a spawn that fails, so the job waits in a place that both can reach.
        let place = Arc::new(Mutex::new(Some(job)));
        let take = |place: &Mutex<Option<Job>>| {
            place.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let (manager, theirs) = (self.clone(), place.clone());
        let spawned = thread::spawn_quiet("pay88-refresh", STACK, move || {
            if let Some(job) = take(&theirs) {
                manager.fly(job, None);
            }
        });
        match spawned {
            Ok(()) => Ok(()),
            Err(_) => match take(&place) {
                Some(job) => Err(job),
                None => Ok(()),
            },
        }
    }

    /// Carries a refresh out on this thread. With `patience` the thread is a caller's, which may give up.
    fn fly(self: &Arc<Self>, mut job: Job, patience: Option<(Instant, &dyn Fn() -> bool)>) {
        /// Lands the flight even if this thread panics.
        struct Landed<'a>(&'a Manager, Arc<Flight>);
        impl Drop for Landed<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.ground(
                        &self.1,
                        Landing::Failed(Error::internal("The token refresh panicked.")),
                    );
                }
            }
        }
        let _landed = Landed(self, job.flight.clone());
        let interrupted =
            || patience.is_some_and(|(deadline, stop)| Instant::now() >= deadline || stop());
        let begun = Instant::now();
        let mut asked_at = self.clock.reading();
        let mut input = Input::Start;
        loop {
            let action = {
                let mut state = self.state();
                if state.keys.epoch != job.epoch {
                    // The rotation has landed the flight.
                    return;
                }
                job.refresh.step(
                    &mut state.ledger,
                    self.clock.boot(),
                    random::fraction(),
                    input,
                )
            };
            input = match action {
                Action::Send { key, within } => {
                    asked_at = self.clock.reading();
                    let (result, told) = self.ask(job.epoch, key, within, patience);
                    if let Err(rejection) = &result
                        && interrupted()
                    {
                        // This caller goes; the next one who waits flies on.
                        job.refresh
                            .settle(&mut self.state().ledger, rejection.unsent);
                        return self.ground(&job.flight, Landing::Superseded);
                    }
                    Input::Answer(result, told)
                }
                Action::Pause(pause) => {
                    let until = Instant::now() + pause;
                    while Instant::now() < until && !interrupted() {
                        std::thread::sleep(
                            crate::flight::SLICE
                                .min(until.saturating_duration_since(Instant::now())),
                        );
                    }
                    Input::PauseOver
                }
                Action::Finish(finish) => return self.finish(&job, finish, asked_at, begun),
            };
        }
    }

    /// One token request.
    fn ask(
        &self,
        epoch: u64,
        key: Key,
        within: Duration,
        patience: Option<(Instant, &dyn Fn() -> bool)>,
    ) -> (Result<Grant, Rejection>, Option<RateLimit>) {
        let key = {
            let state = self.state();
            match (key, &state.keys.previous) {
                (Key::Previous, Some((previous, _))) if state.keys.epoch == epoch => {
                    previous.clone()
                }
                _ => state.keys.current.clone(),
            }
        };
        let mut headers = HeaderMap::with_capacity(4);
        let merchant = HeaderValue::from_str(self.merchant_id.as_str()).ok();
        if let (Some(key), Some(merchant)) = (key.secret().header(), merchant) {
            headers.insert("x-api-key", key);
            headers.insert("x-merchant-id", merchant);
        }
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("pay88/", env!("CARGO_PKG_VERSION"))),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let mut deadline = Instant::now() + within;
        if let Some((patience, _)) = patience {
            deadline = deadline.min(patience);
        }
        let target = self.base_url.token_target();
        let request = transport::Request {
            method: &Method::POST,
            target: target.as_str(),
            headers: &headers,
            body: Bytes::new(),
            keep_secret: true,
        };
        let limits = Limits {
            deadline,
            connect_timeout: Duration::from_millis(self.connect_timeout.load(Ordering::Relaxed)),
            idle_timeout: IDLE_TIME,
            max_response_bytes: MAX_TOKEN_ANSWER,
            interrupt: patience.map(|(_, stop)| stop),
        };
        match self.link.exchange(request, &limits, &mut |_| {}) {
            Ok(answer) => {
                let told = RateLimit::of(&answer.headers);
                (Grant::read(answer), told)
            }
            Err(failure) => (Err(Rejection::from(failure)), None),
        }
    }

    fn finish(&self, job: &Job, finish: Finish, asked_at: Reading, begun: Instant) {
        let attempt = job.flight.attempt;
        let now = self.clock.boot();
        let mut state = self.state();
        if state.keys.epoch != job.epoch {
            return;
        }
        let landing = match finish {
            Finish::Granted { grant, key } => {
                let lifetime = Lifetime::derive(
                    Duration::from_secs(grant.expires_in),
                    self.shared.safety_margin,
                    self.shared.tokens_per_hour,
                );
                state.keys.note_accepted(key, now);
                state.generations += 1;
                let generation = state.generations;
                match Snapshot::new(generation, &grant, lifetime, asked_at, self.clock.clone()) {
                    Some(snapshot) => {
                        let token = self.cache.publish(snapshot);
                        self.counters.issued.add();
                        self.tell_issued(&grant, key, lifetime, generation, attempt, begun);
                        Landing::Token(token)
                    }
                    None => Landing::Failed(Error::internal(
                        "A checked token does not fit into a header.",
                    )),
                }
            }
            Finish::Failed {
                error,
                held,
                capped,
            } => {
                self.counters.failed.add();
                let pause = error.retry_after().unwrap_or_default();
                self.cache.renew_later(pause.max(RENEWAL_PAUSE));
                emit(EventName::TokenFailed, self.id, || {
                    json!({
                        "code": error.code().name(), "message": error.message(), "attempt": attempt,
                        "hold": held.map(|(class, _)| class.name()), "pause": pause.as_secs_f64(),
                    })
                });
                if capped {
                    emit(
                        EventName::PauseCapped,
                        self.id,
                        || json!({"pause": pause.as_secs_f64()}),
                    );
                }
                Landing::Failed(error)
            }
        };
        self.unflight(&mut state, &job.flight);
        drop(state);
        job.flight.land(landing);
    }

    fn tell_issued(
        &self,
        grant: &Grant,
        key: Key,
        lifetime: Lifetime,
        generation: u64,
        attempt: u64,
        begun: Instant,
    ) {
        let (expires_in, usable) = (grant.expires_in, lifetime.usable.as_secs_f64());
        emit(EventName::TokenIssued, self.id, || {
            json!({
                "generation": generation, "attempt": attempt, "expires_in": expires_in, "usable": usable,
                "took": begun.elapsed().as_millis() as u64,
            })
        });
        if lifetime.stretched {
            emit(
                EventName::LifeShort,
                self.id,
                || json!({"expires_in": expires_in, "usable": usable}),
            );
        }
        if key == Key::Previous {
            emit(
                EventName::KeyFallback,
                self.id,
                || json!({"attempt": attempt}),
            );
        }
    }

    /// Ends a flight without a refresh's own result.
    fn ground(&self, flight: &Arc<Flight>, landing: Landing) {
        self.unflight(&mut self.state(), flight);
        flight.land(landing);
    }

    fn unflight(&self, state: &mut State, flight: &Arc<Flight>) {
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
        let mut state = self.state();
        if self.cache.generation() != Some(generation) {
            return Ok(false);
        }
        let now = self.clock.boot();
        // A token that has ended, or whose successor is on its way, costs nothing to drop.
        if self.cache.peek().is_some()
            && state.flight.is_none()
            && let Err(refusal) = state.ledger.budget.force(now)
        {
            return Err(self.over(&state, now, refusal));
        }
        let dropped = self.cache.invalidate(generation);
        drop(state);
        emit(
            EventName::TokenInvalidated,
            self.id,
            || json!({"generation": generation, "reason": reason}),
        );
        Ok(dropped)
    }

    /// A call with that generation was answered 401: whether to send it again with another token.
    pub(crate) fn answered_401(&self, path: &str, generation: u64) -> bool {
        if self
            .cache
            .generation()
            .is_some_and(|kept| kept > generation)
        {
            return true;
        }
        if !self.paths().may_force(path, self.clock.boot()) {
            return false;
        }
        self.invalidate(generation, "answered 401").is_ok()
    }

    pub(crate) fn answered_401_again(&self, path: &str) {
        self.paths().rejected_again(path, self.clock.boot());
    }

    pub(crate) fn answered_otherwise(&self, path: &str) {
        self.paths().answered(path);
    }

    fn over(&self, state: &State, now: BootTime, refusal: Refusal) -> Error {
        over_budget(&state.ledger.budget, now, refusal)
    }

    // --- Keys --------------------------------------------------------------------------------------------------

    /// Replaces the key. Tokens that were handed out live on; what is held against the old key is forgotten.
    pub(crate) fn rotate(&self, key: ApiKey, keep_old: bool) {
        let flight = {
            let mut state = self.state();
            if state.keys.current == key {
                return;
            }
            let now = self.clock.boot();
            let old = std::mem::replace(&mut state.keys.current, key);
            state.keys.previous = keep_old.then(|| (old, now.plus(OLD_KEY_TIME)));
            state.keys.prefer_previous = None;
            state.keys.epoch += 1;
            state.ledger.holds.clear();
            state.ledger.budget.forget_told();
            let flight = state.flight.take();
            if flight.is_some() {
                // It may have been the renewal of a token that is still in use.
                self.cache.renew_later(Duration::ZERO);
            }
            flight
        };
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
        let now = self.clock.boot();
        let token = self.cache.peek();
        let state = self.state();
        Stats {
            manager_id: self.id,
            hits: self.cache.hits(),
            waits: self.counters.waits.get(),
            refreshes: state.attempts,
            tokens_issued: self.counters.issued.get(),
            refreshes_failed: self.counters.failed.get(),
            calls: self.counters.calls.get(),
            calls_repeated: self.counters.calls_repeated.get(),
            calls_failed: self.counters.calls_failed.get(),
            generation: token.as_ref().map_or(0, Token::generation),
            token_valid_for: token.as_ref().map_or(Duration::ZERO, Token::valid_for),
            budget_left: state.ledger.budget.left(now),
            hold: state
                .ledger
                .holds
                .current(now)
                .map(|(class, left)| (class.name(), left)),
        }
    }
}

impl Keys {
    fn note_accepted(&mut self, key: Key, now: BootTime) {
        self.prefer_previous = match key {
            Key::Current => None,
            Key::Previous => Some(now.plus(NEW_KEY_TRIED_EVERY)),
        };
    }
}

/// What a wait means to the caller; `None` to look again.
fn settled(waited: Result<Landing, GaveUp>) -> Option<Result<Token>> {
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

/// The caller's deadline passed while it waited for a token.
pub(crate) fn no_token_in_time() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "No token came before the deadline.",
        "Nothing was sent. Look at the network to 88Pay, or give the call more time with `timeout`.",
    )
}

/// The caller gave up while it waited for a token.
pub(crate) fn stopped() -> Error {
    Error::new(
        ErrorCode::Canceled,
        "The call was canceled before anything was sent.",
        "It is safe to repeat.",
    )
}
