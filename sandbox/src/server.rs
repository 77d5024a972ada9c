//! Listening: a thread for each connection, all of which end when the sandbox stops. It knows neither HTTP nor the rules.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

/// Enough for TLS and for the deepest JSON that is read, and little enough for thousands of threads.
const STACK: usize = 512 << 10;
/// The kernel's queue of connections that were not accepted yet.
const BACKLOG: i32 = 4096;
/// A client that sends or takes nothing for so long is cut off.
const PATIENCE: Duration = Duration::from_secs(300);
/// A reset takes away what the client has not read.
const BEFORE_RESET: Duration = Duration::from_millis(50);
/// How long a stop waits for connections that were shut down already.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A socket that the sandbox can shut down while its thread reads or writes.
#[derive(Clone)]
pub(crate) struct Socket(Arc<TcpStream>);

impl Socket {
    /// Reads without use until the client or the sandbox ends the connection.
    pub(crate) fn wait_for_end(&self) {
        let _ = self.0.set_read_timeout(None);
        let _ = io::copy(&mut &*self.0, &mut io::sink());
    }

    /// Lets the end of the connection be a reset, when what was sent has had time to arrive.
    pub(crate) fn reset(&self) {
        thread::sleep(BEFORE_RESET);
        let _ = SockRef::from(&*self.0).set_linger(Some(Duration::ZERO));
    }

    /// Ends the sending side and reads on for a moment, so that the client finds the answer and not a reset.
    pub(crate) fn end_gently(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
        let _ = self.0.set_read_timeout(Some(Duration::from_millis(500)));
        let limit = 16 << 20;
        let _ = io::copy(&mut (&*self.0).take(limit), &mut io::sink());
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| (&*self.0).read(buffer))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| (&*self.0).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A sandbox may live in a process whose signals interrupt system calls.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The open connections of a sandbox, and whether it is to stop.
#[derive(Default)]
pub(crate) struct Running {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    stopped: bool,
    last: u64,
    open: HashMap<u64, Socket>,
}

impl Running {
    /// Waits, or stops waiting when the sandbox stops.
    pub(crate) fn pause(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let guard = self.lock();
        let _ = self
            .changed
            .wait_timeout_while(guard, time, |inner| !inner.stopped);
    }

    /// Shuts every connection down and waits until their threads are done with them.
    fn stop(&self) {
        let mut inner = self.lock();
        inner.stopped = true;
        for socket in inner.open.values() {
            let _ = socket.0.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
        let _ = self
            .changed
            .wait_timeout_while(inner, STOP_WITHIN, |inner| !inner.open.is_empty());
    }

    /// Registers a connection and gives it its number, unless the sandbox stops.
    fn open(self: &Arc<Self>, socket: Socket) -> Option<Registered> {
        let mut inner = self.lock();
        if inner.stopped {
            return None;
        }
        inner.last += 1;
        let number = inner.last;
        inner.open.insert(number, socket);
        Some(Registered {
            running: Arc::clone(self),
            number,
        })
    }

    fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is taken off the list when its thread ends, even by a panic.
struct Registered {
    running: Arc<Running>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.lock().open.remove(&self.number);
        self.running.changed.notify_all();
    }
}

/// A listening port.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    running: Arc<Running>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Port {
    /// Listens, and gives each connection with its number to `serve` on a thread of its own.
    pub(crate) fn open(
        address: SocketAddr,
        serve: impl Fn(&Running, u64, Socket) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let running = Arc::new(Running::default());
        let accepting = Arc::clone(&running);
        let thread = thread::Builder::new()
            .name("sandbox-accept".into())
            .spawn(move || accept(&listener, &accepting, Arc::new(serve)))?;
        Ok(Port {
            address,
            running,
            thread: Some(thread),
        })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.running.stop();
        // The thread is woken from accept by a connection; should none be possible, it is left to itself.
        let woken = (0..10).any(|_| {
            let target = reachable(self.address);
            TcpStream::connect_timeout(&target, Duration::from_millis(500)).is_ok()
        });
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = RawSocket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(
    listener: &TcpListener,
    running: &Arc<Running>,
    serve: Arc<impl Fn(&Running, u64, Socket) + Send + Sync + 'static>,
) {
    loop {
        let accepted = listener.accept();
        if running.is_stopped() {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: a pause lets some come back.
            running.pause(Duration::from_millis(20));
            continue;
        };
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let socket = Socket(Arc::new(stream));
        let Some(registered) = running.open(socket.clone()) else {
            return;
        };
        let serve = Arc::clone(&serve);
        // Where no thread is to be had, the closure is dropped and the connection with it.
        let _ = thread::Builder::new()
            .name("sandbox-connection".into())
            .stack_size(STACK)
            .spawn(move || serve(&registered.running, registered.number, socket));
    }
}

/// An address that a client on this machine can use.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
