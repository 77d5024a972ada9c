//! Events: what happened in this process, taken from a queue by the program's own threads.

use pay88::ffi::{Uncanceled, descriptor};
use pay88::{Error, Event, EventName, Events};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::boundary::{boundary, silence_panics};
use crate::error::pay88_error;
use crate::handle::{give, given};
use crate::status::pay88_status;
use crate::time::timeout;
use crate::view::{Terminated, pay88_str};

/// The most events that a queue may hold.
const MAX_CAPACITY: usize = 1_000_000;

/// A queue of the events of all managers of this process. Several threads may use it at once; each event goes to one
/// of them.
pub struct pay88_events(Events);

/// Something that happened. It never changes. Any thread may read and release it.
pub struct pay88_event {
    event: Event,
    json: Terminated,
}

/// The number of kinds of events.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_kind_count() -> usize {
    boundary!(value, || Some(EventName::ALL.len()))
}

/// The name of the kind of event at an index below pay88_event_kind_count(); empty for a higher index. Valid for
/// ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_kind_name(index: usize) -> pay88_str {
    boundary!(value, || Some(EventName::ALL.get(index)?.name().into()))
}

/// When an event of the kind at an index happens, and which fields it has; empty for an index that is too high. Valid
/// for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_kind_summary(index: usize) -> pay88_str {
    boundary!(value, || Some(EventName::ALL.get(index)?.summary().into()))
}

/// Subscribes to all events from now on. At most capacity events wait in the queue. Events that come while it is full
/// are dropped, and an event "events_dropped" says how many were. Release the queue with pay88_events_release().
///
/// Limits: capacity 1 to 1000000.
/// Errors: PAY88_CONFIG_INVALID for another capacity and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_events_open(
    capacity: usize,
    events: Option<&mut MaybeUninit<*mut pay88_events>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        silence_panics();
        let events = given(events, "events")?;
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(Error::invalid(
                format!("The argument capacity is {capacity}."),
                format!("It must be from 1 to {MAX_CAPACITY}."),
            ));
        }
        events.write(give(pay88_events(Events::subscribe(capacity))));
        Ok(())
    })
}

/// A descriptor that is readable exactly while there is an event to take, for poll(2), epoll(7) and the loops that use them.
/// It is close-on-exec, does not block, and is 3 or higher. It is the queue's: only wait for it. Do not read, write or close
/// it. The first call opens it. pay88_events_release() closes it; remove it from your loop before.
///
/// It becomes readable when an event comes into an empty queue, and not again for those that follow. With a loop that tells
/// this once (EPOLLET), call pay88_events_next() until it gives no event.
///
/// -1 for NULL, in a forked child, and if the system gives no descriptor; a later call then tries again.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_events_fd(events: Option<&pay88_events>) -> c_int {
    boundary!(value, || {
        // The first call opens the descriptor, and writes to it if an event waits.
        let _uncanceled = Uncanceled::begin();
        descriptor(&events?.0).ok()?
    })
}

/// Takes the next event, and waits for it at most timeout_ms (0: not at all; at most 3600000). If no event came, the
/// result is PAY88_OK and *event is NULL. Release the event with pay88_event_release().
///
/// Errors: PAY88_CONFIG_INVALID for a time out of range and NULL.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_events_next(
    events: Option<&pay88_events>,
    timeout_ms: u64,
    event: Option<&mut MaybeUninit<*mut pay88_event>>,
    error: Option<&mut *mut pay88_error>,
) -> pay88_status {
    boundary!(status(error), || {
        let events = given(events, "events")?;
        let event = given(event, "event")?;
        let wait = timeout(timeout_ms)?.unwrap_or(Duration::ZERO);
        event.write(match events.0.next(wait) {
            Some(next) => give(pay88_event {
                json: Terminated::new(&next.to_json().to_string()),
                event: next,
            }),
            None => std::ptr::null_mut(),
        });
        Ok(())
    })
}

/// Ends the subscription and releases the queue. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_events_release(events: Option<Box<pay88_events>>) {
    boundary!(release(events));
}

/// The name of the event, such as "token_issued". Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_name(event: Option<&pay88_event>) -> pay88_str {
    boundary!(value, || Some(event?.event.name.name().into()))
}

/// When the event happened, in milliseconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_time(event: Option<&pay88_event>) -> u64 {
    boundary!(value, || Some(event?.event.time))
}

/// The manager in which the event happened, as pay88_manager_id() numbers it. 0 for events of the queue itself.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_manager_id(event: Option<&pay88_event>) -> u64 {
    boundary!(value, || Some(event?.event.manager_id))
}

/// The whole event as JSON: {"name":...,"level":"info" or "warning","time":...,"manager_id":...,"fields":{...}}.
/// Followed by a NUL. Has no secret.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_json(event: Option<&pay88_event>) -> pay88_str {
    boundary!(value, || Some(event?.json.view()))
}

/// Releases the event. NULL is allowed.
#[unsafe(no_mangle)]
pub extern "C" fn pay88_event_release(event: Option<Box<pay88_event>>) {
    boundary!(release(event));
}
