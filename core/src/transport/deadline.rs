//! When a call is given up: at its deadline, at the end of the time for connecting, or when its caller wants to stop.
//!
//! Sockets are checked first and the time last. So an answer that came in time is taken, however late this thread
//! runs.

use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use super::reactor::{Reactor, Watched};
use crate::exchange::{Failure, FailureKind};
use crate::platform::process::Process;

/// The end of one call, as it goes through its phases; and the reactor by which it waits.
pub(super) struct Deadline<'a, R> {
    pub(super) reactor: &'a R,
    at: Instant,
    /// The end of connecting, and the `connect_timeout` that set it.
    connecting: Option<(Instant, Duration)>,
    phase: &'static str,
    /// A child that is forked meanwhile sends nothing, whether the interrupt, a signal handler or a module of the
    /// resolver forked it.
    pub(super) begun_in: Process,
}

impl<'a, R: Reactor> Deadline<'a, R> {
    pub(super) fn new(reactor: &'a R, at: Instant) -> Deadline<'a, R> {
        Deadline {
            reactor,
            at,
            connecting: None,
            phase: "before it began",
            begun_in: Process::current(),
        }
    }

    /// Starts the time for connecting. Name, addresses, proxy and handshake share it.
    pub(super) fn begin_connecting(&mut self, limit: Duration) {
        // A limit beyond what an Instant can hold is no limit.
        self.connecting = Instant::now().checked_add(limit).map(|end| (end, limit));
    }

    /// There is a connection. From here only the deadline counts.
    pub(super) fn end_connecting(&mut self) {
        self.connecting = None;
    }

    /// Says what the following waits are part of, for the message of a failure.
    pub(super) fn enter(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    /// Fails in a child that was forked meanwhile, because connections and locks belong to its parent.
    pub(super) fn same_process(&self) -> Result<(), Failure> {
        match self.begun_in.is_current() {
            true => Ok(()),
            false => Err(Failure::before_sending(
                FailureKind::Canceled,
                format!("this process was forked {}", self.phase),
            )),
        }
    }

    /// Fails if the time is over or the caller wants to stop. Otherwise says until when to wait.
    pub(super) fn check(&self) -> Result<Instant, Failure> {
        self.same_process()?;
        let now = Instant::now();
        if now >= self.at {
            return Err(Failure::before_sending(
                FailureKind::Timeout,
                format!("the time for the call ran out {}", self.phase),
            ));
        }
        if let Some((connect_end, limit)) = self.connecting
            && now >= connect_end
        {
            return Err(Failure::before_sending(
                FailureKind::Connect,
                format!("no connection within {limit:?}: gave up {}", self.phase),
            ));
        }
        if self.reactor.interrupted(now) {
            return Err(Failure::before_sending(
                FailureKind::Canceled,
                format!("the caller stopped the call {}", self.phase),
            ));
        }
        // The interrupt may have forked.
        self.same_process()?;
        Ok(self.end())
    }

    fn end(&self) -> Instant {
        match self.connecting {
            Some((connect_end, _)) => self.at.min(connect_end),
            None => self.at,
        }
    }

    /// Waits until the socket is ready for what it wants.
    pub(super) async fn ready(&self, socket: &Watched) -> Result<(), Failure> {
        let sockets = std::slice::from_ref(socket);
        while !self.ready_before(sockets, None).await? {}
        Ok(())
    }

    /// Waits until one of the sockets is ready for what it wants (true). Also returns from time to time before that,
    /// and at `until` (false).
    pub(super) async fn ready_before(
        &self,
        sockets: &[Watched],
        until: Option<Instant>,
    ) -> Result<bool, Failure> {
        let end = self.check()?;
        let ready = if sockets.iter().any(|s| s.socket().turn_is_over()) {
            self.reactor.give_way().await;
            true
        } else {
            let end = until.map_or(end, |until| end.min(until));
            let ready = self.reactor.ready(sockets, end).await;
            ready.map_err(|error| {
                let what = "waiting for the network failed";
                Failure::by_system(FailureKind::Internal, what, &error)
            })?
        };
        // A signal handler may have forked, and what has come belongs to the parent.
        self.same_process()?;
        sockets.iter().for_each(|s| s.socket().begin_turn());
        Ok(ready)
    }

    /// Waits for what another thread completes.
    pub(super) async fn completed<F: Future>(&self, future: F) -> Result<F::Output, Failure> {
        let mut future = pin!(future);
        loop {
            self.same_process()?;
            let value = self.reactor.completed(future.as_mut(), self.end()).await;
            if let Some(value) = value {
                return Ok(value);
            }
            self.check()?;
        }
    }

    /// Does one read or write, waiting until the socket is ready for it.
    pub(super) async fn finish(
        &self,
        socket: &Watched,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> Result<io::Result<usize>, Failure> {
        loop {
            // A server that sends byte by byte must not delay past the deadline.
            self.check()?;
            socket.socket().want_nothing();
            match call() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.ready(socket).await?,
                other => return Ok(other),
            }
        }
    }
}
