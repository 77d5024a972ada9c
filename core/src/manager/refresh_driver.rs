//! The production driver of a refresh: a short-lived thread that belongs to no caller.
//!
//! Promises: no caller can cancel it, whoever waits is told even if it panics, and nothing joins it. If no thread can be
//! had, the first who waits does the work; one that gives up leaves it to the next. Never holds the manager's lock while
//! it sends, pauses, or reads and writes what is shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use crate::config::credentials::ApiKey;
use crate::error::{Error, Result};
use crate::manager::key_ring::Keys;
use crate::manager::manager::{Manager, RENEWAL_PAUSE};
use crate::manager::single_flight::{Flight, Landing, SLICE};
use crate::platform::process::{Process, foreign};
use crate::platform::{random, thread};
use crate::policy::token_response::{Grant, MAX_TOKEN_ANSWER, RateLimit, Rejection};
use crate::refresh::record::{Issue, Record};
use crate::refresh::{Action, Ask, Finish, Input, Key, Refresh};
use crate::store::Use;
use crate::store::fleet::{Answer, FleetRecord};
use crate::store::host::{HostRecord, Unwritten, WriteLease};
use crate::telemetry::event::{EventName, emit};
use crate::time::Reading;
use crate::transport::{self, Limits};

/// A thread that sends a token request needs little; TLS needs most of it.
const STACK: usize = 512 * 1024;

/// Token requests come a minute apart, so a connection that is kept for calls rarely serves one.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// Clocks that differ by less have been read at different moments.
const SLEEP: Duration = Duration::from_secs(1);

/// A refresh that somebody has to carry out.
pub(crate) struct Job {
    pub(crate) flight: Arc<Flight>,
    /// As they were when it began.
    pub(crate) keys: Arc<Keys>,
    pub(crate) refresh: Refresh,
}

/// A caller's deadline, and whether it should stop.
type Patience<'a> = (Instant, &'a dyn Fn() -> bool);

/// The shared record that a refresh works on, and its right to write there.
#[derive(Default)]
pub(crate) struct Tier {
    record: Option<Arc<HostRecord>>,
    lease: Option<WriteLease>,
    fleet: Option<FleetRecord>,
}

/// Tells a test that a refresh got to that step.
macro_rules! reached {
    ($step:ident) => {
        #[cfg(feature = "test-hooks")]
        crate::platform::fault_injection::reached(
            crate::platform::fault_injection::RefreshStep::$step,
        );
    };
}

impl Tier {
    #[cfg(test)]
    pub(crate) fn leads(&self) -> bool {
        self.lease.is_some()
    }

    fn look(&mut self, manager: &Manager, keys: &Keys, key: Key) -> Result<Input, String> {
        self.lease = None;
        let key = keys.get(key);
        self.fleet = manager.store.fleet().and_then(|fleet| fleet.record(key));
        let record = manager.store.record(key);
        let record = self.record.insert(record.ok_or("nothing is shared")?);
        record.read().map(Input::Seen)
    }

    fn lead(&mut self, turn: u64) -> Result<Input, String> {
        let record = self.record.as_ref().ok_or("no record was looked at")?;
        let Some((lease, found)) = record.try_lease(turn)? else {
            return Ok(Input::Led(None));
        };
        self.lease = Some(lease);
        reached!(Locked);
        Ok(Input::Led(Some(found)))
    }

    /// `None` if this process leads without the record.
    fn write(&mut self, contents: &mut Record) -> Option<Result<bool, String>> {
        let (record, lease) = (self.record.as_ref()?, self.lease.as_mut()?);
        let announces = contents.done_by.is_some();
        Some(match record.write(lease, contents) {
            Ok(()) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.act_for(contents);
                }
                if announces {
                    reached!(Announced);
                } else {
                    reached!(Published);
                }
                Ok(true)
            }
            Err(Unwritten::Late) => Ok(false),
            Err(Unwritten::Lost(reason)) => Err(reason),
        })
    }

    /// The host's record cannot be had: this process goes on with what it remembers.
    fn without(&mut self, action: Action) -> Input {
        self.lease = None;
        let record = self.record.as_ref();
        let remembered = || record.map(|record| record.remembered()).unwrap_or_default();
        match action {
            Action::Look { .. } => Input::Seen(remembered()),
            Action::Write(contents) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.act_for(&contents);
                }
                if let Some(record) = record {
                    record.remember(&contents);
                }
                Input::Written(contents)
            }
            _ => Input::Led(Some(remembered())),
        }
    }
}

