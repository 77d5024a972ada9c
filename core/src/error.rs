//! What went wrong, in the same words for every language.
//!
//! Promises: there is one table of codes ([`ErrorCode::ALL`]). Every error says whether the request can have reached
//! 88Pay ([`Outcome`]), and what to do (`hint`). Never holds a key, token, session ID or password; nor does what lies below
//! it ([`std::error::Error::source`]).

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::cause::Cause;

/// The result of everything in this crate that can fail.
///
/// ```
/// fn currency(answer: &pay88::Response) -> pay88::Result<String> {
///     Ok(answer.json()?["data"]["currency"].to_string())
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $summary:literal;)*) => {
        /// Names the kind of an [`Error`], for programs that act on it. The table is the same in every language.
        ///
        /// Numbers are never reused. They are in groups: 1xx is the caller's input, 2xx the token endpoint, 3xx the
        /// connection to 88Pay, 4xx an answer, 9xx the library.
        ///
        /// ```
        /// use pay88::ErrorCode;
        ///
        /// assert_eq!(ErrorCode::RateLimited.name(), "rate_limited");
        /// assert_eq!(ErrorCode::RateLimited.number(), 203);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorCode { $($(#[$doc])* #[doc = $summary] $variant = $number,)* }

        impl ErrorCode {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The name of the code, which is the same in all languages, such as `rate_limited`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// One sentence that says when the code is used.
            pub const fn summary(self) -> &'static str {
                match self { $(ErrorCode::$variant => $summary,)* }
            }
        }
    };
}

codes! {
    ConfigInvalid = 101, "config_invalid", "An option, credential or argument cannot be used; nothing was sent.";
    Refused = 102, "refused", "An endpoint or header would endanger the token; nothing was sent.";
    CredentialsRejected = 201, "credentials_rejected", "The token endpoint answered 401: wrong API key or merchant ID.";
    AccessDenied = 202, "access_denied", "The token endpoint answered 403: account or address not allowed.";
    RateLimited = 203, "rate_limited", "No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up.";
    Timeout = 301, "timeout", "The time limit passed before there was a result.";
    Canceled = 302, "canceled", "The caller gave up, or the manager was closed while the call was pending.";
    ConnectionFailed = 303, "connection_failed", "No connection could be made, or it was cut.";
    TlsFailed = 304, "tls_failed", "The TLS handshake failed, or the certificate was not accepted.";
    BadResponse = 401, "bad_response", "The answer is not as 88Pay documents it, was cut, or is too large.";
    HttpError = 402, "http_error", "The answer has an HTTP status of 400 or above, and the caller asked for an error.";
    Internal = 901, "internal", "The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which.";
    Forked = 902, "forked", "The call was begun before a fork, in the parent process.";
}

impl ErrorCode {
    /// The number of the code, as `pay88_status` of the C API has it.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says whether the request of a failed call can have reached 88Pay. Look at it before you repeat a charge.
///
/// ```
/// use pay88::Outcome;
///
/// fn advice(outcome: Outcome) -> &'static str {
///     match outcome {
///         Outcome::NotSent => "repeat it",
///         Outcome::Unknown => "look the transaction up first",
///         Outcome::Answered => "read the answer",
///     }
/// }
/// # assert_eq!(advice(Outcome::Unknown), "look the transaction up first");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Outcome {
    /// Nothing of the request was written to the network. It is safe to repeat.
    NotSent = 0,
    /// Bytes were written and no complete answer came, or the parent process goes on with the call (`forked`). Look
    /// the transaction up, do not repeat it.
    Unknown = 1,
    /// A complete answer came.
    Answered = 2,
}

