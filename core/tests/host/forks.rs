//! A plain `fork()`: while other threads call and refresh, and of a process that waits for calls.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pay88::ffi::{prepare_request, prepare_token};
use pay88::{Control, Error, ErrorCode, Outcome, Request, Response, TokenManager};
use pay88_sandbox::{Action, Fault, Match};
use serde_json::json;

use crate::harness::{Harness, until};
use crate::worker::TOKEN_DELAY;

#[test]
fn forks_in_the_middle_of_calls_and_refreshes_hurt_neither_parent_nor_child() {
    // A token is used for a second, and a third of that second a refresh is under way.
    let mut harness = Harness::with(|config| {
        config.expires_in = 11.into();
        config.tokens_per_minute = 1_000;
        config.tokens_per_hour = 10_000;
        config.token_delay = TOKEN_DELAY;
    });
    harness.set("tokens_per_minute", "1000");
    harness.set("tokens_per_hour", "10000");
    let mut worker = harness.worker();
    let begun = Instant::now();
    let descriptors = |result: &serde_json::Value| result["descriptors"].as_u64().unwrap();
    let before = descriptors(&worker.ask("forks 0"));
    let (mut after, mut in_refreshes) = (before, 0);
    // In parts, since each answer has its limit.
    for _ in 0..20 {
        let result = worker.ask("forks 10");
        assert_eq!(result["failed"], json!([]), "{result}");
        assert_eq!(result["children"], 10);
        after = descriptors(&result);
        in_refreshes += result["in_refreshes"].as_u64().unwrap();
    }
    let took = begun.elapsed();
    println!(
        "200 forks in {took:?}, {in_refreshes} of them in refreshes; {before} descriptors before, {after} after"
    );
    // Of the connections that are kept there may be some more now.
    assert!(after <= before + 8, "{before} descriptors, then {after}");
    // About one in each refresh, since such a child waits for its end.
    assert!(in_refreshes >= 10, "{in_refreshes}");
    let counters = harness.sandbox.counters();
    assert!(
        counters.tokens_refused.is_empty() && counters.unauthorized == 0,
        "{counters:?}"
    );
    // A token is renewed after 0.9 s; the request of a child that ends in the middle of it is made once more.
    let most = 2 * took.as_secs() + 5;
    assert!(counters.tokens_issued <= most, "{counters:?}");
}

/// Forks; the child ends with what it finds wrong, 0 for nothing, and the parent with that number.
fn in_a_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child calls into the library, which is what is tested, and ends without any destructor.
    let process = unsafe { libc::fork() };
    if process == 0 {
        // SAFETY: the child hangs no longer than that, and ends.
        unsafe {
            libc::alarm(20);
            libc::_exit(catch_unwind(AssertUnwindSafe(child)).unwrap_or(101));
        }
    }
    let mut status = 0;
    // SAFETY: waits for the child just made, which its alarm ends.
    unsafe { libc::waitpid(process, &mut status, 0) };
    status
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What the future gives in the end; nobody wakes, so it is asked again and again.
fn finish<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let mut output = None;
    until(Duration::from_secs(20), "it ends", || {
        if let Poll::Ready(value) = poll(future.as_mut()) {
            output = Some(value);
        }
        output.is_some()
    });
    output.unwrap()
}

fn is_forked(error: &Error, outcome: Outcome, retryable: bool) -> bool {
    error.code() == ErrorCode::Forked
        && error.outcome() == outcome
        && error.retryable() == retryable
        && !error.hint().is_empty()
}

fn charge(manager: &TokenManager) -> impl Future<Output = Result<Response, Error>> {
    manager.make_request_async(Request::post("/api/echo").json(&json!({})))
}

