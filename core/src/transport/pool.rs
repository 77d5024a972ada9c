//! Connections that wait for their next request, shared by all threads and reactors of the process.
//!
//! The connection that was put back last is taken first, so that few are used and the rest grow old. A connection is
//! tested before it is handed out. It is dropped in silence if the server closed it, if the server has sent something
//! unasked, or if it was idle too long. Nothing is locked during I/O.
//!
//! A server may close a connection right after its answer without saying so. A request that is written at that moment
//! may or may not be processed. So a request that must not be repeated uses a kept connection only once this server
//! was seen to keep one for [`PROBATION`], and not if it was seen to close one within [`SOON`].
//! Until then it watches one for that time, or takes a new one ([`super::exchange`]).

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

use super::connection::Connection;
use super::line::Open;
use super::reactor::{Registration, Watched};
use crate::platform::process::Process;
use crate::platform::runtime::KEPT_UNUSED;
use crate::platform::thread::spawn_quiet;

/// A connection that was kept this long was not closed right after its answer.
const PROBATION: Duration = Duration::from_millis(50);

/// A connection that was closed within this time was idle only shortly.
const SOON: Duration = Duration::from_secs(1);

/// How long a server that closes connections is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The stack of the thread that closes idle connections.
const STACK: usize = 128 * 1024;

pub(super) struct Pool {
    state: Mutex<State>,
    /// How many connections are open, idle or in use.
    open: Arc<AtomicUsize>,
    /// If more are open, idle ones are closed.
    most: usize,
    /// A thread exists that will close idle connections.
    closing: AtomicBool,
}

#[derive(Default)]
struct State {
    idle: VecDeque<Idle>,
    server: Server,
    /// The runtimes of the program whose end the pool will be told, each by a task of it.
    followed: Vec<(Id, Option<AbortHandle>)>,
}

struct Idle {
    since: Duration,
    connection: Connection,
}

/// What was seen of the server so far.
#[derive(Default, Clone, Copy, PartialEq)]
enum Server {
    #[default]
    Unknown,
    KeepsConnections,
    /// The server closed a connection soon after an answer, without saying so in the answer.
    ClosesConnections {
        seen: Duration,
    },
}

/// A connection that was handed out.
pub(super) struct Kept {
    pub(super) connection: Connection,
    /// How long it was idle.
    pub(super) idled: Duration,
}

impl Pool {
    pub(super) fn new(most: usize) -> Arc<Pool> {
        Arc::new(Pool {
            state: Mutex::default(),
            open: Arc::default(),
            most,
            closing: AtomicBool::new(false),
        })
    }

    /// Counts a connection that is about to be opened. Closes an idle one if there would be too many.
    pub(super) fn make_room(&self) -> Open {
        let mut state = self.lock();
        let many = self.open.load(Ordering::Relaxed) >= self.most;
        let open = Open::counted(&self.open);
        let dropped = many.then(|| state.idle.pop_front());
        drop(state);
        drop(dropped);
        open
    }

    /// A connection that seems alive, as far as that can be told without waiting. For a request that is not
    /// `repeatable`, none of a server that closes connections. Such a request first waits for what
    /// [`Pool::on_probation`] says.
    pub(super) fn take(&self, idle_timeout: Duration, repeatable: bool) -> Option<Kept> {
        loop {
            let now = time_awake_or_asleep();
            let mut state = self.lock();
            let next = match (repeatable, state.server_now(now)) {
                (false, Server::ClosesConnections { .. }) => None,
                // The oldest connection is the first that can show what the server does.
                (false, Server::Unknown) => state.idle.pop_front(),
                _ => state.idle.pop_back(),
            };
            drop(state);
            let Idle {
                since,
                mut connection,
            } = next?;
            let idled = now.saturating_sub(since);
            if idled > idle_timeout {
                continue;
            }
            if connection.is_alive() {
                return Some(Kept { connection, idled });
            }
            self.saw_close(idled);
        }
    }

    /// For how much longer a connection that was idle this long has to be watched, before a request that must not be
    /// repeated uses it.
    pub(super) fn on_probation(&self, idled: Duration) -> Duration {
        match self.lock().server {
            Server::Unknown => PROBATION.saturating_sub(idled),
            _ => Duration::ZERO,
        }
    }

    /// Notes that a connection that was idle this long was still open.
    pub(super) fn saw_alive(&self, idled: Duration) {
        let mut state = self.lock();
        if idled >= PROBATION && state.server == Server::Unknown {
            state.server = Server::KeepsConnections;
        }
    }

    /// Notes that a connection that was idle this long, or a little longer, was closed.
    pub(super) fn saw_close(&self, idled: Duration) {
        if idled <= SOON {
            let seen = time_awake_or_asleep();
            self.lock().server = Server::ClosesConnections { seen };
        }
    }

    /// Has the pool told when a runtime of the program ends. Until then its registrations may stay: to make one for each
    /// exchange took a tenth of its time.
    pub(super) fn follow(self: &Arc<Self>, runtime: &Handle) {
        let id = runtime.id();
        let mut state = self.lock();
        if state.follows(id) {
            return;
        }
        state.followed.push((id, None));
        drop(state);
        // A runtime that has ended drops it at once.
        let task = runtime.spawn(UntilEnd {
            pool: Arc::downgrade(self),
            runtime: id,
            process: Process::current(),
        });
        let mut state = self.lock();
        if let Some((_, known)) = state.followed.iter_mut().find(|(its, _)| *its == id) {
            *known = Some(task.abort_handle());
        }
    }