impl Outcome {
    /// The name of the outcome: `not_sent`, `unknown` or `answered`.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::NotSent => "not_sent",
            Outcome::Unknown => "unknown",
            Outcome::Answered => "answered",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Says why something failed: a code for programs, a message and a hint for people, and what is known of the request.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// use pay88::{ErrorCode, Outcome, Request};
///
/// let error = manager.make_request(Request::get("https://elsewhere.example/")).unwrap_err();
/// assert_eq!(error.code(), ErrorCode::Refused);
/// assert_eq!(error.outcome(), Outcome::NotSent);
/// println!("{} {}", error.message(), error.hint());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Details>);

#[derive(Clone, PartialEq, Eq)]
struct Details {
    code: ErrorCode,
    message: String,
    hint: Cow<'static, str>,
    http_status: Option<u16>,
    retry_after: Option<Duration>,
    outcome: Outcome,
    safe_to_repeat: bool,
    attempt: Option<u64>,
    source: Option<Cause>,
}

impl Error {
    /// Makes an error with the outcome `not_sent`. Message and hint become sentences: they get a full stop if they
    /// have none.
    ///
    /// It is public for your tests: with it you can make every error that the library can give.
    ///
    /// ```
    /// use pay88::{Error, ErrorCode, Outcome};
    ///
    /// let error = Error::new(ErrorCode::Timeout, "The time limit passed", "").with_outcome(Outcome::Unknown);
    /// assert_eq!(error.message(), "The time limit passed.");
    /// assert!(!error.retryable());
    /// ```
    pub fn new(
        code: ErrorCode,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Error(Box::new(Details {
            code,
            message: sentence(Cow::Owned(message.into())).into_owned(),
            hint: sentence(hint.into()),
            http_status: None,
            retry_after: None,
            outcome: Outcome::NotSent,
            safe_to_repeat: false,
            attempt: None,
            source: None,
        }))
    }

    /// Makes an error for an argument or option that cannot be used: what is wrong, and what to do about it.
    ///
    /// It is public for programs that check arguments of their own, and report them in the same words.
    ///
    /// ```
    /// let error = pay88::Error::invalid("The argument timeout must be above 0.", "Pass seconds.");
    /// assert_eq!(error.code().name(), "config_invalid");
    /// ```
    pub fn invalid(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::ConfigInvalid, message, hint)
    }

    pub(crate) fn refused(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Refused, message, hint)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = sentence(hint.into());
        self
    }

    /// Adds the HTTP status of the answer that caused the error.
    ///
    /// ```
    /// # use pay88::{Error, ErrorCode};
    /// let error = Error::new(ErrorCode::HttpError, "88Pay answered 404.", "").with_status(404);
    /// assert_eq!(error.http_status(), Some(404));
    /// ```
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    /// Adds the time after which another try makes sense.
    ///
    /// ```
    /// # use pay88::{Error, ErrorCode};
    /// # use std::time::Duration;
    /// let error = Error::new(ErrorCode::RateLimited, "Later.", "").with_retry_after(Duration::from_secs(60));
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    /// ```
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Says whether the request can have reached 88Pay.
    ///
    /// ```
    /// # use pay88::{Error, ErrorCode, Outcome};
    /// let error = Error::new(ErrorCode::ConnectionFailed, "Cut.", "").with_outcome(Outcome::Unknown);
    /// assert_eq!(error.outcome(), Outcome::Unknown);
    /// ```
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// Says whether the call was marked as safe to repeat.
    ///
    /// ```
    /// # use pay88::{Error, ErrorCode, Outcome};
    /// let error = Error::new(ErrorCode::Timeout, "Late.", "").with_outcome(Outcome::Unknown);
    /// assert!(!error.retryable());
    /// assert!(error.with_safe_to_repeat(true).retryable());
    /// ```
    pub fn with_safe_to_repeat(mut self, safe: bool) -> Self {
        self.0.safe_to_repeat = safe;
        self
    }

    pub(crate) fn caused_by(mut self, source: Option<Cause>) -> Self {
        self.0.source = source;
        self
    }

    pub(crate) fn with_attempt(mut self, attempt: u64) -> Self {
        self.0.attempt = Some(attempt);
        self
    }

    /// The code, for programs.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What happened, in words for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it, in words for people.
    pub fn hint(&self) -> &str {
        &self.0.hint
    }

    /// The HTTP status of the answer that caused the error, if an answer did.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// How long to wait before another try makes sense, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the request can have reached 88Pay.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The number of the token request that failed, counted from 1 in each manager. Callers that waited for the same
    /// token request get the same number.
    pub fn attempt(&self) -> Option<u64> {
        self.0.attempt
    }

    /// Whether you may try the same call again later and it can then succeed.
    ///
    /// It is never true with [`Outcome::Unknown`], unless the call was marked as safe to repeat.
    pub fn retryable(&self) -> bool {
        use ErrorCode::{BadResponse, ConnectionFailed, Forked, HttpError, RateLimited, Timeout};
        let transient = match self.0.code {
            RateLimited | Timeout | ConnectionFailed | Forked => true,
            // Without a status no complete answer came.
            BadResponse => self.0.http_status.is_none_or(|status| status >= 500),
            HttpError => match self.0.http_status {
                // After that time another token may be asked for.
                Some(401) => self.0.retry_after.is_some(),
                status => matches!(status, Some(429 | 500..)),
            },
            _ => false,
        };
        transient
            && match self.0.outcome {
                Outcome::NotSent => true,
                Outcome::Unknown => self.0.safe_to_repeat,
                Outcome::Answered => {
                    self.0.safe_to_repeat
                        || match self.0.code {
                            // The call was refused, and not carried out.
                            HttpError => matches!(self.0.http_status, Some(401 | 429)),
                            // Only a failed token request has an attempt. Otherwise the call's own answer cannot be
                            // read.
                            BadResponse => self.0.attempt.is_some(),
                            // 88Pay refused the call, and it was not sent again.
                            _ => true,
                        }
                }
            }
    }
}

