//! Prints results to standard output and errors to standard error. Never panics when a pipe is closed.
//!
//! If a result cannot be printed, that is never silent, and never looks like work that was not done. It has a code
//! and an exit status of its own, and says what became of the call.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pay88::{Error, Outcome};
use serde_json::json;
use signal_hook::consts::SIGXFSZ;

/// The code of a result that could not be printed. The library has none for it: only the command prints.
const OUTPUT_FAILED: &str = "output_failed";

/// The exit status if the result could not be printed.
const NOT_PRINTED: u8 = 3;

/// The result of a command.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
pub(crate) enum Failure {
    /// The work was not done.
    Error(Error),
    /// The work was done, and its result cannot be printed.
    Output(Unprinted),
}

/// A result that could not be written to standard output, or not completely.
pub(crate) struct Unprinted {
    why: io::Error,
    /// 88Pay's answer, as it may be written to standard error, and the HTTP status.
    answer: Option<(Vec<u8>, Option<u16>)>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl Failure {
    /// Adds the answer that was to be printed, so that it is not lost.
    pub(crate) fn keeping(self, answer: &[u8], status: Option<u16>) -> Failure {
        match self {
            Failure::Output(unprinted) => Failure::Output(Unprinted {
                answer: Some((answer.to_vec(), status)),
                ..unprinted
            }),
            error => error,
        }
    }

    /// Writes the failure to standard error, for people or as one line of JSON. Returns the exit status.
    pub(crate) fn report(&self, as_json: bool) -> ExitCode {
        match self {
            Failure::Error(error) => {
                report(error, as_json);
                ExitCode::FAILURE
            }
            Failure::Output(unprinted) => {
                tell(&unprinted.told(as_json));
                ExitCode::from(NOT_PRINTED)
            }
        }
    }
}

impl Unprinted {
    fn told(&self, as_json: bool) -> Vec<u8> {
        let message = format!(
            "The result cannot be written to standard output: {}.",
            self.why
        );
        let (hint, outcome) = match &self.answer {
            Some(_) => (
                "88Pay has answered, so do not ask again because of this. Look at where standard output goes.",
                Outcome::Answered,
            ),
            None => ("Look at where standard output goes.", Outcome::NotSent),
        };
        let status = self.answer.as_ref().and_then(|(_, status)| *status);
        if as_json {
            let error = json!({
                "code": OUTPUT_FAILED,
                "message": message,
                "hint": hint,
                "http_status": status,
                "retry_after": null,
                "retryable": false,
                "outcome": outcome.name(),
                "answer": self.answer.as_ref().map(|(text, _)| String::from_utf8_lossy(text)),
            });
            return json!({ "error": error }).to_string().into_bytes();
        }
        let mut told = Vec::new();
        if let Some((text, _)) = &self.answer {
            told.extend(text.trim_ascii_end());
            told.push(b'\n');
        }
        told.extend(format!("error: {OUTPUT_FAILED}: {message}\n  hint: {hint}").as_bytes());
        if self.answer.is_some() {
            told.extend(format!("\n  outcome: {outcome}").as_bytes());
        }
        told
    }
}

/// From here on, a file that may not grow any more (`ulimit -f`) makes a write fail instead of ending the program.
/// Programs that it starts have the signal as usual, because `exec` removes a handler.
///
/// # Errors
/// What the system says. The signal then stays as it was.
pub(crate) fn survive_the_limit_of_files() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map(drop)
}

/// Writes all of it to standard output, at once.
///
/// # Errors
/// [`Failure::Output`] if it cannot be written: a full disk, a file at the limit of its size, a pipe whose reader has
/// gone, a closed standard output.
pub(crate) fn print(bytes: impl AsRef<[u8]>) -> Result<()> {
    let written = match WAS_CLOSED.load(Ordering::Relaxed) {
        true => Err(io::Error::from_raw_os_error(libc::EBADF)),
        false => write_all(io::stdout().lock(), bytes.as_ref()),
    };
    written.map_err(|why| Failure::Output(Unprinted { why, answer: None }))
}

/// Prints a report as [`print`] does. If its reader has gone, such as `head`, the reader has seen what it wanted, and
/// nothing is lost.
///
/// # Errors
/// As [`print`], except for a pipe whose reader has gone.
pub(crate) fn print_report(bytes: impl AsRef<[u8]>) -> Result<()> {
    match print(bytes) {
        Err(Failure::Output(unprinted)) if unprinted.why.kind() == io::ErrorKind::BrokenPipe => {
            Ok(())
        }
        printed => printed,
    }
}

/// Writes an error to standard error, for people or as one line of JSON.
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
    tell(text.as_bytes());
}

fn tell(text: &[u8]) {
    // If standard error cannot be written, nobody can be told.
    let _ = write_all(io::stderr().lock(), &[text, b"\n"].concat());
}

/// Writes all of it, and waits if the descriptor does not wait by itself (`O_NONBLOCK`): another program that shares
/// it may have set that.
fn write_all(mut out: impl Write + AsFd, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let written = match bytes {
            [] => out.flush().map(|()| None),
            _ => out.write(bytes).map(Some),
        };
        match written {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Some(written)) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => wait_for_room(out.as_fd()),
                _ => return Err(error),
            },
        }
    }
}

/// If the wait ends early, the next write notices why.
fn wait_for_room(out: BorrowedFd<'_>) {
    let mut out = libc::pollfd {
        fd: out.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one entry, valid for reading and writing, of a descriptor that is open.
    unsafe { libc::poll(&mut out, 1, -1) };
}

/// Whether this program was started with standard output closed. The standard library opens /dev/null in its place
/// before `main`, and everything that is printed would be lost in silence. So this is checked before that, while the
/// program is loaded.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the section holds addresses of functions without arguments that the C library calls one by one before `main`, and
// this is such a function.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = look_at_standard_output;

extern "C" fn look_at_standard_output() {
    // SAFETY: F_GETFD takes a number alone.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}
