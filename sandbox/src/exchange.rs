//! One client connection: TLS if it is on, request after request, and the faults as they look on the wire.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::coding::coded;
use crate::fault::{Action, Piece, Then};
use crate::http::{Connection, Head, Trouble, has_body, head_of};
use crate::message::{Answer, Request};
use crate::server::{Running, Socket};
use crate::service::Service;

/// A fatal TLS alert: handshake_failure.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// How many bytes of a repeated text are sent at once.
const FLOOD_BLOCK: usize = 16 << 10;

/// Serves one connection until it ends.
pub(crate) fn serve(
    service: &Service,
    tls: Option<&Arc<ServerConfig>>,
    running: &Running,
    number: u64,
    socket: Socket,
) {
    let _open = Open::new(service);
    let fault = service.take_connection_fault();
    if fault == Some(Action::StallConnection) {
        return socket.wait_for_end();
    }
    let Some(stream) = establish(service, tls, &socket, fault.as_ref()) else {
        return;
    };
    if fault.is_some() {
        return;
    }
    let mut connection = Connection::new(stream);
    loop {
        match exchange(service, running, number, &socket, &mut connection) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Trouble::Gone) => return,
            Err(Trouble::Refused(status, message)) => {
                service.count(|counters| counters.malformed += 1);
                let answer = Answer::error(status, message);
                if send(&mut connection.stream, &answer, true).is_err() {
                    return;
                }
                break;
            }
        }
    }
    connection.stream.say_goodbye();
    socket.end_gently();
}

/// Counts a connection as long as it is open.
struct Open<'a>(&'a Service);

impl<'a> Open<'a> {
    fn new(service: &'a Service) -> Self {
        service.count(|counters| {
            counters.connections_accepted += 1;
            counters.connections_open += 1;
            counters.connections_peak = counters.connections_peak.max(counters.connections_open);
        });
        Open(service)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.count(|counters| {
            counters.connections_open = counters.connections_open.saturating_sub(1)
        });
    }
}

