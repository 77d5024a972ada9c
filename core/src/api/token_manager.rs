//! What a program holds: a handle of the process's manager for one set of credentials.
//!
//! Handles cost little. Each has time limits and a user agent of its own, and can be closed by itself. Threads may
//! share them.

pub(crate) mod bindings;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::call::request::{Request, Response};
use crate::call::{Call, CallDefaults, deadline_in};
use crate::config::Config;
use crate::config::credentials::ApiKey;
use crate::config::option::Opt;
use crate::error::{Error, Outcome, Result, internal};
use crate::manager::manager::Manager;
use crate::manager::registry;
use crate::manager::shared_tier;
use crate::manager::statistics::stats;
use crate::manager::tiers::{Tier, tiers};
use crate::manager::token::Token;
use crate::platform::cancel::{CancelFlag, Stop, either};
use crate::platform::clock::Clock;
use crate::platform::process::{CountedIn, Process};
use crate::platform::runtime::callers_can_wait;
use crate::platform::task::{Hosted, Task};
use crate::platform::thread::Uncanceled;
use crate::policy::errors::{canceled, forked, no_token_in_time};
use crate::telemetry::stats::Stats;
use crate::transport::Tokio;

/// Holds 88Pay's short-lived token and makes authenticated calls with it.
///
/// Objects that are built with the same credentials are handles of the same manager. So a process has one token,
/// however many handles it has. All methods may be called from any thread. After the last handle is gone, idle
/// connections and the thread of asynchronous calls are kept for 45 seconds. So a program may make a handle for each
/// piece of work.
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
    defaults: CallDefaults,
    closed: CancelFlag,
    counted: CountedIn,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Limits one blocking call, for [`TokenManager::get_token_with`] and [`TokenManager::make_request_with`].
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (sandbox, manager) = doc::manager();
/// use std::time::{Duration, Instant};
/// use pay88::{Control, ErrorCode};
///
/// # sandbox.fault(pay88_sandbox::Fault::once(pay88_sandbox::Match::Token, pay88_sandbox::Action::Stall));
/// let begun = Instant::now();
/// let give_up = || begun.elapsed() > Duration::from_millis(200);
/// let control = Control { timeout: Some(Duration::from_secs(10)), interrupt: Some(&give_up) };
/// // 88Pay does not answer, and the interrupt ends the wait.
/// let error = manager.get_token_with(control).unwrap_err();
/// assert_eq!(error.code(), ErrorCode::Canceled);
/// ```
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// How long the call may take; the manager's `timeout` unless set. More than 0, at most an hour.
    pub timeout: Option<Duration>,
    /// Called on the caller's thread at least every 50 ms while the call waits. `true` ends the call with `canceled`;
    /// it is enough to return it once. If it forks, the call ends in the child with `forked`.
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
    /// Builds a manager, or gives a handle of the one that the process has for these credentials. Sends nothing.
    ///
    /// ```
    /// use pay88::{Config, TokenManager};
    ///
    /// let config = Config::without_environment()
    ///     .with("api_key", "sk_test_sandbox_0123456789")?
    ///     .with("merchant_id", "MCH-COL-TEST-12345")?;
    /// let (one, other) = (TokenManager::new(config.clone())?, TokenManager::new(config)?);
    /// assert_eq!(one.id(), other.id());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` with what is wrong and what to do.
    pub fn new(config: Config) -> Result<TokenManager> {
        Self::with_clock(config, Clock::System)
    }

    pub(crate) fn with_clock(config: Config, clock: Clock) -> Result<TokenManager> {
        let settings = config.settings()?;
        let defaults = CallDefaults {
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout,
            idle_timeout: settings.idle_timeout,
            max_response_bytes: settings.max_response_bytes,
            user_agent: HeaderValue::from_str(&settings.user_agent)
                .map_err(|_| internal("A checked user agent is no header."))?,
        };
        let manager = registry::attach(&settings, clock)?;
        Ok(TokenManager(Arc::new(Handle {
            manager,
            defaults,
            closed: CancelFlag::default(),
            counted: CountedIn::this_process(),
        })))
    }

    /// The number of the manager behind this handle. Equal numbers mean the same manager of this process.
    pub fn id(&self) -> u64 {
        self.0.manager.account.id
    }

    /// The base URL, normalised.
    pub fn base_url(&self) -> &str {
        self.0.manager.account.base_url.as_str()
    }

    /// The merchant ID.
    pub fn merchant_id(&self) -> &str {
        self.0.manager.account.merchant_id.as_str()
    }

    /// Whether token and session ID may be sent to a URL.
    #[cfg(feature = "reqwest")]
    pub(crate) fn check_url(&self, url: &url::Url) -> Result<()> {
        self.0.manager.account.base_url.check_url(url)
    }

    /// How long a call of this handle may take if the call itself sets no time: the option `timeout`.
    pub fn timeout(&self) -> Duration {
        self.0.defaults.timeout
    }

    /// A checked call. If the check fails, nothing was sent.
    fn checked(&self, request: Request) -> Result<Call> {
        self.open()?;
        self.0.count();
        Call::new(&self.0.manager.account.base_url, request, &self.0.defaults)
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

    /// Gives the token. If there is a valid one in the cache, it is given at once. Otherwise the call waits for a new
    /// one, at most for the option `timeout`. However many threads wait, one token is asked for.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (sandbox, manager) = doc::manager();
    /// let token = manager.get_token()?;
    /// assert_eq!(token.expires_in(), 60);
    /// assert_eq!(manager.get_token()?.access_token(), token.access_token());
    /// # assert_eq!(sandbox.counters().tokens_issued, 1);
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `credentials_rejected`, `access_denied`, `rate_limited`, `timeout`, `canceled`, `connection_failed`,
    /// `tls_failed` or `bad_response`. The outcome is always `not_sent`.
    #[inline]
    pub fn get_token(&self) -> Result<Token> {
        self.get_token_with(Control::default())
    }

    /// Gives the token as [`TokenManager::get_token`] does, with limits for this call. [`Control`] has an example.
    ///
    /// # Errors
    /// As [`TokenManager::get_token`], and `config_invalid` for a timeout out of range.
    #[inline]
    pub fn get_token_with(&self, control: Control<'_>) -> Result<Token> {
        self.open()?;
        match self.0.cached() {
            Some(token) => Ok(token),
            None => self.wait_for_token(control),
        }
    }

    #[cold]
    fn wait_for_token(&self, control: Control<'_>) -> Result<Token> {
        self.0.count();
        let deadline = deadline_in(control.timeout.unwrap_or(self.0.defaults.timeout))?;
        self.limited(
            control,
            || forked(Outcome::NotSent),
            |stop| self.0.manager.token(deadline, stop),
        )
    }

    /// Runs a call that asks `stop` while it waits. In a child that is forked while the caller's interrupt runs, it
    /// ends with `forked`.
    fn limited<T>(
        &self,
        control: Control<'_>,
        forked: impl FnOnce() -> Error,
        call: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
    ) -> Result<T> {
        let _uncanceled = Uncanceled::begin();
        let begun_in = Process::current();
        // An interrupt may say it only once, such as one that reports an exception of a signal handler.
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

    /// Gives the token in the cache, or `None` if there is no valid one. Never waits and never asks 88Pay.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// assert!(manager.peek_token()?.is_none());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` if this handle is closed.
    pub fn peek_token(&self) -> Result<Option<Token>> {
        self.open()?;
        Ok(self.0.manager.peek())
    }

    /// Makes an authenticated call on this thread. An answer of any status is an answer, not an error.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// let balance = pay88::Request::post("/api/balance").param("id", manager.merchant_id());
    /// let answer = manager.make_request(balance)?;
    /// assert_eq!(answer.status(), 200);
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// Any code. [`Error::outcome`] says whether the request can have reached 88Pay.
    pub fn make_request(&self, request: Request) -> Result<Response> {
        self.make_request_with(request, Control::default())
    }

    /// Makes a call as [`TokenManager::make_request`] does, with limits for this call. Its `timeout` wins over that
    /// of the request. [`Control`] has an example.
    ///
    /// # Errors
    /// As [`TokenManager::make_request`].
    pub fn make_request_with(
        &self,
        mut request: Request,
        control: Control<'_>,
    ) -> Result<Response> {
        request.timeout = control.timeout.or(request.timeout);
        let call = self.checked(request)?;
        self.limited(control, call.forked(), |stop| {
            call.run(&self.0.manager, stop)
        })
    }

    /// Gives the token as [`TokenManager::get_token`] does, in a task of any executor. To give up, drop the future.
    /// [`TokenManager::make_request_async`] says where it waits.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let (_sandbox, manager) = doc::manager();
    /// let token = manager.get_token_async().await?;
    /// # assert_eq!(token.expires_in(), 60);
    /// # Ok::<(), pay88::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`TokenManager::get_token`]. Also `forked` (with `not_sent`) if a waiting future is polled in a child that
    /// was forked meanwhile.
    pub async fn get_token_async(&self) -> Result<Token> {
        self.open()?;
        if let Some(token) = self.0.cached() {
            return Ok(token);
        }
        self.0.count();
        let forked = || forked(Outcome::NotSent);
        if !callers_can_wait() {
            return Task::awaited(forked, |done| bindings::prepare_token(self, None, done)).await;
        }
        let deadline = deadline_in(self.0.defaults.timeout)?;
        let handle = self.0.clone();
        let waiting = async move { handle.token(deadline, handle.stop(None)).await };
        Hosted::new(forked, waiting).await
    }

    /// Makes a call as [`TokenManager::make_request`] does, in a task of any executor. To give up, drop the future.
    ///
    /// On a tokio runtime with drivers for I/O and time, as `#[tokio::main]` and `enable_all` make it, the call waits on
    /// that runtime. On other executors it waits on a thread of the library. A tokio runtime without one of the two
    /// drivers is such another executor too, but tokio tells that a driver is missing by a panic. The library catches
    /// it, once in a process; the program's panic hook shows it. A forked child never waits on its parent's runtime.
    ///
    /// Inside a tokio runtime await the future; do not block the thread on it. Poll it until it ends, or drop it: a call
    /// that waits on your runtime ends only while it is polled, and until then it counts for `max_connections`. Its
    /// connection stays registered with your runtime, and so does one idle task for each server, until the runtime ends.
    ///
    /// A new token is asked for on a thread of its own. If the system gives no thread, the first future that waits for the
    /// token asks for it where it is polled. It blocks that thread until the token is there, the time for the call is over
    /// or the handle is closed.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let (_sandbox, manager) = doc::manager();
    /// let balance = pay88::Request::post("/api/balance").param("id", manager.merchant_id());
    /// let answer = manager.make_request_async(balance).await?;
    /// # assert_eq!(answer.status(), 200);
    /// # Ok::<(), pay88::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`TokenManager::make_request`]. Also `forked` (with `unknown`, because the parent goes on with the call) if
    /// a waiting future is polled in a child that was forked meanwhile.
    pub async fn make_request_async(&self, request: Request) -> Result<Response> {
        let call = self.checked(request)?;
        let forked = call.forked();
        if !callers_can_wait() {
            return Task::awaited(forked, |done| self.prepare_call(call, done)).await;
        }
        let handle = self.0.clone();
        let work = async move {
            let stop = handle.stop(None);
            call.run_async(&handle.manager, Tokio::Callers, stop).await
        };
        Hosted::new(forked, work).await
    }

    fn prepare_call(
        &self,
        call: Call,
        done: impl FnOnce(Result<Response>) + Send + 'static,
    ) -> Result<Task> {
        let handle = self.0.clone();
        Task::new(Outcome::Unknown, done, move |cancel| async move {
            let stop = handle.stop(Some(&cancel));
            call.run_async(&handle.manager, Tokio::Library, stop).await
        })
    }

    /// Gives counts and limits of the manager, for monitoring. They have no secret. [`Stats`] has an example.
    pub fn stats(&self) -> Stats {
        stats(&self.0.manager.account)
    }

    /// Shows the tiers of the option `share` as they are now, the nearest first: the host and each store, or this
    /// process if nothing is shared. It is for a diagnosis: it makes and changes nothing, and waits at most 250 ms
    /// for each store. [`Tier`] has an example.
    pub fn tiers(&self) -> Vec<Tier> {
        tiers(&self.0.manager.account)
    }

    /// Forgets the failures that are remembered, here and where they are shared, so that the next caller asks 88Pay
    /// again. The tokens that were counted stay counted.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (sandbox, manager) = doc::manager();
    /// # sandbox.suspend(pay88_sandbox::TEST_MERCHANT, true);
    /// // The account is suspended: 88Pay answers 403, and the failure is remembered.
    /// assert!(manager.get_token().is_err());
    /// assert!(manager.stats().hold.is_some());
    /// manager.forget_failures()?;
    /// assert!(manager.stats().hold.is_none());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` if this handle is closed.
    pub fn forget_failures(&self) -> Result<()> {
        self.open()?;
        shared_tier::forget_failures(&self.0.manager.account)
    }

    /// Drops the cached token, for example because another program has revoked it. Returns whether there was one.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// manager.get_token()?;
    /// assert!(manager.invalidate()?);
    /// assert!(manager.peek_token()?.is_none());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `rate_limited` if too many tokens were dropped lately (one per 10 s, 20 an hour). The token then stays.
    pub fn invalidate(&self) -> Result<bool> {
        self.open()?;
        match self.0.manager.peek() {
            Some(token) => self.invalidate_token(&token),
            None => Ok(false),
        }
    }

    /// Drops the cached token if it is this one. A newer token stays.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// let rejected = manager.get_token()?;
    /// assert!(manager.invalidate_token(&rejected)?);
    /// assert!(!manager.invalidate_token(&rejected)?);
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenManager::invalidate`].
    pub fn invalidate_token(&self, token: &Token) -> Result<bool> {
        self.open()?;
        // Each manager counts its own generations, so another manager's token may have the same number.
        match self.0.manager.peek() {
            Some(kept) if kept.same_as(token) => {
                self.0.manager.invalidate(token.generation(), "invalidate")
            }
            _ => Ok(false),
        }
    }

    /// Replaces the API key, for all handles of this manager. With `keep_old` the old key is used for up to 24 hours
    /// while 88Pay does not accept the new one. Tokens that were handed out stay valid.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// manager.rotate("sk_test_sandbox_the_next_key", true)?;
    /// // 88Pay does not accept the new key yet, so the old one is used.
    /// manager.get_token()?;
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `config_invalid` if the key cannot be used, or if another manager of this process has it.
    pub fn rotate(&self, api_key: &str, keep_old: bool) -> Result<()> {
        self.open()?;
        let key = ApiKey::parse(Opt::ApiKey, api_key, &self.0.manager.account.base_url)?;
        registry::rotate(&self.0.manager, key, keep_old)
    }

    /// Closes this handle and its clones. Their pending calls end with `canceled`, later ones with `config_invalid`.
    /// Other handles of the same manager are not affected. After the last handle was closed or dropped, a manager of
    /// these credentials may be built with other options. Never waits.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, manager) = doc::manager();
    /// manager.close();
    /// assert!(manager.is_closed());
    /// assert_eq!(manager.get_token().unwrap_err().code().name(), "config_invalid");
    /// ```
    pub fn close(&self) {
        let handle = &self.0;
        let word = &handle.manager.account.cache.word;
        word.change(|| handle.closed.mark());
        // Wakers are the program's code, and may take their time.
        handle.closed.raise();
        handle.end();
    }

    /// Whether this handle was closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.is_raised()
    }
}

