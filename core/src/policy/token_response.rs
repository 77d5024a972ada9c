//! Reads the answers of the token endpoint, and trusts none of their fields.
//!
//! Promises: a [`Grant`] is a whole pair that can be sent in headers, and its life was checked. Any other answer is an error
//! with the code that the documentation gives it, and with 88Pay's own words. A body of status 200 is never quoted.
//!
//! Facts: shapes, statuses and messages of 88Pay documentation, "Generate token"; `Retry-After: 60` and `retry_after`
//! come with a 429, and either may be missing.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::exchange::{Answer, Failure, FailureKind};
use crate::json;
use crate::policy::errors::{error_of, token_refused, unusable_token};
use crate::policy::provider_message::provider_message;
use crate::secret::{Secret, wipe};

/// The largest answer of the token endpoint that is read, in bytes. Real ones have about a thousand.
pub(crate) const MAX_TOKEN_ANSWER: u64 = 64 * 1024;

/// The longest token or session ID that is accepted, in bytes: as long as servers accept a header.
const MAX_FIELD: usize = 16 * 1024;

/// What `expires_in` may say, in seconds. More than a year must be an instant, not a life.
const LIVES: std::ops::RangeInclusive<u64> = 11..=365 * 24 * 3600;

/// The longest life that a token is used for, in seconds, whatever its answer says.
const LONGEST_LIFE: u64 = 3600;

/// What `Retry-After` may say.
const RETRY_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// The pause if the server names none. The documentation says a minute.
const RETRY_AFTER_UNTOLD: Duration = Duration::from_secs(60);

/// A token, its session ID and its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) access_token: Secret,
    pub(crate) session_id: Secret,
    /// In seconds, from 11 to 3600.
    pub(crate) expires_in: u64,
}

/// How a failure is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    RateLimited,
    Unauthorized,
    Forbidden,
    /// Network, TLS, time-outs, 5xx and answers that cannot be used.
    Temporary,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::RateLimited => "rate_limited",
            Class::Unauthorized => "unauthorized",
            Class::Forbidden => "forbidden",
            Class::Temporary => "temporary",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Class> {
        [
            Class::RateLimited,
            Class::Unauthorized,
            Class::Forbidden,
            Class::Temporary,
        ]
        .into_iter()
        .find(|class| class.name() == name)
    }

    /// Whether it concerns the key, whoever uses it and from wherever.
    pub(crate) fn of_key(self) -> bool {
        matches!(self, Class::RateLimited | Class::Unauthorized)
    }
}

/// No token: what callers are told, and how it is remembered.
#[derive(Debug, Clone)]
pub(crate) struct Rejection {
    pub(crate) error: Error,
    pub(crate) class: Class,
    /// The same request may succeed when it is sent once more soon.
    pub(crate) resend: bool,
    /// Nothing was written to the network.
    pub(crate) unsent: bool,
    /// The server asked for a longer pause than is kept.
    pub(crate) capped: bool,
}

impl Rejection {
    /// Whether a whole answer of 88Pay says so.
    pub(crate) fn is_answer(&self) -> bool {
        self.error.http_status().is_some()
    }
}

/// `X-RateLimit-*` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    pub(crate) limit: Option<u32>,
    pub(crate) remaining: u32,
    pub(crate) reset_in: Duration,
}

impl Grant {
    /// Reads an answer of the token endpoint; its body is zeroed. `secrets` are those of the request.
    pub(crate) fn read(answer: Answer, secrets: &[&str]) -> Result<Grant, Rejection> {
        let asked = answer.retry_after();
        let Answer { status, body, .. } = answer;
        let body = Zeroizing::new(body);
        match status.as_u16() {
            200..=299 => {
                read_grant(&body).map_err(|why| {
                    let error = unusable_token(why);
                    temporary(match why {
                        // No whole answer came, so that it may be asked again.
                        CUT => error,
                        _ => error.with_status(status.as_u16()),
                    })
                })
            }
            _ => {
                let said = provider_message(&body, secrets);
                Err(rejection(status, asked, &body, &said))
            }
        }
    }
}

const CUT: &str = "it ends in the middle";

