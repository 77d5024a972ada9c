//! One authenticated call, from the caller's request to an answer.
//!
//! Promises: everything is checked before anything is sent. Each sending carries the token that is valid at that
//! moment. The error says whether any of the sendings can have reached 88Pay. The rules are written once; a blocking
//! and an asynchronous loop carry them out.

pub(crate) mod request;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::json;

use crate::call::request::{Request, Response};
use crate::config::endpoint::{BaseUrl, Target, check_headers};
use crate::error::{Error, ErrorCode, Outcome, Result};
use crate::exchange::{Answer, Failure};
use crate::manager::manager::Manager;
use crate::manager::token::Token;
use crate::platform::cancel::{ASK_EVERY, Stop, either};
use crate::platform::random;
use crate::policy::errors::{
    Unauthorized, after_sendings, canceled, error_of, forked, no_token_in_time,
};
use crate::policy::outcome::{combine, outcome_of};
use crate::policy::provider_message::provider_message;
use crate::policy::retry::Retry;
use crate::telemetry::event::{EventName, emit};
use crate::transport::{self, Limits, Tokio};

/// What a handle sets for its calls.
#[derive(Clone, Debug)]
pub(crate) struct CallDefaults {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_response_bytes: u64,
    pub(crate) user_agent: HeaderValue,
}

/// A checked call, and what has become of it so far.
pub(crate) struct Call {
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
    retry: Retry,
    pub(crate) deadline: Instant,
    defaults: CallDefaults,
    /// Method and path without query.
    path: String,
    /// The call is sent only once, whatever came of it.
    once: bool,
    /// After a 401 the call was sent again with another token already.
    reauthorized: bool,
    /// What is known of the sendings before the present one.
    past: Outcome,
}

enum Step {
    Done(Result<Response>),
    Again(Duration),
}

/// The longest time-out that is accepted.
const LONGEST: Duration = Duration::from_secs(3600);

/// The deadline of a call that begins now.
pub(crate) fn deadline_in(timeout: Duration) -> Result<Instant> {
    if timeout.is_zero() || timeout > LONGEST {
        return Err(Error::invalid(
            format!("The timeout is {} s.", timeout.as_secs_f64()),
            "It must be more than 0 and at most 3600 seconds.",
        ));
    }
    Ok(Instant::now() + timeout)
}

impl Call {
    /// Checks a request. If the check fails, nothing was sent.
    pub(crate) fn new(
        base_url: &BaseUrl,
        request: Request,
        defaults: &CallDefaults,
    ) -> Result<Call> {
        let deadline = deadline_in(request.timeout.unwrap_or(defaults.timeout))?;
        let method = method(&request.method)?;
        let target = base_url.target(&request.endpoint, &request.params)?;
        let mut headers = check_headers(&request.headers)?;
        headers
            .entry(header::USER_AGENT)
            .or_insert_with(|| defaults.user_agent.clone());
        if request.body.is_some() {
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
        }
        Ok(Call {
            retry: Retry::new(&method, target.api_path(), request.safe_to_repeat),
            path: format!("{method} {}", target.path()),
            method,
            target,
            headers,
            body: request.body.unwrap_or_default(),
            deadline,
            defaults: defaults.clone(),
            once: request.once,
            reauthorized: false,
            past: Outcome::NotSent,
        })
    }

    /// The error for a child that was forked meanwhile.
    pub(crate) fn forked(&self) -> impl Fn() -> Error + Unpin + use<> {
        let safe = self.retry.is_safe();
        move || forked(Outcome::Unknown).with_safe_to_repeat(safe)
    }

