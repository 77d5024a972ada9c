//! Waits for sockets: the caller's own thread by `poll(2)`, a task on the library's thread, or a task on the program's
//! own tokio runtime.
//!
//! An exchange is written once, over [`Reactor`]. A connection may go from one reactor to another between two
//! exchanges.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};
use tokio::sync::Semaphore;
use tokio::task::unconstrained;

use super::socket::Socket;
use crate::exchange::{Failure, FailureKind};
use crate::platform::cancel::ASK_EVERY;
use crate::platform::process::PerProcess;

/// A socket, and the registration of the reactor that waits for it.
pub(super) struct Watched {
    /// Dropped before the socket. A forked child never drops it: that would take its parent's sockets out of the
    /// event queue that both have.
    registration: Option<Registration>,
    socket: Arc<Socket>,
}

/// Keeps the descriptors of its runtime open, even if that has ended.
pub(super) struct Registration {
    of: Tokio,
    runtime: Id,
    at: AsyncFd<Arc<Socket>>,
}

impl Watched {
    pub(super) fn new(socket: Socket) -> Watched {
        Watched {
            registration: None,
            socket: Arc::new(socket),
        }
    }

    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// The runtime of the program that wakes whoever waits for the socket.
    pub(super) fn programs_runtime(&self) -> Option<Id> {
        let registration = self.registration.as_ref();
        registration
            .filter(|its| its.of == Tokio::Callers)
            .map(|its| its.runtime)
    }

    /// Lets no runtime wait for the socket any more. What it gives is to be dropped with nothing locked.
    #[must_use]
    pub(super) fn unregister(&mut self) -> Option<Registration> {
        self.registration.take()
    }
}

/// Waits for what an exchange needs.
pub(super) trait Reactor {
    /// Prepares a socket so that this reactor can wait for it.
    ///
    /// # Errors
    /// The system has no room for it.
    fn adopt(&self, socket: &mut Watched) -> io::Result<()>;

    /// Whether the caller wants to stop. Nothing may be locked meanwhile.
    fn interrupted(&self, now: Instant) -> bool;

    /// Waits until one of the sockets is ready for what it wants (true). May return before that (false), at `until`
    /// at the latest.
    ///
    /// # Errors
    /// The system cannot wait.
    async fn ready(&self, sockets: &[Watched], until: Instant) -> io::Result<bool>;

    /// Waits for what another thread completes. May return before that (`None`), at `until` at the latest.
    async fn completed<F: Future>(&self, future: Pin<&mut F>, until: Instant) -> Option<F::Output>;

    /// Lets others run that wait by this reactor.
    async fn give_way(&self);

    /// Does a piece of work that takes long, such as the arithmetic of a handshake. However many have such work, others
    /// that wait by this reactor run between two pieces.
    async fn work<T>(&self, piece: impl FnOnce() -> T) -> T;

    /// The runtime, if it is the program's, which may end it at any time.
    fn programs_runtime(&self) -> Option<Handle>;
}

/// The thread of the caller. Every wait blocks it, so no future is ever pending; [`run_here`] runs the futures.
pub(super) struct CallersThread<'a> {
    interrupt: Option<&'a dyn Fn() -> bool>,
    next_ask: Cell<Instant>,
    completion: OnceCell<Arc<Completion>>,
}

impl<'a> CallersThread<'a> {
    /// `interrupt` is called at once, and then at least every 50 ms; true stops the call.
    pub(super) fn new(interrupt: Option<&'a dyn Fn() -> bool>) -> CallersThread<'a> {
        CallersThread {
            interrupt,
            next_ask: Cell::new(Instant::now()),
            completion: OnceCell::new(),
        }
    }

    /// How long to wait before the caller is asked again.
    fn slice(&self, until: Instant) -> Duration {
        let end = match self.interrupt {
            Some(_) => until.min(self.next_ask.get()),
            None => until,
        };
        end.saturating_duration_since(Instant::now())
    }
}

impl Reactor for CallersThread<'_> {
    fn adopt(&self, socket: &mut Watched) -> io::Result<()> {
        // Otherwise the thread of tokio would be woken for what comes.
        socket.registration = None;
        Ok(())
    }

    fn interrupted(&self, now: Instant) -> bool {
        let Some(interrupt) = self.interrupt.filter(|_| now >= self.next_ask.get()) else {
            return false;
        };
        let stop = interrupt();
        self.next_ask.set(Instant::now() + ASK_EVERY);
        stop
    }

    async fn ready(&self, sockets: &[Watched], until: Instant) -> io::Result<bool> {
        let entry = |watched: &Watched| {
            let wanted = watched.socket.wanted();
            let read = if wanted.read { libc::POLLIN } else { 0 };
            let write = if wanted.write { libc::POLLOUT } else { 0 };
            libc::pollfd {
                fd: watched.socket.as_raw_fd(),
                events: read | write,
                revents: 0,
            }
        };
        // Nearly always there is one socket, which needs no memory.
        let (mut one, mut many);
        let set = match sockets {
            [socket] => {
                one = [entry(socket)];
                &mut one[..]
            }
            _ => {
                many = sockets.iter().map(entry).collect::<Vec<_>>();
                &mut many[..]
            }
        };
        // poll counts whole milliseconds. Rounded up, because otherwise it would spin during the last one.
        let millis = self.slice(until).as_micros().div_ceil(1000);
        let millis = i32::try_from(millis).unwrap_or(i32::MAX);
        // SAFETY: `set` is a valid slice of pollfd for the whole call and its length is given.
        let count = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, millis) };
        if count >= 0 {
            return Ok(count > 0);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(false),
            _ => Err(error),
        }
    }

    async fn completed<F: Future>(&self, future: Pin<&mut F>, until: Instant) -> Option<F::Output> {
        let completion = self.completion.get_or_init(Arc::default);
        let waker = Waker::from(completion.clone());
        // If a task of tokio calls this, its budget may be used up, and a thread that waits here never gets another.
        let mut future = unconstrained(future);
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => {
                completion.wait(self.slice(until));
                None
            }
        }
    }

    async fn give_way(&self) {}

    async fn work<T>(&self, piece: impl FnOnce() -> T) -> T {
        piece()
    }

    fn programs_runtime(&self) -> Option<Handle> {
        None
    }
}

