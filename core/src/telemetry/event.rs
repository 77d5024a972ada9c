//! What happened, for logs and metrics, in one form for all languages.
//!
//! Promises: nothing is printed. Nothing is kept unless somebody has subscribed. A full queue drops the newest event
//! and counts it. No field holds a secret. Never runs a subscriber's code.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use serde_json::{Map, Value, json};

use crate::platform::clock;
use crate::platform::process::{PerProcess, Process};
use crate::platform::readable::Readable;

macro_rules! events {
    ($($id:ident = $name:literal, $level:ident, $summary:literal;)*) => {
        /// Names the kind of an [`Event`], so that a program can pick the ones it cares about.
        ///
        /// ```
        /// use pay88::EventName;
        ///
        /// assert_eq!(EventName::TokenIssued.name(), "token_issued");
        /// assert!(EventName::ALL.contains(&EventName::CallFailed));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EventName { $(#[doc = $summary] $id,)* }

        impl EventName {
            /// Every kind of event.
            pub const ALL: &'static [EventName] = &[$(EventName::$id,)*];

            /// The name of the event, which is the same in all languages, such as `token_issued`.
            pub const fn name(self) -> &'static str {
                match self { $(EventName::$id => $name,)* }
            }

            /// One sentence: when the event happens, and which fields it has.
            pub const fn summary(self) -> &'static str {
                match self { $(EventName::$id => $summary,)* }
            }

            /// How much the event matters.
            pub const fn level(self) -> Level {
                match self { $(EventName::$id => Level::$level,)* }
            }
        }
    };
}

events! {
    TokenIssued = "token_issued", Info, "88Pay granted a token: generation, attempt, expires_in (s), usable (s), took (ms).";
    TokenShared = "token_shared", Info, "A token was taken over that another process had asked for: generation, age (ms).";
    ShareDegraded = "share_degraded", Warning, "Sharing does not work as set, and this process or host goes on by itself: share, reason.";
    TokenFailed = "token_failed", Warning, "No new token could be obtained: code, message, attempt, and if the failure is remembered, hold (its kind) and pause (s).";
    TokenInvalidated = "token_invalidated", Info, "A token was dropped before it ended: generation, reason.";
    TokenKept = "token_kept", Warning, "A call was answered 401, but no other token may be asked for yet, so the token stays in use: generation, message, pause (s).";
    LifeShort = "life_short", Warning, "A token's life is too short for the safety margin and the limits, so it is used until 2 s before its end: expires_in (s), usable (s).";
    PauseCapped = "pause_capped", Warning, "88Pay asked to wait for more than an hour, and pay88 waits for an hour: pause (s).";
    KeyFallback = "key_fallback", Warning, "88Pay does not accept the new API key yet, so the previous one is used: attempt.";
    KeyRotated = "key_rotated", Info, "The API key was changed: keep_old.";
    CallRepeated = "call_repeated", Warning, "A call is sent again: method, path, reason, pause (ms).";
    CallFailed = "call_failed", Warning, "A call ended with an error (code and status of the error), or with a status of 400 or above (code http_error): method, path, code, status (null if there is none), outcome.";
    EventsDropped = "events_dropped", Warning, "The queue was full, and events were dropped: dropped (how many).";
}

/// Says how much an event matters. The logs of all languages use it.
///
/// ```
/// use pay88::{EventName, Level};
///
/// assert_eq!(EventName::TokenFailed.level(), Level::Warning);
/// assert_eq!(Level::Warning.name(), "warning");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The event belongs to normal work.
    Info,
    /// Something went wrong, or somebody should look at it.
    Warning,
}

impl Level {
    /// The name of the level: `info` or `warning`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
        }
    }
}

/// Tells that something happened. [`Events::next`] gives it.
///
/// ```
/// use std::time::Duration;
/// use pay88::Events;
///
/// let events = Events::subscribe(100);
/// while let Some(event) = events.next(Duration::ZERO) {
///     println!("{} of manager {}: {:?}", event.name.name(), event.manager_id, event.fields);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    /// The kind of event.
    pub name: EventName,
    /// When it happened, in milliseconds since 1970.
    pub time: u64,
    /// The manager in which it happened, as `TokenManager::id` numbers it; 0 for events of the queue itself.
    pub manager_id: u64,
    /// The fields that belong to this kind of event.
    pub fields: Map<String, Value>,
}

