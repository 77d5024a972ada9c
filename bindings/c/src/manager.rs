//! Managers: tokens and calls on the caller's thread.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;

use pay88::{Control, TokenManager};

use crate::boundary::{act, not_sent, release, status, status_at_once, value};
use crate::config::pay88_config;
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::request::pay88_request;
use crate::response::pay88_response;
use crate::stats::pay88_stats;
use crate::status::pay88_status;
use crate::text::{MAX_VALUE, text};
use crate::time::timeout;
use crate::token::pay88_token;
use crate::view::pay88_str;

/// A handle of the manager of one set of credentials. Handles built from the same credentials share one manager in the
/// process, and so one token. May be used by any number of threads at once.
pub struct pay88_manager(pub(crate) TokenManager);

/// Asked on the caller's thread at least every 50 ms while a call waits, with nothing locked; anything but 0 ends the call
/// with PAY88_CANCELED, and is said once: it is not asked again. It may call this library. It must return: no longjmp, no C++
/// exception, no pthread_exit. Cancellation of the thread is off meanwhile. It may fork: the call goes on in the parent, and
/// ends in the child with PAY88_FORKED as soon as the interrupt has returned there.
pub type pay88_interrupt = Option<extern "C" fn(interrupt_data: *mut c_void) -> c_int>;

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

/// Builds a manager, or finds the one of these credentials that the process has already. Sends nothing. The configuration
/// stays the caller's. Release the manager with pay88_manager_release().
///
/// Errors: PAY88_CONFIG_INVALID with the option that cannot be used, and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_new(
    config: Option<&pay88_config>,
    manager: Option<&mut MaybeUninit<*mut pay88_manager>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let config = given(config, "config")?;
        let manager = given(manager, "manager")?;
        manager.write(give(pay88_manager(TokenManager::new(config.0.clone())?)));
        Ok(())
    })
}

/// Closes this handle: pending calls end with PAY88_CANCELED, later ones with PAY88_CONFIG_INVALID. Other handles of the
/// same manager go on; after the last one a manager of these credentials may have other options. Never waits. May be called
/// while other threads use the handle, and more than once.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_close(manager: Option<&pay88_manager>) {
    act(|| {
        if let Some(manager) = manager {
            manager.0.close();
        }
    });
}

/// Whether it was closed. True for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_is_closed(manager: Option<&pay88_manager>) -> bool {
    value(|| Some(manager.is_none_or(|manager| manager.0.is_closed())))
}

/// Releases the handle, which no thread may be using. Asynchronous calls that are pending go on; to end them, close it
/// before. The manager is kept for 10 minutes, should one with the same credentials be built again. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_release(manager: Option<Box<pay88_manager>>) {
    release(manager);
}

/// The number of the manager behind the handle, from 1: equal numbers mean the same manager of this process. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_id(manager: Option<&pay88_manager>) -> u64 {
    value(|| Some(manager?.0.id()))
}

/// The normalised base URL. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_base_url(manager: Option<&pay88_manager>) -> pay88_str {
    value(|| Some(manager?.0.base_url().into()))
}

/// The merchant ID. Not followed by a NUL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_merchant_id(manager: Option<&pay88_manager>) -> pay88_str {
    value(|| Some(manager?.0.merchant_id().into()))
}

/// How many milliseconds a call of the handle may take unless it says otherwise: the option "timeout", rounded up. 0 for
/// NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_timeout_ms(manager: Option<&pay88_manager>) -> u64 {
    value(|| u64::try_from(manager?.0.timeout().as_nanos().div_ceil(1_000_000)).ok())
}

