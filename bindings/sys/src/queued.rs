//! Asynchronous calls whose results a thread of a language takes from a queue, when its own loop finds the descriptor readable.
//!
//! Promises: a call that was taken gives exactly one result. Nothing here waits.

use std::mem::MaybeUninit;
use std::time::Duration;

use crate::Library;
use crate::abi::{
    PAY88_OK, pay88_call, pay88_completion, pay88_completions, pay88_error, pay88_status,
};
use crate::asynchronous::Call;
use crate::completion::Reply;
use crate::error::{Error, Result};
use crate::handle::{Handle, check, obtain};
use crate::manager::Manager;
use crate::request::Request;
use crate::response::Response;
use crate::time::milliseconds;
use crate::token::Token;

/// How many results are taken with one call of the library.
const AT_A_TIME: usize = 64;

/// A queue of results, of this process. Dropping it lets the calls go on.
pub struct Completions(Handle<pay88_completions>);

impl Library {
    /// Opens a queue.
    ///
    /// # Errors
    /// `internal` if the system gives no descriptor.
    pub fn completions(self) -> Result<Completions> {
        let functions = self.functions;
        obtain(
            functions,
            functions.pay88_completions_release,
            |out, error| {
                // SAFETY: both results may be written to.
                unsafe { (functions.pay88_completions_open)(out, error) }
            },
        )?
        .map(Completions)
        .ok_or_else(Error::none)
    }
}

impl Completions {
    /// Readable exactly while there is a result to take; only to be waited for. -1 in a forked child.
    pub fn descriptor(&self) -> i32 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_completions_fd)(self.0.as_ptr()) }
    }

    /// Whether the results arrive in another process: this one was forked from it.
    pub fn is_inherited(&self) -> bool {
        self.descriptor() < 0
    }

    /// What has arrived, with the tags of the calls, in order.
    ///
    /// # Errors
    /// `forked` in a forked child.
    pub fn take(&self) -> Result<Vec<(u64, Result<Reply>)>> {
        let functions = self.0.functions;
        let mut all = Vec::new();
        loop {
            let mut taken = [MaybeUninit::<pay88_completion>::uninit(); AT_A_TIME];
            let mut count = 0;
            check(functions, |error| {
                // SAFETY: the handle is valid, the array has so many places, and the results may be written to.
                unsafe {
                    (functions.pay88_completions_next)(
                        self.0.as_ptr(),
                        taken.as_mut_ptr().cast(),
                        AT_A_TIME,
                        &mut count,
                        error,
                    )
                }
            })?;
            all.extend(taken[..count].iter().map(|completion| {
                // SAFETY: the library has written so many, and what they hold is ours.
                let completion = unsafe { completion.assume_init_read() };
                (completion.tag, self.reply(completion))
            }));
            if count < AT_A_TIME {
                return Ok(all);
            }
        }
    }

    fn reply(&self, completion: pay88_completion) -> Result<Reply> {
        let functions = self.0.functions;
        if completion.status != PAY88_OK {
            return Err(Error::from_raw(completion.error, functions));
        }
        let token = Handle::from_raw(completion.token, functions.pay88_token_release, functions);
        if let Some(token) = token {
            return Ok(Reply::Token(Token(token)));
        }
        let release = functions.pay88_response_release;
        Handle::from_raw(completion.response, release, functions)
            .map(|response| Reply::Response(Response(response)))
            .ok_or_else(Error::none)
    }
}

impl Manager {
    /// As [`Manager::get_token`], without waiting: the result comes into the queue, with the tag.
    ///
    /// # Errors
    /// `config_invalid` for a closed handle or a time out of range, `forked` for a queue of the parent process, `internal` if
    /// no thread can be had. Nothing comes into the queue then.
    pub fn get_token_queued(
        &self,
        timeout: Option<Duration>,
        completions: &Completions,
        tag: u64,
    ) -> Result<Call> {
        self.queued(|call, error| {
            // SAFETY: the handles are valid, and both results may be written to.
            unsafe {
                (self.0.functions.pay88_manager_get_token_queued)(
                    self.0.as_ptr(),
                    milliseconds(timeout),
                    completions.0.as_ptr(),
                    tag,
                    call,
                    error,
                )
            }
        })
    }

    /// As [`Manager::send`], without waiting: the result comes into the queue, with the tag. The request may be changed or
    /// dropped at once.
    ///
    /// # Errors
    /// What can be said before anything is sent, `forked` for a queue of the parent process, and `internal` if no thread can
    /// be had. Nothing comes into the queue then.
    pub fn send_queued(
        &self,
        request: &Request,
        completions: &Completions,
        tag: u64,
    ) -> Result<Call> {
        self.queued(|call, error| {
            // SAFETY: the handles are valid, and both results may be written to.
            unsafe {
                (self.0.functions.pay88_manager_send_queued)(
                    self.0.as_ptr(),
                    request.0.as_ptr(),
                    0,
                    completions.0.as_ptr(),
                    tag,
                    call,
                    error,
                )
            }
        })
    }

    fn queued(
        &self,
        start: impl FnOnce(*mut *mut pay88_call, *mut *mut pay88_error) -> pay88_status,
    ) -> Result<Call> {
        let functions = self.0.functions;
        obtain(functions, functions.pay88_call_release, start)?
            .map(Call)
            .ok_or_else(Error::none)
    }
}
