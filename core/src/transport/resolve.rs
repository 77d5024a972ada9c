//! Looks up the addresses of a host name, within a time.
//!
//! IP literals and `localhost` never reach DNS. The system looks other names up, in a short-lived thread, because
//! `getaddrinfo` has no deadline: a caller that gives up leaves the thread behind. A [`Resolver`] runs one look-up at
//! a time, so a name that never resolves costs one thread.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::deadline::Deadline;
use super::reactor::Reactor;
use crate::cause::Cause;
use crate::exchange::{Failure, FailureKind};
use crate::platform::above_stdio::StdioOccupied;
use crate::platform::process::{Process, foreign};
use crate::platform::thread::spawn_quiet;

/// Modules of the system's resolver run on this stack.
const STACK: usize = 512 * 1024;

/// How a name is looked up: by the system, except in tests.
pub(super) type LookUp = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The system's resolver, which may take as long as it likes.
pub(super) fn ask_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // It opens files and sockets of its own.
    let _occupied = StdioOccupied::new()?;
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// Looks up one host.
pub(super) struct Resolver {
    host: String,
    port: u16,
    look_up: LookUp,
    under_way: Mutex<Option<Arc<Mutex<Pending>>>>,
}

#[derive(Default)]
struct Pending {
    answer: Option<Result<Vec<SocketAddr>, Cause>>,
    wakers: Vec<Waker>,
}

impl Resolver {
    pub(super) fn new(host: &str, port: u16, look_up: LookUp) -> Arc<Resolver> {
        Arc::new(Resolver {
            host: host.to_owned(),
            port,
            look_up,
            under_way: Mutex::new(None),
        })
    }

    /// The addresses of the host.
    pub(super) async fn resolve<R: Reactor>(
        self: &Arc<Self>,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(known) = self.without_look_up() {
            return Ok(known);
        }
        deadline.enter("while its host's name was looked up");
        let pending = self.join();
        let answer = deadline.completed(poll_fn(|cx| {
            // The program's code may make it, so not under the lock.
            let waker = cx.waker().clone();
            let mut pending = lock(&pending);
            if let Some(answer) = &pending.answer {
                return Poll::Ready(answer.clone());
            }
            if !pending.wakers.iter().any(|w| w.will_wake(&waker)) {
                pending.wakers.push(waker);
            }
            Poll::Pending
        }));
        answer.await?.map_err(|why| self.failure(why))
    }

    fn failure(&self, why: Cause) -> Failure {
        let message = format!("the host name {} cannot be resolved: {why}", self.host);
        Failure::before_sending(FailureKind::Connect, message).because(why)
    }

    fn without_look_up(&self) -> Option<Vec<SocketAddr>> {
        let at = |ip: IpAddr| SocketAddr::new(ip, self.port);
        if self.host == "localhost" {
            return Some(vec![
                at(Ipv4Addr::LOCALHOST.into()),
                at(Ipv6Addr::LOCALHOST.into()),
            ]);
        }
        self.host.parse().ok().map(|ip| vec![at(ip)])
    }

    /// The look-up that is running, or a new one.
    fn join(self: &Arc<Self>) -> Arc<Mutex<Pending>> {
        let mut under_way = lock(&self.under_way);
        if let Some(pending) = &*under_way {
            return pending.clone();
        }
        let pending = Arc::<Mutex<Pending>>::default();
        *under_way = Some(pending.clone());
        drop(under_way);
        let (this, its) = (self.clone(), pending.clone());
        if spawn_quiet("pay88-resolve", STACK, move || {
            foreign(|| this.finish(&its))
        })
        .is_err()
        {
            // The system gives no thread. A wait that the deadline cannot end is better than no call.
            self.finish(&pending);
        }
        pending
    }

    fn finish(&self, pending: &Mutex<Pending>) {
        let begun_in = Process::current();
        let answer = (self.look_up)(&self.host, self.port).map_err(|e| Cause::of_system(&e));
        if !begun_in.is_current() {
            // A module of the system's resolver has forked. The waiting call and the locks belong to the parent.
            return;
        }
        *lock(&self.under_way) = None;
        let mut pending = lock(pending);
        pending.answer = Some(answer);
        let wakers = std::mem::take(&mut pending.wakers);
        drop(pending);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
