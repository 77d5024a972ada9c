//! Results and events on their way from threads of the library to one thread of Node.
//!
//! Promises: they arrive in order, and one wake-up takes all that wait; nothing here keeps a process alive; what comes
//! for a thread of Node that has ended is dropped.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsString, Result, Status};
use napi_derive::napi;
use pay88_sys::{Reply, Response, Token};

use crate::failure::Failure;

/// What is delivered.
pub(crate) enum Completion {
    /// The number of a call, and what became of it.
    Call(f64, pay88_sys::Result<Reply>),
    /// An event, as JSON.
    Event(Arc<str>),
}

/// The queue of one thread of Node, as other threads see it.
pub(crate) struct WakingQueue {
    waiting: pay88_sys::CompletionQueue<Completion>,
    wake: ThreadsafeFunction<(), (), (), Status, false, true>,
}

impl WakingQueue {
    /// Called by any thread.
    pub(crate) fn post(&self, completion: Completion) {
        if self.waiting.push(completion)
            && self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok
        {
            // Its thread has ended, or is about to.
            drop(self.waiting.take());
        }
    }

    /// Whether its thread has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.wake.aborted()
    }
}

/// Where a thread of Node gets the results of its calls.
#[napi]
pub struct CompletionQueue(pub(crate) Arc<WakingQueue>);

/// A token as JavaScript keeps it.
#[napi(object, object_from_js = false)]
pub struct TokenParts {
    /// A secret.
    pub access_token: String,
    /// A secret.
    pub session_id: String,
    /// Seconds.
    pub expires_in: f64,
    /// Milliseconds.
    pub valid_for: f64,
    /// From 1 in each manager.
    pub generation: f64,
}

impl From<&Token> for TokenParts {
    fn from(token: &Token) -> TokenParts {
        TokenParts {
            access_token: token.access_token().to_owned(),
            session_id: token.session_id().to_owned(),
            expires_in: token.expires_in() as f64,
            valid_for: token.valid_for().as_millis() as f64,
            generation: token.generation() as f64,
        }
    }
}

/// The number of a call, and its answer: the HTTP status; names and values of headers in turn, a line each, each byte a
/// character; the body; the error of a status of 400 or above.
///
/// Arguments and no object: an engine takes longer over each property.
type Answer<'env> = FnArgs<(f64, u16, JsString<'env>, BufferSlice<'env>, Option<Failure>)>;

/// What a queue gives but for answers: another result of a call, or an event.
#[derive(Default)]
#[napi(object, object_from_js = false)]
pub struct Delivery {
    /// Of the call.
    pub number: Option<f64>,
    /// The call failed.
    pub failure: Option<Failure>,
    /// It was for a token.
    pub token: Option<TokenParts>,
    /// No call at all: an event, as JSON.
    pub event: Option<String>,
}

#[napi]
impl CompletionQueue {
    /// `wake` is called when there is something to take.
    #[napi(constructor)]
    pub fn new(wake: Function<'_, (), ()>) -> Result<CompletionQueue> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build()?;
        Ok(CompletionQueue(Arc::new(WakingQueue {
            waiting: pay88_sys::CompletionQueue::new(),
            wake,
        })))
    }

    /// Hands over what came since the last time, in order.
    #[napi]
    pub fn take(
        &self,
        env: &Env,
        answered: Function<'_, Answer<'_>, ()>,
        delivered: Function<'_, Delivery, ()>,
    ) -> Result<()> {
        for completion in self.0.waiting.take() {
            match completion {
                Completion::Call(number, Ok(Reply::Response(response))) => {
                    answered.call(answer_of(env, number, &response)?)?
                }
                Completion::Call(number, Err(error)) => delivered.call(Delivery {
                    number: Some(number),
                    failure: Some(error.into()),
                    ..Delivery::default()
                })?,
                Completion::Call(number, Ok(Reply::Token(token))) => delivered.call(Delivery {
                    number: Some(number),
                    token: Some((&token).into()),
                    ..Delivery::default()
                })?,
                Completion::Event(json) => delivered.call(Delivery {
                    event: Some(json.as_ref().to_owned()),
                    ..Delivery::default()
                })?,
            }
        }
        Ok(())
    }
}

fn answer_of<'env>(env: &'env Env, number: f64, response: &Response) -> Result<Answer<'env>> {
    // No name and no value has a line break in it.
    let mut headers = Vec::with_capacity(512);
    for (name, value) in response.headers() {
        headers.extend_from_slice(name.as_bytes());
        headers.push(b'\n');
        headers.extend_from_slice(value);
        headers.push(b'\n');
    }
    headers.pop();
    let failure = match response.status() {
        400.. => response.error_for_status().err().map(Failure::from),
        _ => None,
    };
    Ok(FnArgs::from((
        number,
        response.status(),
        env.create_string_latin1(&headers)?,
        BufferSlice::copy_from(env, response.body())?,
        failure,
    )))
}
