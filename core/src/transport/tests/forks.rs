//! A child that is forked during an exchange, by a signal handler, touches nothing of its parent's.

use std::cell::Cell;
use std::io::Write;
use std::pin::Pin;

use tokio::runtime::Handle;

use super::server::{OK, Server, answer_all, read_request};
use super::*;
use crate::transport::reactor::{Reactor, Watched};

/// The thread of a caller whose signal handler forks at the first wait.
struct Forking {
    inner: CallersThread<'static>,
    /// In the child the handler lasts that long, and interrupts the wait. Without it the child waits for the answer, and its
    /// parent for the child.
    handler: Option<Duration>,
    child: Cell<Option<i32>>,
    status: Cell<Option<i32>>,
}

impl Forking {
    fn wait_for_child(&self) {
        let mut status = 0;
        // SAFETY: waits for the child that was forked, if there is one that was not waited for.
        if unsafe { libc::waitpid(self.child.get().unwrap(), &mut status, 0) } > 0 {
            self.status.set(Some(status));
        }
    }
}

impl Reactor for Forking {
    fn adopt(&self, socket: &mut Watched) -> std::io::Result<()> {
        self.inner.adopt(socket)
    }

    fn interrupted(&self, now: Instant) -> bool {
        self.inner.interrupted(now)
    }

    async fn ready(&self, sockets: &[Watched], until: Instant) -> std::io::Result<bool> {
        if self.child.get().is_none() {
            // SAFETY: the child runs on to the end of the exchange, and leaves by `_exit`.
            let process = unsafe { libc::fork() };
            assert!(process >= 0);
            self.child.set(Some(process));
            match (process, self.handler) {
                (0, handler) => {
                    // SAFETY: a plain system call.
                    unsafe { libc::alarm(10) };
                    if let Some(time) = handler {
                        std::thread::sleep(time);
                        return Ok(false);
                    }
                }
                (_, None) => self.wait_for_child(),
                _ => {}
            }
        }
        self.inner.ready(sockets, until).await
    }

    async fn completed<F: Future>(&self, future: Pin<&mut F>, until: Instant) -> Option<F::Output> {
        self.inner.completed(future, until).await
    }

    async fn give_way(&self) {}

    async fn work<T>(&self, piece: impl FnOnce() -> T) -> T {
        piece()
    }

    fn programs_runtime(&self) -> Option<Handle> {
        None
    }
}

#[test]
fn a_child_of_a_signal_handler_leaves_the_answer_and_the_connections_to_its_parent() {
    within(120 * SECOND, || {
        let time = 2 * SECOND;
        for handler in [None, Some(time + SECOND / 5)] {
            // The first two are answered together, each over a connection of its own; the third slowly.
            let together = Arc::new(std::sync::Barrier::new(2));
            let server = Server::raw(move |mut stream, number| {
                if number >= 2 {
                    return answer_all(&mut stream);
                }
                read_request(&mut stream).unwrap();
                together.wait();
                stream.write_all(OK).unwrap();
                while read_request(&mut stream).is_some() {
                    std::thread::sleep(SECOND / 5);
                    stream.write_all(OK).unwrap();
                }
            });
            let link = link(plain(server.port));
            let two = || {
                std::thread::scope(|scope| {
                    let call = || By::Task.send(&link, "x", 5 * SECOND).unwrap();
                    (0..2).for_each(|_| drop(scope.spawn(call)));
                });
            };
            two();
            // A child would not find it.
            let pool = link.shared().unwrap().pool.clone();
            let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
            let reactor = Forking {
                inner: CallersThread::new(None),
                handler,
                child: Cell::new(None),
                status: Cell::new(None),
            };
            let request = request("x", &headers, &sent);
            let result = run_here(exchange::exchange(
                &link,
                &request,
                &limits(time),
                &reactor,
                authorize,
            ));
            if reactor.child.get() == Some(0) {
                let canceled = result.is_err_and(|f| f.kind == FailureKind::Canceled);
                let kept = !pool.is_empty();
                // SAFETY: leaves the child without running the parent's handlers.
                unsafe { libc::_exit(i32::from(!canceled) | i32::from(!kept) << 1) };
            }
            reactor.wait_for_child();
            assert_eq!(reactor.status.get(), Some(0), "{handler:?}: {result:?}");
            assert_eq!(result.unwrap().body, b"ok");
            two();
            assert_eq!(server.connections(), 2, "{handler:?}");
        }
    });
}
