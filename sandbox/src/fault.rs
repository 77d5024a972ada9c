//! Faults on demand: what they do, which requests meet them, and how often. The server decides how they look on the
//! wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::seconds;
use crate::message::Answer;
use crate::service::TOKEN_PATH;

/// A fault that waits for the requests it is meant for. If several fit, the request meets the one that was added
/// first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests it is meant for. Faults of the connection ([`Action::CutHandshake`],
    /// [`Action::AlertHandshake`], [`Action::StallConnection`], [`Action::CutBeforeRequest`]) hit the next
    /// connection, before it carries a request, whatever is set here.
    pub on: Match,
    /// How many requests meet it; `None` for every request until the faults are cleared. In JSON: absent is once,
    /// `null` is `None`.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Whose requests it is meant for; `None` (or absent in JSON) for those of every merchant. A connection belongs to
    /// no merchant, so a fault of the connection that names one never happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_id: Option<String>,
    /// What happens.
    pub action: Action,
}

fn once() -> Option<u32> {
    Some(1)
}

impl Fault {
    /// A fault for the first request that it fits.
    pub fn once(on: Match, action: Action) -> Self {
        Fault::times(1, on, action)
    }

    /// A fault for the first `times` requests that it fits.
    pub fn times(times: u32, on: Match, action: Action) -> Self {
        Fault {
            on,
            times: Some(times),
            merchant_id: None,
            action,
        }
    }

    /// A fault for every request that it fits, until the faults are cleared.
    pub fn always(on: Match, action: Action) -> Self {
        Fault {
            on,
            times: None,
            merchant_id: None,
            action,
        }
    }

    /// The same fault, for the requests of this merchant alone.
    pub fn of(self, merchant_id: impl Into<String>) -> Self {
        Fault {
            merchant_id: Some(merchant_id.into()),
            ..self
        }
    }
}

/// Which requests a fault is meant for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Token requests.
    Token,
    /// Everything but token requests.
    Calls,
    /// Requests with this path, without its query.
    Path(String),
    /// Every request.
    Any,
}

impl Match {
    fn fits(&self, path: &str) -> bool {
        match self {
            Match::Token => path == TOKEN_PATH,
            Match::Calls => path != TOKEN_PATH,
            Match::Path(wanted) => path == wanted,
            Match::Any => true,
        }
    }
}

/// What a fault does. "Not carried out" means that no rule was applied and nothing was created. "Carried out" means
/// the opposite, whatever the client sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// The next connection is closed when the first bytes of its TLS handshake have arrived. Without TLS it is
    /// [`Action::CutBeforeRequest`].
    CutHandshake,
    /// The next connection gets the TLS alert `handshake_failure`. Without TLS it is [`Action::CutBeforeRequest`].
    AlertHandshake,
    /// The next connection is accepted, and nothing is ever sent on it; with TLS its handshake stalls.
    StallConnection,
    /// The next connection is closed once it is established (with TLS: after the handshake), before a request was
    /// read.
    CutBeforeRequest,
    /// The request is read, not carried out, and the connection is closed.
    CutAfterRequest,
    /// The request is carried out, and the connection closed before the first byte of the answer.
    CutBeforeAnswer,
    /// The request is carried out, and the connection closed in the middle of the answer's head.
    CutInHead,
    /// The request is carried out, and the connection closed in the middle of the answer's body.
    CutInBody,
    /// The request is carried out, and the connection reset before the first byte of the answer.
    ResetBeforeAnswer,
    /// The request is carried out, and the connection reset in the middle of the answer's body.
    ResetInBody,
    /// The request is read, not carried out, and never answered; the connection stays open.
    Stall,
    /// The request is carried out; head and half of the body are sent, and then nothing more. The connection stays open.
    StallInBody,
    /// The request is carried out, and the answer is delayed. No other request is delayed with it.
    Delay {
        /// How long, on the real clock.
        #[serde(with = "seconds")]
        seconds: Duration,
    },
    /// The request is carried out, and its answer sent byte by byte.
    Drip {
        /// The pause before each byte, on the real clock.
        #[serde(with = "seconds")]
        seconds: Duration,
    },
    /// The request is carried out, and the body of its answer is compressed, as `Content-Encoding` says.
    Coded {
        /// The compression.
        coding: Coding,
    },
    /// The request is carried out, and these lines are sent unchanged in the head of its answer, before its own
    /// headers.
    HeadLines {
        /// Without the end of a line.
        lines: Vec<String>,
    },
    /// The request is not carried out, and these pieces are sent unchanged: an answer of any form, or none.
    Wire {
        /// One after the other.
        pieces: Vec<Piece>,
        /// What then happens to the connection.
        #[serde(default)]
        then: Then,
    },
    /// The request is not carried out and gets this answer, sent unchanged, however wrong it is. `Date`,
    /// `Content-Length` and `Connection` are added if they are missing.
    Answer {
        /// The status.
        status: u16,
        /// Names and values.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body. A string is sent unchanged. `null` (or absent in JSON) is no body. Anything else is sent as
        /// JSON.
        #[serde(default)]
        body: Value,
    },
    /// The request is not carried out and gets a 200 with a body of this many bytes.
    HugeBody {
        /// The length of the body.
        bytes: u64,
    },
    /// The request is not carried out, gets bytes that are not HTTP, and the connection is closed.
    Garbage,
    /// The request is carried out, and the `Date` of the answer is wrong.
    ClockSkew {
        /// Seconds added to the date.
        seconds: i64,
    },
    /// The request is carried out and answered, and the connection closed.
    CloseAfterAnswer {
        /// Whether the answer says so with `Connection: close`.
        announced: bool,
    },
}

