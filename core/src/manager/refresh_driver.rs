//! The production driver of a refresh: a short-lived thread that belongs to no caller.
//!
//! Promises: no caller can cancel it, whoever waits is told even if it panics, and nothing joins it. If no thread can be
//! had, the first who waits does the work; one that gives up leaves it to the next. Never holds the account's lock while
//! it sends, pauses, or reads and writes what is shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use crate::config::credentials::ApiKey;
use crate::error::{Result, internal};
use crate::manager::account::{Account, Job, RENEWAL_PAUSE};
use crate::manager::key_ring::Keys;
use crate::manager::shared_tier::{adopt, store_went, tier_went};
use crate::manager::single_flight::{Completion, SingleFlight};
use crate::platform::cancel::ASK_EVERY;
use crate::platform::process::{Process, foreign};
use crate::platform::{random, thread};
use crate::policy::rate_limit::Counts;
use crate::policy::token_response::{Grant, MAX_TOKEN_ANSWER, RateLimit, Rejection};
use crate::refresh::record::{HostRecord, Issue};
use crate::refresh::{Action, Ask, Finish, Input, Key, Ledger};
use crate::store::Use;
use crate::store::fleet::{Answer, FleetClient};
use crate::store::host::Unwritten;
use crate::store::local::{LocalRecord, WriteLease};
use crate::telemetry::event::{EventName, emit};
use crate::time::{BootTime, Reading};
use crate::transport::{self, Limits};

/// A thread that sends a token request needs little; TLS needs most of it.
const STACK: usize = 512 * 1024;

/// Token requests come a minute apart, so a connection that is kept for calls rarely serves one.
const IDLE_TIME: Duration = Duration::from_secs(45);

/// Clocks that differ by less have been read at different moments.
const SLEEP: Duration = Duration::from_secs(1);

/// A caller's deadline, and whether it should stop.
type Patience<'a> = (Instant, &'a dyn Fn() -> bool);

/// The shared record that a refresh works on, and its right to write there.
#[derive(Default)]
pub(crate) struct Tier {
    record: Option<Arc<LocalRecord>>,
    /// Of that key.
    key: Option<Key>,
    pub(crate) lease: Option<WriteLease>,
    /// What was spent on the other key.
    spent: Counts,
    fleet: Option<FleetClient>,
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
    fn read(&mut self, account: &Account, keys: &Keys, key: Key) -> Result<Input, String> {
        self.lease = None;
        self.spent = account.spent_on_other(keys, key);
        self.key = Some(key);
        let key = keys.get(key);
        self.fleet = account.store.fleet().and_then(|fleet| fleet.client(key));
        let record = self.record.insert(account.store.record(key));
        record.read().map(|record| self.read_with_spent(record))
    }

    fn lock(&mut self, term: u64) -> Result<Input, String> {
        let record = self.record.as_ref().ok_or("no record was read")?;
        let Some((lease, found)) = record.try_lease(term)? else {
            return Ok(Input::Locked(None));
        };
        self.lease = Some(lease);
        reached!(Locked);
        Ok(self.locked_with_spent(found))
    }

    fn read_with_spent(&self, mut record: HostRecord) -> Input {
        record.common.counts.merge(&self.spent);
        Input::Read(record)
    }

    fn locked_with_spent(&self, mut record: HostRecord) -> Input {
        record.common.counts.merge(&self.spent);
        Input::Locked(Some(record))
    }

    /// `None` if this process leads without the record.
    fn write(&mut self, contents: &mut HostRecord) -> Option<Result<bool, String>> {
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
            Action::Read { .. } => self.read_with_spent(remembered()),
            Action::Write(contents) => {
                if let Some(fleet) = &mut self.fleet {
                    fleet.act_for(&contents);
                }
                if let Some(record) = record {
                    record.remember(&contents);
                }
                Input::Written(contents)
            }
            _ => self.locked_with_spent(remembered()),
        }
    }
}

