//! Results and events on their way from threads of the library to one thread of Node.
//!
//! Promises: they arrive in order, and one wake-up takes all that wait; nothing here keeps a process alive; what comes
//! for a thread of Node that has ended is dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{BufferSlice, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsString, Result, Status};
use napi_derive::napi;
use pay88_sys::{Response, Token};

use crate::failure::Failure;

/// What is delivered.
pub(crate) enum Letter {
    Token(f64, pay88_sys::Result<Token>),
    Answer(f64, pay88_sys::Result<Response>),
    Event(Arc<str>),
}

/// The box of one thread of Node.
pub(crate) struct Mailbox {
    letters: Mutex<VecDeque<Letter>>,
    /// A wake-up is on its way.
    woken: AtomicBool,
    wake: ThreadsafeFunction<(), (), (), Status, false, true>,
}

impl Mailbox {
    /// Called by any thread.
    pub(crate) fn post(&self, letter: Letter) {
        self.letters().push_back(letter);
        if !self.woken.swap(true, Ordering::AcqRel) {
            let status = self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
            if status != Status::Ok {
                self.letters().clear();
            }
        }
    }

    /// Whether its thread has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.wake.aborted()
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a thread of Node gets the results of its calls.
#[napi]
pub struct Inbox(pub(crate) Arc<Mailbox>);

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

/// What an inbox gives but for answers: another result of a call, or an event.
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
impl Inbox {
    /// `wake` is called when there is something to take.
    #[napi(constructor)]
    pub fn new(wake: Function<'_, (), ()>) -> Result<Inbox> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build()?;
        Ok(Inbox(Arc::new(Mailbox {
            letters: Mutex::default(),
            woken: AtomicBool::new(false),
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
        // Before the letters are taken: one that comes now is either among them or wakes again.
        self.0.woken.store(false, Ordering::Release);
        let letters = std::mem::take(&mut *self.0.letters());
        for letter in letters {
            match letter {
                Letter::Answer(number, Ok(answer)) => {
                    answered.call(answer_of(env, number, &answer)?)?
                }
                Letter::Answer(number, Err(error)) => delivered.call(failed(number, error))?,
                Letter::Token(number, Err(error)) => delivered.call(failed(number, error))?,
                Letter::Token(number, Ok(token)) => delivered.call(Delivery {
                    number: Some(number),
                    token: Some((&token).into()),
                    ..Delivery::default()
                })?,
                Letter::Event(json) => delivered.call(Delivery {
                    event: Some(json.as_ref().to_owned()),
                    ..Delivery::default()
                })?,
            }
        }
        Ok(())
    }
}

fn failed(number: f64, error: pay88_sys::Error) -> Delivery {
    Delivery {
        number: Some(number),
        failure: Some(error.into()),
        ..Delivery::default()
    }
}

fn answer_of<'env>(env: &'env Env, number: f64, answer: &Response) -> Result<Answer<'env>> {
    // No name and no value has a line break in it.
    let mut headers = Vec::with_capacity(512);
    for (name, value) in answer.headers() {
        headers.extend_from_slice(name.as_bytes());
        headers.push(b'\n');
        headers.extend_from_slice(value);
        headers.push(b'\n');
    }
    headers.pop();
    let failure = match answer.status() {
        400.. => answer.error_for_status().err().map(Failure::from),
        _ => None,
    };
    Ok(FnArgs::from((
        number,
        answer.status(),
        env.create_string_latin1(&headers)?,
        BufferSlice::copy_from(env, answer.body())?,
        failure,
    )))
}
