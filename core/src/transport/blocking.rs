//! A request and its answer on the caller's own thread, without a runtime.
//!
//! hyper's HTTP/1.1 connection is polled inline; where it cannot go on, the thread waits for the
//! socket by `poll(2)` until the deadline, in slices if the caller has an interrupt. A request is
//! never written twice, except where the first connection took not one byte of it.

use std::fmt::Display;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http::header::HOST;
use http_body_util::Full;
use hyper::body::Body;
use hyper::client::conn::http1;

use super::body::BodyBuffer;
use super::socket::Socket;
use super::stream::Stream;
use super::wait::Wait;
use super::{
    Answer, Failure, FailureKind, Limits, Link, Request, Shared, coding, headers_to_send, tls,
};

/// One HTTP/1.1 connection, used by one request at a time.
pub(super) struct Connection {
    socket: Arc<Socket>,
    requests: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Stream, Full<Bytes>>,
    ended: bool,
    awake: Arc<Awake>,
}

/// Told by hyper that polling again makes sense.
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

pub(super) fn exchange(
    link: &Link,
    request: &Request<'_>,
    limits: &Limits<'_>,
    authorize: &mut dyn FnMut(&mut HeaderMap),
) -> Result<Answer, Failure> {
    let mut wait = Wait::new(limits);
    wait.slice()?;
    let shared = link.shared()?;
    loop {
        let kept = shared.pool.take(limits.idle_timeout);
        let reused = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => {
                wait.begin_connecting(limits.connect_timeout);
                let opened = Connection::open(link, shared, &mut wait)?;
                wait.end_connecting();
                opened
            }
        };
        match connection.exchange(link, request, limits, &mut wait, authorize) {
            Ok(answer) => {
                if connection.is_reusable() {
                    shared.pool.put(connection, limits.idle_timeout);
                }
                return Ok(answer);
            }
            // Closed between the test and the first byte: nothing left this process.
            Err(failure) if reused && !failure.sent && failure.kind == FailureKind::Cut => {}
            Err(failure) => return Err(failure),
        }
    }
}

impl Connection {
    fn open(link: &Link, shared: &Shared, wait: &mut Wait<'_>) -> Result<Connection, Failure> {
        let settings = &link.settings;
        let addresses = shared.resolver.resolve(wait)?;
        let target = super::authority(&settings.host, settings.port);
        let peer = settings.proxy.as_ref().map(|proxy| proxy.shown());
        let socket = Socket::connect(&addresses, peer.as_ref().unwrap_or(&target), wait)?;
        if let Some(proxy) = &settings.proxy {
            proxy.tunnel(&target, &socket, wait)?;
        }
        let tls = match &shared.tls {
            Some((config, name)) => {
                Some(tls::handshake(config, name, tls::OPTIONS, &socket, wait)?)
            }
            None => None,
        };
        let socket = Arc::new(socket);
        let stream = Stream {
            socket: socket.clone(),
            tls,
        };
        // hyper's handshake exchanges nothing: it is ready at its first poll.
        let mut handshake = pin!(http1::Builder::new().handshake(stream));
        match handshake
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok((requests, driver))) => Ok(Connection {
                socket,
                requests,
                driver,
                ended: false,
                awake: Arc::new(Awake(AtomicBool::new(false))),
            }),
            Poll::Ready(Err(e)) => Err(internal(&e)),
            Poll::Pending => Err(internal(&"no HTTP connection could be set up")),
        }
    }

    /// Looks, without waiting, whether the server closed the connection or said something unasked for.
    pub(super) fn is_alive(&mut self) -> bool {
        self.socket.look_again();
        self.settle();
        self.is_reusable()
    }

    fn is_reusable(&self) -> bool {
        !self.ended && self.requests.is_ready()
    }

    /// Lets the connection do all that it can do at once.
    fn settle(&mut self) {
        while self.drive() {}
    }

    /// Polls the connection once; true if polling again makes sense.
    fn drive(&mut self) -> bool {
        self.awake.0.store(false, Ordering::Release);
        if !self.ended {
            let waker = Waker::from(self.awake.clone());
            // An error also reaches the request that it ended, and is told there.
            self.ended = Pin::new(&mut self.driver)
                .poll(&mut Context::from_waker(&waker))
                .is_ready();
        }
        self.awake.0.load(Ordering::Acquire)
    }

    /// Drives the connection until `poll` is ready, waiting for the socket in between.
    fn run<T>(
        &mut self,
        wait: &mut Wait<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Failure> {
        let waker = Waker::from(self.awake.clone());
        loop {
            wait.slice()?;
            self.socket.want_nothing();
            self.drive();
            if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
                return Ok(value);
            }
            if self.awake.0.load(Ordering::Acquire) {
                continue;
            }
            if self.ended {
                return Err(Failure::before_sending(
                    FailureKind::Cut,
                    "the connection ended without an answer".to_owned(),
                ));
            }
            self.socket.wait_wanted(wait)?;
        }
    }

    fn exchange(
        &mut self,
        link: &Link,
        request: &Request<'_>,
        limits: &Limits<'_>,
        wait: &mut Wait<'_>,
        authorize: &mut dyn FnMut(&mut HeaderMap),
    ) -> Result<Answer, Failure> {
        self.socket.start_counting();
        let result = self.send_and_receive(link, request, limits, wait, authorize);
        result.map_err(|failure| Failure {
            sent: self.socket.sent() > 0,
            ..failure
        })
    }

    fn send_and_receive(
        &mut self,
        link: &Link,
        request: &Request<'_>,
        limits: &Limits<'_>,
        wait: &mut Wait<'_>,
        authorize: &mut dyn FnMut(&mut HeaderMap),
    ) -> Result<Answer, Failure> {
        wait.enter("before the answer came");
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.target.parse().map_err(|e| internal(&e))?;
        let mut headers = headers_to_send(request.headers.clone(), request.method, &request.body);
        headers.insert(HOST, link.host_header.clone());
        authorize(&mut headers);
        *outgoing.headers_mut() = headers;

        let mut answer = pin!(self.requests.send_request(outgoing));
        let response = self.run(wait, |cx| answer.as_mut().poll(cx))?;
        let (head, mut body) = response.map_err(|e| Failure::of_exchange(&e))?.into_parts();

        wait.enter("before the answer was complete");
        let mut buffer = BodyBuffer::new(
            body.size_hint().lower(),
            limits.max_response_bytes,
            request.keep_secret,
        )?;
        loop {
            let frame = self.run(wait, |cx| Pin::new(&mut body).poll_frame(cx));
            let Some(frame) = frame.map_err(Failure::in_answer)? else {
                break;
            };
            let frame = frame.map_err(|e| Failure::of_exchange(&e).in_answer())?;
            if let Ok(data) = frame.into_data() {
                buffer.append(&data)?;
            }
        }
        // hyper has to see that the message is over before the connection is free again.
        self.settle();
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            body: buffer.into_inner(),
        };
        let decoding = coding::decode(answer, limits.max_response_bytes, request.keep_secret);
        let mut decoding = pin!(decoding);
        self.run(wait, |cx| decoding.as_mut().poll(cx))?
    }
}

fn internal(why: &dyn Display) -> Failure {
    Failure::before_sending(FailureKind::Internal, why.to_string())
}
