//! The rules of 88Pay, without any network: a request goes in, an answer comes out. Tokens, limits, charges, counters and the
//! log live here. It never waits, and no request makes it panic.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::calls;
use crate::charges::Charges;
use crate::clock::Clock;
use crate::config::{Config, Merchant, Switches};
use crate::counters::Counters;
use crate::fault::{Action, Fault, Faults, answer_of};
use crate::limits::{Budget, Limit, Standing};
use crate::log::{Log, LogEntry, masked};
use crate::message::{Answer, Request};
use crate::tokens::{Grant, Signer, Tokens};

/// The path of the token endpoint.
pub const TOKEN_PATH: &str = "/api/auth/token";

/// No merchant's clock is further ahead than this, a thousand years, so that sums of times never overflow.
const MOST_AHEAD: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// The provider without a network. Requests may come from any number of threads.
pub struct Service {
    clock: Clock,
    signer: Signer,
    state: Mutex<State>,
}

/// All that changes. Reset replaces it, but for merchants, switches and clocks.
pub(crate) struct State {
    pub(crate) switches: Switches,
    merchants: Vec<Merchant>,
    token_budgets: HashMap<String, Budget>,
    call_budgets: HashMap<(String, &'static str), Budget>,
    tokens: Tokens,
    pub(crate) charges: Charges,
    counters: Counters,
    counters_by_merchant: HashMap<String, Counters>,
    /// How far the clock of a merchant is ahead.
    ahead: HashMap<String, Duration>,
    log: Log,
    faults: Faults,
}

impl State {
    fn new(merchants: Vec<Merchant>, switches: Switches) -> Self {
        State {
            switches,
            merchants,
            token_budgets: HashMap::new(),
            call_budgets: HashMap::new(),
            tokens: Tokens::default(),
            charges: Charges::default(),
            counters: Counters::default(),
            counters_by_merchant: HashMap::new(),
            ahead: HashMap::new(),
            log: Log::default(),
            faults: Faults::default(),
        }
    }

    /// Counts something for all, and for the merchant that it belongs to.
    pub(crate) fn count(&mut self, merchant: Option<&str>, change: impl Fn(&mut Counters)) {
        change(&mut self.counters);
        if let Some(merchant) = merchant {
            change(
                self.counters_by_merchant
                    .entry(merchant.to_owned())
                    .or_default(),
            );
        }
    }

    /// The merchant that a request names, or that its token was issued for, if it is known.
    fn merchant_of(&self, request: &Request) -> Option<String> {
        let named = request.header_values("x-merchant-id").next();
        let id = match named {
            Some(id) => std::str::from_utf8(id).ok()?,
            None => &self.tokens.find(bearer(request)?)?.merchant,
        };
        let known = self.merchants.iter().find(|merchant| merchant.id == id)?;
        Some(known.id.clone())
    }
}

impl Service {
    /// The rules as configured. Fails only if the system has no randomness to give.
    pub fn new(config: &Config) -> io::Result<Self> {
        Ok(Service {
            clock: config.clock.clone(),
            signer: Signer::new()?,
            state: Mutex::new(State::new(config.merchants.clone(), Switches::of(config))),
        })
    }

    /// Answers a request as the server would, and counts and logs it. Of the faults, those that only change the answer
    /// ([`Action::Answer`], [`Action::ClockSkew`]) are played; the others wait for a connection. Delays are not waited for.
    pub fn handle(&self, request: &Request) -> Answer {
        let mut state = self.state();
        let merchant = state.merchant_of(request);
        let now = self.now(&state, merchant.as_deref());
        let action =
            state
                .faults
                .take_for(request.path(), merchant.as_deref(), Action::is_of_answer);
        let answer = match action.as_ref().and_then(answer_of) {
            Some(answer) => answer,
            None => self.rules(&mut state, request, now),
        };
        let answer = dated(answer, now, action.as_ref());
        let arrival = Arrival {
            connection: 0,
            merchant,
            now,
            faulted: action.is_some(),
        };
        record(&mut state, arrival, request, Some(answer.status));
        answer
    }

