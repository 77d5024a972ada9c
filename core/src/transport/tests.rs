//! What holds for exchanges as a whole, shown against small servers on loopback.

mod asynchronous;
mod authorities;
mod closing;
mod coding;
mod connecting;
mod forks;
mod heads;
mod limits;
mod line;
mod reuse;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::*;
use crate::test_support::limits::within;

const SECOND: Duration = Duration::from_secs(1);

fn plain(port: u16) -> LinkSettings {
    LinkSettings {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        ca_bundle: None,
        system_roots: SystemRoots::default(),
        proxy: None,
        max_connections: 64,
    }
}

/// A link of this test's own: the table of the process is not asked.
fn link(settings: LinkSettings) -> Arc<Link> {
    Arc::new(Link::new(settings, resolve::ask_system).unwrap())
}

fn limits(time: Duration) -> Limits {
    Limits {
        deadline: Instant::now() + time,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(45),
        max_response_bytes: 1 << 20,
    }
}

/// Tries it ten times at most, until it is in time. A busy machine is late now and then; what is late itself is so each time.
fn in_time(what: &str, mut attempt: impl FnMut() -> Result<(), String>) {
    let late: Vec<String> = (0..10).map_while(|_| attempt().err()).collect();
    if !late.is_empty() {
        println!("{what}: {}", late.join(", "));
    }
    assert!(late.len() < 10, "{what}: late each time: {late:?}");
}

/// An end that was due after that time. One that is later than `late` is not in time; ten times that is too much each time.
fn ended(took: Duration, due: Duration, late: Duration) -> Result<(), String> {
    assert!(took >= due, "{took:?} instead of {due:?}");
    assert!(took < due + 10 * late, "{took:?} instead of {due:?}");
    match took < due + late {
        true => Ok(()),
        false => Err(format!("{took:?} instead of {due:?}")),
    }
}

/// A request without credentials, which may be repeated.
fn request<'a>(body: &'static str, headers: &'a HeaderMap, sent: &'a AtomicBool) -> Request<'a> {
    Request {
        method: &Method::POST,
        target: "/a?b=c",
        headers,
        body: Bytes::from_static(body.as_bytes()),
        keep_secret: false,
        repeatable: true,
        urgent: false,
        sent,
    }
}

fn authorize(headers: &mut HeaderMap) {
    headers.insert("authorization", HeaderValue::from_static("Bearer t"));
}

fn post(link: &Link, body: &'static str, limits: &Limits) -> Result<Answer, Failure> {
    post_until(link, body, limits, None)
}

fn post_until(
    link: &Link,
    body: &'static str,
    limits: &Limits,
    interrupt: Option<&dyn Fn() -> bool>,
) -> Result<Answer, Failure> {
    let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
    let request = request(body, &headers, &sent);
    link.exchange(&request, limits, interrupt, &mut authorize)
}

/// Who waits for an exchange: each has to keep the same promises.
#[derive(Clone, Copy, Debug)]
enum By {
    Caller,
    /// The library's thread.
    Task,
    /// A tokio runtime of the caller, which ends behind the exchange.
    Runtime,
}

const EACH: [By; 3] = [By::Caller, By::Task, By::Runtime];

impl By {
    /// A request that may be repeated.
    fn send(self, link: &Arc<Link>, body: &'static str, time: Duration) -> Result<Answer, Failure> {
        self.post(link, body, limits(time))
    }

    fn post(self, link: &Arc<Link>, body: &'static str, limits: Limits) -> Result<Answer, Failure> {
        self.exchange(
            link,
            move |request| Request {
                body: body.into(),
                ..request
            },
            limits,
            None,
        )
    }

    /// A request that may not be repeated.
    fn charge(self, link: &Arc<Link>, time: Duration) -> Result<Answer, Failure> {
        self.exchange(link, charge, limits(time), None)
    }

    /// The same, given up by its caller after a time.
    fn charge_until(self, link: &Arc<Link>, time: Duration) -> Result<Answer, Failure> {
        let given_up = Some(Instant::now() + time);
        self.exchange(link, charge, limits(20 * SECOND), given_up)
    }

    /// A request of a kind, until its caller gives up.
    fn exchange(
        self,
        link: &Arc<Link>,
        kind: impl FnOnce(Request<'_>) -> Request<'_> + Send + 'static,
        limits: Limits,
        given_up: Option<Instant>,
    ) -> Result<Answer, Failure> {
        self.exchange_as(link, kind, limits, given_up, authorize)
    }

    /// The same, with credentials of the caller's.
    fn exchange_as(
        self,
        link: &Arc<Link>,
        kind: impl FnOnce(Request<'_>) -> Request<'_> + Send + 'static,
        limits: Limits,
        given_up: Option<Instant>,
        mut authorize: impl FnMut(&mut HeaderMap) + Send + 'static,
    ) -> Result<Answer, Failure> {
        let runtime = match self {
            By::Caller => {
                let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
                let request = kind(request("", &headers, &sent));
                let stop = || given_up.is_some_and(|end| Instant::now() >= end);
                let interrupt: Option<&dyn Fn() -> bool> = given_up.is_some().then_some(&stop);
                return link.exchange(&request, &limits, interrupt, &mut authorize);
            }
            By::Task => Tokio::Library,
            By::Runtime => Tokio::Callers,
        };
        let link = link.clone();
        runtime.run(async move {
            let (headers, sent) = (HeaderMap::new(), AtomicBool::new(false));
            let request = kind(request("", &headers, &sent));
            let exchange = link.exchange_async(&request, &limits, runtime, None, authorize);
            let end = given_up.unwrap_or(limits.deadline + 10 * SECOND);
            let ended = tokio::time::timeout_at(end.into(), exchange).await;
            let result = ended.unwrap_or_else(|_| {
                let dropped = Failure::before_sending(FailureKind::Canceled, "dropped".to_owned());
                Err(Failure {
                    sent: sent.load(Ordering::Acquire),
                    ..dropped
                })
            });
            if let Err(failure) = &result {
                assert_eq!(failure.sent, sent.load(Ordering::Acquire));
            }
            result
        })
    }
}

const TASKS: [Tokio; 2] = [Tokio::Library, Tokio::Callers];

impl Tokio {
    /// Starts a task. With a runtime of the caller, it has a thread and a runtime of its own.
    fn start(self, task: impl Future<Output = ()> + Send + 'static) {
        match self {
            Tokio::Library => drop(runtime::spawn(task).unwrap()),
            Tokio::Callers => drop(std::thread::spawn(move || callers_runtime().block_on(task))),
        }
    }

    fn run<T: Send + 'static>(self, task: impl Future<Output = T> + Send + 'static) -> T {
        let (tx, rx) = mpsc::channel();
        self.start(async move {
            let _ = tx.send(task.await);
        });
        rx.recv_timeout(60 * SECOND).unwrap()
    }
}

fn callers_runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

fn charge(request: Request<'_>) -> Request<'_> {
    Request {
        body: Bytes::from_static(b"{}"),
        repeatable: false,
        ..request
    }
}

fn urgent(request: Request<'_>) -> Request<'_> {
    Request {
        urgent: true,
        ..request
    }
}
