//! One TCP or Unix socket: non-blocking, close-on-exec, never a SIGPIPE, never a standard stream.
//!
//! Bytes leave only by `send` and `sendmsg` with MSG_NOSIGNAL, and are counted. The count tells whether anything of a
//! request can have reached the network. Callers never see EINTR.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Type};

use super::deadline::Deadline;
use super::reactor::{Reactor, Watched};
use crate::exchange::{Failure, FailureKind};
use crate::platform::above_stdio::above_stdio;

/// After this time without an answer, the next address is tried at the same time (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// After this time a Unix socket whose queue is full is tried again. Nothing tells when the queue has room.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// How many bytes are read in one turn. After that the deadline is checked and others run, however much a server
/// sends.
const TURN: usize = 64 * 1024;

pub(super) struct Socket {
    inner: socket2::Socket,
    sent: AtomicU64,
    // What the last reads and writes that could not go on wait for. One thread at a time uses a socket. They are
    // atomics only because both hyper's connection and the caller hold it.
    wants_read: AtomicBool,
    wants_write: AtomicBool,
    // The last read took everything, so another one before the next wait would be useless. hyper and TLS ask many
    // times where once is enough.
    drained: AtomicBool,
    /// What may still be read in this turn.
    left: AtomicUsize,
    /// A request begins, so the next bytes that are read are the head of its answer.
    begins: AtomicBool,
}

