//! Requests that wait until one of the connections that they may have is free.

use std::io::Write;
use std::pin::pin;
use std::task::Poll;

use super::server::{OK, Server, answer_all, read_request};
use super::*;
use crate::test_support::limits::in_a_child;

fn at_most(connections: usize, port: u16) -> Arc<Link> {
    link(LinkSettings {
        max_connections: connections,
        ..plain(port)
    })
}

/// A server that answers the first request of all when it is told to, and the others at once.
struct Holding {
    server: Server,
    /// The bodies of the requests, in the order in which they came.
    seen: mpsc::Receiver<String>,
    go_on: mpsc::Sender<()>,
}

impl Holding {
    fn new() -> Holding {
        let (see, seen) = mpsc::channel();
        let (go_on, order) = mpsc::channel();
        let first = Mutex::new(Some(order));
        let server = Server::raw(move |mut stream, _| {
            while let Some(request) = read_request(&mut stream) {
                let body = request.rsplit("\r\n").next().unwrap_or_default();
                let _ = see.send(body.to_owned());
                let first = first.lock().unwrap().take();
                if let Some(order) = first {
                    let _ = order.recv();
                }
                let _ = stream.write_all(OK);
            }
        });
        Holding {
            server,
            seen,
            go_on,
        }
    }

    fn next(&self) -> String {
        self.seen.recv_timeout(60 * SECOND).unwrap()
    }

    /// The call that is held, once it is.
    fn hold(&self, link: &Arc<Link>) -> std::thread::JoinHandle<Result<Answer, Failure>> {
        let link = link.clone();
        let call = std::thread::spawn(move || By::Caller.send(&link, "held", 60 * SECOND));
        assert_eq!(self.next(), "held");
        call
    }
}

/// Starts a call that has to wait for a connection, and returns when it stands in the line.
fn stand_in_line(
    by: By,
    link: &Arc<Link>,
    body: &'static str,
    result: mpsc::Sender<Result<Answer, Failure>>,
) {
    let (tx, standing) = mpsc::channel();
    let link = link.clone();
    let runtime = match by {
        By::Caller => {
            std::thread::spawn(move || {
                // It is asked once before it stands there, and again when it has waited for a while.
                let asked = std::cell::Cell::new(0);
                let interrupt = || {
                    asked.set(asked.get() + 1);
                    if asked.get() == 3 {
                        let _ = tx.send(());
                    }
                    false
                };
                let limits = limits(60 * SECOND);
                let _ = result.send(post_until(&link, body, &limits, Some(&interrupt)));
            });
            return standing.recv_timeout(60 * SECOND).unwrap();
        }
        By::Task => Tokio::Library,
        By::Runtime => Tokio::Callers,
    };
    runtime.start(async move {
        let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
        let (request, limits) = (request(body, &headers, &sent), limits(60 * SECOND));
        let mut exchange = pin!(link.exchange_async(&request, &limits, runtime, None, authorize));
        let answer = std::future::poll_fn(|context| {
            let polled = exchange.as_mut().poll(context);
            if polled.is_pending() {
                let _ = tx.send(());
            }
            polled
        });
        let _ = result.send(answer.await);
    });
    standing.recv_timeout(60 * SECOND).unwrap()
}

#[test]
fn threads_and_tasks_stand_in_one_line_and_come_in_their_order() {
    within(240 * SECOND, || {
        let holding = Holding::new();
        let link = at_most(1, holding.server.port);
        let held = holding.hold(&link);
        let (tx, rx) = mpsc::channel();
        let order = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
        for (body, by) in order.into_iter().zip(EACH.into_iter().cycle()) {
            stand_in_line(by, &link, body, tx.clone());
        }
        assert!(holding.seen.try_recv().is_err());
        holding.go_on.send(()).unwrap();
        for body in order {
            assert_eq!(holding.next(), body);
            assert_eq!(rx.recv_timeout(60 * SECOND).unwrap().unwrap().body, b"ok");
        }
        held.join().unwrap().unwrap();
        assert_eq!(holding.server.connections(), 1);
    });
}

