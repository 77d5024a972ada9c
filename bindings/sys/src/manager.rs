//! Managers: tokens and calls on the caller's thread.

use std::time::Duration;

use crate::abi::pay88_manager;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::handle::{Handle, check, obtain, text};
use crate::interrupt::interruptible;
use crate::kept::GenerationWord;
use crate::request::Request;
use crate::response::Response;
use crate::time::milliseconds;
use crate::token::Token;

/// A handle of the process's manager for one set of credentials.
pub struct Manager(pub(crate) Handle<pay88_manager>, pub(crate) GenerationWord);

impl Manager {
    /// Builds a manager, or finds the one of these credentials that the process has already. Sends nothing.
    ///
    /// # Errors
    /// `config_invalid` with the option that cannot be used.
    pub fn new(config: &Config) -> Result<Manager> {
        let functions = config.0.functions;
        let handle = obtain(functions, functions.pay88_manager_release, |out, error| {
            // SAFETY: the handle is valid, and both results may be written to.
            unsafe { (functions.pay88_manager_new)(config.0.as_ptr(), out, error) }
        })?
        .ok_or_else(Error::none)?;
        let word = GenerationWord::of(&handle)?;
        Ok(Manager(handle, word))
    }

    /// The number of the manager behind the handle: equal numbers mean the same manager of this process.
    pub fn id(&self) -> u64 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_manager_id)(self.0.as_ptr()) }
    }

    /// The normalised base URL.
    pub fn base_url(&self) -> &str {
        // SAFETY: the handle is valid, and lends the text as long as it lives.
        unsafe { text((self.0.functions.pay88_manager_base_url)(self.0.as_ptr())) }
    }

    /// The merchant ID.
    pub fn merchant_id(&self) -> &str {
        // SAFETY: the handle is valid, and lends the text as long as it lives.
        unsafe {
            text((self.0.functions.pay88_manager_merchant_id)(
                self.0.as_ptr(),
            ))
        }
    }

    /// How long a call of this handle may take unless it says otherwise.
    pub fn timeout(&self) -> Duration {
        // SAFETY: the handle is valid.
        let timeout = unsafe { (self.0.functions.pay88_manager_timeout_ms)(self.0.as_ptr()) };
        Duration::from_millis(timeout)
    }

    /// The token: the cached one at once, else it waits for a new one, at most `timeout` (unless given the manager's own).
    /// While it waits it asks `interrupt`, at least every 50 ms and on this thread; `true` ends the wait with `canceled`.
    ///
    /// # Errors
    /// Any; the outcome is always "not_sent".
    pub fn get_token(
        &self,
        timeout: Option<Duration>,
        interrupt: &mut dyn FnMut() -> bool,
    ) -> Result<Token> {
        let functions = self.0.functions;
        obtain(functions, functions.pay88_token_release, |out, error| {
            interruptible(interrupt, |interrupt, data| {
                // SAFETY: the handle is valid, `data` is what `interrupt` takes, both results may be written to.
                unsafe {
                    (functions.pay88_manager_get_token)(
                        self.0.as_ptr(),
                        milliseconds(timeout),
                        interrupt,
                        data,
                        out,
                        error,
                    )
                }
            })
        })?
        .map(Token)
        .ok_or_else(Error::none)
    }

    /// The cached token, if there is one that is valid. Never waits.
    ///
    /// # Errors
    /// `config_invalid` if the handle is closed.
    pub fn peek_token(&self) -> Result<Option<Token>> {
        let functions = self.0.functions;
        let token = obtain(functions, functions.pay88_token_release, |out, error| {
            // SAFETY: the handle is valid, and both results may be written to.
            unsafe { (functions.pay88_manager_peek_token)(self.0.as_ptr(), out, error) }
        })?;
        Ok(token.map(Token))
    }

    /// Makes an authenticated call on this thread; an answer of any HTTP status is no error. `interrupt` is as for
    /// [`Manager::get_token`].
    ///
    /// # Errors
    /// Any; [`Error::outcome`] says whether the request can have reached 88Pay.
    pub fn send(&self, request: &Request, interrupt: &mut dyn FnMut() -> bool) -> Result<Response> {
        let functions = self.0.functions;
        obtain(functions, functions.pay88_response_release, |out, error| {
            interruptible(interrupt, |interrupt, data| {
                // SAFETY: the handles are valid, `data` is what `interrupt` takes, both results may be written to.
                unsafe {
                    (functions.pay88_manager_send)(
                        self.0.as_ptr(),
                        request.0.as_ptr(),
                        interrupt,
                        data,
                        out,
                        error,
                    )
                }
            })
        })?
        .map(Response)
        .ok_or_else(Error::none)
    }

    /// Drops the cached token if it is this one, or whichever it is; says whether there was one.
    ///
    /// # Errors
    /// `rate_limited` if tokens were dropped too often lately, `config_invalid` if the handle is closed.
    pub fn invalidate(&self, token: Option<&Token>) -> Result<bool> {
        let functions = self.0.functions;
        let token = token.map_or(std::ptr::null(), |token| token.0.as_ptr());
        let mut dropped = false;
        check(functions, |error| {
            // SAFETY: the handles are valid, a NULL token is allowed, both results may be written to.
            unsafe {
                (functions.pay88_manager_invalidate)(self.0.as_ptr(), token, &mut dropped, error)
            }
        })?;
        Ok(dropped)
    }

    /// Replaces the API key, for all handles of this manager. With `keep_old` the old key is used for up to 24 hours while
    /// 88Pay does not accept the new one.
    ///
    /// # Errors
    /// `config_invalid` if the key cannot be used, or another manager of this process has it.
    pub fn rotate(&self, api_key: &str, keep_old: bool) -> Result<()> {
        let functions = self.0.functions;
        check(functions, |error| {
            // SAFETY: the handle is valid, the text readable, `error` may be written to.
            unsafe {
                (functions.pay88_manager_rotate)(
                    self.0.as_ptr(),
                    api_key.as_ptr().cast(),
                    api_key.len(),
                    keep_old.into(),
                    error,
                )
            }
        })
    }

    /// What the manager has done so far, as a JSON object.
    ///
    /// # Errors
    /// `internal` if the library fails.
    pub fn stats_json(&self) -> Result<String> {
        let functions = self.0.functions;
        let stats = obtain(functions, functions.pay88_stats_release, |out, error| {
            // SAFETY: the handle is valid, and both results may be written to.
            unsafe { (functions.pay88_manager_stats)(self.0.as_ptr(), out, error) }
        })?
        .ok_or_else(Error::none)?;
        // SAFETY: the handle is valid, and lives until the text has been copied.
        Ok(unsafe { text((functions.pay88_stats_json)(stats.as_ptr())) }.to_owned())
    }

    /// Closes this handle: pending calls end with `canceled`, later ones with `config_invalid`. Never waits.
    pub fn close(&self) {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_manager_close)(self.0.as_ptr()) }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_manager_is_closed)(self.0.as_ptr()) }
    }
}