/// Tells a thread that what it waits for is complete.
#[derive(Default)]
struct Completion {
    completed: Mutex<bool>,
    change: Condvar,
}

impl Completion {
    /// Waits until it was completed since the last wait, or the time is over.
    fn wait(&self, time: Duration) {
        let completed = self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .change
            .wait_timeout_while(completed, time, |completed| !*completed);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Wake for Completion {
    fn wake(self: Arc<Self>) {
        *self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.change.notify_all();
    }
}

/// Runs a future that waits only by [`CallersThread`].
pub(super) fn run_here<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Failure::before_sending(
            FailureKind::Internal,
            "a blocking call did not wait to its end".to_owned(),
        )),
    }
}

/// Which tokio runtime polls an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tokio {
    /// The library's own, with one thread.
    Library,
    /// The one of the program. It may end at any time.
    Callers,
}

/// A task of a tokio runtime, which polls the exchange.
pub(super) struct Task<'a> {
    runtime: Tokio,
    interrupt: Option<&'a (dyn Fn() -> bool + Sync)>,
}

impl<'a> Task<'a> {
    /// `interrupt` is called before each step; true stops the call. It wakes nobody: who waits then is dropped.
    pub(super) fn new(
        runtime: Tokio,
        interrupt: Option<&'a (dyn Fn() -> bool + Sync)>,
    ) -> Task<'a> {
        Task { runtime, interrupt }
    }
}

/// Who may do a piece of work on the library's thread: one task at a time.
static WORKING: PerProcess<Semaphore> = PerProcess::new();

impl Reactor for Task<'_> {
    fn adopt(&self, socket: &mut Watched) -> io::Result<()> {
        let runtime = Handle::current().id();
        // The registration of a runtime that has ended wakes nobody.
        if socket.registration.as_ref().map(|its| its.runtime) != Some(runtime) {
            socket.registration = None;
            // SAFETY: the descriptor is open, and the same, as long as the socket that is handed over lives.
            let at = unsafe { AsyncFd::register(socket.socket.clone()) }?;
            socket.registration = Some(Registration {
                of: self.runtime,
                runtime,
                at,
            });
        }
        Ok(())
    }

    fn interrupted(&self, _: Instant) -> bool {
        self.interrupt.is_some_and(|interrupt| interrupt())
    }

    async fn ready(&self, sockets: &[Watched], until: Instant) -> io::Result<bool> {
        if self.runtime == Tokio::Library {
            keep_a_timer(until);
        }
        let mut time = pin!(tokio::time::sleep_until(until.into()));
        poll_fn(|context| {
            let mut ready = false;
            for socket in sockets {
                ready |= poll_ready(socket, context)?;
            }
            match ready {
                true => Poll::Ready(Ok(true)),
                false => time.as_mut().poll(context).map(|()| Ok(false)),
            }
        })
        .await
    }

    async fn completed<F: Future>(&self, future: Pin<&mut F>, until: Instant) -> Option<F::Output> {
        tokio::time::timeout_at(until.into(), future).await.ok()
    }

    async fn give_way(&self) {
        tokio::task::yield_now().await;
    }

    async fn work<T>(&self, piece: impl FnOnce() -> T) -> T {
        // Whoever waits here is not polled again and again, and whoever was ready before the next piece runs before it.
        let _working = match self.runtime {
            Tokio::Library => WORKING
                .get_or_make(|| Semaphore::new(1))
                .acquire()
                .await
                .ok(),
            // It may have several threads, and one that is blocked must not hold up the others.
            Tokio::Callers => None,
        };
        let done = piece();
        self.give_way().await;
        done
    }

    fn programs_runtime(&self) -> Option<Handle> {
        match self.runtime {
            // The last poll may be another executor's.
            Tokio::Callers => Handle::try_current().ok(),
            Tokio::Library => None,
        }
    }
}

/// tokio wakes its own thread, by a system call, for each timer that ends before all others. So one timer stays after
/// its call, until its time comes: the timers of later calls end after it.
fn keep_a_timer(until: Instant) {
    thread_local! {
        static ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    if ENDS.get().is_none_or(|end| end <= Instant::now()) {
        ENDS.set(Some(until));
        tokio::spawn(tokio::time::sleep_until(until.into()));
    }
}

/// Whether a socket is ready for something that it wants. This uses up the readiness: the caller then reads or writes
/// until that would block, and only later events make the socket ready again.
fn poll_ready(watched: &Watched, context: &mut Context<'_>) -> io::Result<bool> {
    let registered = watched.registration.as_ref();
    let registered = &registered
        .ok_or_else(|| io::Error::other("the socket is not registered"))?
        .at;
    let wanted = watched.socket.wanted();
    let mut ready = false;
    if wanted.read
        && let Poll::Ready(guard) = registered.poll_read_ready(context)
    {
        guard?.clear_ready();
        ready = true;
    }
    if wanted.write
        && let Poll::Ready(guard) = registered.poll_write_ready(context)
    {
        guard?.clear_ready();
        ready = true;
    }
    Ok(ready)
}