fn read_grant(body: &[u8]) -> Result<Grant, &'static str> {
    let cut = |error: serde_json::Error| error.is_eof() && !body.trim_ascii().is_empty();
    let not_json = |error| if cut(error) { CUT } else { "it is not JSON" };
    let mut value = json::read(body).map_err(not_json)?;
    let taken = take_fields(&mut value);
    wipe(&mut value);
    taken
}

fn take_fields(value: &mut Value) -> Result<Grant, &'static str> {
    let data = value
        .get_mut("data")
        .and_then(Value::as_object_mut)
        .ok_or("it has no object `data`")?;
    let expires_in = data.get("expires_in").ok_or("it has no `expires_in`")?;
    let expires_in = whole_seconds(expires_in)
        .filter(|seconds| LIVES.contains(seconds))
        .ok_or("its `expires_in` is not a whole number of seconds from 11 to 31,536,000")?
        .min(LONGEST_LIFE);
    let mut field = |name: &str| match data.get_mut(name) {
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_FIELD => {
            let secret = Secret::new(std::mem::take(text));
            secret
                .expose()
                .bytes()
                .all(|b| b.is_ascii_graphic())
                .then_some(secret)
        }
        _ => None,
    };
    Ok(Grant {
        access_token: field("access_token").ok_or("its `access_token` is missing or no token")?,
        session_id: field("session_id").ok_or("its `session_id` is missing or no session ID")?,
        expires_in,
    })
}

/// `60`, `60.0`, `"60"` and `"60.0"`: what services make of a number.
fn whole_seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.len() <= 20 => text.clone(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_whole = digits(whole) && digits(fraction) && fraction.bytes().all(|b| b == b'0');
    is_whole.then(|| whole.parse().ok()).flatten()
}

/// `asked`: the pause that its headers ask for. `said` is what 88Pay says of it in its own words, or empty.
fn rejection(status: StatusCode, asked: Option<Duration>, body: &[u8], said: &str) -> Rejection {
    let (pause, capped) = match status.as_u16() {
        429 => {
            let (pause, capped) = pause_of(asked, body);
            (Some(pause), capped)
        }
        _ => (None, false),
    };
    let class = match status.as_u16() {
        401 => Class::Unauthorized,
        403 => Class::Forbidden,
        429 => Class::RateLimited,
        _ => Class::Temporary,
    };
    Rejection {
        error: token_refused(status, said, pause),
        class,
        resend: matches!(status.as_u16(), 502..=504),
        unsent: false,
        capped,
    }
}

fn temporary(error: Error) -> Rejection {
    Rejection {
        error,
        class: Class::Temporary,
        resend: false,
        unsent: false,
        capped: false,
    }
}

impl From<Failure> for Rejection {
    /// No answer came at all. The message of a failure holds no secret.
    fn from(failure: Failure) -> Rejection {
        let unsent = !failure.sent;
        let resend = matches!(
            failure.kind,
            FailureKind::Cut | FailureKind::Truncated | FailureKind::Connect
        );
        // Nothing of the *call* was sent, whatever became of the token request.
        let of_call = Failure {
            sent: false,
            ..failure
        };
        Rejection {
            resend,
            unsent,
            ..temporary(error_of("The token request failed", of_call))
        }
    }
}

/// How long a 429 asks to wait, and whether that was more than is kept.
fn pause_of(asked: Option<Duration>, body: &[u8]) -> (Duration, bool) {
    let pause = asked.or_else(|| {
        let body = json::read(body).ok()?;
        let field = body
            .get("retry_after")
            .or_else(|| body.get("data")?.get("retry_after"))?;
        let seconds = field
            .as_f64()
            .or_else(|| field.as_str()?.trim().parse().ok())?;
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    });
    let pause = pause.unwrap_or(RETRY_AFTER_UNTOLD);
    (
        pause.clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end()),
        pause > *RETRY_AFTER.end(),
    )
}

