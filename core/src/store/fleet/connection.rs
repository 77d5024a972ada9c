//! Asks a store and reads its answers, over one connection.
//!
//! Promises: a question and all of its answers end within their time and within a number of bytes, whatever the
//! server does. After an answer that breaks the protocol the connection is not used again: nobody knows what the next
//! bytes would belong to. No message quotes the server, which may repeat what it was sent.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

use zeroize::Zeroizing;

use super::session::LONGEST_VALUE;
use crate::transport::{ByteStream, Dialer};

/// The longest value as it lies in a store, with what comes before it.
const LONGEST_STORED: usize = LONGEST_VALUE + 64;

/// None of our questions has an answer of more bytes than this.
const LONGEST_ANSWER: u64 = 2 * LONGEST_STORED as u64;

pub(super) struct Connection {
    stream: ByteStream,
    broken: bool,
}

impl Connection {
    pub(super) fn dial(dialer: &Dialer, deadline: Instant) -> Result<Connection, String> {
        Ok(Connection {
            stream: dialer.dial(deadline)?,
            broken: false,
        })
    }

    /// Sends `question` and lets `read` take everything that is answered.
    ///
    /// # Errors
    /// Why there was no complete answer by the deadline. After that nothing can be asked over this connection.
    pub(super) fn ask<T>(
        &mut self,
        question: &[u8],
        deadline: Instant,
        read: impl FnOnce(&mut Answers<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        if std::mem::replace(&mut self.broken, true) {
            return Err("the connection was given up before".to_owned());
        }
        let stream = &mut self.stream;
        stream.write_all(question, deadline).map_err(lost)?;
        let incoming = Incoming { stream, deadline };
        let mut answers = Answers(BufReader::new(incoming.take(LONGEST_ANSWER)));
        let answer = read(&mut answers)?;
        if !answers.0.buffer().is_empty() {
            return Err("it answered more than it was asked".to_owned());
        }
        self.broken = false;
        Ok(answer)
    }
}

struct Incoming<'a> {
    stream: &'a mut ByteStream,
    deadline: Instant,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buf, self.deadline)
    }
}

/// The answers of a server, as they arrive.
pub(super) struct Answers<'a>(BufReader<io::Take<Incoming<'a>>>);

impl Answers<'_> {
    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).map_err(lost)?;
        if line.is_empty() {
            return Err("it closed the connection".to_owned());
        }
        let text = line.strip_suffix(b"\r\n").ok_or_else(protocol_error)?;
        String::from_utf8(text.to_vec()).map_err(|_| protocol_error())
    }

    /// The next `length` bytes, and the line's end after them.
    pub(super) fn bytes(&mut self, length: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        if length > LONGEST_STORED {
            return Err("it holds a value that is too long to be one of pay88".to_owned());
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        let mut end = [0; 2];
        self.0
            .read_exact(&mut bytes)
            .and_then(|()| self.0.read_exact(&mut end))
            .map_err(lost)?;
        if end != *b"\r\n" {
            return Err(protocol_error());
        }
        Ok(bytes)
    }
}

/// The reason to report if a server breaks its protocol.
pub(super) fn protocol_error() -> String {
    "its answer breaks its protocol: is the URL that of another server?".to_owned()
}

fn lost(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => error.to_string(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => format!("the connection was lost: {error}"),
    }
}