/// Makes the error for a panic that was caught. Its outcome is `unknown` unless nothing can have been sent, because
/// nobody can tell what was done before the panic. It is for bindings.
///
/// ```
/// let panic = std::panic::catch_unwind(|| panic!("a fault")).unwrap_err();
/// let error = pay88::ffi::panicked(&*panic, pay88::Outcome::Unknown);
/// assert_eq!(error.code().name(), "internal");
/// assert!(error.hint().contains("look the transaction up"));
/// ```
pub fn panicked(panic: &(dyn Any + Send), outcome: Outcome) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it did not say why");
    let error = internal(format!("pay88 panicked: {said}.")).with_outcome(outcome);
    match outcome {
        Outcome::Unknown => error.with_hint(format!("{LOOK_IT_UP} {REPORT_IT}")),
        _ => error,
    }
}

/// Makes an error for a fault of the library. It is for bindings.
///
/// ```
/// let error = pay88::ffi::internal("A checked header cannot be sent.");
/// assert!(error.hint().contains("report it"));
/// ```
pub fn internal(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Internal, message, REPORT_IT)
}

/// Makes an error (`internal`) for what the system refused: a thread, a descriptor or memory. The hint says which
/// limit was reached, if one was, and `error` is the source. It is for bindings.
///
/// ```
/// let refused = std::io::Error::from_raw_os_error(11); // EAGAIN
/// let error = pay88::ffi::by_system("No thread can be started", &refused);
/// assert!(error.hint().contains("ulimit -u"));
/// assert!(std::error::Error::source(&error).is_some());
/// ```
pub fn by_system(what: &str, error: &io::Error) -> Error {
    let cause = Cause::of_system(error);
    let hint = match cause.number() {
        // Of a file or a connection it says something else.
        Some(libc::EAGAIN) => NO_THREAD,
        _ => limit_reached(&cause).unwrap_or(REPORT_IT),
    };
    Error::new(ErrorCode::Internal, format!("{what}: {cause}."), hint).caused_by(Some(cause))
}

/// The hint where a call may have been carried out.
pub(crate) const LOOK_IT_UP: &str =
    "It may have been carried out: look the transaction up before sending it again.";

const REPORT_IT: &str =
    "This should not happen. Please report it with the message and the version of pay88.";