/// What a socket has to be ready for.
pub(super) struct Wanted {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl Socket {
    /// Connects to the first address that answers. Each further address is tried after a failure or after
    /// [`STAGGER`], so that one dead address does not use up the time of all. `peer` is for messages.
    pub(super) async fn connect<R: Reactor>(
        addresses: &[SocketAddr],
        peer: &str,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<Watched, Failure> {
        deadline.enter("while connecting");
        let mut rest = addresses.iter();
        let mut trying: Vec<Watched> = Vec::new();
        let mut last_error = None;
        loop {
            let next = rest.next();
            if let Some(address) = next {
                match begin(address, deadline.reactor) {
                    Ok(socket) => trying.push(socket),
                    Err(error) => {
                        last_error = Some(error);
                        continue;
                    }
                }
            } else if trying.is_empty() {
                let what = format!("cannot connect to {peer}");
                return Err(match last_error {
                    Some(error) => Failure::by_system(FailureKind::Connect, &what, &error),
                    None => {
                        let message = format!("{what}: it has no address");
                        Failure::before_sending(FailureKind::Connect, message)
                    }
                });
            }
            let until = (rest.len() > 0).then(|| Instant::now() + STAGGER);
            if !deadline.ready_before(&trying, until).await? {
                continue;
            }
            let mut still = Vec::new();
            for watched in trying {
                match watched.socket().is_connected() {
                    Ok(true) => return Ok(watched),
                    Ok(false) => still.push(watched),
                    Err(error) => last_error = Some(error),
                }
            }
            trying = still;
        }
    }

    /// Connects to a Unix socket.
    pub(super) async fn connect_unix<R: Reactor>(
        path: &Path,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<Watched, Failure> {
        deadline.enter("while connecting");
        let fail = |error: io::Error| {
            let what = format!("cannot connect to {}", path.display());
            Failure::by_system(FailureKind::Connect, &what, &error)
        };
        let address = SockAddr::unix(path).map_err(fail)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)
            .and_then(above_stdio)
            .map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        loop {
            match resume(|| socket.connect(&address)) {
                Ok(()) => {
                    let mut watched = Watched::new(Socket::from(socket));
                    deadline.reactor.adopt(&mut watched).map_err(fail)?;
                    return Ok(watched);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let pause = Instant::now() + FULL_QUEUE_PAUSE;
                    deadline.ready_before(&[], Some(pause)).await?;
                }
                Err(e) => return Err(fail(e)),
            }
        }
    }

    /// Whether a connection attempt has succeeded; an error if it never will.
    fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.inner.take_error()? {
            return Err(error);
        }
        match self.inner.peer_addr() {
            Ok(_) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ENOTCONN) => {
                self.wants_write.store(true, Ordering::Relaxed);
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    fn from(inner: socket2::Socket) -> Socket {
        Socket {
            inner,
            sent: AtomicU64::new(0),
            wants_read: AtomicBool::new(false),
            wants_write: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            left: AtomicUsize::new(TURN),
            begins: AtomicBool::new(false),
        }
    }

    /// Bytes that the kernel took since the last [`Socket::begin_request`].
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn begin_request(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.begins.store(true, Ordering::Relaxed);
    }

    /// Whether the next bytes are the head of an answer. True once for each request.
    pub(super) fn takes_first_answer(&self) -> bool {
        self.begins.load(Ordering::Relaxed) && self.begins.swap(false, Ordering::Relaxed)
    }

    /// Forgets what earlier reads and writes waited for.
    pub(super) fn want_nothing(&self) {
        self.wants_read.store(false, Ordering::Relaxed);
        self.wants_write.store(false, Ordering::Relaxed);
    }

    /// What the reads and writes since [`Socket::want_nothing`] had to wait for.
    pub(super) fn wanted(&self) -> Wanted {
        let write = self.wants_write.load(Ordering::Relaxed);
        Wanted {
            // If nothing is wanted, the wait is for the server's next bytes.
            read: self.wants_read.load(Ordering::Relaxed) || !write,
            write,
        }
    }

    /// Time has passed, or others have run: the next read asks the kernel.
    pub(super) fn begin_turn(&self) {
        self.drained.store(false, Ordering::Relaxed);
        self.left.store(TURN, Ordering::Relaxed);
    }

    /// Whether reads wait only because this turn has had its share. There may be more to read.
    pub(super) fn turn_is_over(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn note<T>(&self, result: io::Result<T>, wants: &AtomicBool) -> io::Result<T> {
        if matches!(&result, Err(e) if e.kind() == io::ErrorKind::WouldBlock) {
            wants.store(true, Ordering::Relaxed);
        }
        result
    }

    fn count(&self, result: io::Result<usize>) -> io::Result<usize> {
        if let Ok(n) = result {
            self.sent.fetch_add(n as u64, Ordering::Relaxed);
        }
        self.note(result, &self.wants_write)
    }
}

fn begin(address: &SocketAddr, reactor: &impl Reactor) -> io::Result<Watched> {
    let socket = socket2::Socket::new(
        Domain::for_address(*address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .and_then(above_stdio)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SockAddr::from(*address)) {
        Ok(()) => {}
        // A connect that was interrupted goes on by itself, as one that did not finish at once.
        Err(e)
            if e.raw_os_error() == Some(libc::EINPROGRESS)
                || e.kind() == io::ErrorKind::Interrupted => {}
        Err(e) => return Err(e),
    }
    let mut watched = Watched::new(Socket::from(socket));
    watched.socket().wants_write.store(true, Ordering::Relaxed);
    reactor.adopt(&mut watched)?;
    Ok(watched)
}

fn resume<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 || self.drained.load(Ordering::Relaxed) {
            return self.note(Err(io::ErrorKind::WouldBlock.into()), &self.wants_read);
        }
        let most = buf.len().min(left);
        let result = resume(|| (&self.inner).read(&mut buf[..most]));
        // A short read took everything there was. The end of the stream (0) stays readable.
        let drained = match &result {
            Ok(n) => (1..most).contains(n),
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        self.drained.store(drained, Ordering::Relaxed);
        if let Ok(n) = result {
            self.left.store(left - n, Ordering::Relaxed);
        }
        self.note(result, &self.wants_read)
    }
}

impl Write for &Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.count(resume(|| {
            self.inner.send_with_flags(buf, libc::MSG_NOSIGNAL)
        }))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = bufs {
            return self.write(one);
        }
        // The kernel takes no more than this many at once. The rest comes with the next call.
        let bufs = &bufs[..bufs.len().min(libc::UIO_MAXIOV as usize)];
        self.count(resume(|| {
            self.inner
                .send_vectored_with_flags(bufs, libc::MSG_NOSIGNAL)
        }))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
