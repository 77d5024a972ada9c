//! A stream of bytes to a server that does not speak HTTP: a store of the option `share`.
//!
//! It connects, reads and writes on the caller's thread. Each step ends by its deadline, whatever the server does. It
//! never raises SIGPIPE, and starts no thread but the one that looks a name up. A [`Dialer`] keeps no connection, so
//! it may be used on both sides of a fork.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::deadline::Deadline;
use super::reactor::{CallersThread, Watched, run_here};
use super::request::authority;
use super::resolve::{self, Resolver};
use super::roots::{SystemRoots, UNREAD, roots};
use super::socket::Socket;
use super::tls::{self, SettingNames};
use crate::exchange::{Failure, FailureKind};
use crate::platform::above_stdio::StdioOccupied;
use crate::platform::process::PerProcess;

/// How messages name the settings of a store's TLS.
const STORE_URL: SettingNames = SettingNames {
    ca: "`?ca=` in the store's URL",
    host: "the store's URL",
};

/// The address of a server, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The path of a socket.
    Unix(PathBuf),
    /// `host` is lower case, IPv6 without brackets.
    Tcp { host: String, port: u16 },
    /// As `Tcp`, under TLS; `ca` is a PEM file that replaces the system's roots.
    Tls {
        host: String,
        port: u16,
        ca: Option<PathBuf>,
        system_roots: SystemRoots,
    },
}

/// Connects to one address, as often as it is asked.
pub(crate) struct Dialer {
    address: Address,
    /// They hold locks, which a forked child must not inherit.
    resolver: PerProcess<Arc<Resolver>>,
    tls: PerProcess<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Dialer {
    pub(crate) fn new(address: Address) -> Dialer {
        Dialer {
            address,
            resolver: PerProcess::new(),
            tls: PerProcess::new(),
        }
    }

    /// A new connection, with its TLS handshake done.
    ///
    /// # Errors
    /// Why there is none by the deadline, for people.
    pub(crate) fn dial(&self, deadline: Instant) -> Result<ByteStream, String> {
        let reactor = CallersThread::new(None);
        run_here(self.connect(&mut Deadline::new(&reactor, deadline)))
            .map_err(|failure| failure.message)
    }

    async fn connect(
        &self,
        deadline: &mut Deadline<'_, CallersThread<'_>>,
    ) -> Result<ByteStream, Failure> {
        let (host, port, ca) = match &self.address {
            Address::Unix(path) => {
                let socket = Socket::connect_unix(path, deadline).await?;
                return Ok(ByteStream { socket, tls: None });
            }
            Address::Tcp { host, port } => (host, *port, None),
            Address::Tls {
                host,
                port,
                ca,
                system_roots,
            } => (host, *port, Some((ca, system_roots))),
        };
        // Before any connection is made, so that an unreadable file is reported as one.
        let tls = match ca {
            Some((ca, system_roots)) => Some(self.tls.get_or_try_make(|| {
                // Crates open these files.
                let _occupied = StdioOccupied::new()
                    .map_err(|error| Failure::by_system(FailureKind::Internal, UNREAD, &error))?;
                let roots = roots(ca.as_deref(), system_roots, STORE_URL)?;
                let name = ServerName::try_from(host.clone()).map_err(|e| {
                    let message = format!("{host} is no host name: {e}");
                    Failure::before_sending(FailureKind::Internal, message)
                })?;
                let config = tls::client_config(&roots, &[])?;
                Ok::<_, Failure>((Arc::new(config), name))
            })?),
            None => None,
        };
        let resolver = self
            .resolver
            .get_or_try_make(|| Ok::<_, Failure>(Resolver::new(host, port, resolve::ask_system)))?;
        let addresses = resolver.resolve(deadline).await?;
        let socket = Socket::connect(&addresses, &authority(host, port), deadline).await?;
        let tls = match tls {
            Some((config, name)) => {
                Some(tls::handshake(config, name, STORE_URL, &socket, deadline).await?)
            }
            None => None,
        };
        Ok(ByteStream { socket, tls })
    }
}

/// A connection.
pub(crate) struct ByteStream {
    socket: Watched,
    tls: Option<ClientConnection>,
}

impl ByteStream {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// Why not all of them could be written by the deadline. Some may have been.
    pub(crate) fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.with(deadline, "while it was asked", |stream| {
            stream.write_all(bytes)?;
            stream.flush()
        })
    }

    /// Reads the bytes that are there, at least one; 0 at the end of the stream.
    ///
    /// # Errors
    /// Why nothing came by the deadline.
    pub(crate) fn read(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        self.with(deadline, "before it had answered", |stream| {
            stream.read(buf)
        })
    }

    fn with<T>(
        &mut self,
        deadline: Instant,
        phase: &'static str,
        f: impl FnOnce(&mut dyn Stream) -> io::Result<T>,
    ) -> io::Result<T> {
        let reactor = CallersThread::new(None);
        let mut deadline = Deadline::new(&reactor, deadline);
        deadline.enter(phase);
        let mut timed = Timed {
            socket: &self.socket,
            deadline,
        };
        match &mut self.tls {
            Some(tls) => f(&mut rustls::Stream::new(tls, &mut timed)),
            None => f(&mut timed),
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A socket that blocks until a deadline.
struct Timed<'a> {
    socket: &'a Watched,
    deadline: Deadline<'a, CallersThread<'a>>,
}

impl Timed<'_> {
    fn finish(&mut self, call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        run_here(self.deadline.finish(self.socket, call))
            .unwrap_or_else(|failure| Err(io::Error::new(io::ErrorKind::TimedOut, failure.message)))
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut socket = &**self.socket.socket();
        self.finish(|| socket.read(buf))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut socket = &**self.socket.socket();
        self.finish(|| socket.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::{OpenOptions, read_link};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;
    use crate::test_support::limits::in_a_child;

    #[test]
    fn a_file_of_authorities_takes_no_standard_stream() {
        // A reader of it stays open until the last writer closes.
        let path = std::env::temp_dir().join(format!("pay88-ca-{}.fifo", std::process::id()));
        let text = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        // SAFETY: a path that ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        let dialer = Dialer::new(Address::Tls {
            host: "localhost".to_owned(),
            port: 1,
            ca: Some(path.clone()),
            system_roots: SystemRoots::default(),
        });
        let status = in_a_child(|| {
            let Ok(writer) = OpenOptions::new().read(true).write(true).open(&path) else {
                return 1;
            };
            let own = writer.as_raw_fd();
            for fd in 0..3 {
                // SAFETY: nothing of this child uses them.
                unsafe { libc::close(fd) };
            }
            std::thread::scope(|scope| {
                let dialing = scope.spawn(|| dialer.dial(Instant::now() + Duration::from_secs(5)));
                let reads = |fd: i32| {
                    let opened = read_link(format!("/proc/self/fd/{fd}"));
                    fd != own && opened.is_ok_and(|file| file == path)
                };
                let reader = loop {
                    if let Some(reader) = (0..64).find(|&fd| reads(fd)) {
                        break reader;
                    }
                    std::thread::yield_now();
                };
                drop(writer);
                let refused = dialing.join().is_ok_and(|dialed| dialed.is_err());
                i32::from(reader < 3) << 1 | i32::from(!refused) << 2
            })
        });
        let _ = std::fs::remove_file(&path);
        assert_eq!(status, 0);
    }
}
