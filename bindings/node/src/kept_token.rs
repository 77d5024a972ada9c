//! The token that JavaScript keeps of a manager, and the one function that each read of it calls.
//!
//! That function is bare Node-API: what a method of a class checks first takes ten times as long as the look itself.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::rc::Rc;

use napi::bindgen_prelude::{FromNapiValue, Function};
use napi::{Env, Result, check_status, sys};
use pay88_sys::{Kept, Manager, Token};

/// What is known of it.
pub(crate) struct KeptToken {
    manager: Rc<Manager>,
    kept: Cell<Kept>,
}

impl KeptToken {
    pub(crate) fn new(manager: Rc<Manager>) -> KeptToken {
        KeptToken {
            manager,
            kept: Cell::default(),
        }
    }

    /// Whether it is still the one to use. It counts as use.
    fn is_current(&self) -> bool {
        self.with(|kept| self.manager.is_current(kept))
    }

    /// The token to use now, if there is one. It counts as use.
    pub(crate) fn renew(&self) -> Option<Token> {
        self.with(|kept| self.manager.keep(kept))
    }

    /// Tells the library of the uses that it does not know of.
    pub(crate) fn report_uses(&self) {
        self.with(|kept| self.manager.report_uses(kept));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept.take();
        let result = act(&mut kept);
        self.kept.set(kept);
        result
    }

    /// [`KeptToken::is_current`] for JavaScript. The function holds what it looks at.
    pub(crate) fn is_current_function(
        self: &Rc<Self>,
        env: Env,
    ) -> Result<Function<'static, (), bool>> {
        let held = Rc::into_raw(self.clone()).cast_mut().cast::<c_void>();
        let mut function = null_mut();
        // SAFETY: the environment is this thread's; without a name no text is read; `held` is kept for as long as the
        // function lives, see below.
        let mut status = unsafe {
            sys::napi_create_function(
                env.raw(),
                null_mut(),
                0,
                Some(is_current),
                held,
                &mut function,
            )
        };
        if status == sys::Status::napi_ok {
            // SAFETY: as above; `release` gives back what `held` is, once, when the function is collected.
            status = unsafe {
                sys::napi_wrap(
                    env.raw(),
                    function,
                    held,
                    Some(release),
                    null_mut(),
                    null_mut(),
                )
            };
        }
        if status != sys::Status::napi_ok {
            // SAFETY: nobody else got it.
            unsafe { release(env.raw(), held, null_mut()) };
        }
        check_status!(status)?;
        // SAFETY: it is a function of this environment.
        unsafe { Function::from_napi_value(env.raw(), function) }
    }
}

impl Drop for KeptToken {
    fn drop(&mut self) {
        self.report_uses();
    }
}

unsafe extern "C" fn is_current(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut held = null_mut();
    let mut answer = null_mut();
    // SAFETY: the engine passes both; of what it knows of the call the data alone is asked for.
    unsafe {
        sys::napi_get_cb_info(env, info, null_mut(), null_mut(), null_mut(), &mut held);
    }
    // SAFETY: the data is what the function was made with, which it holds.
    let kept = unsafe { &*held.cast::<KeptToken>() };
    // SAFETY: as above.
    unsafe { sys::napi_get_boolean(env, kept.is_current(), &mut answer) };
    answer
}

unsafe extern "C" fn release(_: sys::napi_env, held: *mut c_void, _: *mut c_void) {
    // SAFETY: it is what `is_current_function` gave up, and the engine calls this once.
    drop(unsafe { Rc::from_raw(held.cast::<KeptToken>()) });
}
