//! 88Pay, and the network to it: the rules of the sandbox under the simulation's clock.
//!
//! Promises: every token request is answered by the sandbox at the instant at which it arrives. What a token is worth is
//! asked there once, and again when something has changed; in between it is what it was.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pay88_sandbox::{
    Action, Clock, Config, Fault, Match, Request, Service, TEST_KEY, TEST_MERCHANT, VirtualClock,
    Windows,
};
use serde_json::Value;

use super::setup::{At, SECOND};
use crate::exchange::Answer;
use crate::manager::token::Token;

pub(super) struct Provider {
    service: Service,
    clock: VirtualClock,
    now: At,
    /// When each token was granted.
    pub(super) granted: Vec<At>,
    /// It gives everybody that status until then, whatever its limits are.
    pub(super) refuses: (u16, At),
    /// So many 429s came of that.
    pub(super) limited: u64,
    /// When the token with that session ID ends.
    ends: HashMap<String, At>,
    /// Tokens that were tried, by their number: in which epoch, and until when they are good.
    tried: HashMap<u64, (u64, Option<At>)>,
    /// Goes up when tokens are revoked.
    epoch: u64,
}

/// What asks for a token.
fn token_request() -> Request {
    Request {
        method: "POST".into(),
        target: "/api/auth/token".into(),
        headers: vec![
            ("x-api-key".into(), TEST_KEY.into()),
            ("x-merchant-id".into(), TEST_MERCHANT.into()),
        ],
        body: Vec::new(),
    }
}

/// The sandbox's answer as it comes from the network.
fn as_received(answer: pay88_sandbox::Answer) -> Answer {
    let headers: HeaderMap = answer
        .headers
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        })
        .collect();
    Answer {
        status: StatusCode::from_u16(answer.status).unwrap(),
        headers,
        body: answer.body,
        received: std::time::SystemTime::now(),
    }
}

impl Provider {
    pub(super) fn new(windows: Windows) -> Provider {
        let clock = VirtualClock::default();
        let service = Service::new(&Config {
            clock: Clock::Virtual(clock.clone()),
            windows,
            ..Config::default()
        });
        Provider {
            service: service.unwrap(),
            clock,
            now: 0,
            granted: Vec::new(),
            refuses: (0, 0),
            limited: 0,
            ends: HashMap::new(),
            tried: HashMap::new(),
            epoch: 0,
        }
    }

    pub(super) fn go_to(&mut self, now: At) {
        self.clock.advance(Duration::from_micros(now - self.now));
        self.now = now;
    }

    /// A token request arrives; from an address that is not allowed, if `denied`.
    pub(super) fn token_request(&mut self, denied: bool) -> Answer {
        let (status, until) = self.refuses;
        if self.now < until {
            let wait = (until - self.now).div_ceil(SECOND).to_string();
            let action = match status {
                429 => Action::status_with(429, &[("Retry-After", &wait)]),
                status => Action::status(status),
            };
            self.service.fault(Fault::once(Match::Token, action));
            self.limited += u64::from(status == 429);
        }
        // Like this the refused request uses the limit up.
        self.service.suspend(TEST_MERCHANT, denied);
        let answer = self.service.handle(&token_request());
        self.service.suspend(TEST_MERCHANT, false);
        if answer.status == 200 {
            self.granted.push(self.now);
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            let session = body["data"]["session_id"].as_str().unwrap().to_owned();
            self.ends.insert(session, self.now + 60 * SECOND);
        }
        as_received(answer)
    }

    /// So many token requests are answered with that status.
    pub(super) fn fail(&mut self, status: u16, times: u32) {
        let fault = Fault::times(times, Match::Token, Action::status(status));
        self.service.fault(fault);
    }

    pub(super) fn revoke(&mut self) {
        self.service.revoke_all();
        self.epoch += 1;
    }

    /// Whether a call with that token is let in.
    pub(super) fn lets_in(&mut self, token: &Token) -> bool {
        let id = token.0.stamp.id;
        let known = self
            .tried
            .get(&id)
            .filter(|(epoch, _)| *epoch == self.epoch);
        let good_until = match known {
            Some((_, good_until)) => *good_until,
            None => {
                let good = self.call(token).then(|| self.ends[token.session_id()]);
                self.tried.insert(id, (self.epoch, good));
                good
            }
        };
        good_until.is_some_and(|until| self.now < until)
    }

    fn call(&self, token: &Token) -> bool {
        let bearer = format!("Bearer {}", token.access_token());
        let answer = self.service.handle(&Request {
            method: "GET".into(),
            target: "/api/echo".into(),
            headers: vec![
                ("authorization".into(), bearer.into()),
                ("x-session-id".into(), token.session_id().into()),
            ],
            body: Vec::new(),
        });
        let body = String::from_utf8_lossy(&answer.body);
        let told = ["Token revoked", "Token expired"]
            .iter()
            .any(|text| body.contains(text));
        assert!(
            answer.status == 200 || told,
            "no pair: {} {body}",
            answer.status
        );
        answer.status == 200
    }

    /// How often it answered a token request with that status.
    pub(super) fn refused(&self, status: u16) -> u64 {
        let refused = self.service.counters().tokens_refused;
        refused.get(&status).copied().unwrap_or_default()
    }

    /// How often it said 429 because of its limits.
    pub(super) fn over_limit(&self) -> u64 {
        self.refused(429) - self.limited
    }

    /// The most tokens that were granted within any hour.
    pub(super) fn most_in_an_hour(&self) -> usize {
        let from = |end: &At| {
            self.granted
                .partition_point(|at| *at + 3600 * SECOND <= *end)
        };
        let counts = self.granted.iter().enumerate();
        counts
            .map(|(last, end)| last + 1 - from(end))
            .max()
            .unwrap_or(0)
    }
}