    /// Answers a request that came over a connection, under the fault taken for it. `None` where that leaves it without an answer.
    pub(crate) fn play(
        &self,
        connection: u64,
        request: &Request,
        action: Option<&Action>,
    ) -> Option<Answer> {
        let mut state = self.state();
        let merchant = state.merchant_of(request);
        let now = self.now(&state, merchant.as_deref());
        let answer = match action {
            Some(
                Action::CutAfterRequest | Action::Stall | Action::Garbage | Action::Wire { .. },
            ) => None,
            _ => Some(match action.and_then(answer_of) {
                Some(answer) => answer,
                None => self.rules(&mut state, request, now),
            }),
        };
        let seen = match action {
            Some(Action::CutBeforeAnswer | Action::ResetBeforeAnswer) => None,
            _ => answer.as_ref().map(|answer| answer.status),
        };
        let arrival = Arrival {
            connection,
            merchant,
            now,
            faulted: action.is_some(),
        };
        record(&mut state, arrival, request, seen);
        drop(state);
        answer.map(|answer| dated(answer, now, action))
    }

    /// The fault to play on a request.
    pub(crate) fn take_fault(&self, request: &Request) -> Option<Action> {
        let of_request = |action: &Action| !action.is_of_connection();
        let mut state = self.state();
        let merchant = state.merchant_of(request);
        state
            .faults
            .take_for(request.path(), merchant.as_deref(), of_request)
    }

    /// The fault to play on a connection that was just accepted.
    pub(crate) fn take_connection_fault(&self) -> Option<Action> {
        let mut state = self.state();
        let action = state.faults.take_for_connection()?;
        state.counters.faults_played += 1;
        Some(action)
    }

    /// How long the answer to a request for this path waits.
    pub(crate) fn delay(&self, path: &str) -> Duration {
        let state = self.state();
        if path == TOKEN_PATH {
            state.switches.token_delay
        } else {
            state.switches.call_delay
        }
    }

    /// Changes counters that only the network knows.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.state().counters);
    }

    /// The clock it lives by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The key that verifies its tokens: an uncompressed point on P-256.
    pub fn public_key(&self) -> &[u8] {
        self.signer.public_key()
    }

    /// What happened so far, in numbers.
    pub fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    /// The same for one merchant. Connections, and what was no valid HTTP, belong to none: these numbers are 0.
    pub fn counters_of(&self, merchant_id: &str) -> Counters {
        let state = self.state();
        let counters = state.counters_by_merchant.get(merchant_id);
        counters.cloned().unwrap_or_default()
    }

