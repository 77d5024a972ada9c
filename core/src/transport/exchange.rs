//! One request and its answer, with whichever reactor: the one place that says how an exchange goes.
//!
//! A request is never written twice, except where a kept connection took not one byte of it. A request that must not
//! be repeated is never sent over a connection that the server may be about to close ([`super::pool`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};

use super::connection::Connection;
use super::deadline::Deadline;
use super::pool::{Kept, Pool};
use super::reactor::Reactor;
use super::{Limits, Link, Request, Shared};
use crate::exchange::{Answer, Failure, FailureKind};
use crate::platform::process::Process;

pub(super) async fn exchange<R: Reactor>(
    link: &Link,
    request: &Request<'_>,
    limits: &Limits,
    reactor: &R,
    mut authorize: impl FnMut(&mut HeaderMap),
) -> Result<Answer, Failure> {
    let mut deadline = Deadline::new(reactor, limits.deadline);
    deadline.check()?;
    let shared = link.shared()?;
    let line = match request.urgent {
        true => &shared.urgent_line,
        false => &shared.line,
    };
    let _place = line.enter(&mut deadline).await?;
    // The place may have come when the time was over, or the caller had given up: nothing is sent then.
    deadline.check()?;
    loop {
        let kept = take(shared, request, limits, &deadline).await?;
        let idled = kept.as_ref().map(|kept| kept.idled);
        let mut connection = match kept {
            Some(kept) => kept.connection,
            None => {
                deadline.begin_connecting(limits.connect_timeout);
                let opened = Connection::open(link, shared, &mut deadline).await?;
                deadline.end_connecting();
                opened
            }
        };
        // Waiting for a connection may have taken until then, too.
        deadline.check()?;
        let suspicion = idled.map(|_| Suspicion {
            pool: &shared.pool,
            sent: request.sent,
            begun_in: deadline.begun_in,
        });
        let result = connection
            .exchange(link, request, limits, &mut deadline, &mut authorize)
            .await;
        if let Some(suspicion) = suspicion {
            suspicion.end(&result);
        }
        deadline.same_process()?;
        let failure = match result {
            Ok(answer) => {
                // If a server answers HEAD with a body, that body is still to come. No later answer may begin with
                // it.
                if connection.is_reusable() && request.method != Method::HEAD {
                    connection.was_urgent = request.urgent;
                    if let Some(runtime) = reactor.programs_runtime() {
                        shared.pool.follow(&runtime);
                    }
                    shared.pool.put(connection, limits.idle_timeout);
                    link.close_if_unused();
                }
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let Some(idled) = idled else {
            return Err(failure);
        };
        if failure.kind == FailureKind::Cut {
            shared.pool.saw_close(idled);
            // It was closed between the check and the first byte: nothing has left this process.
            if !failure.sent {
                continue;
            }
        }
        return Err(failure);
    }
}

/// Drops all idle connections if an exchange over a kept connection is given up: at its deadline, by the interrupt,
/// or because nobody waits for it any more. What made this connection silent may have made the others silent too.
struct Suspicion<'a> {
    pool: &'a Pool,
    sent: &'a AtomicBool,
    begun_in: Process,
}

impl Suspicion<'_> {
    /// The exchange ended by itself.
    fn end(self, result: &Result<Answer, Failure>) {
        let given_up = |f: &Failure| matches!(f.kind, FailureKind::Timeout | FailureKind::Canceled);
        if !result.as_ref().is_err_and(given_up) {
            std::mem::forget(self);
        }
    }
}

impl Drop for Suspicion<'_> {
    fn drop(&mut self) {
        // The pool of a forked child is its parent's.
        if self.begun_in.is_current() && self.sent.load(Ordering::Acquire) {
            self.pool.clear();
        }
    }
}

/// A kept connection that this request may use.
async fn take<R: Reactor>(
    shared: &Shared,
    request: &Request<'_>,
    limits: &Limits,
    deadline: &Deadline<'_, R>,
) -> Result<Option<Kept>, Failure> {
    while let Some(mut kept) = shared.pool.take(limits.idle_timeout, request.repeatable) {
        let left = match request.repeatable {
            true => Duration::ZERO,
            false => shared.pool.on_probation(kept.idled),
        };
        let sooner = kept.connection.opened_in < left && shared.pool.may_open_second();
        if sooner && kept.connection.was_urgent {
            // Another connection can be opened sooner. This happens once: the next such request watches the older of
            // the two. It happens in few processes: most find shared what an urgent request asks for. Behind any
            // other request it would double the connections of all processes that start.
            shared.pool.put_back(kept);
            return Ok(None);
        }
        let adopted = deadline.reactor.adopt(&mut kept.connection.socket);
        if adopted.is_err() {
            // Opening a new connection will show the reason.
            return Ok(None);
        }
        if left.is_zero() || outlives(&mut kept, left, deadline).await? {
            shared.pool.saw_alive(kept.idled);
            return Ok(Some(kept));
        }
        shared.pool.saw_close(kept.idled);
    }
    Ok(None)
}

/// Whether a connection is still open after `time`.
async fn outlives<R: Reactor>(
    kept: &mut Kept,
    time: Duration,
    deadline: &Deadline<'_, R>,
) -> Result<bool, Failure> {
    let until = Instant::now() + time;
    loop {
        let sockets = std::slice::from_ref(&kept.connection.socket);
        sockets[0].socket().want_nothing();
        let ready = deadline.ready_before(sockets, Some(until)).await?;
        if ready && !kept.connection.is_alive() {
            return Ok(false);
        }
        if Instant::now() >= until {
            kept.idled += time;
            return Ok(kept.connection.is_alive());
        }
    }
}
