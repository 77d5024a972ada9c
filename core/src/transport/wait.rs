//! Waiting with an end: an absolute deadline, a look at the caller's interrupt, every call resumed
//! after EINTR.
//!
//! Nothing is locked while the interrupt is asked, and no signal prolongs a wait.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::{Failure, FailureKind, Limits};
use crate::process::Process;

/// How often a caller's interrupt is asked while a call waits; below the 50 ms that are promised.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Readiness to wait for on one descriptor.
#[derive(Clone, Copy)]
pub(super) enum Interest {
    Read,
    Write,
    Both,
}

/// The limits of one call, as it goes through its phases.
pub(super) struct Wait<'a> {
    deadline: Instant,
    /// The end of connecting, and what `connect_timeout` was.
    connecting: Option<(Instant, Duration)>,
    interrupt: Option<&'a dyn Fn() -> bool>,
    next_look: Instant,
    phase: &'static str,
    /// A child that is forked meanwhile, by the interrupt, a signal handler or a module of the resolver, sends nothing.
    begun_in: Process,
}

impl<'a> Wait<'a> {
    pub(super) fn new(limits: &Limits<'a>) -> Wait<'a> {
        Wait {
            deadline: limits.deadline,
            connecting: None,
            interrupt: limits.interrupt,
            next_look: Instant::now(),
            phase: "before the call began",
            begun_in: Process::current(),
        }
    }

    /// A wait that only its deadline ends.
    pub(super) fn until(deadline: Instant) -> Wait<'a> {
        Wait {
            deadline,
            connecting: None,
            interrupt: None,
            next_look: deadline,
            phase: "before it began",
            begun_in: Process::current(),
        }
    }

    /// Starts the time of connecting: names, addresses, proxy and handshake share it.
    pub(super) fn begin_connecting(&mut self, limit: Duration) {
        // A limit beyond what an Instant can hold is none.
        self.connecting = Instant::now().checked_add(limit).map(|end| (end, limit));
    }

    /// A connection is there: only the deadline counts from here.
    pub(super) fn end_connecting(&mut self) {
        self.connecting = None;
    }

    /// Says what a failure of the waits that follow was in the middle of.
    pub(super) fn enter(&mut self, phase: &'static str) {
        self.phase = phase;
    }

    /// Fails if the time is over or the caller wants to stop; else how long may be waited before
    /// asking again.
    pub(super) fn slice(&mut self) -> Result<Duration, Failure> {
        let now = Instant::now();
        if now >= self.deadline {
            return Err(Failure::before_sending(
                FailureKind::Timeout,
                format!("the time for the call ran out {}", self.phase),
            ));
        }
        let mut end = self.deadline;
        if let Some((connect_end, limit)) = self.connecting {
            if now >= connect_end {
                return Err(Failure::before_sending(
                    FailureKind::Connect,
                    format!("no connection within {limit:?}: gave up {}", self.phase),
                ));
            }
            end = end.min(connect_end);
        }
        if let Some(interrupt) = self.interrupt {
            if now >= self.next_look {
                if interrupt() {
                    return Err(Failure::before_sending(
                        FailureKind::Canceled,
                        format!("the caller stopped the call {}", self.phase),
                    ));
                }
                self.next_look = now + LOOK_EVERY;
            }
            end = end.min(self.next_look);
        }
        if !self.begun_in.is_current() {
            return Err(Failure::before_sending(
                FailureKind::Canceled,
                format!("this process was forked {}", self.phase),
            ));
        }
        Ok(end.saturating_duration_since(now))
    }

    /// Waits until the descriptor is ready.
    pub(super) fn ready(&mut self, fd: RawFd, interest: Interest) -> Result<(), Failure> {
        let mut set = [poll_entry(fd, interest)];
        while !self.any_ready(&mut set, None)? {}
        Ok(())
    }

    /// Waits until one of the descriptors is ready (true) or `until` has come (false).
    pub(super) fn any_ready(
        &mut self,
        set: &mut [libc::pollfd],
        until: Option<Instant>,
    ) -> Result<bool, Failure> {
        loop {
            let mut slice = self.slice()?;
            if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(false);
                }
                slice = slice.min(left);
            }
            // poll counts whole milliseconds: rounded up, else the last one would spin.
            let millis = i32::try_from(slice.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            // SAFETY: `set` is a valid slice of pollfd for the whole call and its length is given.
            let count = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, millis) };
            if count > 0 {
                return Ok(true);
            }
            if count < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(Failure::before_sending(
                        FailureKind::Internal,
                        format!("waiting for the network failed: {error}"),
                    ));
                }
            }
        }
    }
}

pub(super) fn poll_entry(fd: RawFd, interest: Interest) -> libc::pollfd {
    libc::pollfd {
        fd,
        events: match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
        },
        revents: 0,
    }
}