/// Where requests are read from.
enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Stream {
    /// Tells a TLS client that the stream has ended on purpose.
    fn say_goodbye(&mut self) {
        if let Stream::Tls(tls) = self {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// The stream on which requests come, unless the handshake fails or a fault makes it fail.
fn establish(
    service: &Service,
    tls: Option<&Arc<ServerConfig>>,
    socket: &Socket,
    fault: Option<&Action>,
) -> Option<Stream> {
    let Some(config) = tls else {
        return Some(Stream::Plain(socket.clone()));
    };
    if matches!(fault, Some(Action::CutHandshake | Action::AlertHandshake)) {
        let mut socket = socket.clone();
        let _ = socket.read(&mut [0u8; 4096]);
        if fault == Some(&Action::AlertHandshake) {
            let _ = socket.write_all(&ALERT);
            socket.end_gently();
        }
        return None;
    }
    let connection = ServerConnection::new(Arc::clone(config)).ok()?;
    let mut tls = StreamOwned::new(connection, socket.clone());
    while tls.conn.is_handshaking() {
        if tls.conn.complete_io(&mut tls.sock).is_err() {
            socket.end_gently();
            return None;
        }
    }
    service.count(|counters| counters.tls_handshakes += 1);
    Some(Stream::Tls(Box::new(tls)))
}

/// Reads a request and answers it, or carries out the fault that waits for it. Returns whether the connection goes
/// on.
fn exchange(
    service: &Service,
    running: &Running,
    number: u64,
    socket: &Socket,
    connection: &mut Connection<Stream>,
) -> Result<bool, Trouble> {
    let head = connection.read_head()?;
    let Head {
        keep_alive,
        expects_continue,
        ..
    } = head;
    if expects_continue {
        connection
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        connection.stream.flush()?;
    }
    let request = connection.read_body(head)?;
    let fault = service.take_fault(&request);
    let answer = service.play(number, &request, fault.as_ref());
    running.pause(service.delay(request.path()));
    let stream = &mut connection.stream;

    let Some(answer) = answer else {
        return unanswered(running, socket, stream, keep_alive, fault);
    };
    let answer = match fault {
        Some(Action::Coded { coding }) => coded(answer, coding),
        _ => answer,
    };
    let (head, body) = encoded(&request, &answer, !keep_alive || announces_close(&fault));
    let half = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    match fault {
        Some(Action::CutBeforeAnswer) => return Err(Trouble::Gone),
        Some(Action::ResetBeforeAnswer) => {
            socket.reset();
            return Err(Trouble::Gone);
        }
        Some(Action::CutInHead) => {
            stream.write_all(&half(&head))?;
            stream.flush()?;
            return Err(Trouble::Gone);
        }
        Some(Action::CutInBody | Action::ResetInBody | Action::StallInBody) => {
            stream.write_all(&[head, half(body)].concat())?;
            stream.flush()?;
            match fault {
                Some(Action::StallInBody) => socket.wait_for_end(),
                Some(Action::ResetInBody) => socket.reset(),
                _ => {}
            }
            return Err(Trouble::Gone);
        }
        Some(Action::HugeBody { bytes }) => {
            stream.write_all(&head_of(&answer, bytes, !keep_alive))?;
            io::copy(&mut io::repeat(b' ').take(bytes), stream)?;
        }
        Some(Action::Delay { seconds }) => {
            running.pause(seconds);
            stream.write_all(&[&head, body].concat())?;
        }
        Some(Action::Drip { seconds }) => {
            for byte in [&head, body].concat() {
                running.pause(seconds);
                stream.write_all(&[byte])?;
                stream.flush()?;
            }
        }
        Some(Action::HeadLines { ref lines }) => {
            let status_line = head
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1);
            let (first, rest) = head.split_at(status_line);
            let added: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            stream.write_all(&[first, added.as_bytes(), rest, body].concat())?;
        }
        _ => stream.write_all(&[&head, body].concat())?,
    }
    stream.flush()?;
    Ok(keep_alive && !matches!(fault, Some(Action::CloseAfterAnswer { .. })))
}

/// Carries out a fault that leaves the request without an answer of the rules.
fn unanswered(
    running: &Running,
    socket: &Socket,
    stream: &mut Stream,
    keep_alive: bool,
    fault: Option<Action>,
) -> Result<bool, Trouble> {
    match fault {
        Some(Action::Stall) => socket.wait_for_end(),
        Some(Action::Garbage) => {
            stream.write_all(b"\x00\xff 88 garbage, no HTTP \x01\r\n\r\n")?;
            stream.flush()?;
            return Ok(false);
        }
        Some(Action::Wire { pieces, then }) => {
            for piece in pieces {
                send_piece(running, stream, piece)?;
            }
            match then {
                Then::Keep => return Ok(keep_alive),
                Then::Close => return Ok(false),
                Then::Cut => {}
                Then::Reset => socket.reset(),
                Then::Stall => socket.wait_for_end(),
            }
        }
        _ => {}
    }
    Err(Trouble::Gone)
}

fn send_piece(running: &Running, stream: &mut Stream, piece: Piece) -> io::Result<()> {
    match piece {
        Piece::Text(text) => stream.write_all(text.as_bytes())?,
        Piece::Bytes(bytes) => stream.write_all(&bytes)?,
        Piece::Pause(time) => running.pause(time),
        Piece::Repeat { text, .. } if text.is_empty() => {}
        Piece::Repeat { text, times, every } => {
            // Many at once if there is no pause, so that a flood is a flood.
            let block = match every.is_zero() {
                true => (FLOOD_BLOCK / text.len()).max(1) as u64,
                false => 1,
            };
            let mut left = times.unwrap_or(u64::MAX);
            while left > 0 {
                running.pause(every);
                let count = block.min(left);
                stream.write_all(text.repeat(count as usize).as_bytes())?;
                stream.flush()?;
                left -= count;
            }
        }
    }
    stream.flush()
}

fn announces_close(fault: &Option<Action>) -> bool {
    matches!(fault, Some(Action::CloseAfterAnswer { announced: true }))
}

fn encoded<'a>(request: &Request, answer: &'a Answer, close: bool) -> (Vec<u8>, &'a [u8]) {
    let head = head_of(answer, answer.body.len() as u64, close);
    if has_body(&request.method, answer.status) {
        (head, &answer.body)
    } else {
        (head, &[])
    }
}

fn send(stream: &mut Stream, answer: &Answer, close: bool) -> io::Result<()> {
    let head = head_of(answer, answer.body.len() as u64, close);
    stream.write_all(&[&head, answer.body.as_slice()].concat())?;
    stream.flush()
}
