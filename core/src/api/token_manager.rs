//! What a program holds: a handle of the process's manager for one set of credentials.
//!
//! Handles are cheap; each has its own time-outs and user agent and can be closed by itself. Safe to share by threads.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::call::request::{Request, Response};
use crate::call::{Call, Manners, deadline_in};
use crate::config::Config;
use crate::config::credentials::ApiKey;
use crate::config::option::Opt;
use crate::error::{Error, Outcome, Result};
use crate::manager::manager::Manager;
use crate::manager::registry;
use crate::manager::shared_tier::forget_holds;
use crate::manager::statistics::stats;
use crate::manager::tiers::{Tier, tiers};
use crate::manager::token::Token;
use crate::platform::cancel::{CancelFlag, either};
use crate::platform::clock::Clock;
use crate::platform::process::Process;
use crate::platform::task::Task;
use crate::platform::thread::Uncanceled;
use crate::policy::outcome::no_token_in_time;
use crate::policy::outcome::{canceled, forked};
use crate::telemetry::stats::Stats;

/// Holds 88Pay's short-lived credential and makes authenticated calls with it.
///
/// Built again with the same credentials it gives a handle of the same manager, so that a process has one token
/// however many handles it has. All methods may be called from any thread. Connections that are idle are
/// kept for 45 seconds after the last handle has gone, as is the thread of asynchronous calls, so that a program may make a handle for
/// each piece of work.
///
/// ```no_run
/// # fn main() -> Result<(), pay88::Error> {
/// // EIGHTY_EIGHT_PAY_API_KEY, EIGHTY_EIGHT_PAY_MERCHANT_ID and EIGHTY_EIGHT_PAY_BASE_URL are set.
/// let manager = pay88::TokenManager::new(pay88::Config::new())?;
/// let charge = serde_json::json!({
///     "flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"
/// });
/// let answer = manager.make_request(pay88::Request::post("/api/transactions/charges").json(&charge))?;
/// println!("{} {}", answer.status(), answer.json()?["data"]["reference"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenManager(Arc<Handle>);

struct Handle {
    manager: Arc<Manager>,
    manners: Manners,
    closed: CancelFlag,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.closed.is_raised() {
            self.manager.detach();
        }
    }
}

