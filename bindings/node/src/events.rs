//! Events: one thread takes them from the library and posts them to every thread of Node that asked.
//!
//! Promises: the thread starts when somebody asks, blocks all signals, and never ends nor keeps the process alive.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use napi::bindgen_prelude::ClassInstance;
use napi::{Env, Result};
use napi_derive::napi;
use pay88_sys::Events;

use crate::completion_queue::{Completion, CompletionQueue, WakingQueue};
use crate::failure::{Failure, throw};
use crate::library::library;

/// How many events may wait: more than a burst of failures brings, and little memory.
const CAPACITY: usize = 10_000;
/// The longest wait that the library takes.
const HOUR: Duration = Duration::from_secs(3600);

/// Who asked; `None` until the thread runs.
static LISTENERS: Mutex<Option<Vec<Weak<WakingQueue>>>> = Mutex::new(None);

/// Has all events from now on delivered to this queue. Throws a failure.
#[napi]
pub fn listen(env: Env, completions: ClassInstance<'_, CompletionQueue>) -> Result<()> {
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    if listeners.is_none() {
        let events = library()?.events(CAPACITY).map_err(throw(env))?;
        start(events)
            .map_err(|error| Failure::no_thread("events", &error))
            .map_err(throw(env))?;
    }
    listeners
        .get_or_insert_default()
        .push(Arc::downgrade(&completions.0));
    Ok(())
}

fn start(events: Events) -> std::io::Result<()> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets may be written to; the first is filled before it is read. The new thread inherits the mask.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let started = std::thread::Builder::new()
        .name("pay88-events".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || deliver(&events));
    // SAFETY: the set was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    started.map(drop)
}

fn deliver(events: &Events) {
    // An error would come again at once; it cannot happen with a wait that the library takes.
    while let Ok(event) = events.next(HOUR) {
        let Some(event) = event else { continue };
        let json: Arc<str> = event.json().into();
        let queues: Vec<Arc<WakingQueue>> = {
            let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
            let listeners = listeners.get_or_insert_default();
            listeners.retain(|listener| listener.upgrade().is_some_and(|it| !it.is_dead()));
            listeners.iter().filter_map(Weak::upgrade).collect()
        };
        for queue in queues {
            queue.post(Completion::Event(json.clone()));
        }
    }
}
