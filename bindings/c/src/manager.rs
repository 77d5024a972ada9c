//! Managers: tokens and calls on the caller's thread.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

use pay88::ffi::{Current, cached, count_uses, current, current_until, generation_word};
use pay88::{Control, Result, Token, TokenManager};

use crate::boundary::{boundary, not_sent};
use crate::config::pay88_config;
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::request::pay88_request;
use crate::response::pay88_response;
use crate::stats::pay88_stats;
use crate::status::pay88_status;
use crate::text::{MAX_VALUE, text};
use crate::time::{MAX_MS, timeout};
use crate::token::pay88_token;
use crate::view::pay88_str;

/// A handle of the manager that holds the token of one set of credentials. Handles that were built from the same
/// credentials share one manager in the process, and so one token. Any number of threads may use a handle at once.
pub struct pay88_manager(pub(crate) TokenManager);

/// Called on the caller's thread at least every 50 ms while a call waits, with nothing locked. If it returns anything
/// but 0, the call ends with PAY88_CANCELED, and the interrupt is not called again. It may call this library. It must
/// return: no longjmp, no C++ exception, no pthread_exit. While it runs, cancellation of the thread is off.
///
/// It may fork. The call goes on in the parent. In the child it ends with PAY88_FORKED as soon as the interrupt has
/// returned.
pub type pay88_interrupt = Option<extern "C" fn(interrupt_data: *mut c_void) -> c_int>;

/// An interrupt that reads a number which the caller owns: pass this function as the interrupt, and as interrupt_data the
/// address of an int that is 0. The call ends with PAY88_CANCELED soon after any thread has stored another value there,
/// atomically (an atomic_int in C). The int must live until the call has returned. It is for programs that cannot give a
/// callback. NULL never interrupts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_interrupt_flag(interrupt_data: *mut c_void) -> c_int {
    boundary!(value, || {
        if interrupt_data.is_null() {
            return Some(0);
        }
        // SAFETY: the header demands an int that lives, and that is only written to atomically.
        let flag = unsafe { AtomicI32::from_ptr(interrupt_data.cast()) };
        Some(flag.load(Ordering::Acquire))
    })
}

impl From<Current> for pay88_current {
    fn from(current: Current) -> pay88_current {
        let Current {
            generation,
            word,
            monotonic_until,
            wall_until,
        } = current;
        pay88_current {
            generation,
            word,
            monotonic_until,
            realtime_until: wall_until,
        }
    }
}

/// Runs `call` with the limits that C gave it.
fn controlled<T>(
    interrupt: pay88_interrupt,
    data: *mut c_void,
    call: impl FnOnce(Control<'_>) -> T,
) -> T {
    match interrupt {
        None => call(Control::default()),
        Some(interrupt) => {
            let asked = || interrupt(data) != 0;
            call(Control {
                interrupt: Some(&asked),
                ..Control::default()
            })
        }
    }
}

/// Builds a manager. If the process has one of these credentials already, it gives another handle of that one. Sends
/// nothing. The configuration stays yours. Release the manager with pay88_manager_release().
///
/// Errors: PAY88_CONFIG_INVALID with the option that cannot be used, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_new(
    config: Option<&pay88_config>,
    manager: Option<&mut MaybeUninit<*mut pay88_manager>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let config = given(config, "config")?;
        let manager = given(manager, "manager")?;
        manager.write(give(pay88_manager(TokenManager::new(config.0.clone())?)));
        Ok(())
    })
}

/// Closes this handle. Its pending calls end with PAY88_CANCELED, later ones with PAY88_CONFIG_INVALID. Other handles
/// of the same manager are not affected. After the last handle was closed or released, you may build a manager of these
/// credentials with other options. Never waits. You may call it while other threads use the handle, and several
/// times.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_close(manager: Option<&pay88_manager>) {
    boundary!(act, || {
        if let Some(manager) = manager {
            manager.0.close();
        }
    });
}

/// Whether the handle was closed. True for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_is_closed(manager: Option<&pay88_manager>) -> bool {
    boundary!(value, || Some(
        manager.is_none_or(|manager| manager.0.is_closed())
    ))
}

/// Releases the handle. No thread may be using it. Pending asynchronous calls go on; to end them, close the handle
/// first. The library keeps the manager for 10 minutes, in case you build one of the same credentials again. NULL is
/// allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_release(manager: Option<Box<pay88_manager>>) {
    boundary!(release(manager));
}

/// The number of the manager behind the handle, counted from 1. Equal numbers mean the same manager of this process.
/// 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_id(manager: Option<&pay88_manager>) -> u64 {
    boundary!(value, || Some(manager?.0.id()))
}

/// The base URL, normalised. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_base_url(manager: Option<&pay88_manager>) -> pay88_str {
    boundary!(value, || Some(manager?.0.base_url().into()))
}