#[test]
fn no_more_connections_are_open_at_once_than_allowed() {
    within(240 * SECOND, || {
        for by in EACH {
            let (now, most) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
            let (its_now, its_most) = (now.clone(), most.clone());
            let server = Server::raw(move |mut stream, _| {
                {
                    let mut now = its_now.lock().unwrap();
                    *now += 1;
                    let mut most = its_most.lock().unwrap();
                    *most = (*most).max(*now);
                }
                answer_all(&mut stream);
                *its_now.lock().unwrap() -= 1;
            });
            let link = at_most(3, server.port);
            std::thread::scope(|scope| {
                for _ in 0..12 {
                    scope.spawn(|| {
                        for _ in 0..5 {
                            by.send(&link, "x", 60 * SECOND).unwrap();
                        }
                    });
                }
            });
            let most = *most.lock().unwrap();
            assert!(most <= 3, "{by:?}: {most}");
            assert!(server.connections() <= 3, "{by:?}");
        }
    });
}

#[test]
fn a_connection_that_must_not_be_used_makes_room_for_one_that_may() {
    within(240 * SECOND, || {
        for by in EACH {
            let server = Server::raw(|mut stream, _| answer_all(&mut stream));
            let link = at_most(1, server.port);
            by.send(&link, "x", 60 * SECOND).unwrap();
            let pool = &link.shared().unwrap().pool;
            // From here on no charge uses a kept connection.
            pool.saw_close(Duration::ZERO);
            for count in 2..6 {
                by.charge(&link, 60 * SECOND).unwrap();
                assert_eq!((server.connections(), pool.open()), (count, 1), "{by:?}");
            }
        }
    });
}

#[test]
fn whoever_waits_too_long_has_sent_nothing_and_leaves_the_line() {
    within(240 * SECOND, || {
        for by in EACH {
            let holding = Holding::new();
            let link = at_most(1, holding.server.port);
            let held = holding.hold(&link);
            let late = by.send(&link, "late", SECOND).unwrap_err();
            assert_eq!((late.kind, late.sent), (FailureKind::Timeout, false));
            assert!(late.message.contains("max_connections"), "{late:?}");
            let stopped = by.charge_until(&link, SECOND).unwrap_err();
            let got = (stopped.kind, stopped.sent);
            assert_eq!(got, (FailureKind::Canceled, false), "{by:?}");
            let limits = Limits {
                connect_timeout: SECOND / 10,
                ..limits(SECOND / 2)
            };
            let late = by.post(&link, "late", limits).unwrap_err();
            assert_eq!(late.kind, FailureKind::Timeout, "waiting is not connecting");
            holding.go_on.send(()).unwrap();
            held.join().unwrap().unwrap();
            by.send(&link, "next", 60 * SECOND).unwrap();
            assert_eq!(holding.next(), "next");
            assert_eq!(holding.server.connections(), 1);
        }
    });
}

#[test]
fn a_place_that_comes_when_the_time_is_over_is_left_and_nothing_is_sent() {
    within(240 * SECOND, || {
        let holding = Holding::new();
        let link = at_most(1, holding.server.port);
        let held = holding.hold(&link);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
            let (request, limits) = (request("late", &headers, &sent), limits(SECOND));
            let late = link.exchange_async(&request, &limits, Tokio::Callers, None, authorize);
            let mut late = pin!(late);
            let standing = std::future::poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx)));
            assert!(standing.await.is_pending());
            holding.go_on.send(()).unwrap();
            // It runs on, though its runtime is blocked: the place is there.
            held.join().unwrap().unwrap();
            std::thread::sleep(SECOND);
            let failure = late.await.unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Timeout, false));
        });
        By::Caller.send(&link, "next", 60 * SECOND).unwrap();
        assert_eq!(holding.next(), "next");
    });
}

