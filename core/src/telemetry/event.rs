//! What happened, for logs and metrics, in one form for all languages.
//!
//! Promises: nothing is printed. Nothing is kept unless somebody has subscribed. A full queue drops the newest event
//! and counts it. No field holds a secret. Never runs a subscriber's code.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::platform::clock;
use crate::platform::process::{PerProcess, Process};

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
    queue: Arc<Queue>,
    opened_in: Process,
}

struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    dropped: u64,
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
        });
        let mut queues = queues();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(&queue));
        Events {
            queue,
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
            if waiting.dropped > 0 && waiting.events.len() < self.queue.capacity {
                let dropped = std::mem::take(&mut waiting.dropped);
                let fields = Map::from_iter([("dropped".to_owned(), json!(dropped))]);
                return Some(Event {
                    name: EventName::EventsDropped,
                    time: clock::unix_millis(),
                    manager_id: 0,
                    fields,
                });
            }
            if let Some(event) = waiting.events.pop_front() {
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