/// The merchant ID. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_merchant_id(manager: Option<&pay88_manager>) -> pay88_str {
    boundary!(value, || Some(manager?.0.merchant_id().into()))
}

/// How many milliseconds a call of this handle may take if the call itself sets no time: the option "timeout",
/// rounded up. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_timeout_ms(manager: Option<&pay88_manager>) -> u64 {
    boundary!(value, || u64::try_from(
        manager?.0.timeout().as_nanos().div_ceil(1_000_000)
    )
    .ok())
}

/// Gives the token. If there is a valid one in the cache, it returns at once. Otherwise it waits for a new one, at
/// most timeout_ms (0: the option "timeout"; at most 3600000). However many threads wait, the library asks for one
/// token only. interrupt may be NULL. Release the token with pay88_token_release().
///
/// Errors: PAY88_CREDENTIALS_REJECTED, PAY88_ACCESS_DENIED, PAY88_RATE_LIMITED, PAY88_TIMEOUT, PAY88_CANCELED,
/// PAY88_CONNECTION_FAILED, PAY88_TLS_FAILED, PAY88_BAD_RESPONSE, PAY88_CONFIG_INVALID, PAY88_INTERNAL; PAY88_FORKED in a
/// child that the interrupt forked. The outcome is always PAY88_OUTCOME_NOT_SENT.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_get_token(
    manager: Option<&pay88_manager>,
    timeout_ms: u64,
    interrupt: pay88_interrupt,
    interrupt_data: *mut c_void,
    token: Option<&mut MaybeUninit<*mut pay88_token>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status_at_once(error), || not_sent(|| {
        let manager = &given(manager, "manager")?.0;
        let token = given(token, "token")?;
        // Nearly every call ends here. What only a wait or an error needs is made ready for these.
        let at_once = (timeout_ms <= MAX_MS).then(|| cached(manager)).flatten();
        let got = match at_once {
            Some(got) => got,
            None => wait_for_token(manager, timeout_ms, interrupt, interrupt_data)?,
        };
        token.write(pay88_token::give(got));
        Ok(())
    }))
}

#[cold]
fn wait_for_token(
    manager: &TokenManager,
    timeout_ms: u64,
    interrupt: pay88_interrupt,
    interrupt_data: *mut c_void,
) -> Result<Token> {
    let timeout = timeout(timeout_ms)?;
    controlled(interrupt, interrupt_data, |mut control| {
        control.timeout = timeout;
        manager.get_token_with(control)
    })
}

/// The number of the token that pay88_manager_get_token() would give at once, as pay88_token_generation() returns it.
/// 0 if that function would have to wait, or would fail. It counts as use of the token, so the token is renewed
/// before it ends. It is for programs that keep the token: while the number is the same, the token is the same.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_current(manager: Option<&pay88_manager>) -> u64 {
    boundary!(value, || current(&manager?.0))
}

/// For how long a program that keeps the token may use it without a call: as long as the generation word of the manager
/// is `word`, CLOCK_MONOTONIC is before `monotonic_until`, and CLOCK_REALTIME is before `realtime_until`. The clocks
/// with _COARSE in their names will do. See pay88_manager_generation_word().
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct pay88_current {
    /// The number of the token, as pay88_token_generation() returns it; 0 if there is none.
    pub generation: u64,
    /// What the generation word was before the token was looked for; 0, which it never is, if it was about to change.
    pub word: u64,
    /// When the token ends or its renewal is due, on CLOCK_MONOTONIC in nanoseconds; 0 if there is none.
    pub monotonic_until: u64,
    /// When the token ends, on CLOCK_REALTIME in nanoseconds; 0 if there is none.
    pub realtime_until: u64,
}

/// As pay88_manager_current(), which see. *current also says for how long no further call is needed; all of it is 0 if the
/// result is. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_current_until(
    manager: Option<&pay88_manager>,
    current: Option<&mut MaybeUninit<pay88_current>>,
) -> u64 {
    boundary!(value, || {
        let current = current?.write(pay88_current::default());
        *current = current_until(&manager?.0)?.into();
        Some(current.generation)
    })
}

