//! Events: what happened in this process, taken from a queue by the caller's own threads.

use std::time::Duration;

use crate::Library;
use crate::abi::{pay88_event, pay88_events};
use crate::error::{Error, Result};
use crate::handle::{Handle, obtain, text};
use crate::time::milliseconds;

/// A queue of the events of all managers of this process; dropping it ends the subscription. Several threads may use it:
/// each event goes to one of them.
pub struct Events(Handle<pay88_events>);

/// Something that happened. Holds no secret.
pub struct Event(Handle<pay88_event>);

impl Library {
    /// Subscribes to all events from now on. At most `capacity` of them wait; what comes while the queue is full is
    /// dropped, and an event "events_dropped" says how many.
    ///
    /// # Errors
    /// `config_invalid` for a capacity of 0 or above 1000000.
    pub fn events(self, capacity: usize) -> Result<Events> {
        let functions = self.functions;
        obtain(functions, functions.pay88_events_release, |out, error| {
            // SAFETY: both results may be written to.
            unsafe { (functions.pay88_events_open)(capacity, out, error) }
        })?
        .map(Events)
        .ok_or_else(Error::none)
    }
}

impl Events {
    /// The next event, waiting for it at most `wait`, which may be zero; `None` if none came.
    ///
    /// # Errors
    /// `config_invalid` for more than an hour.
    pub fn next(&self, wait: Duration) -> Result<Option<Event>> {
        let functions = self.0.functions;
        let wait = milliseconds((!wait.is_zero()).then_some(wait));
        let event = obtain(functions, functions.pay88_event_release, |out, error| {
            // SAFETY: the handle is valid, and both results may be written to.
            unsafe { (functions.pay88_events_next)(self.0.as_ptr(), wait, out, error) }
        })?;
        Ok(event.map(Event))
    }
}

impl Event {
    /// The name, such as "token_issued".
    pub fn name(&self) -> &'static str {
        // SAFETY: the handle is valid, and the text for ever.
        unsafe { text((self.0.functions.pay88_event_name)(self.0.as_ptr())) }
    }

    /// When it happened, in milliseconds since 1970.
    pub fn time(&self) -> u64 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_event_time)(self.0.as_ptr()) }
    }

    /// In which manager, see [`crate::Manager::id`]; 0 for events of the queue itself.
    pub fn manager_id(&self) -> u64 {
        // SAFETY: the handle is valid.
        unsafe { (self.0.functions.pay88_event_manager_id)(self.0.as_ptr()) }
    }

    /// The whole event: `{"name":…,"level":…,"time":…,"manager_id":…,"fields":{…}}`.
    pub fn json(&self) -> &str {
        // SAFETY: the handle is valid, and lends the text as long as it lives.
        unsafe { text((self.0.functions.pay88_event_json)(self.0.as_ptr())) }
    }
}
