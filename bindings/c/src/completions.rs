//! Completion queues: asynchronous calls whose results the program takes with its own threads, when it wants to.
//!
//! Promises: a call that was taken gives exactly one completion. The descriptor is readable exactly while there is one. No
//! function here waits. A queue that was released takes nothing more, and a forked child touches nothing in it.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pay88::ffi::{Readable, by_system, internal, prepare_request, prepare_token};
use pay88::{Error, ErrorCode, Response, Result, Token};

use crate::boundary::{boundary, silence_panics};
use crate::call::{pay88_call, start};
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::manager::pay88_manager;
use crate::request::pay88_request;
use crate::response::pay88_response;
use crate::status::pay88_status;
use crate::time::timeout;
use crate::token::pay88_token;

/// The most completions that are taken at a time.
const MAX_CAPACITY: usize = 1_000_000;
/// For how many completions a queue keeps memory when it is empty.
const KEPT: usize = 256;

/// A queue into which calls give their results, for programs that have a loop of their own. Any number of threads may use
/// it at once; each completion goes to one of them.
pub struct pay88_completions(ManuallyDrop<Arc<Queue>>);

/// How a call ended. Exactly one of the three handles is not NULL: `error` if the status is not PAY88_OK, otherwise
/// `token` or `response`, by the function that made the call. You own it and release it with its own function.
///
/// The structure never changes: what later releases add is read by functions of the handles.
#[repr(C)]
pub struct pay88_completion {
    /// What you passed to the call.
    pub tag: u64,
    /// The result of the call.
    pub status: pay88_status,
    /// What pay88_manager_get_token_queued() got.
    pub token: *mut pay88_token,
    /// What pay88_manager_send_queued() got.
    pub response: *mut pay88_response,
    /// Why the call failed.
    pub error: *mut pay88_error,
}

/// What the calls in flight and the program share.
struct Queue {
    /// `None` once it was released. A forked child never locks it: a thread of the parent may have had it.
    waiting: Mutex<Option<VecDeque<Completion>>>,
    /// Set, cleared and closed under the lock.
    readable: Readable,
}

/// A completion that the program has not taken. The handles are made here, so that this is no work of the program's thread.
struct Completion {
    tag: u64,
    result: Result<Got, Box<pay88_error>>,
}

enum Got {
    Token(Token),
    Response(Box<pay88_response>),
}

impl From<Token> for Got {
    fn from(token: Token) -> Got {
        Got::Token(token)
    }
}

impl From<Response> for Got {
    fn from(response: Response) -> Got {
        Got::Response(Box::new(pay88_response(response)))
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Completion>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, completion: Completion) {
        let mut queue = self.lock();
        if let Some(waiting) = &mut *queue {
            if waiting.is_empty() {
                self.readable.set();
            }
            waiting.push_back(completion);
        } else {
            // It may be a large answer.
            drop(queue);
            drop(completion);
        }
    }
}

impl pay88_completions {
    fn own(&self) -> Result<&Arc<Queue>> {
        match self.0.readable.is_own() {
            true => Ok(&self.0),
            false => Err(Error::new(
                ErrorCode::Forked,
                "The completion queue belongs to the parent process.",
                "Open one in this process. The calls that were begun before the fork end in the parent.",
            )),
        }
    }

    /// What gives a call its place in the queue.
    fn place<T: Into<Got> + 'static>(
        &self,
        tag: u64,
    ) -> Result<impl FnOnce(Result<T>) + Send + use<T>> {
        let queue = Arc::clone(self.own()?);
        Ok(move |result: Result<T>| {
            queue.push(Completion {
                tag,
                result: result.map(T::into).map_err(pay88_error::new),
            });
        })
    }
}

impl Drop for pay88_completions {
    fn drop(&mut self) {
        let own = self.0.readable.is_own();
        let waiting = own.then(|| {
            let mut waiting = self.0.lock();
            self.0.readable.close();
            waiting.take()
        });
        drop(waiting);
        if own {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        } else {
            // The rest is as a thread of the parent may have left it in the middle of a change.
            self.0.readable.close();
        }
    }
}

impl From<Completion> for pay88_completion {
    fn from(completion: Completion) -> pay88_completion {
        let nothing = pay88_completion {
            tag: completion.tag,
            status: pay88_status::PAY88_OK,
            token: null_mut(),
            response: null_mut(),
            error: null_mut(),
        };
        match completion.result {
            Ok(Got::Token(token)) => pay88_completion {
                token: pay88_token::give(token),
                ..nothing
            },
            Ok(Got::Response(response)) => pay88_completion {
                response: Box::into_raw(response),
                ..nothing
            },
            Err(error) => pay88_completion {
                status: error.status(),
                error: Box::into_raw(error),
                ..nothing
            },
        }
    }
}

/// Opens a queue. It belongs to this process: a child that is forked later opens its own. Release it with
/// pay88_completions_release().
///
/// Its memory is that of the completions which nobody has taken, of which each call gives one.
///
/// Errors: PAY88_INTERNAL if the system gives no descriptor, PAY88_CONFIG_INVALID for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_completions_open(
    completions: Option<&mut MaybeUninit<*mut pay88_completions>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        silence_panics();
        let completions = given(completions, "completions")?;
        let readable = Readable::open()
            .map_err(|why| by_system("There is no descriptor for a completion queue", &why))?;
        completions.write(give(pay88_completions(ManuallyDrop::new(Arc::new(
            Queue {
                waiting: Mutex::new(Some(VecDeque::new())),
                readable,
            },
        )))));
        Ok(())
    })
}