/// The token: the cached one at once, else it waits for a new one, at most timeout_ms (0: the option "timeout"; at most
/// 3600000). However many threads wait, one token is asked for. interrupt may be NULL. Release the token with
/// pay88_token_release().
///
/// Errors: PAY88_CREDENTIALS_REJECTED, PAY88_ACCESS_DENIED, PAY88_RATE_LIMITED, PAY88_TIMEOUT, PAY88_CANCELED,
/// PAY88_CONNECTION_FAILED, PAY88_TLS_FAILED, PAY88_BAD_RESPONSE, PAY88_CONFIG_INVALID. The outcome is always
/// PAY88_OUTCOME_NOT_SENT.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_get_token(
    manager: Option<&pay88_manager>,
    timeout_ms: u64,
    interrupt: pay88_interrupt,
    interrupt_data: *mut c_void,
    token: Option<&mut MaybeUninit<*mut pay88_token>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status_at_once(error, || {
        let manager = given(manager, "manager")?;
        let token = given(token, "token")?;
        let timeout = timeout(timeout_ms)?;
        let got = not_sent(|| {
            controlled(interrupt, interrupt_data, |mut control| {
                control.timeout = timeout;
                manager.0.get_token_with(control)
            })
        })?;
        token.write(pay88_token::give(got));
        Ok(())
    })
}

/// The number of the token that pay88_manager_get_token() would give at once, as pay88_token_generation() tells it; 0 if it
/// would have to wait or fail. Counts as use, for which the token is renewed ahead of its end. For programs that keep the
/// token: as long as the number is the same, so is the token.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_current(manager: Option<&pay88_manager>) -> u64 {
    value(|| manager?.0.current())
}

/// The cached token; *token is NULL if there is none that is valid. Never waits and never asks for one. Release the token
/// with pay88_token_release().
///
/// Errors: PAY88_CONFIG_INVALID for a closed handle and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_peek_token(
    manager: Option<&pay88_manager>,
    token: Option<&mut MaybeUninit<*mut pay88_token>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status_at_once(error, || {
        let manager = given(manager, "manager")?;
        let token = given(token, "token")?;
        token.write(match manager.0.peek_token()? {
            Some(cached) => pay88_token::give(cached),
            None => std::ptr::null_mut(),
        });
        Ok(())
    })
}

/// Makes an authenticated call on this thread. An answer of any HTTP status is PAY88_OK. interrupt may be NULL. The request
/// stays the caller's. Release the response with pay88_response_release().
///
/// Errors: any; pay88_error_outcome() says whether the request can have reached 88Pay.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_send(
    manager: Option<&pay88_manager>,
    request: Option<&pay88_request>,
    interrupt: pay88_interrupt,
    interrupt_data: *mut c_void,
    response: Option<&mut MaybeUninit<*mut pay88_response>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let manager = given(manager, "manager")?;
        let request = given(request, "request")?;
        let response = given(response, "response")?;
        let answer = controlled(interrupt, interrupt_data, |control| {
            manager.0.make_request_with(request.to_send(), control)
        })?;
        response.write(give(pay88_response(answer)));
        Ok(())
    })
}

/// Drops the cached token if it is this one, or whichever it is if token is NULL; for example when another program has
/// revoked it. *dropped, which may be NULL, says whether there was one.
///
/// Errors: PAY88_RATE_LIMITED if tokens were dropped too often lately (one per 10 s, 20 an hour), the token stays then;
/// PAY88_CONFIG_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_invalidate(
    manager: Option<&pay88_manager>,
    token: *const pay88_token,
    dropped: Option<&mut MaybeUninit<bool>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
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

/// Replaces the API key, for all handles of this manager. With keep_old, anything but 0, the old key is used for up to 24
/// hours while 88Pay does not accept the new one. Tokens that were handed out live on.
///
/// Limits: key 64 KiB.
/// Errors: PAY88_CONFIG_INVALID if the key cannot be used, or another manager of this process has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pay88_manager_rotate(
    manager: Option<&pay88_manager>,
    api_key: *const c_char,
    api_key_len: usize,
    keep_old: c_int,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let manager = given(manager, "manager")?;
        // SAFETY: the header demands readable bytes for every length.
        let key = unsafe { text(api_key, api_key_len, MAX_VALUE, "api_key") }?;
        manager.0.rotate(key, keep_old != 0)
    })
}

/// What the manager has done so far. Works on a closed handle too. Release it with pay88_stats_release().
///
/// Errors: PAY88_CONFIG_INVALID for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_manager_stats(
    manager: Option<&pay88_manager>,
    stats: Option<&mut MaybeUninit<*mut pay88_stats>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    status(error, || {
        let manager = given(manager, "manager")?;
        let stats = given(stats, "stats")?;
        stats.write(give(pay88_stats::from(manager.0.stats())));
        Ok(())
    })
}