impl Handle {
    /// Has it counted in this process, which may have inherited it.
    fn count(&self) {
        let manager = &self.manager;
        self.counted
            .move_here(|| manager.count(), || manager.detach());
    }

    fn end(&self) {
        if self.counted.ends_here() {
            self.manager.detach();
        }
    }

    /// The cached token; starts its renewal when that is due.
    #[inline(always)]
    fn cached(&self) -> Option<Token> {
        self.manager.cached_by(|| self.count())
    }

    /// Waits for the token in a task of tokio, until it is to stop.
    async fn token(&self, deadline: Instant, stop: Stop<'_>) -> Result<Token> {
        let stopped = || stop.is_raised();
        let token = self.manager.token_async(deadline, &stopped);
        let waiting = tokio::time::timeout_at(deadline.into(), token);
        match either(waiting, stop.raised()).await {
            Ok(in_time) => in_time.unwrap_or_else(|_| Err(no_token_in_time())),
            Err(()) => Err(canceled(Outcome::NotSent)),
        }
    }

    /// What ends a task of this handle.
    fn stop<'a>(&'a self, canceled: Option<&'a CancelFlag>) -> Stop<'a> {
        Stop {
            closed: &self.closed,
            canceled,
        }
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::test_support::config::config_with;
    use crate::test_support::limits::in_a_child;

    #[test]
    fn what_a_close_wakes_finds_the_change_ended() {
        struct Wakes(TokenManager, AtomicBool);
        impl Wake for Wakes {
            fn wake(self: Arc<Self>) {
                let word = &self.0.0.manager.account.cache.word;
                let ended = self.0.is_closed() && word.to_keep().is_some();
                self.1.store(ended, Ordering::SeqCst);
            }
        }
        let manager = manager();
        let wakes = Arc::new(Wakes(manager.clone(), AtomicBool::new(false)));
        let waker = Waker::from(wakes.clone());
        let mut closed = pin!(manager.0.closed.raised());
        let polled = closed.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        manager.close();
        assert!(wakes.1.load(Ordering::SeqCst));
    }

    fn manager() -> TokenManager {
        let config = config_with(&[
            ("api_key", "sk_test_sandbox_0123456789"),
            ("merchant_id", "MCH-COL-TEST-HANDLES"),
            ("base_url", "http://127.0.0.1:9"),
            ("share", "process"),
        ]);
        TokenManager::new(config).unwrap()
    }

    /// What stays for open handles would otherwise stay for those of threads that a child does not have.
    #[test]
    fn a_child_counts_the_handles_that_it_uses_and_no_others() {
        let (used, unused) = (manager(), manager());
        let counted = |manager: &TokenManager| {
            let link = &manager.0.manager.account.link;
            link.handles().load(Ordering::SeqCst)
        };
        assert!(counted(&used) >= 2);
        let status = in_a_child(|| {
            let inherited = counted(&used);
            used.get_token().unwrap_err();
            used.get_token().unwrap_err();
            let with_one = counted(&used);
            unused.close();
            let with_it_still = counted(&used);
            used.close();
            used.close();
            let counts = (inherited, with_one, with_it_still, counted(&used));
            i32::from(counts != (0, 1, 1, 0))
        });
        assert_eq!(status, 0);
    }
}