/// The generation word: a number that changes with every change of which token is to be used. A token came or was dropped,
/// its renewal could not be made and is due again, or a handle was closed. It may also change without one. A program that
/// keeps the token reads the word instead of calling pay88_manager_get_token():
///
///   if (token && kept.generation == number && kept.word == __atomic_load_n(word, __ATOMIC_ACQUIRE)
///       && monotonic < kept.monotonic_until && realtime < kept.realtime_until)
///       use the token that you keep, whose number that is;
///   else if (pay88_manager_current_until(manager, &kept) == number && token)
///       use it;
///   else if (kept.generation)
///       get the token with pay88_manager_peek_token(), which does not count it a second time;
///   if you have none now, or it was NULL,
///       get the token with pay88_manager_get_token();
///
/// Begin with a pay88_current of zeros and no token. All of this is of one manager: tokens of others have the same numbers.
/// With a handle of another one (pay88_manager_id()) begin anew. Threads that share what is kept lock it.
///
/// Read the word atomically, from any thread, and never write it. A change that a thread has made, or has learned of, is in the
/// word when that thread reads it. That a token ends or its renewal is due changes no word: compare the clocks at each use.
///
/// The address is valid until the handle is released, and is the same for all handles of a manager. The child of a fork
/// has a word of its own, at the same address, which begins with what its parent's was. Uses without a call are not in the
/// statistic "hits" unless you pass their number to pay88_manager_count_uses(). NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_generation_word(manager: Option<&pay88_manager>) -> *const u64 {
    boundary!(value, || Some(
        generation_word(&manager?.0).as_ptr().cast_const()
    ))
}

/// Adds uses of a kept token that were made without a call to the statistic "hits". Call it with many at a time, since all
/// threads count in one place. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_count_uses(manager: Option<&pay88_manager>, uses: u64) {
    boundary!(value, || {
        count_uses(&manager?.0, uses);
        Some(())
    })
}

/// Gives the token in the cache. *token is NULL if there is no valid one. Never waits and never asks 88Pay. Release
/// the token with pay88_token_release().
///
/// Errors: PAY88_CONFIG_INVALID for a closed handle and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_peek_token(
    manager: Option<&pay88_manager>,
    token: Option<&mut MaybeUninit<*mut pay88_token>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status_at_once(error), || {
        let manager = given(manager, "manager")?;
        let token = given(token, "token")?;
        token.write(match manager.0.peek_token()? {
            Some(cached) => pay88_token::give(cached),
            None => std::ptr::null_mut(),
        });
        Ok(())
    })
}

/// Makes an authenticated call on this thread. If 88Pay answers, the result is PAY88_OK, whatever the HTTP status.
/// interrupt may be NULL. The request stays yours. Release the response with pay88_response_release().
///
/// Errors: any. pay88_error_outcome() says whether the request can have reached 88Pay.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_send(
    manager: Option<&pay88_manager>,
    request: Option<&pay88_request>,
    interrupt: pay88_interrupt,
    interrupt_data: *mut c_void,
    response: Option<&mut MaybeUninit<*mut pay88_response>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let manager = given(manager, "manager")?;
        let request = given(request, "request")?;
        let response = given(response, "response")?;
        let answer = controlled(interrupt, interrupt_data, |control| {
            manager.0.make_request_with(request.to_send(None), control)
        })?;
        response.write(give(pay88_response(answer)));
        Ok(())
    })
}

/// Drops the cached token, for example because another program has revoked it. If token is not NULL, the cached token
/// is dropped only if it is that one. *dropped says whether a token was dropped; dropped may be NULL.
///
/// Errors: PAY88_RATE_LIMITED if tokens were dropped too often lately (one per 10 s, 20 an hour); the token then stays.
/// PAY88_CONFIG_INVALID for a closed handle and NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_invalidate(
    manager: Option<&pay88_manager>,
    token: *const pay88_token,
    dropped: Option<&mut MaybeUninit<bool>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let manager = given(manager, "manager")?;
        // SAFETY: the header demands a handle or NULL.
        let was_there = match unsafe { pay88_token::lend(token) } {
            Some(token) => manager.0.invalidate_token(&token),
            None => manager.0.invalidate(),
        }?;
        if let Some(dropped) = dropped {
            dropped.write(was_there);
        }
        Ok(())
    })
}

/// Replaces the API key, for all handles of this manager. If keep_old is not 0, the old key is used for up to 24
/// hours while 88Pay does not accept the new one. Tokens that were handed out stay valid.
///
/// Limits: key 64 KiB.
/// Errors: PAY88_CONFIG_INVALID if the key cannot be used, or if another manager of this process has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_rotate(
    manager: Option<&pay88_manager>,
    api_key: *const c_char,
    api_key_len: usize,
    keep_old: c_int,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let manager = given(manager, "manager")?;
        // SAFETY: the header demands readable bytes for every length.
        let key = unsafe { text(api_key, api_key_len, MAX_VALUE, "api_key") }?;
        manager.0.rotate(key, keep_old != 0)
    })
}

/// Takes a snapshot of what the manager has done so far. Works on a closed handle too. Release it with
/// pay88_stats_release().
///
/// Errors: PAY88_CONFIG_INVALID for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_stats(
    manager: Option<&pay88_manager>,
    stats: Option<&mut MaybeUninit<*mut pay88_stats>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let manager = given(manager, "manager")?;
        let stats = given(stats, "stats")?;
        stats.write(give(pay88_stats::from(manager.0.stats())));
        Ok(())
    })
}