impl Event {
    /// The whole event as JSON: `{"name":…,"level":…,"time":…,"manager_id":…,"fields":{…}}`
    pub fn to_json(&self) -> Value {
        json!({"name": self.name.name(), "level": self.name.level().name(), "time": self.time, "manager_id": self.manager_id, "fields": self.fields})
    }
}

/// Receives the events of all managers of this process, from the moment when it is made.
///
/// It is a queue of limited length. Dropping it ends the subscription. It belongs to the process that made it: in a
/// forked child no event comes.
///
/// ```
/// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
/// # let (_sandbox, manager) = doc::manager();
/// use std::time::Duration;
/// use pay88::{EventName, Events};
///
/// let events = Events::subscribe(1000);
/// manager.get_token()?;
/// let event = events.next(Duration::from_secs(1)).unwrap();
/// assert_eq!(event.name, EventName::TokenIssued);
/// # Ok::<(), pay88::Error>(())
/// ```
pub struct Events {
    /// A forked child neither locks it nor drops it: a thread of the parent may have been in the middle of a change.
    queue: ManuallyDrop<Arc<Queue>>,
    opened_in: Process,
}

struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    capacity: usize,
    /// Opened when somebody asks for it. Set and cleared under the lock.
    readable: OnceBox<Readable>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    dropped: u64,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped == 0
    }

    fn take(&mut self, capacity: usize) -> Option<Event> {
        if self.dropped == 0 || self.events.len() == capacity {
            return self.events.pop_front();
        }
        let dropped = std::mem::take(&mut self.dropped);
        let fields = Map::from_iter([("dropped".to_owned(), json!(dropped))]);
        Some(Event {
            name: EventName::EventsDropped,
            time: clock::unix_millis(),
            manager_id: 0,
            fields,
        })
    }
}

type Queues = Mutex<Vec<Weak<Queue>>>;

/// A forked child has no subscribers until it subscribes by itself.
static QUEUES: PerProcess<Queues> = PerProcess::new();

fn queues() -> MutexGuard<'static, Vec<Weak<Queue>>> {
    QUEUES.lock()
}

impl Events {
    /// Subscribes to all events of this process. At most `capacity` events wait in the queue (at least 1). Events
    /// that come while it is full are dropped, and an event `events_dropped` says how many.
    pub fn subscribe(capacity: usize) -> Events {
        let queue = Arc::new(Queue {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
            readable: OnceBox::new(),
        });
        let mut queues = queues();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Events {
            queue: ManuallyDrop::new(queue),
            opened_in: Process::current(),
        }
    }