/// The text as a sentence that another one may follow.
fn sentence(text: Cow<'static, str>) -> Cow<'static, str> {
    let end = text.trim_end();
    match end.chars().next_back() {
        None => Cow::Borrowed(""),
        Some('.' | '!' | '?') => text,
        Some(_) => Cow::Owned(format!("{end}.")),
    }
}

/// What to do if the system refused a thread.
const NO_THREAD: &str = "The system refused a new thread. End some threads or processes, or raise the limit of this user or container (`ulimit -u`, TasksMax, pids.max).";

/// What to do if the system refused a descriptor or memory.
pub(crate) fn limit_reached(cause: &Cause) -> Option<&'static str> {
    match cause.number()? {
        libc::EMFILE => Some(
            "This process has reached its limit of open files and connections. Close some, or raise the limit (`ulimit -n`, LimitNOFILE).",
        ),
        libc::ENFILE => Some(
            "The system has reached its limit of open files and connections. Close some, or raise the limit (`sysctl fs.file-max`).",
        ),
        libc::ENOMEM => Some(
            "The system refused more memory. Free some, or raise the limit of this process or container.",
        ),
        _ => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)?;
        if !self.0.hint.is_empty() {
            write!(f, " ({})", self.0.hint)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code.name())
            .field("message", &self.0.message)
            .field("hint", &self.0.hint)
            .field("http_status", &self.0.http_status)
            .field("retry_after", &self.0.retry_after)
            .field("outcome", &self.0.outcome.name())
            .field("retryable", &self.retryable())
            .field("attempt", &self.0.attempt)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    /// What the system (a [`std::io::Error`]), TLS or the look-up of a name said, if one of them did. It holds no secret.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(Cause::error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        for pair in ErrorCode::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number());
            assert_ne!(pair[0].name(), pair[1].name());
        }
    }

    #[test]
    fn message_and_hint_are_sentences() {
        for (text, whole) in [
            ("Not found", "Not found."),
            ("Not found.", "Not found."),
            ("¿Existe?", "¿Existe?"),
            ("It is `x`", "It is `x`."),
            ("refused (os error 24)\n", "refused (os error 24)."),
            ("", ""),
        ] {
            let error = Error::new(ErrorCode::Timeout, text, text.to_owned());
            assert_eq!((error.message(), error.hint()), (whole, whole));
        }
    }

    #[test]
    fn a_limit_of_the_system_is_told_with_what_to_do_and_not_to_be_reported() {
        for (number, told) in [
            (libc::EMFILE, "ulimit -n"),
            (libc::ENFILE, "fs.file-max"),
            (libc::EAGAIN, "ulimit -u"),
            (libc::ENOMEM, "memory"),
        ] {
            let refused = io::Error::from_raw_os_error(number);
            let error = by_system("No thread", &refused);
            assert_eq!(error.message(), format!("No thread: {refused}."));
            assert!(error.hint().contains(told), "{error}");
            assert!(!error.hint().contains("report"), "{error}");
            let source = std::error::Error::source(&error).unwrap();
            let source = source.downcast_ref::<io::Error>().unwrap();
            assert_eq!(source.raw_os_error(), Some(number));
        }
        for other in [
            io::Error::from_raw_os_error(libc::EIO),
            io::Error::other("it said (os error 24)"),
        ] {
            let fault = by_system("No thread", &other);
            assert!(fault.hint().contains("report"), "{fault}");
        }
    }

    #[test]
    fn nothing_unknown_is_retryable_unless_marked_safe() {
        for &code in ErrorCode::ALL {
            let error = Error::new(code, "m", "h").with_outcome(Outcome::Unknown);
            assert!(!error.retryable(), "{code}");
        }
        let marked = Error::new(ErrorCode::Timeout, "m", "h")
            .with_outcome(Outcome::Unknown)
            .with_safe_to_repeat(true);
        assert!(marked.retryable());
    }

    #[test]
    fn an_answer_that_was_read_whole_is_retryable_only_if_it_refused_the_call_or_is_a_temporary_fault()
     {
        let error = |code, status: Option<u16>| {
            let error = Error::new(code, "m", "h").with_outcome(Outcome::Answered);
            match status {
                Some(status) => error.with_status(status),
                None => error,
            }
        };
        for (code, status, retryable, if_safe) in [
            (ErrorCode::HttpError, Some(400), false, false),
            (ErrorCode::HttpError, Some(401), false, false),
            (ErrorCode::HttpError, Some(429), true, true),
            (ErrorCode::HttpError, Some(503), false, true),
            (ErrorCode::BadResponse, Some(200), false, false),
            (ErrorCode::BadResponse, Some(503), false, true),
            (ErrorCode::RateLimited, None, true, true),
            (ErrorCode::CredentialsRejected, Some(401), false, false),
        ] {
            let error = error(code, status);
            assert_eq!(error.retryable(), retryable, "{error:?}");
            let safe = error.with_safe_to_repeat(true);
            assert_eq!(safe.retryable(), if_safe, "{safe:?}");
        }
        let later = error(ErrorCode::HttpError, Some(401)).with_retry_after(Duration::from_secs(7));
        assert!(later.retryable());
    }

    #[test]
    fn a_token_request_that_was_cut_may_be_sent_again_and_one_that_was_answered_whole_may_not() {
        let cut = Error::new(ErrorCode::BadResponse, "m", "h").with_attempt(1);
        assert!(cut.retryable());
        assert!(!cut.clone().with_status(200).retryable());
        assert!(cut.with_status(502).retryable());
    }
}