    /// Carries out the call on this thread. `stop` is called at least every 50 ms, with nothing locked.
    pub(crate) fn run(mut self, manager: &Manager, stop: &dyn Fn() -> bool) -> Result<Response> {
        manager.account.counters.calls.add();
        loop {
            let token = manager
                .token(self.deadline, stop)
                .map_err(|error| self.ended(manager, error))?;
            let (sent, mut used) = (AtomicBool::new(false), token.clone());
            let (request, limits) = (self.request(&sent), self.limits());
            let result =
                manager
                    .account
                    .link
                    .exchange(&request, &limits, Some(stop), &mut |headers| {
                        used = authorize(manager, &token, headers)
                    });
            match self.decide(manager, &used, result) {
                Step::Done(result) => return result,
                Step::Again(pause) => {
                    let until = Instant::now() + pause;
                    while Instant::now() < until {
                        std::thread::sleep(
                            ASK_EVERY.min(until.saturating_duration_since(Instant::now())),
                        );
                        if stop() {
                            return Err(self.ended(manager, canceled(Outcome::NotSent)));
                        }
                    }
                }
            }
        }
    }

    /// Carries out the call in a task of that runtime, until it is to stop: from then on nothing is sent. A call that is
    /// dropped half-way is counted and told as one that was canceled.
    pub(crate) async fn run_async(
        self,
        manager: &Manager,
        runtime: Tokio,
        stop: Stop<'_>,
    ) -> Result<Response> {
        /// Ends without a result if it is dropped.
        struct UnderWay<'a> {
            call: Call,
            manager: &'a Manager,
            sent: &'a AtomicBool,
            over: bool,
        }
        impl UnderWay<'_> {
            fn cancel(&mut self) -> Error {
                self.over = true;
                let outcome = outcome_of(self.sent.load(Ordering::Acquire));
                self.call.ended(self.manager, canceled(outcome))
            }
        }
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                if !self.over && !std::thread::panicking() {
                    self.cancel();
                }
            }
        }
        manager.account.counters.calls.add();
        let sent = AtomicBool::new(false);
        let mut under_way = UnderWay {
            call: self,
            manager,
            sent: &sent,
            over: false,
        };
        let carry_out = under_way.call.carry_out(manager, runtime, stop, &sent);
        match either(carry_out, stop.raised()).await {
            Ok(result) => {
                under_way.over = true;
                result
            }
            Err(()) => Err(under_way.cancel()),
        }
    }

    /// `sent` tells about the present sending, also if this future is dropped half-way.
    async fn carry_out(
        &mut self,
        manager: &Manager,
        runtime: Tokio,
        stop: Stop<'_>,
        sent: &AtomicBool,
    ) -> Result<Response> {
        let stopped = || stop.is_raised();
        // What has been sent may be answered already.
        let interrupt = || stopped() && !sent.load(Ordering::Acquire);
        loop {
            let token = manager.token_async(self.deadline, &stopped);
            let waiting = tokio::time::timeout_at(self.deadline.into(), token);
            let token = match waiting.await {
                Ok(token) => token,
                Err(_) => Err(no_token_in_time()),
            };
            let token = token.map_err(|error| self.ended(manager, error))?;
            let mut used = token.clone();
            let (request, limits) = (self.request(sent), self.limits());
            let result = manager
                .account
                .link
                .exchange_async(&request, &limits, runtime, Some(&interrupt), |headers| {
                    used = authorize(manager, &token, headers)
                })
                .await;
            match self.decide(manager, &used, result) {
                Step::Done(result) => return result,
                Step::Again(pause) => {
                    // From here on `past` tells about it.
                    sent.store(false, Ordering::Release);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn request<'a>(&'a self, sent: &'a AtomicBool) -> transport::Request<'a> {
        #[cfg(feature = "test-hooks")]
        crate::platform::fault_injection::panic_if_asked();
        transport::Request {
            method: &self.method,
            target: self.target.as_str(),
            headers: &self.headers,
            body: self.body.clone(),
            keep_secret: false,
            repeatable: self.retry.is_safe(),
            urgent: false,
            sent,
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            deadline: self.deadline,
            connect_timeout: self.defaults.connect_timeout,
            idle_timeout: self.defaults.idle_timeout,
            max_response_bytes: self.defaults.max_response_bytes,
        }
    }

    /// Decides what to do after a sending.
    fn decide(&mut self, manager: &Manager, used: &Token, result: Result<Answer, Failure>) -> Step {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match result {
            Ok(answer) if self.once => self.done(manager, used, answer, None),
            Ok(answer) => {
                let status = answer.status.as_u16();
                let mut unauthorized = None;
                if status == 401 {
                    if self.reauthorized {
                        manager.answered_401_again(&self.path);
                        unauthorized = Some(Unauthorized::Again);
                    } else if let Err(why) = manager.answered_401(&self.path, used.generation()) {
                        unauthorized = Some(why);
                    } else {
                        self.reauthorized = true;
                        return self.again(manager, Outcome::Answered, "401", Duration::ZERO);
                    }
                } else {
                    manager.answered_otherwise(&self.path);
                    let retry_after = answer.retry_after();
                    if let Some(pause) =
                        self.retry
                            .after_status(status, retry_after, left, random::fraction)
                    {
                        return self.again(
                            manager,
                            Outcome::Answered,
                            answer.status.as_str(),
                            pause,
                        );
                    }
                }
                self.done(manager, used, answer, unauthorized)
            }
            Err(failure) => {
                if !self.once
                    && let Some(pause) = self.retry.after_failure(&failure, left, random::fraction)
                {
                    let outcome = outcome_of(failure.sent);
                    return self.again(manager, outcome, "connection", pause);
                }
                Step::Done(Err(
                    self.ended(manager, error_of("The call failed", failure))
                ))
            }
        }
    }

    fn again(
        &mut self,
        manager: &Manager,
        outcome: Outcome,
        reason: &str,
        pause: Duration,
    ) -> Step {
        self.past = combine(self.past, outcome);
        manager.account.counters.calls_repeated.add();
        let (method, path) = (self.method.as_str(), self.target.path());
        emit(
            EventName::CallRepeated,
            manager.account.id,
            || json!({"method": method, "path": path, "reason": reason, "pause": pause.as_millis() as u64}),
        );
        Step::Again(pause)
    }

    /// The call ends with this answer.
    fn done(
        &self,
        manager: &Manager,
        used: &Token,
        answer: Answer,
        unauthorized: Option<Unauthorized>,
    ) -> Step {
        let status = answer.status.as_u16();
        manager.account.counters.answered(status);
        if status >= 400 {
            self.tell_failed(
                manager,
                ErrorCode::HttpError,
                Some(status),
                Outcome::Answered,
            );
        }
        let said = match status {
            400.. => provider_message(&answer.body, &[used.access_token(), used.session_id()]),
            _ => String::new(),
        };
        let response = Response::of(answer).saying(said);
        Step::Done(Ok(match unauthorized {
            Some(why) => response.unauthorized(why),
            None => response,
        }))
    }

    /// The error of a call that ends without an answer.
    fn ended(&self, manager: &Manager, error: Error) -> Error {
        let error = after_sendings(self.past, error).with_safe_to_repeat(self.retry.is_safe());
        manager.account.counters.calls_failed.add();
        self.tell_failed(manager, error.code(), error.http_status(), error.outcome());
        error
    }

    fn tell_failed(
        &self,
        manager: &Manager,
        code: ErrorCode,
        status: Option<u16>,
        outcome: Outcome,
    ) {
        let (method, path) = (self.method.as_str(), self.target.path());
        emit(
            EventName::CallFailed,
            manager.account.id,
            || json!({"method": method, "path": path, "code": code.name(), "status": status, "outcome": outcome.name()}),
        );
    }
}

/// Fills in the token that is valid now, otherwise the one that the call waited for. Returns which.
fn authorize(manager: &Manager, waited_for: &Token, headers: &mut HeaderMap) -> Token {
    let token = manager.peek().unwrap_or_else(|| waited_for.clone());
    let snapshot = &*token.0;
    headers.insert(header::AUTHORIZATION, snapshot.authorization.clone());
    headers.insert("x-session-id", snapshot.session.clone());
    token
}

fn method(text: &str) -> Result<Method> {
    let upper = text.trim().to_ascii_uppercase();
    match Method::from_bytes(upper.as_bytes()) {
        Ok(method) if !matches!(method, Method::CONNECT | Method::TRACE) && upper.len() <= 32 => {
            Ok(method)
        }
        _ => Err(Error::invalid(
            "The method cannot be used.",
            "Use GET, POST, PUT, PATCH, DELETE or HEAD.",
        )),
    }
}