    /// A runtime wakes nobody any more.
    fn runtime_ended(&self, runtime: Id) {
        let mut state = self.lock();
        state.followed.retain(|(its, _)| *its != runtime);
        let sockets = state
            .idle
            .iter_mut()
            .map(|idle| &mut idle.connection.socket);
        let registrations: Vec<_> = sockets
            .filter(|socket| socket.programs_runtime() == Some(runtime))
            .map(Watched::unregister)
            .collect();
        drop(state);
        drop(registrations);
    }

    /// Keeps a connection whose last exchange ended without a fault.
    pub(super) fn put(&self, mut connection: Connection, idle_timeout: Duration) {
        let since = time_awake_or_asleep();
        let mut state = self.lock();
        let left_over = state.left_over(&mut connection);
        state.idle.push_back(Idle { since, connection });
        // The front is the oldest. A connection that nobody will take any more need not stay open.
        let idle = &mut state.idle;
        let expired = idle
            .front()
            .is_some_and(|oldest| since.saturating_sub(oldest.since) > idle_timeout);
        // Those of urgent requests come on top while they are in use.
        let many = self.open.load(Ordering::Relaxed) > self.most;
        let dropped = (expired || many).then(|| idle.pop_front());
        drop(state);
        drop((dropped, left_over));
    }

    /// Puts the oldest connection back, unused.
    pub(super) fn put_back(&self, kept: Kept) {
        let since = time_awake_or_asleep().saturating_sub(kept.idled);
        let mut connection = kept.connection;
        let mut state = self.lock();
        let left_over = state.left_over(&mut connection);
        state.idle.push_front(Idle { since, connection });
        drop(state);
        drop(left_over);
    }

    /// How many connections are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether no connection is idle, and another one may be opened without closing one.
    pub(super) fn may_open_second(&self) -> bool {
        self.is_empty() && self.open.load(Ordering::Relaxed) < self.most
    }

    /// Whether no connection is idle.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().idle.is_empty()
    }

    /// Drops all idle connections.
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut self.lock().idle);
        drop(dropped);
    }

    /// Closes the idle connections once no handle was open for [`KEPT_UNUSED`]. A thread does so; it ends then, or
    /// when a handle is open again. If the system gives no thread, they are closed at once.
    pub(super) fn close_when_unused(pool: &Arc<Pool>, handles: &Arc<AtomicUsize>) {
        if pool.is_empty() || pool.closing.swap(true, Ordering::SeqCst) {
            return;
        }
        let (its, users) = (pool.clone(), handles.clone());
        let started = spawn_quiet("pay88-close", STACK, move || {
            let unused = || users.load(Ordering::SeqCst) == 0;
            loop {
                while unused()
                    && let Some(left) = its.close_unused()
                {
                    std::thread::sleep(left);
                }
                its.closing.store(false, Ordering::SeqCst);
                // The last handle may have been closed just before.
                if !unused() || its.is_empty() || its.closing.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
        if started.is_err() {
            pool.closing.store(false, Ordering::SeqCst);
            pool.clear();
        }
    }

    /// Closes all connections if the one that was used last was idle for [`KEPT_UNUSED`]. Otherwise says how much
    /// longer it is kept.
    fn close_unused(&self) -> Option<Duration> {
        let mut state = self.lock();
        let idled = time_awake_or_asleep().saturating_sub(state.idle.back()?.since);
        if idled < KEPT_UNUSED {
            return Some(KEPT_UNUSED - idled);
        }
        let dropped = std::mem::take(&mut state.idle);
        drop(state);
        drop(dropped);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A forked child never drops the pool of its parent.
impl Drop for Pool {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nobody has to be told any more.
        for (_, task) in state.followed.drain(..) {
            task.inspect(AbortHandle::abort);
        }
    }
}

impl State {
    fn follows(&self, runtime: Id) -> bool {
        self.followed.iter().any(|(its, _)| *its == runtime)
    }

    /// The registration of a runtime that has ended while the connection was in use.
    fn left_over(&self, connection: &mut Connection) -> Option<Registration> {
        let runtime = connection.socket.programs_runtime()?;
        match self.follows(runtime) {
            true => None,
            false => connection.socket.unregister(),
        }
    }

    fn server_now(&mut self, now: Duration) -> Server {
        if let Server::ClosesConnections { seen } = self.server
            && now.saturating_sub(seen) > REMEMBERED
        {
            self.server = Server::Unknown;
        }
        self.server
    }
}

/// A task of a runtime that does nothing, and is dropped when the runtime ends.
struct UntilEnd {
    pool: Weak<Pool>,
    runtime: Id,
    process: Process,
}

impl Future for UntilEnd {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for UntilEnd {
    fn drop(&mut self) {
        // The pool of a forked child is its parent's.
        if self.process.is_current()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.runtime_ended(self.runtime);
        }
    }
}

/// The time since boot, which goes on while the machine sleeps. So does a server's idle time.
fn time_awake_or_asleep() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writing, and the clock exists in every Linux that Rust supports.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) };
    debug_assert_eq!(code, 0, "{}", io::Error::last_os_error());
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