/// How a caller limits one blocking call.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// How long it may take; the manager's `timeout` unless set. More than 0, at most an hour.
    pub timeout: Option<Duration>,
    /// Asked on the caller's thread at least every 50 ms while it waits; `true`, said once, ends the call with `canceled`.
    /// A child that it forks ends the call with `forked`.
    pub interrupt: Option<&'a dyn Fn() -> bool>,
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl TokenManager {
    /// A handle of the manager of these credentials. Sends nothing.
    ///
    /// # Errors
    /// `config_invalid` with what is wrong and what to do.
    pub fn new(config: Config) -> Result<TokenManager> {
        Self::with_clock(config, Clock::System)
    }

    pub(crate) fn with_clock(config: Config, clock: Clock) -> Result<TokenManager> {
        let settings = config.settings()?;
        let manners = Manners {
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            max_response_bytes: settings.max_response_bytes,
            user_agent: HeaderValue::from_str(&settings.user_agent)
                .map_err(|_| Error::internal("A checked user agent is no header."))?,
        };
        let manager = registry::attach(&settings, clock)?;
        Ok(TokenManager(Arc::new(Handle {
            manager,
            manners,
            closed: CancelFlag::default(),
        })))
    }

    /// The number of the manager behind this handle: equal numbers mean the same manager of this process.
    pub fn id(&self) -> u64 {
        self.0.manager.account.id
    }

    /// The normalised base URL.
    pub fn base_url(&self) -> &str {
        self.0.manager.account.base_url.as_str()
    }

    /// The merchant ID.
    pub fn merchant_id(&self) -> &str {
        self.0.manager.account.merchant_id.as_str()
    }

    /// Whether the pair may go to a URL.
    #[cfg(feature = "reqwest")]
    pub(crate) fn check_url(&self, url: &url::Url) -> Result<()> {
        self.0.manager.account.base_url.check_url(url)
    }

    /// How long a call of this handle may take unless it says otherwise: the option `timeout`.
    pub fn timeout(&self) -> Duration {
        self.0.manners.timeout
    }

    /// A call that may be made; nothing was sent if it may not.
    fn checked(&self, request: Request) -> Result<Call> {
        self.open()?;
        Call::new(&self.0.manager.account.base_url, request, &self.0.manners)
    }

    fn open(&self) -> Result<()> {
        if self.0.closed.is_raised() {
            return Err(Error::invalid(
                "The manager is closed.",
                "Build another one; it costs nothing.",
            ));
        }
        Ok(())
    }

    /// The token: the cached one, else it waits for a new one, at most `timeout`.
    ///
    /// # Errors
    /// `credentials_rejected`, `access_denied`, `rate_limited`, `timeout`, `canceled`, `connection_failed`,
    /// `tls_failed` or `bad_response`; the outcome is always `not_sent`.
    #[inline]
    pub fn get_token(&self) -> Result<Token> {
        self.get_token_with(Control::default())
    }

    /// [`TokenManager::get_token`] with limits of its own.
    ///
    /// # Errors
    /// As [`TokenManager::get_token`], and `config_invalid` for a timeout out of range.
    #[inline]
    pub fn get_token_with(&self, control: Control<'_>) -> Result<Token> {
        self.open()?;
        match self.0.manager.cached() {
            Some(token) => Ok(token),
            None => self.wait_for_token(control),
        }
    }

    #[cold]
    fn wait_for_token(&self, control: Control<'_>) -> Result<Token> {
        let deadline = deadline_in(control.timeout.unwrap_or(self.0.manners.timeout))?;
        self.limited(
            control,
            || forked(Outcome::NotSent),
            |stop| self.0.manager.token(deadline, stop),
        )
    }

    /// Runs what asks `stop` while it waits. A child that is forked while the caller's interrupt runs ends with `forked`.
    fn limited<T>(
        &self,
        control: Control<'_>,
        forked: impl FnOnce() -> Error,
        call: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
    ) -> Result<T> {
        let _uncanceled = Uncanceled::begin();
        let begun_in = Process::current();
        // An interrupt may say it once only, as an exception of a signal handler that is raised once.
        let stopped = Cell::new(false);
        let stop = || {
            let now = stopped.get()
                || self.0.closed.is_raised()
                || control.interrupt.is_some_and(|interrupt| interrupt())
                || !begun_in.is_current();
            stopped.set(now);
            now
        };
        let result = call(&stop);
        match begun_in.is_current() {
            true => result,
            false => Err(forked()),
        }
    }

    /// The number of the token that [`TokenManager::get_token`] would give at once, as [`Token::generation`] tells it;
    /// `None` if it would have to wait, or fail. Counts as use. For bindings that keep the token as an object of their
    /// language.
    #[inline]
    pub fn current(&self) -> Option<u64> {
        if self.0.closed.is_raised() {
            return None;
        }
        let manager = &self.0.manager;
        manager
            .account
            .cache
            .current()
            .or_else(|| manager.cached().map(|token| token.generation()))
    }

    /// The cached token, or `None`; never waits and never asks for one.
    ///
    /// # Errors
    /// `config_invalid` if this handle is closed.
    pub fn peek_token(&self) -> Result<Option<Token>> {
        self.open()?;
        Ok(self.0.manager.peek())
    }

    /// Makes an authenticated call on this thread. An answer of any status is an answer, not an error.
    ///
    /// # Errors
    /// Any code; [`Error::outcome`] says whether the request can have reached 88Pay.
    pub fn make_request(&self, request: Request) -> Result<Response> {
        self.make_request_with(request, Control::default())
    }

    /// [`TokenManager::make_request`] with limits of its own; its `timeout` wins over the request's.
    ///
    /// # Errors
    /// As [`TokenManager::make_request`].
    pub fn make_request_with(
        &self,
        mut request: Request,
        control: Control<'_>,
    ) -> Result<Response> {
        #[cfg(feature = "test-hooks")]
        crate::platform::fault_injection::panic_if_asked();
        request.timeout = control.timeout.or(request.timeout);
        let call = self.checked(request)?;
        self.limited(control, call.forked(), |stop| {
            call.run(&self.0.manager, stop)
        })
    }

    /// [`TokenManager::get_token`] for tasks of any executor. Dropping the future gives up.
    ///
    /// # Errors
    /// As [`TokenManager::get_token`], and `forked` (with `not_sent`) where a future that waits is polled in a child that
    /// was forked meanwhile.
    pub async fn get_token_async(&self) -> Result<Token> {
        self.open()?;
        if let Some(token) = self.0.manager.cached() {
            return Ok(token);
        }
        Task::awaited(
            || forked(Outcome::NotSent),
            |done| self.prepare_token(None, done),
        )
        .await
    }

    /// [`TokenManager::make_request`] for tasks of any executor. Dropping the future gives up.
    ///
    /// # Errors
    /// As [`TokenManager::make_request`], and `forked` (with `unknown`, since the parent goes on with it) where a future
    /// that waits is polled in a child that was forked meanwhile.
    pub async fn make_request_async(&self, request: Request) -> Result<Response> {
        let call = self.checked(request)?;
        Task::awaited(call.forked(), |done| self.prepare_call(call, done)).await
    }

    /// Prepares [`TokenManager::get_token`] on the library's own threads, for bindings: `done` gets the result exactly
    /// once, on one of them, after [`Task::start`].
    ///
    /// # Errors
    /// `config_invalid` for a closed handle or a timeout out of range, `internal` if no thread can be had; `done` is
    /// dropped then without being called.
    pub fn prepare_token(
        &self,
        timeout: Option<Duration>,
        done: impl FnOnce(Result<Token>) + Send + 'static,
    ) -> Result<Task> {
        self.open()?;
        let deadline = deadline_in(timeout.unwrap_or(self.0.manners.timeout))?;
        let handle = self.0.clone();
        Task::new(Outcome::NotSent, done, move |cancel| async move {
            let waiting = tokio::time::timeout_at(deadline.into(), handle.manager.token_async());
            match either(waiting, handle.canceled(&cancel)).await {
                Ok(in_time) => in_time.unwrap_or_else(|_| Err(no_token_in_time())),
                Err(()) => Err(canceled(Outcome::NotSent)),
            }
        })
    }

    /// Prepares [`TokenManager::make_request`] on the library's own threads, for bindings; see
    /// [`TokenManager::prepare_token`].
    ///
    /// # Errors
    /// What can be said before anything is sent; `done` is dropped then without being called.
    pub fn prepare_request(
        &self,
        request: Request,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<Task> {
        self.prepare_call(self.checked(request)?, done)
    }

    fn prepare_call(
        &self,
        call: Call,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<Task> {
        let handle = self.0.clone();
        Task::new(Outcome::Unknown, done, move |cancel| async move {
            #[cfg(feature = "test-hooks")]
            crate::platform::fault_injection::panic_if_asked();
            call.run_async(&handle.manager, handle.canceled(&cancel))
                .await
        })
    }

    /// Counts and limits of the manager, without secrets.
    pub fn stats(&self) -> Stats {
        stats(&self.0.manager.account)
    }

    /// The tiers of the option `share` as they are now, the nearest first: the host and each store, or this process where
    /// nothing is shared. For a diagnosis: it makes and changes nothing, and waits up to 250 ms for each store.
    pub fn tiers(&self) -> Vec<Tier> {
        tiers(&self.0.manager.account)
    }

    /// Forgets the failures that are remembered, here and where they are shared, so that the next caller asks again. What
    /// was counted of the limits stays.
    ///
    /// # Errors
    /// `config_invalid` if this handle is closed.
    pub fn forget_failures(&self) -> Result<()> {
        self.open()?;
        forget_holds(&self.0.manager.account)
    }

    /// Drops the cached token, for example when another program has revoked it. Says whether there was one.
    ///
    /// # Errors
    /// `rate_limited` if too many tokens were dropped lately (one per 10 s, 20 an hour); the token stays then.
    pub fn invalidate(&self) -> Result<bool> {
        self.open()?;
        match self.0.manager.peek() {
            Some(token) => self.invalidate_token(&token),
            None => Ok(false),
        }
    }

    /// Drops the cached token if it is this one; a newer one stays.
    ///
    /// # Errors
    /// As [`TokenManager::invalidate`].
    pub fn invalidate_token(&self, token: &Token) -> Result<bool> {
        self.open()?;
        // Generations are counted in each manager: another one's token may have the same number.
        match self.0.manager.peek() {
            Some(kept) if kept.same_as(token) => {
                self.0.manager.invalidate(token.generation(), "invalidate")
            }
            _ => Ok(false),
        }
    }

    /// Replaces the API key, for all handles of this manager. With `keep_old` the old key is used for up to 24 hours
    /// while 88Pay does not accept the new one. Tokens that were handed out live on.
    ///
    /// # Errors
    /// `config_invalid` if the key cannot be used, or another manager of this process has it.
    pub fn rotate(&self, api_key: &str, keep_old: bool) -> Result<()> {
        self.open()?;
        let key = ApiKey::parse(Opt::ApiKey, api_key, &self.0.manager.account.base_url)?;
        registry::rotate(&self.0.manager, key, keep_old)
    }

    /// Closes this handle and its clones: pending calls end with `canceled`, later ones with `config_invalid`. Other
    /// handles of the same manager go on. After the last one was closed or dropped, a manager of these credentials may have
    /// other options. Never waits.
    pub fn close(&self) {
        if self.0.closed.raise() {
            self.0.manager.detach();
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.is_raised()
    }
}

impl Handle {
    /// Ends when the task is canceled or this handle is closed.
    async fn canceled(&self, cancel: &CancelFlag) {
        let (Ok(()) | Err(())) = either(cancel.raised(), self.closed.raised()).await;
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("id", &self.id())
            .field("base_url", &self.base_url())
            .field("merchant_id", &self.merchant_id())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