/// Every action by its name, and as JSON.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    ("cut_handshake", r#""cut_handshake""#),
    ("alert_handshake", r#""alert_handshake""#),
    ("stall_connection", r#""stall_connection""#),
    ("cut_before_request", r#""cut_before_request""#),
    ("cut_after_request", r#""cut_after_request""#),
    ("cut_before_answer", r#""cut_before_answer""#),
    ("cut_in_head", r#""cut_in_head""#),
    ("cut_in_body", r#""cut_in_body""#),
    ("reset_before_answer", r#""reset_before_answer""#),
    ("reset_in_body", r#""reset_in_body""#),
    ("stall", r#""stall""#),
    ("stall_in_body", r#""stall_in_body""#),
    ("delay", r#"{"delay": {"seconds": 0.5}}"#),
    ("drip", r#"{"drip": {"seconds": 0.001}}"#),
    ("coded", r#"{"coded": {"coding": "gzip"}}"#),
    (
        "head_lines",
        r#"{"head_lines": {"lines": ["X-Odd : a space before the colon"]}}"#,
    ),
    (
        "wire",
        r#"{"wire": {"pieces": [{"text": "HTTP/1.1 200 OK\r\n\r\n"}, {"pause": 0.1}, {"bytes": "AAEC"}, {"repeat": {"text": "x", "times": 9}}], "then": "reset"}}"#,
    ),
    (
        "answer",
        r#"{"answer": {"status": 503, "headers": [["Retry-After", "5"]], "body": {"message": "Later"}}}"#,
    ),
    ("huge_body", r#"{"huge_body": {"bytes": 104857600}}"#),
    ("garbage", r#""garbage""#),
    ("clock_skew", r#"{"clock_skew": {"seconds": -60}}"#),
    (
        "close_after_answer",
        r#"{"close_after_answer": {"announced": false}}"#,
    ),
];

/// How the body of an answer is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `deflate` as the standard has it: zlib.
    Deflate,
    /// `deflate` as some servers send it: without the frame of zlib.
    RawDeflate,
}

/// A piece of what [`Action::Wire`] sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Piece {
    /// This text, in UTF-8.
    Text(String),
    /// These bytes, in Base64.
    Bytes(#[serde(with = "base64_text")] Vec<u8>),
    /// This text again and again.
    Repeat {
        /// What is sent, in UTF-8.
        text: String,
        /// How often; `None` until the client has gone. In JSON absent is the same as `null`.
        #[serde(default)]
        times: Option<u64>,
        /// Seconds to wait before each, on the real clock (default: 0).
        #[serde(default, with = "seconds")]
        every: Duration,
    },
    /// Nothing for so many seconds, on the real clock.
    Pause(#[serde(with = "seconds")] Duration),
}

/// What becomes of a connection after [`Action::Wire`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It is closed in order, which is the end of an answer without a length.
    #[default]
    Close,
    /// It is closed without a word: with TLS the client cannot take it for the end of the answer.
    Cut,
    /// It is reset.
    Reset,
    /// It stays open, and nothing more is sent.
    Stall,
    /// It is used for the next request.
    Keep,
}

mod base64_text {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)
    }
}

impl Action {
    /// An error of this status, with the documented envelope.
    pub fn status(status: u16) -> Self {
        Action::status_with(status, &[])
    }

    /// An error of this status with more headers, for example `Retry-After`.
    pub fn status_with(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Action::Answer {
            status,
            headers: all,
            body: serde_json::json!({"status": "Error", "code": status, "message": "Fault"}),
        }
    }

    /// Status 200 with this body: a string as it is, anything else as JSON.
    pub fn body(body: impl Into<Value>) -> Self {
        Action::Answer {
            status: 200,
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: body.into(),
        }
    }

    /// A redirect to this URL.
    pub fn redirect(status: u16, url: &str) -> Self {
        Action::Answer {
            status,
            headers: vec![("Location".into(), url.into())],
            body: Value::Null,
        }
    }

    pub(crate) fn is_of_connection(&self) -> bool {
        matches!(
            self,
            Action::CutHandshake
                | Action::AlertHandshake
                | Action::StallConnection
                | Action::CutBeforeRequest
        )
    }

    /// Whether it can be played where there is no network.
    pub(crate) fn is_of_answer(&self) -> bool {
        matches!(self, Action::Answer { .. } | Action::ClockSkew { .. })
    }
}

/// The answer that a fault gives in place of the rules; `None` where it gives none of its own.
pub(crate) fn answer_of(action: &Action) -> Option<Answer> {
    match action {
        Action::Answer {
            status,
            headers,
            body,
        } => Some(Answer {
            status: *status,
            headers: headers.clone(),
            body: match body {
                Value::Null => Vec::new(),
                Value::String(text) => text.clone().into_bytes(),
                other => other.to_string().into_bytes(),
            },
        }),
        Action::HugeBody { .. } => Some(Answer {
            status: 200,
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: Vec::new(),
        }),
        _ => None,
    }
}

/// The faults that are waiting.
#[derive(Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.times != Some(0) {
            self.waiting.push(fault);
        }
    }

    /// Forgets those of a merchant, or all.
    pub(crate) fn clear(&mut self, merchant: Option<&str>) {
        self.waiting
            .retain(|fault| merchant.is_some() && fault.merchant_id.as_deref() != merchant);
    }

    /// The fault to play on a merchant's request for `path`, among those that `which` admits.
    pub(crate) fn take_for(
        &mut self,
        path: &str,
        merchant: Option<&str>,
        which: impl Fn(&Action) -> bool,
    ) -> Option<Action> {
        self.take(|fault| {
            let is_meant = fault.merchant_id.is_none() || fault.merchant_id.as_deref() == merchant;
            is_meant && fault.on.fits(path) && which(&fault.action)
        })
    }

    /// The fault to play on a new connection.
    pub(crate) fn take_for_connection(&mut self) -> Option<Action> {
        self.take(|fault| fault.merchant_id.is_none() && fault.action.is_of_connection())
    }

    fn take(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Action> {
        let at = self.waiting.iter().position(fits)?;
        let fault = &mut self.waiting[at];
        let action = fault.action.clone();
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                self.waiting.remove(at);
            }
        }
        Some(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_an_example_of_its_name() {
        let error = serde_json::from_str::<Action>("\"?\"")
            .unwrap_err()
            .to_string();
        let named: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        let examples: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
        let (mut named, mut listed) = (named, examples);
        named.sort_unstable();
        listed.sort_unstable();
        assert_eq!(named, listed);
        for (name, example) in EXAMPLES {
            let action: Action = serde_json::from_str(example).unwrap();
            let written = serde_json::to_value(action).unwrap();
            let shown = written
                .as_str()
                .or_else(|| written.as_object()?.keys().next().map(String::as_str));
            assert_eq!(shown, Some(*name));
        }
    }
}