/// Hands the job to a thread of its own, or back.
pub(crate) fn launch(manager: &Arc<Manager>, job: Job) -> Result<(), Job> {
    // The closure is lost with a spawn that fails, so the job waits in a place that both can reach.
    let place = Arc::new(Mutex::new(Some(job)));
    let take =
        |place: &Mutex<Option<Job>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (manager, theirs) = (manager.clone(), place.clone());
    let spawned = thread::spawn_quiet("pay88-refresh", STACK, move || {
        if let Some(job) = take(&theirs) {
            foreign(|| manager.fly(job, None));
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

impl Manager {
    /// Carries a refresh out on this thread. With `patience` the thread is a caller's, which may give up.
    pub(crate) fn fly(self: &Arc<Self>, mut job: Job, patience: Option<Patience<'_>>) {
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
        let mut tier = Tier::default();
        let mut input = Input::Start;
        let begun_in = Process::current();
        loop {
            if !begun_in.is_current() {
                // Forked by the caller's interrupt, or by a module of the system's resolver: the refresh is the parent's, and
                // so is the right to write what is shared.
                std::mem::forget(tier);
                return;
            }
            let (now, action) = {
                let mut state = self.state();
                if self.keys().epoch() != job.keys.epoch() {
                    // The rotation has landed the flight.
                    return;
                }
                let now = self.clock.boot();
                let jitter = random::fraction();
                (now, job.refresh.step(&mut state.ledger, now, jitter, input))
            };
            input = match action {
                action @ (Action::Look { .. }
                | Action::Lead { .. }
                | Action::GoAlone
                | Action::Write(_)) => self.at(&mut tier, &job.keys, action),
                Action::Ask { what, within } => self.ask_store(&mut tier, what, within),
                Action::Send {
                    key,
                    within,
                    connect_within,
                } => {
                    asked_at = self.clock.reading();
                    // What was stopped since is too late for the slot that it has.
                    let within = within.saturating_sub(now.until(self.clock.boot()));
                    let (result, told) =
                        self.ask(job.keys.get(key), (within, connect_within), patience);
                    reached!(Answered);
                    match &result {
                        // This caller goes; the next one who waits flies on.
                        Err(rejection) if interrupted() => Input::Abandoned {
                            unsent: rejection.unsent,
                        },
                        _ => Input::Answer(result, told),
                    }
                }
                Action::Pause(pause) => {
                    let begun = (Instant::now(), self.clock.boot());
                    let until = begun.0 + pause;
                    while Instant::now() < until && !interrupted() {
                        std::thread::sleep(
                            SLICE.min(until.saturating_duration_since(Instant::now())),
                        );
                    }
                    // Boot time goes on while a machine sleeps, and `Instant` does not.
                    let passed = begun.1.until(self.clock.boot());
                    let slept = passed.saturating_sub(begun.0.elapsed());
                    if slept >= SLEEP {
                        job.refresh.slept(slept);
                    }
                    match interrupted() {
                        true => Input::Abandoned { unsent: false },
                        false => Input::PauseOver,
                    }
                }
                Action::Finish(Finish::Abandoned) => {
                    return self.ground(&job.flight, Landing::Superseded);
                }
                Action::Finish(finish) => {
                    // The others may go on while the callers of this process are told.
                    drop(tier);
                    return self.finish(&job, finish, asked_at, begun);
                }
            };
        }
    }

    /// One use of the host's record; where it cannot be had this process goes on without, and says so once.
    pub(crate) fn at(&self, tier: &mut Tier, keys: &Keys, mut action: Action) -> Input {
        let (how, used) = match &mut action {
            Action::Look { key } => (Use::Read, tier.look(self, keys, *key)),
            Action::Lead { turn } => (Use::Read, tier.lead(*turn)),
            Action::Write(record) => {
                let Some(written) = tier.write(record) else {
                    return tier.without(action);
                };
                self.tier_went(
                    Use::Write,
                    written.as_ref().map(drop).map_err(String::as_str),
                );
                return match (written, action) {
                    (Ok(true), Action::Write(record)) => Input::Written(record),
                    (Ok(_), _) => Input::Late,
                    (Err(_), action) => tier.without(action),
                };
            }
            Action::GoAlone => {
                let path = tier.record.as_ref().and_then(|record| record.path());
                let path = path.map_or_else(String::new, |path| format!(" of {}", path.display()));
                let reason = format!("somebody holds the lock{path} and does not say what for");
                self.tier_went(Use::Write, Err(&reason));
                return tier.without(action);
            }
            _ => return tier.without(action),
        };
        self.tier_went(how, used.as_ref().map(drop).map_err(String::as_str));
        used.unwrap_or_else(|_| tier.without(action))
    }

    /// One question to the fleet's store.
    pub(crate) fn ask_store(&self, tier: &mut Tier, what: Ask, within: Duration) -> Input {
        let asked = match &mut tier.fleet {
            Some(fleet) => fleet.ask(what, within),
            None => Err("no store is set".to_owned()),
        };
        let store = tier.fleet.as_ref().and_then(FleetRecord::shown);
        self.store_went(asked.as_ref().map(|_| store).map_err(String::as_str));
        match asked {
            Ok(Answer::Found(found)) => Input::Found(found),
            Ok(Answer::Stored(written)) => Input::Stored(written),
            Ok(Answer::Counted(hosts)) => Input::Counted(hosts),
            Err(_) => Input::Away,
        }
    }

    /// One token request.
    fn ask(
        &self,
        key: &ApiKey,
        (within, connect_within): (Duration, Duration),
        patience: Option<Patience<'_>>,
    ) -> (Result<Grant, Rejection>, Option<RateLimit>) {
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
            // Another token does no harm.
            repeatable: true,
            sent: &AtomicBool::new(false),
        };
        let connect_timeout = self.connect_timeout.load(Ordering::Relaxed);
        let limits = Limits {
            deadline,
            connect_timeout: connect_within.min(Duration::from_millis(connect_timeout)),
            idle_timeout: IDLE_TIME,
            max_response_bytes: MAX_TOKEN_ANSWER,
        };
        let interrupt = patience.map(|(_, stop)| stop);
        match (self.link).exchange(&request, &limits, interrupt, &mut |_| {}) {
            Ok(answer) => {
                let told = RateLimit::of(&answer);
                (Grant::read(answer, &[key.secret().expose()]), told)
            }
            Err(failure) => (Err(Rejection::from(failure)), None),
        }
    }

    pub(crate) fn finish(&self, job: &Job, finish: Finish, asked_at: Reading, begun: Instant) {
        let attempt = job.flight.attempt;
        let mut state = self.state();
        if self.keys().epoch() != job.keys.epoch() {
            return;
        }
        let landing = match finish {
            Finish::Granted { issue, key } => {
                let token = self.publish(&issue, key, asked_at);
                if let Ok(token) = &token {
                    self.counters.issued.add();
                    let generation = token.generation();
                    self.tell_issued(&issue, key, generation, attempt, begun);
                }
                token.map_or_else(Landing::Failed, Landing::Token)
            }
            Finish::Shared { issue, key } => match self.adopt(&issue, key) {
                Some(token) => token.map_or_else(Landing::Failed, Landing::Token),
                None => Landing::Superseded,
            },
            Finish::Abandoned => Landing::Superseded,
            Finish::Kept { again } => {
                self.cache.renew_later(again.max(RENEWAL_PAUSE));
                Landing::Superseded
            }
            Finish::Failed {
                error,
                held,
                capped,
            } => {
                self.counters.failed.add();
                let error = match error.attempt() {
                    Some(_) => error,
                    None => error.with_attempt(attempt),
                };
                let pause = error.retry_after().unwrap_or_default();
                self.renew_later(pause);
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

    fn tell_issued(&self, issue: &Issue, key: Key, generation: u64, attempt: u64, begun: Instant) {
        let lifetime = self.lifetime(issue);
        let (expires_in, usable) = (issue.grant.expires_in, lifetime.usable.as_secs_f64());
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
}