/// Hands the job to a thread of its own, or back.
pub(crate) fn launch(account: &Arc<Account>, job: Job) -> Result<(), Job> {
    // The closure is lost with a spawn that fails, so the job waits in a place that both can reach.
    let place = Arc::new(Mutex::new(Some(job)));
    let take =
        |place: &Mutex<Option<Job>>| place.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (account, theirs) = (account.clone(), place.clone());
    let spawned = thread::spawn_quiet("pay88-refresh", STACK, move || {
        if let Some(job) = take(&theirs) {
            foreign(|| carry_out(&account, job, None));
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
pub(crate) fn carry_out(account: &Account, mut job: Job, patience: Option<Patience<'_>>) {
    /// Completes the single flight even if this thread panics.
    struct Completed<'a>(&'a Account, Arc<SingleFlight>);
    impl Drop for Completed<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.0.abort(
                    &self.1,
                    Completion::Failed(internal("The token refresh panicked.")),
                );
            }
        }
    }
    let _landed = Completed(account, job.flight.clone());
    let gave_up = || patience.is_some_and(|(deadline, stop)| Instant::now() >= deadline || stop());
    // Nobody waits for what comes of a key that was replaced, and what this refresh has locked others may need.
    let epoch = job.keys.epoch();
    let superseded = || account.keys().epoch() != epoch;
    let interrupted = || superseded() || gave_up();
    let begun = Instant::now();
    let mut asked_at = account.clock.reading();
    let mut tier = Tier::default();
    let mut input = Input::Start;
    let mut aside = None;
    let begun_in = Process::current();
    loop {
        if !begun_in.is_current() {
            // Forked by the caller's interrupt, or by a module of the system's resolver: the refresh is the parent's, and
            // so is the right to write what is shared.
            std::mem::forget(tier);
            return;
        }
        let Some((now, action)) = step(account, &mut job, &mut aside, input) else {
            return;
        };
        input = match action {
            // After a rejected key the other one is tried. A caller that has given up leaves that to those who still wait.
            Action::Lock { .. } if gave_up() => Input::Abandoned { unsent: true },
            action @ (Action::Read { .. }
            | Action::Lock { .. }
            | Action::GoAlone
            | Action::Write(_)) => use_record(account, &mut tier, &job.keys, action),
            Action::Ask { what, within } => ask_store(account, &mut tier, what, within),
            Action::Send {
                key,
                within,
                connect_within,
            } => {
                asked_at = account.clock.reading();
                // What was stopped since is too late for the slot that it has.
                let within = within.saturating_sub(now.until(account.clock.boot()));
                let mut deadline = Instant::now() + within;
                if let Some((patience, _)) = patience {
                    deadline = deadline.min(patience);
                }
                let key = job.keys.get(key);
                let (result, told) =
                    request_token(account, key, (deadline, connect_within), &interrupted);
                reached!(Answered);
                match &result {
                    // This caller goes; the next one who waits goes on.
                    Err(rejection) if !rejection.is_answer() && interrupted() => Input::Abandoned {
                        unsent: rejection.unsent,
                    },
                    // What 88Pay has said counts, whoever has given up meanwhile.
                    _ => Input::Answer(result, told),
                }
            }
            Action::Pause(pause) => {
                let begun = (Instant::now(), account.clock.boot());
                let until = begun.0 + pause;
                while Instant::now() < until && !interrupted() {
                    std::thread::sleep(
                        ASK_EVERY.min(until.saturating_duration_since(Instant::now())),
                    );
                }
                // Boot time goes on while a machine sleeps, and `Instant` does not.
                let passed = begun.1.until(account.clock.boot());
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
                return account.abort(&job.flight, Completion::Superseded);
            }
            Action::Finish(finish) => {
                // The others may go on while the callers of this process are told.
                drop(tier);
                return complete(account, &job, finish, asked_at, begun);
            }
        };
    }
}

