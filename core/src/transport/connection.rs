//! One HTTP/1.1 connection, used by one request at a time. It is hyper's, and the exchange that has the request polls
//! it.
//!
//! hyper never waits by itself. Where it cannot go on, the socket notes what it needs, and the exchange waits for
//! that by its reactor.

use std::fmt::Display;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::HOST;
use http_body_util::Full;
use hyper::body::Body;
use hyper::client::conn::http1;

use super::answer_head::HeadReader;
use super::body::BodyBuffer;
use super::deadline::Deadline;
use super::line::Open;
use super::reactor::{Reactor, Watched};
use super::request::headers_to_send;
use super::socket::Socket;
use super::stream::Stream;
use super::{Limits, Link, Request, Shared, coding, tls};
use crate::exchange::{Answer, Failure, FailureKind};

pub(super) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Stream, Full<Bytes>>,
    ended: bool,
    awake: Arc<Awake>,
    pub(super) socket: Watched,
    /// How long it took to open.
    pub(super) opened_in: Duration,
    /// Whether its last request was an urgent one.
    pub(super) was_urgent: bool,
    _open: Open,
}

/// hyper tells it that polling again makes sense.
struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connection {
    /// Connects, through the proxy if there is one, and does the TLS handshake.
    pub(super) async fn open<R: Reactor>(
        link: &Link,
        shared: &Shared,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<Connection, Failure> {
        let begun = Instant::now();
        let open = shared.pool.make_room();
        let settings = &link.settings;
        let addresses = shared.resolver.resolve(deadline).await?;
        let target = super::request::authority(&settings.host, settings.port);
        let peer = settings.proxy.as_ref().map(|proxy| proxy.shown());
        let peer = peer.as_ref().unwrap_or(&target);
        let socket = Socket::connect(&addresses, peer, deadline).await?;
        if let Some(proxy) = &settings.proxy {
            proxy.tunnel(&target, &socket, deadline).await?;
        }
        let tls = match &shared.tls {
            Some((config, name)) => {
                Some(tls::handshake(config, name, tls::OPTIONS, &socket, deadline).await?)
            }
            None => None,
        };
        let stream = Stream {
            socket: socket.socket().clone(),
            tls,
            head: HeadReader::default(),
        };
        let mut http = http1::Builder::new();
        http.allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true);
        // This handshake exchanges nothing: it is ready at its first poll.
        let (requests, driver) = http.handshake(stream).await.map_err(|e| internal(&e))?;
        Ok(Connection {
            requests,
            driver,
            ended: false,
            awake: Arc::new(Awake(AtomicBool::new(false))),
            socket,
            opened_in: begun.elapsed(),
            was_urgent: false,
            _open: open,
        })
    }

    /// Checks, without waiting, that the server has not closed the connection and has sent nothing unasked.
    pub(super) fn is_alive(&mut self) -> bool {
        self.socket.socket().begin_turn();
        self.settle();
        self.is_reusable()
    }

    pub(super) fn is_reusable(&self) -> bool {
        !self.ended && self.requests.is_ready()
    }

    /// Lets the connection do everything that it can do at once.
    fn settle(&mut self) {
        while self.drive() {}
    }

    /// Polls the connection once. True if polling again makes sense.
    fn drive(&mut self) -> bool {
        self.awake.0.store(false, Ordering::Release);
        if !self.ended {
            let waker = Waker::from(self.awake.clone());
            // An error also reaches the request that it ended, and is reported there.
            self.ended = Pin::new(&mut self.driver)
                .poll(&mut Context::from_waker(&waker))
                .is_ready();
        }
        self.awake.0.load(Ordering::Acquire)
    }

    /// Drives the connection until `poll` is ready, and waits for the socket in between. Updates `sent` before each
    /// wait.
    async fn run<T, R: Reactor>(
        &mut self,
        deadline: &Deadline<'_, R>,
        sent: &AtomicBool,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Failure> {
        let waker = Waker::from(self.awake.clone());
        loop {
            self.socket.socket().want_nothing();
            self.drive();
            if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
                return Ok(value);
            }
            // Without a look at the time: what has been read already came in time. It is not much, because each turn
            // reads only so many bytes.
            if self.awake.0.load(Ordering::Acquire) {
                continue;
            }
            if self.ended {
                return Err(Failure::before_sending(
                    FailureKind::Cut,
                    "the connection ended without an answer".to_owned(),
                ));
            }
            // The caller may give up while it waits.
            sent.store(self.has_sent(), Ordering::Release);
            deadline.ready(&self.socket).await?;
        }
    }

    /// Whether a byte of the request can have left.
    fn has_sent(&self) -> bool {
        self.socket.socket().sent() > 0
    }

    /// Sends the request and reads the whole answer.
    pub(super) async fn exchange<R: Reactor>(
        &mut self,
        link: &Link,
        request: &Request<'_>,
        limits: &Limits,
        deadline: &mut Deadline<'_, R>,
        authorize: &mut impl FnMut(&mut http::HeaderMap),
    ) -> Result<Answer, Failure> {
        self.socket.socket().begin_request();
        let result = self.send_and_receive(link, request, limits, deadline, authorize);
        let result = result.await;
        let sent = self.has_sent();
        request.sent.store(sent, Ordering::Release);
        result.map_err(|failure| Failure { sent, ..failure })
    }

    async fn send_and_receive<R: Reactor>(
        &mut self,
        link: &Link,
        request: &Request<'_>,
        limits: &Limits,
        deadline: &mut Deadline<'_, R>,
        authorize: &mut impl FnMut(&mut http::HeaderMap),
    ) -> Result<Answer, Failure> {
        deadline.enter("before the answer came");
        let mut outgoing = http::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.target.parse().map_err(|e| internal(&e))?;
        let mut headers = headers_to_send(request.headers.clone(), request.method, &request.body);
        headers.insert(HOST, link.host_header.clone());
        authorize(&mut headers);
        *outgoing.headers_mut() = headers;

        let mut answer = pin!(self.requests.send_request(outgoing));
        let response = self.run(deadline, request.sent, |cx| answer.as_mut().poll(cx));
        let response = response.await?.map_err(|e| Failure::of_exchange(&e))?;
        let (head, mut body) = response.into_parts();

        deadline.enter("before the answer was complete");
        let mut buffer = BodyBuffer::new(
            body.size_hint().lower(),
            limits.max_response_bytes,
            request.keep_secret,
        )?;
        loop {
            let frame = self.run(deadline, request.sent, |cx| {
                Pin::new(&mut body).poll_frame(cx)
            });
            let Some(frame) = frame.await.map_err(Failure::in_answer)? else {
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
            received: SystemTime::now(),
        };
        // Who drops the call while its answer is decoded must not take it for one that was not sent.
        request.sent.store(true, Ordering::Release);
        let decoding = coding::decode(answer, limits.max_response_bytes, request.keep_secret);
        deadline.completed(decoding).await?
    }
}

fn internal(why: &dyn Display) -> Failure {
    Failure::before_sending(FailureKind::Internal, why.to_string())
}