#[test]
fn what_a_parent_waits_for_ends_with_forked_in_a_child_and_well_in_the_parent() {
    let harness = Harness::with(|config| config.token_delay = Duration::from_secs(4));
    let manager = harness.manager();
    let mut token = pin!(manager.get_token_async());
    let mut post = pin!(charge(&manager));
    let mut get = pin!(manager.make_request_async(Request::get("/api/echo")));
    // Given up by the child without another look.
    let mut dropped = Some(Box::pin(charge(&manager)));
    assert!(poll(token.as_mut()).is_pending());
    assert!(poll(post.as_mut()).is_pending());
    assert!(poll(get.as_mut()).is_pending());
    assert!(poll(dropped.as_mut().unwrap().as_mut()).is_pending());
    // Not begun, so it is the child's as well as the parent's.
    let mut later = pin!(charge(&manager));
    let (done, prepared) = channel();
    let task = prepare_token(&manager, None, move |result| done.send(result).unwrap());
    let mut task = Some(task.unwrap());

    let status = in_a_child(|| {
        let Poll::Ready(Err(token)) = poll(token.as_mut()) else {
            return 2;
        };
        let Poll::Ready(Err(post)) = poll(post.as_mut()) else {
            return 3;
        };
        let Poll::Ready(Err(get)) = poll(get.as_mut()) else {
            return 4;
        };
        drop(dropped.take());
        let told = is_forked(&token, Outcome::NotSent, true)
            && is_forked(&post, Outcome::Unknown, false)
            && is_forked(&get, Outcome::Unknown, true);
        if !told {
            return 5;
        }
        if !matches!(finish(later.as_mut()), Ok(answer) if answer.status() == 200) {
            return 6;
        }
        task.take().unwrap().start();
        match prepared.recv_timeout(Duration::from_secs(10)) {
            Ok(Ok(_)) => 0,
            _ => 7,
        }
    });
    assert_eq!(status, 0, "{:#x}", status);
    assert!(finish(token).is_ok());
    assert_eq!(finish(post).unwrap().status(), 200);
    assert_eq!(finish(get).unwrap().status(), 200);
    assert_eq!(finish(later).unwrap().status(), 200);
    let dropped = dropped.unwrap();
    assert_eq!(finish(pin!(dropped)).unwrap().status(), 200);
    task.unwrap().start();
    assert!(prepared.recv_timeout(Duration::from_secs(10)).is_ok());
}