    /// Every request so far, the latest [`LOG_LENGTH`](crate::LOG_LENGTH) of them.
    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.entries(None)
    }

    /// The requests of one merchant among them.
    pub fn log_of(&self, merchant_id: &str) -> Vec<LogEntry> {
        self.state().log.entries(Some(merchant_id))
    }

    /// The charges created, oldest first: `reference`, `merchant_id`, `body`, and `same_body`, how many charges were created
    /// from an equal body. The latest [`CHARGES_KEPT`](crate::CHARGES_KEPT) are kept.
    pub fn charges(&self) -> Vec<Value> {
        self.state().charges.describe(None)
    }

    /// The charges of one merchant among them.
    pub fn charges_of(&self, merchant_id: &str) -> Vec<Value> {
        self.state().charges.describe(Some(merchant_id))
    }

    /// Plays a fault on requests or connections to come.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Forgets all faults that wait to be played.
    pub fn clear_faults(&self) {
        self.state().faults.clear(None);
    }

    /// Forgets the faults that wait for requests of this merchant alone.
    pub fn clear_faults_of(&self, merchant_id: &str) {
        self.state().faults.clear(Some(merchant_id));
    }

    /// Every token issued so far is answered 401 from now on.
    pub fn revoke_all(&self) {
        self.state().tokens.revoke(|_| true);
    }

    /// Every token issued so far to this merchant is answered 401 from now on.
    pub fn revoke_all_of(&self, merchant_id: &str) {
        let mut state = self.state();
        state.tokens.revoke(|grant| grant.merchant == merchant_id);
    }

    /// Moves the clock forward by which one merchant's tokens expire and its limits are counted, whatever the clock of
    /// the sandbox is.
    pub fn advance_for(&self, merchant_id: &str, by: Duration) {
        let mut state = self.state();
        let ahead = state.ahead.entry(merchant_id.to_owned()).or_default();
        *ahead = ahead.saturating_add(by).min(MOST_AHEAD);
    }

    /// The merchants, with their keys masked.
    pub fn merchants(&self) -> Vec<Value> {
        let state = self.state();
        let shown = state.merchants.iter().map(|merchant| {
            let keys: Vec<String> = merchant.keys.iter().map(|key| masked(key)).collect();
            json!({"merchant_id": merchant.id, "keys": keys, "suspended": merchant.suspended})
        });
        shown.collect()
    }

    /// Whether it has a merchant of this ID.
    pub fn knows(&self, merchant_id: &str) -> bool {
        let state = self.state();
        state
            .merchants
            .iter()
            .any(|merchant| merchant.id == merchant_id)
    }

    /// The switches as they stand.
    pub fn switches(&self) -> Switches {
        self.state().switches.clone()
    }

    /// Changes switches. The service answers nobody until `change` returns, which must not use the service itself.
    pub fn set(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.state().switches);
    }

    /// Accepts a key for a merchant, which may be new.
    pub fn add_key(&self, merchant_id: &str, key: &str) {
        let mut state = self.state();
        match state.merchants.iter_mut().find(|m| m.id == merchant_id) {
            Some(merchant) if merchant.keys.iter().any(|have| have == key) => {}
            Some(merchant) => merchant.keys.push(key.to_owned()),
            None => state.merchants.push(Merchant::new(merchant_id, key)),
        }
    }

    /// A name that nobody has yet: the prefix and random digits.
    pub(crate) fn made_up(&self, prefix: &str) -> Result<String, Answer> {
        let no_randomness = |_| Answer::error(500, "No randomness to be had");
        let digits = self.signer.uuid().map_err(no_randomness)?;
        Ok(prefix.to_owned() + &digits.replace('-', ""))
    }

    /// Refuses a key from now on. Tokens that it was given live on.
    pub fn remove_key(&self, key: &str) {
        for merchant in &mut self.state().merchants {
            merchant.keys.retain(|have| have != key);
        }
    }

    /// Suspends a merchant, or lets it in again. Its tokens live on. Tells whether the merchant is known.
    pub fn suspend(&self, merchant_id: &str, suspended: bool) -> bool {
        let mut state = self.state();
        let merchant = state.merchants.iter_mut().find(|m| m.id == merchant_id);
        merchant
            .map(|merchant| merchant.suspended = suspended)
            .is_some()
    }

    /// Forgets tokens, limits used, charges, faults, counters and log. Merchants, keys, switches and clocks stay.
    pub fn reset(&self) {
        let mut state = self.state();
        let open = state.counters.connections_open;
        let merchants = std::mem::take(&mut state.merchants);
        let ahead = std::mem::take(&mut state.ahead);
        *state = State::new(merchants, state.switches.clone());
        state.ahead = ahead;
        state.counters.connections_open = open;
        state.counters.connections_peak = open;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a merchant, since 1970.
    fn now(&self, state: &State, merchant: Option<&str>) -> Duration {
        let ahead = merchant.and_then(|merchant| state.ahead.get(merchant));
        self.clock
            .unix()
            .saturating_add(ahead.copied().unwrap_or_default())
    }

    fn rules(&self, state: &mut State, request: &Request, now: Duration) -> Answer {
        let answer = if request.path() == TOKEN_PATH {
            self.token(state, request, now)
        } else {
            self.call(state, request, now)
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    /// The token endpoint. The limit is looked at last, but a refused request uses it up as well, unless switched off.
    fn token(&self, state: &mut State, request: &Request, now: Duration) -> Result<Answer, Answer> {
        let limit = Limit {
            per_minute: state.switches.tokens_per_minute,
            per_hour: state.switches.tokens_per_hour,
            windows: state.switches.windows,
        };
        let key = request.header_once("x-api-key").ok().flatten();
        let known = key.filter(|key| {
            let mut all = state.merchants.iter().flat_map(|merchant| &merchant.keys);
            all.any(|have| have == key)
        });
        let Some(key) = known else {
            let refused = match token_request(request) {
                Ok(_) => Answer::error(401, "Invalid API key or merchant ID"),
                Err(refusal) => refusal,
            };
            let standing = Budget::default().standing(now, limit);
            return Err(with_standing(refused, standing));
        };

        let merchant = token_request(request).and_then(|id| {
            let merchant = state
                .merchants
                .iter()
                .find(|merchant| merchant.id == id && merchant.keys.iter().any(|have| have == key))
                .ok_or_else(|| Answer::error(401, "Invalid API key or merchant ID"))?;
            if merchant.suspended {
                return Err(Answer::error(403, "Access denied"));
            }
            Ok(id)
        });
        let budget = state.token_budgets.entry(key.to_owned()).or_default();
        let free_at = budget.free_at(now, limit);
        if (merchant.is_ok() && free_at.is_none()) || state.switches.refused_requests_count {
            budget.take(now);
        }
        let standing = budget.standing(now, limit);
        let answer = match (merchant, free_at) {
            (Err(refusal), _) => Err(refusal),
            (Ok(_), Some(free_at)) => {
                Err(limited(budget.free_at(now, limit).unwrap_or(free_at), now))
            }
            (Ok(merchant), None) => self.issue(state, key, merchant, now),
        };
        answer
            .map(|answer| with_standing(answer, standing))
            .map_err(|refusal| with_standing(refusal, standing))
    }

    fn issue(
        &self,
        state: &mut State,
        key: &str,
        merchant: &str,
        now: Duration,
    ) -> Result<Answer, Answer> {
        let life = state.switches.token_life();
        let expires = now + life;
        let claims = json!({
            "merchant_id": merchant,
            "iat": now.as_secs(),
            "exp": expires.as_secs(),
        });
        let no_randomness = |_| Answer::error(500, "No randomness to be had");
        let token = self.signer.jwt(&claims).map_err(no_randomness)?;
        let session = format!("sess_{}", self.signer.uuid().map_err(no_randomness)?);

        if state.switches.new_token_voids_old {
            state
                .tokens
                .revoke(|grant| grant.key == key && grant.merchant == merchant);
        }
        let mut data = json!({"access_token": token, "session_id": session});
        if !state.switches.expires_in.is_null() {
            data["expires_in"] = state.switches.expires_in.clone();
        }
        let grant = Grant {
            session,
            key: key.to_owned(),
            merchant: merchant.to_owned(),
            expires,
            revoked: false,
        };
        // By the clock that is behind all others, so that no merchant's tokens are forgotten too soon.
        state.tokens.add(token, grant, self.clock.unix());
        state.count(Some(merchant), |counters| counters.tokens_issued += 1);
        Ok(Answer::success("Token generated successfully", data))
    }

    /// Any other request: authenticated first, then counted against the merchant's limit, then carried out.
    fn call(&self, state: &mut State, request: &Request, now: Duration) -> Result<Answer, Answer> {
        request.without_header("x-api-key")?;
        request.without_header("x-merchant-id")?;
        let authorization = request.header_once("authorization")?;
        let session = request.header_once("x-session-id")?;
        let unauthorized = |message: &str| Answer::error(401, message);
        let token = authorization
            .and(bearer(request))
            .ok_or_else(|| unauthorized("Bearer token missing"))?;
        let session = session.ok_or_else(|| unauthorized("Session ID missing"))?;
        let merchant = state
            .tokens
            .check(token, session, now)
            .map_err(unauthorized)?
            .merchant
            .clone();

        let limit = Limit {
            per_minute: state.switches.calls_per_minute,
            per_hour: state.switches.calls_per_hour,
            windows: state.switches.windows,
        };
        if limit.per_minute == 0 && limit.per_hour == 0 {
            return calls::carry_out(state, &self.signer, &merchant, request);
        }
        let bucket = (merchant.clone(), calls::bucket(request.path()));
        let budget = state.call_budgets.entry(bucket).or_default();
        let free_at = budget.free_at(now, limit);
        if free_at.is_none() || state.switches.refused_requests_count {
            budget.take(now);
        }
        let standing = budget.standing(now, limit);
        let answer = match free_at {
            Some(free_at) => Err(limited(budget.free_at(now, limit).unwrap_or(free_at), now)),
            None => calls::carry_out(state, &self.signer, &merchant, request),
        };
        answer
            .map(|answer| with_standing(answer, standing))
            .map_err(|refusal| with_standing(refusal, standing))
    }
}

/// What is known of a request besides what it says.
struct Arrival {
    connection: u64,
    merchant: Option<String>,
    now: Duration,
    faulted: bool,
}

/// Counts a request and writes it to the log.
fn record(state: &mut State, arrival: Arrival, request: &Request, status: Option<u16>) {
    let is_token = request.path() == TOKEN_PATH;
    state.count(arrival.merchant.as_deref(), |counters| {
        counters.faults_played += u64::from(arrival.faulted);
        if is_token {
            counters.tokens_requested += 1;
            if let Some(status) = status.filter(|status| *status != 200) {
                *counters.tokens_refused.entry(status).or_default() += 1;
            }
        } else {
            counters.calls += 1;
            counters.unauthorized += u64::from(status == Some(401));
            if let Some(status) = status {
                *counters.calls_by_status.entry(status).or_default() += 1;
            }
        }
    });
    let named = request.header_values("x-api-key").next();
    let key = match named.map(|key| std::str::from_utf8(key).unwrap_or_default()) {
        Some(key) => Some(masked(key)),
        None => bearer(request)
            .and_then(|token| state.tokens.find(token))
            .map(|grant| masked(&grant.key)),
    };
    state.log.add(LogEntry {
        time: arrival.now,
        connection: arrival.connection,
        method: request.method.clone(),
        target: request.target.clone(),
        status,
        key,
        merchant_id: arrival.merchant,
        headers: request
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        body_length: request.body.len(),
    });
}

fn dated(answer: Answer, now: Duration, action: Option<&Action>) -> Answer {
    if answer.header("Date").is_some() {
        return answer;
    }
    let skew = match action {
        Some(Action::ClockSkew { seconds }) => *seconds,
        _ => 0,
    };
    // The last second of the year 9999 is the last that an HTTP date can name.
    let seconds = now
        .as_secs()
        .saturating_add_signed(skew)
        .min(253_402_300_799);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    answer.and_header("Date", date)
}

/// The merchant that a well-formed token request names.
fn token_request(request: &Request) -> Result<&str, Answer> {
    if request.method != "POST" {
        return Err(Answer::error(405, "Method not allowed").and_header("Allow", "POST"));
    }
    if request.query().is_some() {
        return Err(Answer::error(400, "No query is allowed on this request"));
    }
    request.without_header("authorization")?;
    request.without_header("x-session-id")?;
    request.without_header("transfer-encoding")?;
    let length = request.header_once("content-length")?;
    if !request.body.is_empty() || length.is_some_and(|length| length != "0") {
        return Err(Answer::error(400, "No body is allowed on this request"));
    }
    let key = request.header_once("x-api-key")?;
    let merchant = request.header_once("x-merchant-id")?;
    key.and(merchant)
        .ok_or_else(|| Answer::error(401, "Invalid API key or merchant ID"))
}

/// The token of a request, if it has one in the one form that is accepted.
fn bearer(request: &Request) -> Option<&str> {
    let value = request.header_values("authorization").next()?;
    std::str::from_utf8(value).ok()?.strip_prefix("Bearer ")
}

/// The documented 429, with the seconds until a request will be accepted again.
fn limited(free_at: Duration, now: Duration) -> Answer {
    let wait = free_at.saturating_sub(now).as_secs_f64().ceil().max(1.0) as u64;
    let body = json!({
        "status": "Error",
        "code": 429,
        "message": "Rate limit exceeded. Please try again later.",
        "retry_after": wait,
    });
    Answer::with_json(429, &body).and_header("Retry-After", wait)
}

fn with_standing(answer: Answer, standing: Option<Standing>) -> Answer {
    match standing {
        None => answer,
        Some(standing) => answer
            .and_header("X-RateLimit-Limit", standing.limit)
            .and_header("X-RateLimit-Remaining", standing.remaining)
            .and_header(
                "X-RateLimit-Reset",
                standing.reset.as_secs_f64().ceil() as u64,
            ),
    }
}