/// One step of a refresh, and when it was made. A superseded one clears up with a ledger of its own, `aside`: that of the
/// account is the next one's. `None` if it has nothing to clear up.
pub(crate) fn step(
    account: &Account,
    job: &mut Job,
    aside: &mut Option<Ledger>,
    input: Input,
) -> Option<(BootTime, Action)> {
    let mut state = account.state();
    let (now, jitter) = (account.clock.boot(), random::fraction());
    if account.keys().epoch() == job.keys.epoch() {
        let action = job.refresh.step(&mut state.ledger, now, jitter, input);
        return Some((now, action));
    }
    // The rotation has completed the flight.
    let input = input.given_up()?;
    let sent = matches!(input, Input::Abandoned { .. });
    let ledger = aside.get_or_insert_with(|| account.settings.ledger());
    let action = job.refresh.step(ledger, now, jitter, input);
    if sent {
        // 88Pay may have counted its request only now. What it has a slot for before may never be sent.
        account.count(&ledger.budget.counts().clone().for_other_key());
    }
    Some((now, action))
}

/// One use of the host's record; where it cannot be had this process goes on without, and says so once.
pub(crate) fn use_record(
    account: &Account,
    tier: &mut Tier,
    keys: &Keys,
    mut action: Action,
) -> Input {
    let (how, used) = match &mut action {
        Action::Read { key } => (Use::Read, tier.read(account, keys, *key)),
        Action::Lock { term } => (Use::Read, tier.lock(*term)),
        Action::Write(record) => {
            let Some(written) = tier.write(record) else {
                return tier.without(action);
            };
            tier_went(
                account,
                Use::Write,
                written.as_ref().map(drop).map_err(String::as_str),
            );
            return match (written, action) {
                (Ok(true), Action::Write(mut record)) => {
                    if let Some(key) = tier.key.filter(|_| record.done_by.is_some()) {
                        // Who takes a slot for the other key at the same time has another lock. Each writes first and reads
                        // then, so one of the two knows of both.
                        let spent = account.spent_on_other(keys, key);
                        record.common.counts.merge(&spent);
                    }
                    Input::Written(record)
                }
                (Ok(_), _) => Input::Late,
                (Err(_), action) => tier.without(action),
            };
        }
        Action::GoAlone => {
            let path = tier.record.as_ref().and_then(|record| record.path());
            let path = path.map_or_else(String::new, |path| format!(" of {}", path.display()));
            let reason = format!("another process holds the lock{path} and does not use it");
            tier_went(account, Use::Write, Err(&reason));
            return tier.without(action);
        }
        _ => return tier.without(action),
    };
    tier_went(
        account,
        how,
        used.as_ref().map(drop).map_err(String::as_str),
    );
    used.unwrap_or_else(|_| tier.without(action))
}

/// One question to the fleet's store.
pub(crate) fn ask_store(account: &Account, tier: &mut Tier, what: Ask, within: Duration) -> Input {
    let asked = match &mut tier.fleet {
        Some(fleet) => fleet.ask(what, within),
        None => Err("no store is set".to_owned()),
    };
    let store = tier.fleet.as_ref().and_then(FleetClient::shown);
    store_went(
        account,
        asked.as_ref().map(|_| store).map_err(String::as_str),
    );
    match asked {
        Ok(Answer::Found(found)) => Input::Found(found),
        Ok(Answer::Stored(written)) => Input::Stored(written),
        Ok(Answer::Counted(hosts)) => Input::Counted(hosts),
        Err(_) => Input::Unreachable,
    }
}

