//! A connected socket, plain or under TLS, as hyper reads and writes it.
//!
//! Never blocks and never registers a waker. A read or write that could not go on is noted at the socket, and whoever
//! drives the connection waits for it.

use std::io::{self, BufRead, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor};
use rustls::ClientConnection;

use super::answer_head::HeadReader;
use super::socket::Socket;

pub(super) struct Stream {
    pub(super) socket: Arc<Socket>,
    pub(super) tls: Option<ClientConnection>,
    /// Checks each answer before hyper reads it.
    pub(super) head: HeadReader,
}

/// Passes what TLS has encrypted to the kernel; WouldBlock if the kernel takes no more.
fn flush_tls(tls: &mut ClientConnection, mut socket: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    Ok(())
}

fn pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}

fn read_tls(
    tls: &mut ClientConnection,
    mut socket: &Socket,
    head: &mut HeadReader,
    buf: &mut ReadBufCursor<'_>,
) -> io::Result<()> {
    loop {
        let mut reader = tls.reader();
        match reader.fill_buf() {
            Ok(plain) => {
                let n = plain.len().min(buf.remaining());
                head.read(&plain[..n])?;
                buf.put_slice(&plain[..n]);
                reader.consume(n);
                return Ok(());
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        tls.read_tls(&mut socket)?;
        let processed = tls.process_new_packets();
        // Alerts and key updates. What the kernel does not take now goes before the next write.
        let told = flush_tls(tls, socket);
        processed.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        match told {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(e),
            _ => {}
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Stream { socket, tls, head } = &mut *self;
        if socket.takes_first_answer() {
            head.begin();
        }
        pending(match tls {
            Some(tls) => read_tls(tls, socket, head, &mut buf),
            None => {
                // Plain connections are loopback only, so zeroing the buffer first costs little.
                let mut plain = [0; 8192];
                let limit = plain.len().min(buf.remaining());
                io::Read::read(&mut &**socket, &mut plain[..limit]).and_then(|n| {
                    head.read(&plain[..n])?;
                    buf.put_slice(&plain[..n]);
                    Ok(())
                })
            }
        })
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Stream { socket, tls, .. } = &mut *self;
        pending(match tls {
            Some(tls) => tls.writer().write_vectored(bufs).and_then(|taken| {
                // Bytes that TLS took count as written. Only a full buffer has to wait.
                match flush_tls(tls, socket) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock && taken > 0 => Ok(taken),
                    Err(e) => Err(e),
                    Ok(()) if taken > 0 => Ok(taken),
                    // TLS has room again.
                    Ok(()) => tls.writer().write_vectored(bufs),
                }
            }),
            None => (&**socket).write_vectored(bufs),
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream { socket, tls, .. } = &mut *self;
        pending(tls.as_mut().map_or(Ok(()), |tls| flush_tls(tls, socket)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper ends a connection only when the answer is complete by its own length. So dropping the socket is
        // enough, and nothing is sent that a closed server would answer with a reset.
        Poll::Ready(Ok(()))
    }
}
