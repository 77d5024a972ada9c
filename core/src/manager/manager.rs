//! The manager: all that a process knows of one set of credentials, shared by every handle and language.
//!
//! Promises: one refresh at a time, on a thread that belongs to no caller; a token in use is renewed before its end; when
//! a refresh fails, every waiter gets the same error, and it is remembered. Its lock is never held during I/O, waiting or a
//! caller's code.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::config::credentials::ApiKey;
use crate::config::settings::Settings;
use crate::error::{Outcome, Result};
use crate::manager::account::{Account, Job, RENEWAL_PAUSE, SharedSettings, State};
use crate::manager::refresh_driver;
use crate::manager::shared_tier::{self, Peeked};
use crate::manager::single_flight::{Completion, GaveUp, SingleFlight};
use crate::manager::token::Token;
use crate::platform::clock::Clock;
use crate::platform::process::{PerProcess, Process};
use crate::platform::thread::Uncanceled;
use crate::policy::errors::{Unauthorized, canceled, no_token_in_time, over_budget};
use crate::policy::path_backoff::PathBackoffs;
use crate::policy::token_response::Class;
use crate::refresh::Key;
use crate::store::Store;
use crate::telemetry::event::{EventName, emit};
use crate::time::BootTime;

pub(crate) struct Manager {
    pub(crate) account: Arc<Account>,
    /// The paths that always answer 401.
    paths: PerProcess<Mutex<PathBackoffs>>,
    /// Handles that are open, and when the last one was closed or dropped (boot time). The registry of a forked child does
    /// not have this manager, and so does not ask.
    handles: AtomicUsize,
    idle_since: AtomicU64,
}

/// Where a caller without a token stands.
pub(crate) enum Joined {
    Token(Token),
    /// Somebody else is at it.
    Following(Arc<SingleFlight>),
    /// No thread can be had: the caller does the work.
    Leading(Job),
}

impl Manager {
    pub(crate) fn new(settings: &Settings, clock: Clock) -> Result<Manager> {
        let store = Store::new(settings, clock.clone());
        let account = Account::new(settings, clock, store, Box::new(refresh_driver::launch))?;
        Ok(Manager::of(account))
    }

    pub(crate) fn of(account: Account) -> Manager {
        Manager {
            paths: PerProcess::new(),
            handles: AtomicUsize::new(0),
            idle_since: AtomicU64::new(account.clock.boot().0),
            account: Arc::new(account),
        }
    }

