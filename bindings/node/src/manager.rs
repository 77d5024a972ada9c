//! Managers: the compiled half of `TokenManager`.

use napi::bindgen_prelude::ClassInstance;
use napi::{Env, Result};
use napi_derive::napi;
use pay88_sys::Manager;

use crate::failure::throw;
use crate::library::library;
use crate::mailbox::{Inbox, Letter, TokenParts};
use crate::request::{RequestParts, seconds};

/// A handle of the process's manager for one set of credentials.
#[napi]
pub struct ManagerHandle(Manager);

/// A call that was started.
#[napi]
pub struct PendingCall(pay88_sys::Call);

#[napi]
impl ManagerHandle {
    /// From the names and values of options, in turn; what is not given comes from the environment. Throws a failure.
    #[napi(constructor)]
    pub fn new(env: Env, options: Vec<String>) -> Result<ManagerHandle> {
        let mut config = library()?.config().map_err(throw(env))?;
        for option in options.chunks_exact(2) {
            config.set(&option[0], &option[1]).map_err(throw(env))?;
        }
        Manager::new(&config).map(ManagerHandle).map_err(throw(env))
    }

    /// Equal numbers mean the same manager of this process.
    #[napi(getter)]
    pub fn id(&self) -> f64 {
        self.0.id() as f64
    }

    /// The normalised base URL.
    #[napi(getter)]
    pub fn base_url(&self) -> &str {
        self.0.base_url()
    }

    /// The merchant ID.
    #[napi(getter)]
    pub fn merchant_id(&self) -> &str {
        self.0.merchant_id()
    }

    /// Whether this is the token to use now. It counts as use, for which the token is renewed ahead of its end.
    #[napi]
    pub fn uses(&self, generation: f64) -> bool {
        let known = |token: &pay88_sys::Token| token.generation() as f64 == generation;
        // Only a token that is there is asked for, so that nothing is ever waited for: should it end at this moment, the
        // wait that begins is given up at once.
        self.0
            .peek_token()
            .is_ok_and(|token| token.as_ref().is_some_and(known))
            && self
                .0
                .get_token(None, &mut || true)
                .as_ref()
                .is_ok_and(known)
    }

    /// The cached token, if there is one that is valid. Throws a failure if the handle is closed.
    #[napi]
    pub fn peek(&self, env: Env) -> Result<Option<TokenParts>> {
        let token = self.0.peek_token().map_err(throw(env))?;
        Ok(token.as_ref().map(TokenParts::from))
    }

    /// Has the token delivered, under that number; gives what it can be canceled by, if it shall be cancelable. Throws a
    /// failure if that cannot even begin.
    #[napi]
    pub fn get_token(
        &self,
        env: Env,
        inbox: ClassInstance<'_, Inbox>,
        number: f64,
        cancelable: bool,
        timeout: Option<f64>,
    ) -> Result<Option<PendingCall>> {
        let mailbox = inbox.0.clone();
        self.0
            .get_token_async(seconds(timeout), move |result| {
                mailbox.post(Letter::Token(number, result));
            })
            .map(|call| cancelable.then_some(PendingCall(call)))
            .map_err(throw(env))
    }

    /// Makes a call and has the answer delivered, under that number; all else as in `get_token`.
    #[napi]
    pub fn send(
        &self,
        env: Env,
        inbox: ClassInstance<'_, Inbox>,
        number: f64,
        cancelable: bool,
        request: RequestParts,
    ) -> Result<Option<PendingCall>> {
        let request = request.build(library()?).map_err(throw(env))?;
        let mailbox = inbox.0.clone();
        self.0
            .send_async(&request, move |result| {
                mailbox.post(Letter::Answer(number, result));
            })
            .map(|call| cancelable.then_some(PendingCall(call)))
            .map_err(throw(env))
    }

    /// Drops the cached token, if it is still that one or none is named; says whether there was one. Throws a failure if
    /// that was done too often lately.
    #[napi]
    pub fn invalidate(&self, env: Env, generation: Option<f64>) -> Result<bool> {
        let Some(token) = self.0.peek_token().map_err(throw(env))? else {
            return Ok(false);
        };
        if generation.is_some_and(|generation| token.generation() as f64 != generation) {
            return Ok(false);
        }
        self.0.invalidate(Some(&token)).map_err(throw(env))
    }

    /// Replaces the API key. Throws a failure.
    #[napi]
    pub fn rotate(&self, env: Env, api_key: String, keep_old: bool) -> Result<()> {
        self.0.rotate(&api_key, keep_old).map_err(throw(env))
    }

    /// What the manager has done so far, as JSON. Throws a failure.
    #[napi]
    pub fn stats_json(&self, env: Env) -> Result<String> {
        self.0.stats_json().map_err(throw(env))
    }

    /// Ends the pending calls of this handle with `canceled` and refuses later ones.
    #[napi]
    pub fn close(&self) {
        self.0.close();
    }
}

#[napi]
impl PendingCall {
    /// Ends it soon with `canceled`, unless its result is there already.
    #[napi]
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