#[test]
fn a_child_forked_by_the_interrupt_of_a_blocking_call_leaves_the_call_to_its_parent() {
    let harness = Harness::with(|config| {
        config.token_delay = Duration::from_secs(2);
        config.call_delay = Duration::from_secs(2);
    });
    let manager = harness.manager();
    // In the wait for a token, and in the wait for an answer.
    for (call, outcome) in [(false, Outcome::NotSent), (true, Outcome::Unknown)] {
        let is_sent = || match harness.sandbox.counters() {
            counters if call => counters.calls > 0,
            counters => counters.tokens_requested > 0,
        };
        let child = AtomicI32::new(-1);
        let interrupt = || {
            if child.load(Ordering::Relaxed) == -1 && is_sent() {
                // SAFETY: the child goes on in the library, which is what is tested, until it ends below.
                child.store(unsafe { libc::fork() }, Ordering::Relaxed);
                if child.load(Ordering::Relaxed) == 0 {
                    // SAFETY: the child hangs no longer than that.
                    unsafe { libc::alarm(20) };
                }
            }
            false
        };
        let control = Control {
            interrupt: Some(&interrupt),
            ..Control::default()
        };
        let ended = if call {
            manager
                .make_request_with(Request::post("/api/echo").json(&json!({})), control)
                .map(|answer| assert_eq!(answer.status(), 200))
        } else {
            manager.get_token_with(control).map(|_| ())
        };
        let child = child.into_inner();
        if child == 0 {
            let retryable = outcome == Outcome::NotSent;
            let good = ended.is_err_and(|error| is_forked(&error, outcome, retryable));
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        assert!(child > 0 && ended.is_ok(), "{ended:?}");
        let mut status = 0;
        // SAFETY: waits for the child made above, which its alarm ends.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0, "call: {call}");
    }
}

/// Bindings know a token by its number: the object that they made of the dropped one must not stand for another.
#[test]
fn a_token_dropped_before_a_fork_stays_dropped_in_the_child_and_its_number_is_not_used_again() {
    for share in ["process", "host"] {
        let mut harness = Harness::new();
        if share == "process" {
            harness.set("share", share);
        }
        let manager = harness.manager();
        let first = manager.get_token().unwrap();
        assert_eq!(manager.invalidate(), Ok(true));
        let is_another = || {
            let token = manager.get_token().unwrap();
            token.access_token() != first.access_token() && token.generation() > first.generation()
        };
        let status = in_a_child(|| {
            let of_grandchild = in_a_child(|| i32::from(!is_another()));
            of_grandchild | i32::from(!is_another()) << 1
        });
        assert_eq!(status, 0, "{share}: {status:#x}");
        assert!(is_another(), "{share}");
    }
}

#[test]
fn a_token_that_was_dropped_while_the_others_could_not_be_told_is_not_taken_from_them_by_a_child() {
    let harness = Harness::new();
    let manager = harness.manager();
    let first = manager.get_token().unwrap();
    fs::rename(&harness.dir, harness.away()).unwrap();
    assert_eq!(manager.invalidate(), Ok(true));
    fs::rename(harness.away(), &harness.dir).unwrap();
    let status = in_a_child(|| {
        let token = manager.get_token().unwrap();
        i32::from(token.access_token() == first.access_token())
    });
    assert_eq!(status, 0, "{status:#x}");
}

#[test]
fn the_first_token_that_a_child_drops_costs_a_slot_of_the_reserve_too() {
    for share in ["process", "host"] {
        let mut harness = Harness::new();
        if share == "process" {
            harness.set("share", share);
        }
        let manager = harness.manager();
        manager.get_token().unwrap();
        let status = in_a_child(|| {
            let begun = Instant::now();
            assert_eq!(manager.invalidate(), Ok(true), "the token of the parent");
            manager.get_token().unwrap();
            let again = manager.invalidate();
            // The reserve has one token in 10 s.
            let costs = again.is_err_and(|error| error.code() == ErrorCode::RateLimited);
            i32::from(!costs && begun.elapsed() < Duration::from_secs(10))
        });
        assert_eq!(status, 0, "{share}: {status:#x}");
    }
}

/// Forks once, in code of the caller's that the library runs on a thread of its own; the child returns from it.
struct Forks {
    child: AtomicI32,
    /// How often the child came back to code of the caller's, in memory that both processes have.
    returned: &'static AtomicI32,
}

impl Forks {
    fn new() -> Arc<Forks> {
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh page, zeroed, which is never unmapped.
        let returned = unsafe {
            let page = libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            &*page.cast::<AtomicI32>()
        };
        Arc::new(Forks {
            child: AtomicI32::new(-1),
            returned,
        })
    }

    fn run(&self) {
        if self.child.load(Ordering::SeqCst) == 0 {
            self.returned.fetch_add(1, Ordering::SeqCst);
        }
        if self.child.load(Ordering::SeqCst) == -1 {
            // SAFETY: the child goes back to the library, which is what is tested, and is killed below.
            self.child.store(unsafe { libc::fork() }, Ordering::SeqCst);
        }
    }
}

impl Wake for Forks {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

#[test]
fn a_child_forked_by_who_takes_a_result_on_a_thread_of_the_library_carries_nothing_on() {
    let by_closure = |manager: &TokenManager, forks: &Arc<Forks>| {
        let forks = forks.clone();
        prepare_request(manager, Request::get("/api/other"), move |_| forks.run())
            .unwrap()
            .start();
    };
    let by_waker = |manager: &TokenManager, forks: &Arc<Forks>| {
        let waker = Waker::from(forks.clone());
        let mut call = Box::pin(manager.make_request_async(Request::get("/api/other")));
        let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        // Dropped it would be canceled.
        std::mem::forget(call);
    };
    type Start = dyn Fn(&TokenManager, &Arc<Forks>);
    let ways: [(&str, &Start); 2] = [("closure", &by_closure), ("waker", &by_waker)];
    for (way, start) in ways {
        let harness = Harness::with(|_| ());
        let manager = harness.manager();
        manager.get_token().unwrap();
        let again = Action::status_with(429, &[("Retry-After", "2")]);
        let path = || Match::Path("/api/echo".to_owned());
        harness.sandbox.fault(Fault::once(path(), again));
        let (done, result) = channel();
        let post = Request::post("/api/echo").json(&json!({}));
        let task = prepare_request(&manager, post, move |result| done.send(result).unwrap());
        task.unwrap().start();
        until(Duration::from_secs(10), "it is in its pause", || {
            harness.sandbox.counters().faults_played == 1
        });
        let forks = Forks::new();
        start(&manager, &forks);
        let answer = result.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(answer.unwrap().status(), 200, "{way}");
        // The pause of a copy would be over as well by then.
        std::thread::sleep(Duration::from_secs(1));
        let child = forks.child.load(Ordering::SeqCst);
        assert!(child > 0, "{way}");
        let mut status = 0;
        // SAFETY: asks for, kills and takes the child that was made above.
        let waits = unsafe {
            let waits = libc::waitpid(child, &mut status, libc::WNOHANG) == 0;
            libc::kill(child, libc::SIGKILL);
            waits && libc::waitpid(child, &mut status, 0) == child
        };
        assert!(waits, "{way}: the child has ended: {status:#x}");
        assert_eq!(forks.returned.load(Ordering::SeqCst), 0, "{way}");
        // Refused once, sent again once, and the other one.
        assert_eq!(harness.sandbox.counters().calls, 3, "{way}");
    }
}