/// A task that is to stop is dropped only after it was polled once more.
#[test]
fn a_place_that_comes_when_its_task_is_to_stop_is_left_and_nothing_is_sent() {
    within(240 * SECOND, || {
        let holding = Holding::new();
        let link = at_most(1, holding.server.port);
        let held = holding.hold(&link);
        let stop = AtomicBool::new(false);
        let interrupt = || stop.load(Ordering::Acquire);
        callers_runtime().block_on(async {
            let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
            let (request, limits) = (request("late", &headers, &sent), limits(60 * SECOND));
            let interrupt: Option<&(dyn Fn() -> bool + Sync)> = Some(&interrupt);
            let late = link.exchange_async(&request, &limits, Tokio::Callers, interrupt, authorize);
            let mut late = pin!(late);
            let standing = std::future::poll_fn(|cx| Poll::Ready(late.as_mut().poll(cx)));
            assert!(standing.await.is_pending());
            holding.go_on.send(()).unwrap();
            held.join().unwrap().unwrap();
            stop.store(true, Ordering::Release);
            let failure = late.await.unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Canceled, false));
        });
        By::Caller.send(&link, "next", 60 * SECOND).unwrap();
        assert_eq!(holding.next(), "next");
    });
}

#[test]
fn what_is_urgent_waits_for_no_call() {
    within(240 * SECOND, || {
        for by in EACH {
            let holding = Holding::new();
            let link = at_most(1, holding.server.port);
            let held = holding.hold(&link);
            by.exchange(&link, urgent, limits(60 * SECOND), None)
                .unwrap();
            holding.go_on.send(()).unwrap();
            held.join().unwrap().unwrap();
            // Both were open at once, and one of them was too many.
            assert_eq!(link.shared().unwrap().pool.open(), 1, "{by:?}");
        }
    });
}

#[test]
fn a_forked_child_has_a_line_of_its_own() {
    within(240 * SECOND, || {
        let holding = Holding::new();
        let link = at_most(1, holding.server.port);
        let held = holding.hold(&link);
        let (tx, rx) = mpsc::channel();
        for by in EACH {
            stand_in_line(by, &link, "waits", tx.clone());
        }
        let status = in_a_child(|| {
            let good = |by: By| by.send(&link, "child", 10 * SECOND).is_ok();
            i32::from(!good(By::Caller)) | i32::from(!good(By::Caller)) << 1
        });
        assert_eq!(status, 0);
        assert_eq!(
            (holding.next(), holding.next()),
            ("child".into(), "child".into())
        );
        holding.go_on.send(()).unwrap();
        held.join().unwrap().unwrap();
        for _ in EACH {
            rx.recv_timeout(60 * SECOND).unwrap().unwrap();
            assert_eq!(holding.next(), "waits");
        }
    });
}

#[test]
fn a_child_that_was_forked_in_the_line_leaves_it_to_its_parent() {
    within(240 * SECOND, || {
        let holding = Holding::new();
        let link = at_most(1, holding.server.port);
        let held = holding.hold(&link);
        let (shared, begun_in) = (link.shared().unwrap(), std::process::id());
        let (forked, go) = mpsc::channel();
        let (asked, status) = (std::cell::Cell::new(0), std::cell::Cell::new(None));
        let interrupt = || {
            asked.set(asked.get() + 1);
            if asked.get() == 3 {
                // SAFETY: the child leaves by `_exit`.
                match unsafe { libc::fork() } {
                    // SAFETY: a plain system call.
                    0 => drop(unsafe { libc::alarm(20) }),
                    child => {
                        status.set(Some(child));
                        forked.send(()).unwrap();
                    }
                }
            }
            false
        };
        let limits = limits(60 * SECOND);
        let reactor = CallersThread::new(Some(&interrupt));
        let entering = async {
            let mut deadline = deadline::Deadline::new(&reactor, limits.deadline);
            shared.line.enter(&mut deadline).await.map(drop)
        };
        let goer = holding.go_on.clone();
        let begun = std::thread::spawn(move || {
            go.recv().unwrap();
            std::thread::sleep(SECOND / 5);
            let _ = goer.send(());
        });
        let result = run_here(entering);
        if std::process::id() != begun_in {
            let canceled = result.is_err_and(|f| f.kind == FailureKind::Canceled);
            // SAFETY: leaves the child without running the parent's handlers.
            unsafe { libc::_exit(i32::from(!canceled)) };
        }
        result.unwrap();
        let mut code = 0;
        // SAFETY: waits for the child that was forked above.
        unsafe { libc::waitpid(status.get().unwrap(), &mut code, 0) };
        assert_eq!(code, 0);
        begun.join().unwrap();
        held.join().unwrap().unwrap();
        By::Caller.send(&link, "next", 60 * SECOND).unwrap();
    });
}
