//! The production driver of a refresh: a short-lived thread that belongs to no caller.
//!
//! Promises: no caller can cancel it, whoever waits is told even if it panics, and nothing joins it. If no thread can be
//! had, the first who waits does the work; one that gives up leaves it to the next. Never holds the manager's lock while
//! it sends or pauses.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use crate::clock::Reading;
use crate::credentials::ApiKey;
use crate::error::{Error, Result};
use crate::event::{EventName, emit};
use crate::flight::{Flight, Landing, SLICE};
use crate::grant::{Grant, MAX_TOKEN_ANSWER, RateLimit, Rejection};
use crate::keys::Keys;
use crate::lifetime::Lifetime;
use crate::manager::{Manager, RENEWAL_PAUSE};
use crate::refresh::{Action, Finish, Input, Key, Refresh};
use crate::token::Snapshot;
use crate::transport::{self, Limits};
use crate::{random, thread};

/// A thread that sends a token request needs little; TLS needs most of it.
const STACK: usize = 512 * 1024;

/// Token requests come a minute apart, so a connection that is kept for calls rarely serves one.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// A refresh that somebody has to carry out.
pub(crate) struct Job {
    pub(crate) flight: Arc<Flight>,
    /// As they were when it began.
    pub(crate) keys: Arc<Keys>,
    pub(crate) refresh: Refresh,
}

/// A caller's deadline, and whether it should stop.
type Patience<'a> = (Instant, &'a dyn Fn() -> bool);

impl Manager {
    /// Hands the job to a thread of its own, or back.
    pub(crate) fn launch(self: &Arc<Self>, job: Job) -> Result<(), Job> {
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
        let mut input = Input::Start;
        loop {
            let action = {
                let mut state = self.state();
                if self.keys().epoch() != job.keys.epoch() {
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
                    let (result, told) = self.ask(job.keys.get(key), within, patience);
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
                            SLICE.min(until.saturating_duration_since(Instant::now())),
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
        key: &ApiKey,
        within: Duration,
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
        let keys = self.keys();
        if keys.epoch() != job.keys.epoch() {
            return;
        }
        let landing = match finish {
            Finish::Granted { grant, key } => {
                let lifetime = Lifetime::derive(
                    Duration::from_secs(grant.expires_in),
                    self.shared.safety_margin,
                    self.shared.tokens_per_hour,
                );
                if let Some(keys) = keys.accepted(key, now) {
                    self.set_keys(keys);
                }
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
}