/// One token request.
fn request_token(
    account: &Account,
    key: &ApiKey,
    (deadline, connect_within): (Instant, Duration),
    interrupt: &dyn Fn() -> bool,
) -> (Result<Grant, Rejection>, Option<RateLimit>) {
    let mut headers = HeaderMap::with_capacity(4);
    let merchant = HeaderValue::from_str(account.merchant_id.as_str()).ok();
    if let (Some(key), Some(merchant)) = (key.secret().header(), merchant) {
        headers.insert("x-api-key", key);
        headers.insert("x-merchant-id", merchant);
    }
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("pay88/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let target = account.base_url.token_target();
    let request = transport::Request {
        method: &Method::POST,
        target: target.as_str(),
        headers: &headers,
        body: Bytes::new(),
        keep_secret: true,
        // Another token does no harm.
        repeatable: true,
        // Calls that hang must not hold up the token of all others.
        urgent: true,
        sent: &AtomicBool::new(false),
    };
    let connect_timeout = account.connect_timeout.load(Ordering::Relaxed);
    let limits = Limits {
        deadline,
        connect_timeout: connect_within.min(Duration::from_millis(connect_timeout)),
        idle_timeout: IDLE_TIME,
        max_response_bytes: MAX_TOKEN_ANSWER,
    };
    match (account.link).exchange(&request, &limits, Some(interrupt), &mut |_| {}) {
        Ok(answer) => {
            let told = RateLimit::of(&answer);
            (Grant::read(answer, &[key.secret().expose()]), told)
        }
        Err(failure) => (Err(Rejection::from(failure)), None),
    }
}

pub(crate) fn complete(
    account: &Account,
    job: &Job,
    finish: Finish,
    asked_at: Reading,
    begun: Instant,
) {
    let attempt = job.flight.attempt;
    let mut state = account.state();
    if account.keys().epoch() != job.keys.epoch() {
        return;
    }
    let completion = match finish {
        Finish::Granted { issue, key } => {
            let token = account.publish(&issue, key, asked_at);
            if let Ok(token) = &token {
                account.counters.issued.add();
                let generation = token.generation();
                tell_issued(account, &issue, key, generation, attempt, begun);
            }
            token.map_or_else(Completion::Failed, Completion::Token)
        }
        Finish::Shared { issue, key } => match adopt(account, &issue, key) {
            Some(token) => token.map_or_else(Completion::Failed, Completion::Token),
            None => Completion::Superseded,
        },
        Finish::Abandoned => Completion::Superseded,
        Finish::Kept { again } => {
            account.cache.renew_later(again.max(RENEWAL_PAUSE));
            Completion::Superseded
        }
        Finish::Failed {
            error,
            backoff,
            capped,
        } => {
            account.counters.failed.add();
            let error = match error.attempt() {
                Some(_) => error,
                None => error.with_attempt(attempt),
            };
            let pause = error.retry_after().unwrap_or_default();
            account.renew_later(pause);
            emit(EventName::TokenFailed, account.id, || {
                json!({
                    "code": error.code().name(), "message": error.message(), "attempt": attempt,
                    "hold": backoff.map(|(class, _)| class.name()), "pause": pause.as_secs_f64(),
                })
            });
            if capped {
                emit(
                    EventName::PauseCapped,
                    account.id,
                    || json!({"pause": pause.as_secs_f64()}),
                );
            }
            Completion::Failed(error)
        }
    };
    account.forget_flight(&mut state, &job.flight);
    drop(state);
    job.flight.complete(completion);
}

fn tell_issued(
    account: &Account,
    issue: &Issue,
    key: Key,
    generation: u64,
    attempt: u64,
    begun: Instant,
) {
    let lifetime = account.lifetime(issue);
    let (expires_in, usable) = (issue.grant.expires_in, lifetime.usable.as_secs_f64());
    emit(EventName::TokenIssued, account.id, || {
        json!({
            "generation": generation, "attempt": attempt, "expires_in": expires_in, "usable": usable,
            "took": begun.elapsed().as_millis() as u64,
        })
    });
    if lifetime.stretched {
        emit(
            EventName::LifeShort,
            account.id,
            || json!({"expires_in": expires_in, "usable": usable}),
        );
    }
    if key == Key::Previous {
        emit(
            EventName::KeyFallback,
            account.id,
            || json!({"attempt": attempt}),
        );
    }
}