    /// Takes the next event, and waits for it at most `wait`. `None` if no event came.
    pub fn next(&self, wait: Duration) -> Option<Event> {
        if !self.opened_in.is_current() {
            // The queue's lock may have been held at the fork.
            std::thread::sleep(wait);
            return None;
        }
        let deadline = Instant::now().checked_add(wait);
        let mut waiting = self.queue.waiting();
        loop {
            if let Some(event) = waiting.take(self.queue.capacity) {
                if let Some(readable) = self.queue.readable.get()
                    && waiting.is_empty()
                {
                    readable.clear();
                }
                return Some(event);
            }
            let left = deadline.map_or(Duration::from_secs(3600), |at| {
                at.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return None;
            }
            waiting = self
                .queue
                .arrived
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// A descriptor that is readable exactly while there is an event to take, for bindings. It is opened when it is first asked
/// for. `None` in a forked child.
///
/// # Errors
/// The system gives no descriptor.
pub fn descriptor(events: &Events) -> io::Result<Option<i32>> {
    if !events.opened_in.is_current() {
        return Ok(None);
    }
    let waiting = events.queue.waiting();
    let readable = events.queue.readable.get_or_try_init(|| {
        let readable = Readable::open()?;
        if !waiting.is_empty() {
            readable.set();
        }
        Ok::<_, io::Error>(Box::new(readable))
    })?;
    Ok(Some(readable.as_raw_fd()))
}

impl Drop for Events {
    fn drop(&mut self) {
        let own = self.opened_in.is_current();
        // A thread may be about to push an event.
        let waiting = own.then(|| self.queue.waiting());
        if let Some(readable) = self.queue.readable.get() {
            readable.close();
        }
        drop(waiting);
        if own {
            // SAFETY: dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.queue) };
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("capacity", &self.queue.capacity)
            .finish_non_exhaustive()
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut waiting = self.waiting();
        if let Some(readable) = self.readable.get()
            && waiting.is_empty()
        {
            readable.set();
        }
        if waiting.events.len() < self.capacity {
            waiting.events.push_back(event);
            self.arrived.notify_one();
        } else {
            waiting.dropped += 1;
        }
    }
}

/// Gives an event to all subscribers. `fields` runs only if there are any.
pub(crate) fn emit(name: EventName, manager_id: u64, fields: impl FnOnce() -> Value) {
    let queues: Vec<Arc<Queue>> = queues().iter().filter_map(Weak::upgrade).collect();
    if queues.is_empty() {
        return;
    }
    let fields = match fields() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let event = Event {
        name,
        time: clock::unix_millis(),
        manager_id,
        fields,
    };
    for queue in queues {
        queue.push(event.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::limits::in_a_child;

    #[test]
    fn a_forked_child_waits_for_no_event_of_its_parent_and_for_no_lock() {
        let events = Events::subscribe(1);
        let _locked = events.queue.waiting();
        let wait = Duration::from_millis(10);
        assert_eq!(in_a_child(|| i32::from(events.next(wait).is_some())), 0);
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_there_is_something_to_take() {
        let is_readable = |descriptor: i32| {
            let mut poll = libc::pollfd {
                fd: descriptor,
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, which may be written to.
            unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
        };
        // Not in the list of queues, so that no other test gives it anything.
        let events = Events {
            queue: ManuallyDrop::new(Arc::new(Queue {
                waiting: Mutex::default(),
                arrived: Condvar::new(),
                capacity: 2,
                readable: OnceBox::new(),
            })),
            opened_in: Process::current(),
        };
        let push = || {
            events.queue.push(Event {
                name: EventName::KeyRotated,
                time: 1,
                manager_id: 1,
                fields: Map::new(),
            });
        };
        // Two that have a place, and two that are dropped and told of as one.
        (0..4).for_each(|_| push());
        let number = descriptor(&events).unwrap().unwrap();
        for left in (0..3).rev() {
            assert!(is_readable(number));
            events.next(Duration::ZERO).unwrap();
            assert_eq!(is_readable(number), left > 0);
        }
        push();
        assert!(is_readable(number));
        assert_eq!(descriptor(&events).unwrap(), Some(number));
        let in_child = in_a_child(|| {
            i32::from(!matches!(descriptor(&events), Ok(None)))
                + i32::from(events.next(Duration::ZERO).is_some())
        });
        assert_eq!(in_child, 0);
        assert!(is_readable(number) && events.next(Duration::ZERO).is_some());
        drop(events);
    }

    #[test]
    fn the_documents_have_every_event_with_its_level() {
        let table = include_str!("../../../docs/monitoring.md");
        for event in EventName::ALL {
            let (name, level) = (event.name(), event.level().name());
            let row = format!("| `{name}` | {level} | {} |", event.summary());
            assert!(table.lines().any(|line| line == row), "missing: {row}");
        }
        let rows = table
            .lines()
            .filter(|line| line.contains("| info |") || line.contains("| warning |"));
        assert_eq!(rows.count(), EventName::ALL.len());
    }

    #[test]
    fn what_belongs_to_the_normal_course_is_no_warning() {
        let info: Vec<_> = EventName::ALL
            .iter()
            .filter(|event| event.level() == Level::Info)
            .map(|event| event.name())
            .collect();
        assert_eq!(
            info,
            [
                "token_issued",
                "token_shared",
                "token_invalidated",
                "key_rotated"
            ]
        );
        let event = Event {
            name: EventName::TokenShared,
            time: 1,
            manager_id: 2,
            fields: Map::new(),
        };
        assert_eq!(event.to_json()["level"], "info");
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_says_how_many() {
        let events = Events::subscribe(2);
        for generation in 0..5 {
            emit(
                EventName::TokenIssued,
                77_000,
                || json!({"generation": generation}),
            );
        }
        let mut seen = Vec::new();
        while let Some(event) = events.next(Duration::ZERO) {
            seen.push((
                event.name,
                event.fields.values().next().unwrap().as_u64().unwrap(),
            ));
        }
        // Events of tests that run at the same time may take places in the queue too. What is dropped is counted all
        // the same.
        let taken = seen
            .iter()
            .filter(|(name, _)| *name == EventName::TokenIssued)
            .count() as u64;
        let dropped: u64 = seen
            .iter()
            .filter(|(name, _)| *name == EventName::EventsDropped)
            .map(|(_, n)| n)
            .sum();
        assert!(taken <= 2 && taken + dropped >= 5, "{seen:?}");
    }
}
