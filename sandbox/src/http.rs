//! HTTP/1.1 on the wire: strict reading of requests, exact writing of answers. It keeps bytes that follow a request for the
//! next one, holds at most [`MAX_HEAD`] and [`MAX_BODY`] bytes, and refuses every ambiguous framing.

use std::io::{self, Read, Write};

use crate::message::{Answer, Request};

/// The longest request head that is read, in bytes.
pub(crate) const MAX_HEAD: usize = 64 << 10;
/// The longest request body that is read, in bytes.
pub(crate) const MAX_BODY: usize = 4 << 20;
const MAX_HEADERS: usize = 128;
/// The longest line of a chunked body: a chunk's size or a trailer field.
const MAX_LINE: usize = 4 << 10;

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// A request whose body was not read yet.
pub(crate) struct Head {
    /// The request, with an empty body.
    pub(crate) request: Request,
    /// Whether the connection stays open after the answer.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    framing: Framing,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The client has gone, or stopped in the middle.
    Gone,
    /// The request is refused with this status and message, and the connection cannot go on.
    Refused(u16, &'static str),
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Trouble::Gone
    }
}

fn bad(message: &'static str) -> Trouble {
    Trouble::Refused(400, message)
}

/// A stream with what was read from it and not used yet.
pub(crate) struct Connection<S> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Connection {
            stream,
            unread: Vec::new(),
        }
    }

    /// Reads the head of the next request.
    pub(crate) fn read_head(&mut self) -> Result<Head, Trouble> {
        loop {
            if let Some((head, used)) = parse_head(&self.unread)? {
                self.unread.drain(..used);
                return Ok(head);
            }
            if self.unread.len() > MAX_HEAD {
                return Err(Trouble::Refused(431, "Request head too large"));
            }
            self.fill()?;
        }
    }

    /// Reads the body that belongs to a head.
    pub(crate) fn read_body(&mut self, head: Head) -> Result<Request, Trouble> {
        let mut request = head.request;
        request.body = match head.framing {
            Framing::Length(length) => self.read_exactly(length)?,
            Framing::Chunked => self.read_chunks()?,
        };
        Ok(request)
    }

    fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>, Trouble> {
        while self.unread.len() < length {
            self.fill()?;
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let size = match httparse::parse_chunk_size(&line) {
                Ok(httparse::Status::Complete((_, size))) => size,
                _ => return Err(bad("Chunk size is malformed")),
            };
            if size == 0 {
                break;
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > MAX_BODY - body.len() {
                return Err(Trouble::Refused(413, "Request body too large"));
            }
            body.extend(self.read_exactly(size)?);
            if self.read_exactly(2)? != b"\r\n" {
                return Err(bad("Chunk is longer than its size"));
            }
        }
        let mut trailers = 0;
        while self.read_line()? != b"\r\n" {
            trailers += 1;
            if trailers > MAX_HEADERS {
                return Err(Trouble::Refused(431, "Too many trailers"));
            }
        }
        Ok(body)
    }

    /// A line with its end.
    fn read_line(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                return self.read_exactly(end + 2);
            }
            if self.unread.len() > MAX_LINE {
                return Err(bad("Line of a chunked body is too long"));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Trouble> {
        let mut chunk = [0u8; 8 << 10];
        match self.stream.read(&mut chunk)? {
            0 => Err(Trouble::Gone),
            count => {
                self.unread.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(used)) if used > MAX_HEAD => {
            return Err(Trouble::Refused(431, "Request head too large"));
        }
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Trouble::Refused(431, "Too many headers"));
        }
        Err(_) => return Err(bad("Request is not valid HTTP/1.1")),
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.to_vec()))
            .collect(),
        body: Vec::new(),
    };
    let modern = parsed.version == Some(1);
    if !request.target.starts_with('/') || request.target.contains('#') {
        return Err(bad("Request target must be a path"));
    }
    let hosts = request.header_values("host").count();
    if hosts > 1 || (modern && hosts == 0) {
        return Err(bad("Header Host must be sent once"));
    }
    let has = |name: &str, word: &str| {
        request
            .header_values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|value| value.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    let head = Head {
        framing: framing(&request)?,
        keep_alive: if modern {
            !has("connection", "close")
        } else {
            has("connection", "keep-alive")
        },
        expects_continue: modern && has("expect", "100-continue"),
        request,
    };
    Ok(Some((head, used)))
}

fn framing(request: &Request) -> Result<Framing, Trouble> {
    let mut lengths = request.header_values("content-length");
    let mut encodings = request.header_values("transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(_), Some(_)) => Err(bad(
            "Content-Length and Transfer-Encoding exclude each other",
        )),
        (None, Some(encoding)) => {
            if encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none() {
                Ok(Framing::Chunked)
            } else {
                Err(Trouble::Refused(
                    501,
                    "Only chunked is known as Transfer-Encoding",
                ))
            }
        }
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(bad("Header Content-Length must be sent once"));
            }
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return Err(bad("Content-Length is no number"));
            }
            std::str::from_utf8(length)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .filter(|length| *length <= MAX_BODY)
                .map(Framing::Length)
                .ok_or(Trouble::Refused(413, "Request body too large"))
        }
    }
}

/// The head of an answer as it is sent. `length` is what the body will have; `close` says so to the client.
pub(crate) fn head_of(answer: &Answer, length: u64, close: bool) -> Vec<u8> {
    let status = answer.status;
    let mut text = format!("HTTP/1.1 {status:03} {}\r\n", reason(status));
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed =
        answer.header("Content-Length").is_some() || answer.header("Transfer-Encoding").is_some();
    if !framed && !matches!(status, 204 | 304) {
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    if close && answer.header("Connection").is_none() {
        text.push_str("Connection: close\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Whether an answer to this method and of this status has a body.
pub(crate) fn has_body(method: &str, status: u16) -> bool {
    method != "HEAD" && !matches!(status, 204 | 304)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
