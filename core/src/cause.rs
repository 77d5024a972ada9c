//! What lies below a failure: what the system, TLS or the look-up of a name said.
//!
//! Promises: it is made of a number of the system, or of a text that says as much as a message of this library may say.
//! It keeps no object of another library, which could show more of itself than its text.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The source of an error.
#[derive(Clone)]
pub(crate) struct Cause(Arc<dyn Error + Send + Sync>);

/// What was said without a number.
struct Said(String);

impl Cause {
    /// What the system said. The [`io::Error`] of its number; where it has none, a text.
    pub(crate) fn of_system(error: &io::Error) -> Cause {
        match error.raw_os_error() {
            Some(number) => Cause(Arc::new(io::Error::from_raw_os_error(number))),
            None => Cause::said(error),
        }
    }

    /// A text without a secret.
    pub(crate) fn said(text: &dyn fmt::Display) -> Cause {
        Cause(Arc::new(Said(text.to_string())))
    }

    /// The number by which the system refused something, if it did.
    pub(crate) fn number(&self) -> Option<i32> {
        self.0.downcast_ref::<io::Error>()?.raw_os_error()
    }

    pub(crate) fn error(&self) -> &(dyn Error + 'static) {
        &*self.0
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Cause) -> bool {
        self.number() == other.number() && self.to_string() == other.to_string()
    }
}

impl Eq for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Said {}
