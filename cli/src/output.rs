//! What is printed: results to standard output, errors to standard error. Never panics when a pipe is closed.

use std::io::{self, Write};

use pay88::{Error, Result};
use serde_json::json;

/// Writes all of it to standard output, at once. A reader that has gone, such as `head`, is no error.
///
/// # Errors
/// `config_invalid` if it cannot be written where it goes.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::invalid(
            format!("The output cannot be written: {error}."),
            "Look at where standard output goes.",
        )),
        _ => Ok(()),
    }
}

/// Tells an error on standard error, for people or as one line of JSON.
pub(crate) fn report(error: &Error, as_json: bool) {
    let text = if as_json {
        json!({"error": {
            "code": error.code().name(),
            "message": error.message(),
            "hint": error.hint(),
            "http_status": error.http_status(),
            "retry_after": error.retry_after().map(|after| after.as_secs_f64()),
            "retryable": error.retryable(),
            "outcome": error.outcome().name(),
        }})
        .to_string()
    } else {
        let mut text = format!("error: {}: {}", error.code(), error.message());
        if !error.hint().is_empty() {
            text += &format!("\n  hint: {}", error.hint());
        }
        if let Some(after) = error.retry_after() {
            text += &format!("\n  retry after: {:.0} s", after.as_secs_f64().ceil());
        }
        text + &format!("\n  outcome: {}", error.outcome())
    };
    // There is nobody left to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
