//! Results of asynchronous calls, on their way from a thread of the library to a thread of a language.
//!
//! Promises: results are taken in the order in which they came; the lock is held for moments, and by nobody who waits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::response::Response;
use crate::token::Token;

/// What an asynchronous call gives.
pub enum Reply {
    /// It asked for a token.
    Token(Token),
    /// It was sent to 88Pay.
    Response(Response),
}

impl Reply {
    /// What a call for a token gives.
    ///
    /// # Errors
    /// It is no token.
    pub fn into_token(self) -> Result<Token> {
        match self {
            Reply::Token(token) => Ok(token),
            Reply::Response(_) => Err(Error::none()),
        }
    }

    /// What a call that was sent gives.
    ///
    /// # Errors
    /// It is no response.
    pub fn into_response(self) -> Result<Response> {
        match self {
            Reply::Response(response) => Ok(response),
            Reply::Token(_) => Err(Error::none()),
        }
    }
}

impl From<Token> for Reply {
    fn from(token: Token) -> Reply {
        Reply::Token(token)
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Reply {
        Reply::Response(response)
    }
}

/// What waits to be taken by one thread of a language, which is woken by means of its own.
pub struct CompletionQueue<T>(Mutex<Vec<T>>);

impl<T> CompletionQueue<T> {
    /// One that is empty.
    pub const fn new() -> CompletionQueue<T> {
        CompletionQueue(Mutex::new(Vec::new()))
    }

    /// Adds one. Says whether it is the first: whoever takes has to be woken then. For those behind it that was done, since
    /// all that is there is taken as a whole.
    #[must_use = "whoever takes has to be woken for the first"]
    pub fn push(&self, completion: T) -> bool {
        let mut waiting = self.waiting();
        waiting.push(completion);
        waiting.len() == 1
    }

    /// All that is there.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for CompletionQueue<T> {
    fn default() -> CompletionQueue<T> {
        CompletionQueue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_is_woken_for_the_first_of_those_that_wait_and_gets_all_in_order() {
        let queue = CompletionQueue::new();
        assert!(queue.push(1));
        assert!(!queue.push(2));
        assert_eq!(queue.take(), [1, 2]);
        assert!(queue.push(3));
        assert_eq!(queue.take(), [3]);
        assert!(queue.take().is_empty());
    }
}
