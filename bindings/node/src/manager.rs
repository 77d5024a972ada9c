//! Managers: the compiled half of `TokenManager`.

use std::rc::Rc;

use napi::bindgen_prelude::{ClassInstance, Either, Function, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;
use pay88_sys::{Manager, Reply, RequestParts, from_seconds};

use crate::completion_queue::{Completion, CompletionQueue, TokenParts};
use crate::failure::throw;
use crate::kept_token::KeptToken;
use crate::library::library;
use crate::pairs::pairs;

/// Text, which is sent as UTF-8, or any bytes.
type Body = Either<String, Uint8Array>;

/// A handle of the process's manager for one set of credentials.
#[napi]
pub struct ManagerHandle {
    manager: Rc<Manager>,
    kept: Rc<KeptToken>,
}

/// A call that was started.
#[napi]
pub struct PendingCall(pay88_sys::Call);

#[napi]
impl ManagerHandle {
    /// From the names and values of options, in turn; what is not given comes from the environment, given likewise. Throws
    /// a failure.
    #[napi(constructor)]
    pub fn new(env: Env, options: Vec<String>, environment: Vec<String>) -> Result<ManagerHandle> {
        let mut config = library()?
            .config_with_environment(pairs(&environment))
            .map_err(throw(env))?;
        for (name, value) in pairs(&options) {
            config.set(name, value).map_err(throw(env))?;
        }
        let manager = Rc::new(Manager::new(&config).map_err(throw(env))?);
        let kept = Rc::new(KeptToken::new(manager.clone()));
        Ok(ManagerHandle { manager, kept })
    }

    /// Equal numbers mean the same manager of this process.
    #[napi(getter)]
    pub fn id(&self) -> f64 {
        self.manager.id() as f64
    }

    /// The normalised base URL.
    #[napi(getter)]
    pub fn base_url(&self) -> &str {
        self.manager.base_url()
    }

    /// The merchant ID.
    #[napi(getter)]
    pub fn merchant_id(&self) -> &str {
        self.manager.merchant_id()
    }

    /// Seconds that a call may take unless it says otherwise.
    #[napi(getter)]
    pub fn timeout(&self) -> f64 {
        self.manager.timeout().as_secs_f64()
    }

    /// The function that says whether the token that `current` told of last is still the one to use. It counts as use, and
    /// costs no call of the library.
    #[napi(getter)]
    pub fn is_current(&self, env: Env) -> Result<Function<'_, (), bool>> {
        self.kept.is_current_function(env)
    }

    /// The token to use now: `true` if it is that of the number, `false` if there is none. It counts as use, for which the
    /// token is renewed ahead of its end.
    #[napi]
    pub fn current(&self, known: f64) -> Either<bool, TokenParts> {
        match self.kept.renew() {
            None => Either::A(false),
            Some(token) if token.generation() as f64 == known => Either::A(true),
            Some(token) => Either::B((&token).into()),
        }
    }

    /// The cached token, if there is one that is valid. Throws a failure if the handle is closed.
    #[napi]
    pub fn peek(&self, env: Env) -> Result<Option<TokenParts>> {
        let token = self.manager.peek_token().map_err(throw(env))?;
        Ok(token.as_ref().map(TokenParts::from))
    }

    /// Has the token delivered, under that number; gives what it can be canceled by, if it shall be cancelable. Throws a
    /// failure if that cannot even begin.
    #[napi]
    pub fn get_token(
        &self,
        env: Env,
        completions: ClassInstance<'_, CompletionQueue>,
        number: f64,
        cancelable: bool,
        timeout: Option<f64>,
    ) -> Result<Option<PendingCall>> {
        let queue = completions.0.clone();
        self.manager
            .get_token_async(timeout.map(from_seconds), move |result| {
                queue.post(Completion::Call(number, result.map(Reply::from)));
            })
            .map(|call| cancelable.then_some(PendingCall(call)))
            .map_err(throw(env))
    }

    /// Makes a call and has the answer delivered, under that number; all else as in `get_token`. Arguments and no object:
    /// an engine takes longer over each property.
    #[napi]
    #[allow(clippy::too_many_arguments, reason = "of JavaScript, see above")]
    pub fn send(
        &self,
        env: Env,
        completions: ClassInstance<'_, CompletionQueue>,
        number: f64,
        cancelable: bool,
        method: String,
        endpoint: String,
        body: Option<Body>,
        safe_to_repeat: bool,
        timeout: Option<f64>,
        headers: Option<Vec<String>>,
        params: Option<Vec<String>>,
    ) -> Result<Option<PendingCall>> {
        let request = library()?
            .request_of(RequestParts {
                method: &method,
                endpoint: &endpoint,
                headers: pairs(headers.as_deref().unwrap_or_default()),
                params: pairs(params.as_deref().unwrap_or_default()),
                body: body.as_ref().map(|body| match body {
                    Either::A(text) => text.as_bytes(),
                    Either::B(bytes) => bytes,
                }),
                timeout: timeout.map(from_seconds),
                safe_to_repeat,
            })
            .map_err(throw(env))?;
        let queue = completions.0.clone();
        self.manager
            .send_async(&request, move |result| {
                queue.post(Completion::Call(number, result.map(Reply::from)));
            })
            .map(|call| cancelable.then_some(PendingCall(call)))
            .map_err(throw(env))
    }

    /// Drops the cached token, if it is still that one or none is named; says whether there was one. Throws a failure if
    /// that was done too often lately.
    #[napi]
    pub fn invalidate(&self, env: Env, generation: Option<f64>) -> Result<bool> {
        let Some(token) = self.manager.peek_token().map_err(throw(env))? else {
            return Ok(false);
        };
        if generation.is_some_and(|generation| token.generation() as f64 != generation) {
            return Ok(false);
        }
        self.manager.invalidate(Some(&token)).map_err(throw(env))
    }

    /// Replaces the API key. Throws a failure.
    #[napi]
    pub fn rotate(&self, env: Env, api_key: String, keep_old: bool) -> Result<()> {
        self.manager.rotate(&api_key, keep_old).map_err(throw(env))
    }

    /// What the manager has done so far, as JSON. Throws a failure.
    #[napi]
    pub fn stats_json(&self, env: Env) -> Result<String> {
        self.kept.report_uses();
        self.manager.stats_json().map_err(throw(env))
    }

    /// Ends the pending calls of this handle with `canceled` and refuses later ones.
    #[napi]
    pub fn close(&self) {
        self.kept.report_uses();
        self.manager.close();
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