/// A descriptor that is readable exactly while there is a completion to take, for poll(2), epoll(7) and the loops that use
/// them. It is close-on-exec, does not block, and is 3 or higher. It stays the same, and the queue's: only wait for it. Do
/// not read, write or close it.
///
/// It becomes readable when a completion comes into an empty queue, and not again for those that follow. With a loop that
/// tells this once (EPOLLET), call pay88_completions_next() until it gives fewer completions than the array has room for.
///
/// -1 for NULL and in a forked child.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_completions_fd(completions: Option<&pay88_completions>) -> c_int {
    boundary!(value, || {
        Some(completions?.own().ok()?.readable.as_raw_fd())
    })
}

/// Takes the completions that are there, the oldest first, but at most capacity of them. *count says how many were written
/// to the array taken, and is 0 if there was none. Never waits. You own what each of them holds.
///
/// Limits: capacity 1 to 1000000.
/// Errors: PAY88_FORKED in a child of the process that opened the queue; PAY88_CONFIG_INVALID for another capacity and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_completions_next(
    completions: Option<&pay88_completions>,
    taken: *mut pay88_completion,
    capacity: usize,
    count: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let completions = given(completions, "completions")?;
        let taken = given((!taken.is_null()).then_some(taken), "taken")?;
        let count = given(count, "count")?;
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(Error::invalid(
                format!("The argument capacity is {capacity}."),
                format!("It must be from 1 to {MAX_CAPACITY}."),
            ));
        }
        let queue = completions.own()?;
        let mut waiting = queue.lock();
        let Some(waiting) = &mut *waiting else {
            return Err(internal("The completion queue was released."));
        };
        let number = waiting.len().min(capacity);
        if number > 0 && number == waiting.len() {
            queue.readable.clear();
        }
        for (place, completion) in waiting.drain(..number).enumerate() {
            // SAFETY: the header demands an array of `capacity` elements, of which this is one.
            unsafe { taken.add(place).write(completion.into()) };
        }
        if waiting.is_empty() {
            waiting.shrink_to(KEPT);
        }
        count.write(number);
        Ok(())
    })
}

/// Releases the queue and the completions in it that nobody took, and closes the descriptor; remove that from your loop
/// before. Calls that have not ended go on, and their results are released unseen. To know how they end, close their
/// managers and take their completions before.
///
/// In a forked child it closes the child's copy of the descriptor, and nothing changes for the parent. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_completions_release(completions: Option<Box<pay88_completions>>) {
    boundary!(release(completions));
}

/// As pay88_manager_get_token(), but returns at once. The result goes to the queue, with the tag, which may be any number:
/// exactly one completion, also if the call was canceled, the manager was closed, or the library failed. *call gets a handle
/// to cancel the call with, which you release with pay88_call_release(). call may be NULL.
///
/// The completion may be there before this function returns. Another thread may then release or reuse whatever you passed,
/// and *call, which is written before.
///
/// Errors: PAY88_CONFIG_INVALID for a closed handle, a time out of range, NULL; PAY88_FORKED if the queue was opened before a
/// fork, by the parent; PAY88_INTERNAL if the system gives no thread. After an error no completion comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_get_token_queued(
    manager: *const pay88_manager,
    timeout_ms: u64,
    completions: *const pay88_completions,
    tag: u64,
    call: *mut *mut pay88_call,
    error: *mut *mut pay88_error,
) -> pay88_status {
    // SAFETY: the header demands a valid pointer or NULL.
    boundary!(status(unsafe { error.as_mut() }), || {
        // SAFETY: the header demands valid pointers or NULL. They are no references in the signature, since another thread
        // may take the completion, and release what they point to, before this function is left.
        let (manager, completions) = unsafe { (manager.as_ref(), completions.as_ref()) };
        let manager = given(manager, "manager")?;
        let done = given(completions, "completions")?.place(tag)?;
        let task = prepare_token(&manager.0, timeout(timeout_ms)?, done)?;
        // SAFETY: the header demands a valid pointer or NULL.
        unsafe { start(task, call) };
        Ok(())
    })
}

/// As pay88_manager_send(), but returns at once. The result goes to the queue, with the tag, as in
/// pay88_manager_get_token_queued(). The call may take timeout_ms in all; with 0 it is the request's own time. The request
/// stays yours, and you may change or release it at once. call may be NULL.
///
/// Errors: those that are found before anything is sent; PAY88_FORKED if the queue was opened before a fork, by the parent;
/// PAY88_INTERNAL if the system gives no thread. After an error no completion comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_send_queued(
    manager: *const pay88_manager,
    request: *const pay88_request,
    timeout_ms: u64,
    completions: *const pay88_completions,
    tag: u64,
    call: *mut *mut pay88_call,
    error: *mut *mut pay88_error,
) -> pay88_status {
    // SAFETY: as in `pay88_manager_get_token_queued`.
    boundary!(status(unsafe { error.as_mut() }), || {
        // SAFETY: as in `pay88_manager_get_token_queued`.
        let (manager, request, completions) =
            unsafe { (manager.as_ref(), request.as_ref(), completions.as_ref()) };
        let manager = given(manager, "manager")?;
        let request = given(request, "request")?;
        let done = given(completions, "completions")?.place(tag)?;
        let to_send = request.to_send(timeout(timeout_ms)?);
        let task = prepare_request(&manager.0, to_send, done)?;
        // SAFETY: the header demands a valid pointer or NULL.
        unsafe { start(task, call) };
        Ok(())
    })
}