impl RateLimit {
    pub(crate) fn of(answer: &Answer) -> Option<RateLimit> {
        let number = |name: &str| {
            answer
                .headers
                .get(name)?
                .to_str()
                .ok()?
                .trim()
                .parse::<u64>()
                .ok()
        };
        let remaining = number("x-ratelimit-remaining")?;
        let reset = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(number("x-ratelimit-reset")?))?;
        Some(RateLimit {
            limit: number("x-ratelimit-limit").map(|limit| limit.min(u64::from(u32::MAX)) as u32),
            remaining: remaining.min(u64::from(u32::MAX)) as u32,
            reset_in: reset.duration_since(answer.now()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use http::{HeaderMap, HeaderValue};

    fn read(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Result<Grant, Rejection> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        Grant::read(
            Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: map,
                body: body.as_bytes().to_vec(),
                received: SystemTime::now(),
            },
            &["sk_test_echoed_key_0123456789"],
        )
    }

    fn with_life(life: &str) -> Result<Grant, Rejection> {
        read(
            200,
            &[],
            &format!(
                r#"{{"data":{{"access_token":"a.b.c","session_id":"sess_1","expires_in":{life}}}}}"#
            ),
        )
    }

    #[test]
    fn lives_from_11_whole_seconds_are_taken_and_used_for_an_hour_at_most() {
        for (life, seconds) in [
            ("11", 11),
            ("60", 60),
            ("60.0", 60),
            ("6e1", 60),
            ("\"60\"", 60),
            ("\"60.0\"", 60),
            ("\"060.000\"", 60),
            ("3600", 3600),
            ("3601", 3600),
            ("7200", 3600),
            ("86400", 3600),
            ("\"86400\"", 3600),
            ("31536000", 3600),
        ] {
            assert_eq!(with_life(life).unwrap().expires_in, seconds, "{life}");
        }
        for life in [
            "0",
            "5",
            "10",
            "59.5",
            "\"59.5\"",
            "\"60.\"",
            "\".0\"",
            "\"60.0.0\"",
            "\" 60\"",
            "\"+60\"",
            "\"1e3\"",
            "10.0",
            "1e18",
            // An instant and not a life.
            "1767225600",
            "1767225600000",
            "\"1767225600\"",
            "-60",
            "\"\"",
            "\"6e1\"",
            "null",
            "true",
            "[60]",
        ] {
            assert_eq!(
                with_life(life).unwrap_err().error.code(),
                ErrorCode::BadResponse,
                "{life}"
            );
        }
    }

    #[test]
    fn an_answer_with_a_byte_order_mark_or_half_a_character_is_read() {
        let data = r#""data":{"access_token":"a.b.c","session_id":"s","expires_in":60}"#;
        for body in [
            format!("\u{feff}{{{data}}}"),
            format!(r#"{{"message":"token \ud83d generated",{data}}}"#),
            format!(r#"{{"message":"\ude00","\ud800":1,{data}}}"#),
        ] {
            assert_eq!(
                read(200, &[], &body).unwrap().access_token.expose(),
                "a.b.c",
                "{body}"
            );
        }
        let in_token =
            r#"{"data":{"access_token":"secret\ud800","session_id":"s","expires_in":60}}"#;
        assert!(read(200, &[], in_token).is_err());
        let refused = read(
            429,
            &[],
            "\u{feff}{\"message\":\"\\ud800\",\"retry_after\":17}",
        )
        .unwrap_err();
        assert_eq!(refused.error.retry_after(), Some(Duration::from_secs(17)));
    }

    #[test]
    fn an_answer_that_ends_in_the_middle_may_be_asked_for_again_and_another_may_not() {
        let retryable = |body: &str| read(200, &[], body).unwrap_err().error.retryable();
        assert!(retryable(r#"{"data":{"access_token":"a.b.c","sess"#));
        for body in ["", " ", "<html>", "{}", "{}{}", r#"{"data":null}"#] {
            assert!(!retryable(body), "{body}");
        }
    }

    #[test]
    fn answers_of_another_shape_are_bad_responses_and_show_nothing_of_themselves() {
        for body in [
            "",
            "{",
            "null",
            "[]",
            "\"x\"",
            "{}",
            r#"{"data":null}"#,
            r#"{"data":[]}"#,
            r#"{"data":{"access_token":"secret.value","expires_in":60}}"#,
            r#"{"data":{"session_id":"secret.value","expires_in":60}}"#,
            r#"{"data":{"access_token":"secret.value","session_id":"s"}}"#,
            r#"{"data":{"access_token":"","session_id":"secret.value","expires_in":60}}"#,
            r#"{"data":{"access_token":7,"session_id":"secret.value","expires_in":60}}"#,
            r#"{"data":{"access_token":"secret.value\r\nx: y","session_id":"s","expires_in":60}}"#,
            r#"{"data":{"access_token":"secret value","session_id":"s","expires_in":60}}"#,
            r#"{"access_token":"secret.value","session_id":"s","expires_in":60}"#,
        ] {
            let rejection = read(200, &[], body).unwrap_err();
            assert_eq!(rejection.error.code(), ErrorCode::BadResponse, "{body}");
            assert!(!format!("{rejection:?}").contains("secret"), "{body}");
        }
    }

    #[test]
    fn statuses_have_the_codes_of_the_documentation() {
        for (status, code, resend) in [
            (401, ErrorCode::CredentialsRejected, false),
            (403, ErrorCode::AccessDenied, false),
            (429, ErrorCode::RateLimited, false),
            (500, ErrorCode::BadResponse, false),
            (502, ErrorCode::BadResponse, true),
            (503, ErrorCode::BadResponse, true),
            (504, ErrorCode::BadResponse, true),
            (302, ErrorCode::BadResponse, false),
            (404, ErrorCode::BadResponse, false),
        ] {
            let rejection = read(status, &[], "{}").unwrap_err();
            assert_eq!(
                (rejection.error.code(), rejection.resend),
                (code, resend),
                "{status}"
            );
            assert_eq!(rejection.error.http_status(), Some(status));
        }
    }

    #[test]
    fn status_and_88pays_own_words_are_told_without_what_they_echo() {
        let told = |status, body| {
            let rejection = read(status, &[], body).unwrap_err();
            rejection.error.message().to_owned()
        };
        for (status, told_as) in [
            (
                401,
                "88Pay does not accept this API key and merchant ID (401: Not today).",
            ),
            (
                403,
                "88Pay denies access to this account or from this address (403: Not today).",
            ),
            (429, "88Pay grants no more tokens for now (429: Not today)."),
            (503, "The token endpoint gave no token (503: Not today)."),
        ] {
            assert_eq!(told(status, r#"{"message":"Not today"}"#), told_as);
        }
        assert_eq!(
            told(405, "<html>"),
            "The token endpoint gave no token (405)."
        );
        let echoed = told(401, r#"{"message":"No key sk_test_echoed_key_0123456789"}"#);
        assert!(
            echoed.contains("No key …") && !echoed.contains("0123456789"),
            "{echoed}"
        );
    }

    #[test]
    fn a_429_says_how_long_in_every_form() {
        let after = |headers: &[(&'static str, &'static str)], body: &str| {
            let rejection = read(429, headers, body).unwrap_err();
            (
                rejection.error.retry_after().unwrap().as_secs(),
                rejection.capped,
            )
        };
        assert_eq!(after(&[("retry-after", "60")], "{}"), (60, false));
        assert_eq!(after(&[("retry-after", "0")], "{}"), (1, false));
        assert_eq!(
            after(&[("retry-after", "999999999999999999999999")], "{}"),
            (3600, true)
        );
        assert_eq!(after(&[("retry-after", "7200")], "{}"), (3600, true));
        let date = [
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("date", "Sun, 06 Nov 1994 08:49:07 GMT"),
        ];
        assert_eq!(after(&date, "{}"), (30, false));
        let past = [
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("date", "Sun, 06 Nov 1994 09:49:07 GMT"),
        ];
        assert_eq!(after(&past, "{}"), (1, false));
        assert_eq!(after(&[], r#"{"retry_after":17}"#), (17, false));
        assert_eq!(
            after(
                &[("retry-after", "soon")],
                r#"{"data":{"retry_after":"18"}}"#
            ),
            (18, false)
        );
        assert_eq!(after(&[], r#"{"retry_after":1e300}"#), (3600, true));
        assert_eq!(after(&[], "not json"), (60, false));
    }
}