    fn paths(&self) -> MutexGuard<'_, PathBackoffs> {
        self.paths.lock()
    }

    // --- Handles -----------------------------------------------------------------------------------------------

    /// That in which `settings` contradicts this manager.
    pub(crate) fn conflict(&self, settings: &Settings) -> Option<&'static str> {
        let other = SharedSettings::of(settings);
        self.account.settings.conflict(&other)
    }

    pub(crate) fn attach(&self, settings: &Settings) {
        self.count();
        self.account.connect_timeout.store(
            settings.connect_timeout.as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    /// Counts a handle that is opened in this process, or that a child uses.
    pub(crate) fn count(&self) {
        self.handles.fetch_add(1, Ordering::SeqCst);
        self.account.link.attach();
    }

    /// Counts a handle less, which this process has counted.
    pub(crate) fn detach(&self) {
        self.idle_since
            .store(self.account.clock.boot().0, Ordering::SeqCst);
        self.handles.fetch_sub(1, Ordering::SeqCst);
        self.account.link.detach();
    }

    /// Whether no handle has been open for that long.
    pub(crate) fn idle_for(&self, time: Duration) -> bool {
        self.handles.load(Ordering::SeqCst) == 0
            && self.account.clock.boot()
                >= BootTime(self.idle_since.load(Ordering::SeqCst)).plus(time)
    }

    // --- Tokens ------------------------------------------------------------------------------------------------

    /// The cached token; starts its renewal when that is due.
    #[inline]
    pub(crate) fn cached(&self) -> Option<Token> {
        self.cached_by(|| {})
    }

    /// The same for a handle, which `begins` a renewal.
    #[inline(always)]
    pub(crate) fn cached_by(&self, begins: impl FnOnce()) -> Option<Token> {
        let hit = self.account.cache.get()?;
        if hit.renew {
            begins();
            self.renew_ahead();
        }
        Some(hit.token)
    }

    pub(crate) fn peek(&self) -> Option<Token> {
        self.account.cache.peek()
    }

    /// A token, waiting on this thread. `stop` is asked at least every 50 ms, with nothing locked.
    pub(crate) fn token(&self, deadline: Instant, stop: &dyn Fn() -> bool) -> Result<Token> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let mut waited = false;
        loop {
            given_up(deadline, stop)?;
            let flight = match self.join()? {
                Joined::Token(token) => return Ok(token),
                Joined::Following(flight) => flight,
                Joined::Leading(job) => self.lead(job, deadline, stop)?,
            };
            self.account.counters.waits.add_once(&mut waited);
            if let Some(result) = settled(flight.wait(deadline, stop)) {
                return result;
            }
        }
    }

    /// A token, waiting in a task. Deadline and cancellation are the caller's. They are told here too, because a task that
    /// does the work itself, where the system has no thread to give, blocks its thread meanwhile.
    pub(crate) async fn token_async(
        &self,
        deadline: Instant,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Token> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let mut waited = false;
        loop {
            given_up(deadline, stop)?;
            let flight = match self.join()? {
                Joined::Token(token) => return Ok(token),
                Joined::Following(flight) => flight,
                Joined::Leading(job) => self.lead(job, deadline, stop)?,
            };
            self.account.counters.waits.add_once(&mut waited);
            if let Some(result) = settled(Ok(flight.completion().await)) {
                return result;
            }
        }
    }

    /// Takes part in the refresh that is under way, or starts one.
    pub(crate) fn join(&self) -> Result<Joined> {
        let under_way = |state: &State| {
            // Somebody may have completed since this caller looked.
            if let Some(token) = self.account.cache.peek() {
                return Some(Joined::Token(token));
            }
            state.flight.clone().map(Joined::Following)
        };
        if let Some(joined) = under_way(&self.account.state()) {
            return Ok(joined);
        }
        match shared_tier::peek(&self.account) {
            Peeked::Token(token) => return Ok(Joined::Token(token)),
            Peeked::Refused(error) => return Err(error),
            Peeked::Open | Peeked::Kept(_) => {}
        }
        let job = {
            let mut state = self.account.state();
            if let Some(joined) = under_way(&state) {
                return Ok(joined);
            }
            self.account.job(&mut state)
        };
        let flight = job.flight.clone();
        Ok(match (self.account.launch)(&self.account, job) {
            Ok(()) => Joined::Following(flight),
            Err(job) => Joined::Leading(job),
        })
    }

    /// Does the work itself, on this thread.
    ///
    /// # Errors
    /// The caller has given up, and there is no token for it.
    fn lead(
        &self,
        job: Job,
        deadline: Instant,
        stop: &dyn Fn() -> bool,
    ) -> Result<Arc<SingleFlight>> {
        let (flight, begun_in) = (job.flight.clone(), Process::current());
        refresh_driver::carry_out(&self.account, job, Some((deadline, stop)));
        if !begun_in.is_current() {
            // `stop` has forked, and the flight with its lock is the parent's.
            return Err(canceled(Outcome::NotSent));
        }
        if !flight.has_token() {
            given_up(deadline, stop)?;
        }
        Ok(flight)
    }

    #[cold]
    fn renew_ahead(&self) {
        let _uncanceled = Uncanceled::begin();
        if self.account.state().flight.is_some() {
            return;
        }
        match shared_tier::peek(&self.account) {
            Peeked::Token(_) => return,
            Peeked::Refused(error) => {
                let pause = error.retry_after().unwrap_or_default();
                return self.account.renew_later(pause);
            }
            Peeked::Kept(again) => {
                return self.account.cache.renew_later(again.max(RENEWAL_PAUSE));
            }
            Peeked::Open => {}
        }
        let job = {
            let mut state = self.account.state();
            if state.flight.is_some() {
                return;
            }
            self.account.job(&mut state)
        };
        if let Err(job) = (self.account.launch)(&self.account, job) {
            // Nobody waits, so nobody has to do it now.
            self.account.cache.renew_later(RENEWAL_PAUSE);
            self.account.abort(&job.flight, Completion::Superseded);
        }
    }

    // --- Rejected tokens ---------------------------------------------------------------------------------------

    /// Drops the token of that generation, if it is the one that is kept; a newer one stays.
    ///
    /// # Errors
    /// `rate_limited` if the reserve for forced tokens is used up; the token stays then.
    pub(crate) fn invalidate(&self, generation: u64, reason: &str) -> Result<bool> {
        if self.account.cache.generation() != Some(generation) {
            return Ok(false);
        }
        let changed = shared_tier::change(&self.account, |record, state| {
            if self.account.cache.generation() != Some(generation) {
                return Ok(false);
            }
            let stamp = self.account.cache.stamp().unwrap_or_default();
            // A token that has ended, that has a successor or that somebody else has dropped costs nothing to drop. One that
            // the record does not know was inherited by a forked child, or could not be written.
            let shared = record.common.stamp();
            let is_shared = shared.is_none_or(|shared| shared.id == stamp.id);
            let costs = self.account.cache.peek().is_some()
                && state.flight.is_none()
                && record.common.rejected != Some(stamp.id)
                && (is_shared || shared.is_some_and(|shared| shared.asked_at <= stamp.asked_at));
            let now = self.account.clock.boot();
            // All hosts that drop this token force one new one together.
            let id = stamp.id as u32;
            let budget = &mut state.ledger.budget;
            if costs && let Err(refusal) = budget.force(now, id) {
                return Err(over_budget(budget, now, refusal));
            }
            if costs && is_shared {
                record.common.rejected = Some(stamp.id);
            }
            Ok(self.account.drop_token(generation))
        })?;
        let dropped = changed.unwrap_or_else(|| {
            let _state = self.account.state();
            self.account.drop_token(generation)
        });
        if !dropped {
            return Ok(false);
        }
        emit(
            EventName::TokenInvalidated,
            self.account.id,
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
        if self.account.cache.generation() != Some(generation) {
            return Ok(());
        }
        if let Peeked::Token(_) = shared_tier::peek(&self.account) {
            return Ok(());
        }
        if !self.paths().may_force(path, self.account.clock.boot()) {
            return Err(Unauthorized::ByPath);
        }
        let invalidated = self.invalidate(generation, "answered 401");
        invalidated.map(drop).map_err(|error| {
            let pause = error.retry_after().unwrap_or_default();
            if self.account.state().kept.replace(generation) != Some(generation) {
                emit(
                    EventName::TokenKept,
                    self.account.id,
                    || json!({"generation": generation, "message": error.message(), "pause": pause.as_secs_f64()}),
                );
            }
            Unauthorized::Kept(pause)
        })
    }

    pub(crate) fn answered_401_again(&self, path: &str) {
        self.paths().rejected_again(path, self.account.clock.boot());
    }

    pub(crate) fn answered_otherwise(&self, path: &str) {
        self.paths().answered(path);
    }

    // --- Keys --------------------------------------------------------------------------------------------------

    /// Replaces the key. Tokens that were handed out live on; what is held against the old key is forgotten, and what was
    /// spent on it counts for the new one. What `may` gives is held while the key is replaced, and never during I/O or while
    /// others are told.
    ///
    /// # Errors
    /// Those of `may`.
    pub(crate) fn rotate<G>(
        &self,
        key: &ApiKey,
        keep_old: bool,
        may: impl Fn() -> Result<G>,
    ) -> Result<()> {
        let account = &self.account;
        let flight = loop {
            // Read here, because nothing is read under a lock.
            let before = account.keys();
            let mut spent = account.spent_on(before.get(Key::Current));
            spent.merge(&account.spent_on_other(&before, Key::Current));
            let _held = may()?;
            let mut state = account.state();
            let keys = account.keys();
            if keys.epoch() != before.epoch() {
                // Another thread has replaced the key meanwhile.
                continue;
            }
            let Some(keys) = keys.rotated(key.clone(), keep_old, account.clock.boot()) else {
                return Ok(());
            };
            // Whoever uses the new key finds its record kept.
            account.store.keep(keys.each());
            account.set_keys(keys);
            state.ledger.backoffs.clear();
            spent.merge(&state.ledger.budget.counts().clone().for_other_key());
            // Before anybody can begin a refresh with the new key.
            account.count(&spent);
            state.ledger.budget.set_counts(spent);
            let flight = state.flight.take();
            if flight.is_some() {
                // It may have been the renewal of a token that is still in use.
                account.cache.renew_later(Duration::ZERO);
            }
            break flight;
        };
        // That others were told the new key is wrong may be why it is set again. Where that cannot be changed it ends soon.
        let _: Result<Option<()>> = shared_tier::change(account, |record, _| {
            let backoff = record.common.backoff.take();
            record.common.backoff = backoff.filter(|known| known.class != Class::Unauthorized);
            Ok(())
        });
        emit(
            EventName::KeyRotated,
            self.account.id,
            || json!({"keep_old": keep_old}),
        );
        if let Some(flight) = flight {
            flight.complete(Completion::Superseded);
        }
        Ok(())
    }
}

/// Why a caller waits no longer, if that is so.
fn given_up(deadline: Instant, stop: &dyn Fn() -> bool) -> Result<()> {
    if stop() {
        return Err(canceled(Outcome::NotSent));
    }
    if Instant::now() >= deadline {
        return Err(no_token_in_time());
    }
    Ok(())
}

/// What a wait means to the caller; `None` to look again.
pub(crate) fn settled(waited: Result<Completion, GaveUp>) -> Option<Result<Token>> {
    match waited {
        // The machine may have slept while the answer was on its way.
        Ok(Completion::Token(token)) if token.valid_for().is_zero() => None,
        Ok(Completion::Token(token)) => Some(Ok(token)),
        Ok(Completion::Failed(error)) => Some(Err(error)),
        Ok(Completion::Superseded) => None,
        Err(GaveUp::Deadline) => Some(Err(no_token_in_time())),
        Err(GaveUp::Stopped) => Some(Err(canceled(Outcome::NotSent))),
    }
}
