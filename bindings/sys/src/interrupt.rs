//! A closure as the interrupt callback of a blocking call.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::abi::pay88_interrupt;

/// What `data` points to.
struct Interrupt<'a> {
    ask: &'a mut dyn FnMut() -> bool,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn on_interrupt(data: *mut c_void) -> c_int {
    // SAFETY: the library hands back the pointer of `interruptible`, whose call is still waiting on this thread.
    let interrupt = unsafe { &mut *data.cast::<Interrupt<'_>>() };
    match catch_unwind(AssertUnwindSafe(&mut interrupt.ask)) {
        Ok(stop) => stop.into(),
        // No panic may cross the ABI: it goes on when the call has ended.
        Err(panic) => {
            interrupt.panic = Some(panic);
            1
        }
    }
}

/// Runs a blocking call of the library, which asks `ask` at least every 50 ms whether it shall stop.
pub(crate) fn interruptible<T>(
    ask: &mut dyn FnMut() -> bool,
    call: impl FnOnce(pay88_interrupt, *mut c_void) -> T,
) -> T {
    let mut interrupt = Interrupt { ask, panic: None };
    let result = call(Some(on_interrupt), (&raw mut interrupt).cast());
    if let Some(panic) = interrupt.panic {
        resume_unwind(panic);
    }
    result
}
