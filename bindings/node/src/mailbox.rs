//! Results and events on their way from threads of the library to one thread of Node.
//!
//! Promises: they arrive in order, and one wake-up takes all that wait; nothing here keeps a process alive; what comes
//! for a thread of Node that has ended is dropped.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{BufferSlice, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status};
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

/// An answer as JavaScript takes it.
#[napi(object, object_from_js = false)]
pub struct AnswerParts<'env> {
    /// The HTTP status.
    pub status: u16,
    /// Names and values in turn, each byte a character.
    pub headers: Vec<String>,
    /// As it came.
    pub body: BufferSlice<'env>,
}

/// What an inbox gives: the result of a call, or an event.
#[napi(object, object_from_js = false)]
pub struct Delivery<'env> {
    /// Of the call.
    pub number: Option<f64>,
    /// The call failed.
    pub failure: Option<Failure>,
    /// It was for a token.
    pub token: Option<TokenParts>,
    /// It was for an answer.
    pub answer: Option<AnswerParts<'env>>,
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

    /// What came since the last time, in order.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Vec<Delivery<'env>>> {
        // Before the letters are taken: one that comes now is either among them or wakes again.
        self.0.woken.store(false, Ordering::Release);
        let letters = std::mem::take(&mut *self.0.letters());
        letters
            .into_iter()
            .map(|letter| open(env, letter))
            .collect()
    }
}

fn open(env: &Env, letter: Letter) -> Result<Delivery<'_>> {
    let mut delivery = Delivery {
        number: None,
        failure: None,
        token: None,
        answer: None,
        event: None,
    };
    match letter {
        Letter::Token(number, result) => {
            delivery.number = Some(number);
            match result {
                Ok(token) => delivery.token = Some((&token).into()),
                Err(error) => delivery.failure = Some(error.into()),
            }
        }
        Letter::Answer(number, result) => {
            delivery.number = Some(number);
            match result {
                Ok(answer) => delivery.answer = Some(answer_parts(env, &answer)?),
                Err(error) => delivery.failure = Some(error.into()),
            }
        }
        Letter::Event(json) => delivery.event = Some(json.as_ref().to_owned()),
    }
    Ok(delivery)
}

fn answer_parts<'env>(env: &'env Env, answer: &Response) -> Result<AnswerParts<'env>> {
    let mut headers = Vec::new();
    for (name, value) in answer.headers() {
        headers.push(name.to_owned());
        headers.push(value.iter().map(|byte| char::from(*byte)).collect());
    }
    Ok(AnswerParts {
        status: answer.status(),
        headers,
        body: BufferSlice::copy_from(env, answer.body())?,
    })
}
