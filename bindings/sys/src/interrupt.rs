//! A closure as the interrupt callback of a blocking call.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::abi::pay88_interrupt;

struct Asked<'a> {
    interrupt: &'a mut dyn FnMut() -> bool,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn ask(data: *mut c_void) -> c_int {
    // SAFETY: the library hands back the pointer of `interruptible`, whose call is still waiting on this thread.
    let asked = unsafe { &mut *data.cast::<Asked<'_>>() };
    match catch_unwind(AssertUnwindSafe(&mut asked.interrupt)) {
        Ok(stop) => stop.into(),
        // No panic may cross the ABI: it goes on when the call has ended.
        Err(panic) => {
            asked.panic = Some(panic);
            1
        }
    }
}

/// Runs a blocking call of the library, which asks `interrupt` at least every 50 ms whether it shall stop.
pub(crate) fn interruptible<T>(
    interrupt: &mut dyn FnMut() -> bool,
    call: impl FnOnce(pay88_interrupt, *mut c_void) -> T,
) -> T {
    let mut asked = Asked {
        interrupt,
        panic: None,
    };
    let result = call(Some(ask), (&raw mut asked).cast());
    if let Some(panic) = asked.panic {
        resume_unwind(panic);
    }
    result
}
