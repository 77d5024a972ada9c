//! One TCP or Unix socket of the blocking path: non-blocking, close-on-exec, never a SIGPIPE.
//!
//! Bytes leave only by `send` and `sendmsg` with MSG_NOSIGNAL, and are counted: the count is what
//! tells whether anything of a request can have reached the network. EINTR is never seen outside.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Type};

use super::wait::{Interest, Wait, poll_entry};
use super::{Failure, FailureKind};
use crate::above_stdio::above_stdio;

/// A further address is tried beside the ones that have not answered for this long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// How soon a Unix socket whose queue is full is tried again: nothing tells when it has room.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Socket {
    inner: socket2::Socket,
    sent: AtomicU64,
    // What the last reads and writes that could not go on wait for. One thread at a time uses a
    // socket; atomics only because hyper's connection and the caller both hold it.
    wants_read: AtomicBool,
    wants_write: AtomicBool,
    // The last read took all there was, so that another before the next wait would be in vain:
    // hyper and TLS ask many times where one answer is enough.
    drained: AtomicBool,
}

impl Socket {
    /// Connects to the first address that answers; each further one gets its turn after a failure
    /// or [`STAGGER`], so that one dead address does not eat the time of all. `peer` is for messages.
    pub(super) fn connect(
        addresses: &[SocketAddr],
        peer: &str,
        wait: &mut Wait<'_>,
    ) -> Result<Socket, Failure> {
        wait.enter("while connecting");
        let mut rest = addresses.iter();
        let mut trying: Vec<socket2::Socket> = Vec::new();
        let mut last_error = None;
        loop {
            let next = rest.next();
            if let Some(address) = next {
                match begin(address) {
                    Ok(socket) => trying.push(socket),
                    Err(error) => {
                        last_error = Some(error);
                        continue;
                    }
                }
            } else if trying.is_empty() {
                let why = last_error.map_or("it has no address".to_owned(), |e| e.to_string());
                return Err(Failure::before_sending(
                    FailureKind::Connect,
                    format!("cannot connect to {peer}: {why}"),
                ));
            }
            let until = (rest.len() > 0).then(|| Instant::now() + STAGGER);
            let mut set: Vec<_> = trying
                .iter()
                .map(|s| poll_entry(s.as_raw_fd(), Interest::Write))
                .collect();
            if !wait.any_ready(&mut set, until)? {
                continue;
            }
            let mut still = Vec::new();
            for (socket, entry) in trying.into_iter().zip(set) {
                if entry.revents == 0 {
                    still.push(socket);
                    continue;
                }
                match socket.take_error() {
                    Ok(None) => return Ok(Socket::from(socket)),
                    Ok(Some(error)) | Err(error) => last_error = Some(error),
                }
            }
            trying = still;
        }
    }

    /// Connects to a Unix socket.
    pub(super) fn connect_unix(path: &Path, wait: &mut Wait<'_>) -> Result<Socket, Failure> {
        wait.enter("while connecting");
        let fail = |error: io::Error| {
            Failure::before_sending(
                FailureKind::Connect,
                format!("cannot connect to {}: {error}", path.display()),
            )
        };
        let address = SockAddr::unix(path).map_err(fail)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)
            .and_then(above_stdio)
            .map_err(fail)?;
        socket.set_nonblocking(true).map_err(fail)?;
        loop {
            match resume(|| socket.connect(&address)) {
                Ok(()) => return Ok(Socket::from(socket)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(wait.slice()?.min(FULL_QUEUE_PAUSE));
                }
                Err(e) => return Err(fail(e)),
            }
        }
    }

    /// Does one read or write, waiting until the socket is ready for it.
    pub(super) fn finish(
        &self,
        wait: &mut Wait<'_>,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Result<io::Result<usize>, Failure> {
        loop {
            wait.slice()?;
            self.want_nothing();
            match call() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait_wanted(wait)?,
                other => return Ok(other),
            }
        }
    }

    fn from(inner: socket2::Socket) -> Socket {
        Socket {
            inner,
            sent: AtomicU64::new(0),
            wants_read: AtomicBool::new(false),
            wants_write: AtomicBool::new(false),
            drained: AtomicBool::new(false),
        }
    }

    /// Bytes that the kernel took since the last [`Socket::start_counting`].
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn start_counting(&self) {
        self.sent.store(0, Ordering::Relaxed);
    }

    /// Forgets what earlier reads and writes waited for.
    pub(super) fn want_nothing(&self) {
        self.wants_read.store(false, Ordering::Relaxed);
        self.wants_write.store(false, Ordering::Relaxed);
    }

    /// Waits for what reads and writes since [`Socket::want_nothing`] could not have at once.
    pub(super) fn wait_wanted(&self, wait: &mut Wait<'_>) -> Result<(), Failure> {
        let interest = match (
            self.wants_read.load(Ordering::Relaxed),
            self.wants_write.load(Ordering::Relaxed),
        ) {
            (true, true) => Interest::Both,
            (false, true) => Interest::Write,
            // With nothing wanted at all, the peer's next word is what is waited for.
            (_, false) => Interest::Read,
        };
        wait.ready(self.inner.as_raw_fd(), interest)?;
        self.look_again();
        Ok(())
    }

    /// Time has passed: the next read asks the kernel.
    pub(super) fn look_again(&self) {
        self.drained.store(false, Ordering::Relaxed);
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

fn begin(address: &SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(
        Domain::for_address(*address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .and_then(above_stdio)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SockAddr::from(*address)) {
        Ok(()) => Ok(socket),
        // An interrupted connect goes on by itself, as one that did not finish at once.
        Err(e)
            if e.raw_os_error() == Some(libc::EINPROGRESS)
                || e.kind() == io::ErrorKind::Interrupted =>
        {
            Ok(socket)
        }
        Err(e) => Err(e),
    }
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
        let result = if self.drained.load(Ordering::Relaxed) {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            resume(|| (&self.inner).read(buf))
        };
        // A short read took all there was; the end of stream (0) stays readable.
        let drained = match &result {
            Ok(n) => (1..buf.len()).contains(n),
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        self.drained.store(drained, Ordering::Relaxed);
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
        // The kernel takes no more than this many at once; what is left comes with the next call.
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
