//! Asynchronous exchanges: reqwest on the library's runtime, HTTP/2 where the server offers it.
//!
//! reqwest's own retries, redirects, proxies and referers are off. Whether a request can have left
//! is read from its body: hyper first looks at it when the request's head is written to a
//! connection, never before there is one. What a server says it has not processed counts as not sent,
//! and so does what still waited for its turn when the connection ended.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};
use rustls::RootCertStore;

use super::body::BodyBuffer;
use super::resolve::Resolver;
use super::{
    Answer, AsyncLimits, AsyncRequest, Failure, FailureKind, Link, Shared, authority, coding,
    headers_to_send, tls,
};

/// The clients of one link: one for each pair of connect and idle time-out in use, which reqwest
/// knows per client only.
#[derive(Default)]
pub(super) struct Clients(Mutex<Vec<(Duration, Duration, Client)>>);

pub(super) async fn exchange(
    link: &Link,
    request: AsyncRequest,
    limits: AsyncLimits,
    authorize: impl FnOnce(&mut HeaderMap) + Send,
) -> Result<Answer, Failure> {
    let sent = request.sent.clone();
    // Boxed, since every future around it is moved several times before it runs, with all that is in it.
    let run = Box::pin(send_and_receive(link, request, limits, authorize));
    let run = tokio::time::timeout_at(limits.deadline.into(), run);
    let result = run.await.unwrap_or_else(|_| {
        Err(Failure::before_sending(
            FailureKind::Timeout,
            "the time for the call ran out".to_owned(),
        ))
    });
    result.map_err(|failure| Failure {
        sent: failure.kind != FailureKind::Unprocessed && sent.load(Ordering::Acquire),
        ..failure
    })
}

async fn send_and_receive(
    link: &Link,
    request: AsyncRequest,
    limits: AsyncLimits,
    authorize: impl FnOnce(&mut HeaderMap) + Send,
) -> Result<Answer, Failure> {
    let shared = link.shared()?;
    let client = shared.clients.get(link, shared, &limits)?;
    let settings = &link.settings;
    let scheme = if settings.tls { "https" } else { "http" };
    let url = format!(
        "{scheme}://{}{}",
        authority(&settings.host, settings.port),
        request.target
    );
    let url = Url::parse(&url).map_err(|e| internal(e.to_string()))?;
    let mut headers = headers_to_send(request.headers, &request.method, &request.body);
    authorize(&mut headers);
    let unread = Arc::new(AtomicBool::new(!request.body.is_empty()));
    let body = reqwest::Body::wrap(Watched {
        rest: (!request.body.is_empty()).then_some(request.body),
        sent: request.sent,
        unread: unread.clone(),
    });
    // Not by its builder, which would take the headers over one by one.
    let mut sending = reqwest::Request::new(request.method, url);
    *sending.headers_mut() = headers;
    *sending.body_mut() = Some(body);
    let response = client.execute(sending).await.map_err(|e| {
        if unread.load(Ordering::Acquire) && was_dropped(&e) {
            let why = "the connection ended before the request's turn came".to_owned();
            return Failure::before_sending(FailureKind::Unprocessed, why);
        }
        explain(&e, link, &limits)
    })?;
    let (head, mut body) = http::Response::from(response).into_parts();
    let mut buffer = BodyBuffer::new(
        body.size_hint().lower(),
        limits.max_response_bytes,
        request.keep_secret,
    )?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| explain(&e, link, &limits).in_answer())?;
        if let Ok(data) = frame.into_data() {
            buffer.append(&data)?;
        }
    }
    // hyper takes a stream that was reset by NO_ERROR or CANCEL for one that ended.
    if head.version == http::Version::HTTP_2 && !body.is_end_stream() {
        let why = "the server reset it before the answer was complete".to_owned();
        return Err(Failure::before_sending(FailureKind::Truncated, why));
    }
    let answer = Answer {
        status: head.status,
        headers: head.headers,
        body: buffer.into_inner(),
    };
    coding::decode(answer, limits.max_response_bytes, request.keep_secret).await
}

impl Clients {
    fn get(&self, link: &Link, shared: &Shared, limits: &AsyncLimits) -> Result<Client, Failure> {
        let (connect, idle) = (limits.connect_timeout, limits.idle_timeout);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., client)) = clients.iter().find(|c| (c.0, c.1) == (connect, idle)) {
            return Ok(client.clone());
        }
        let client = build(link, shared, connect, idle)?;
        clients.push((connect, idle, client.clone()));
        Ok(client)
    }
}

fn build(
    link: &Link,
    shared: &Shared,
    connect: Duration,
    idle: Duration,
) -> Result<Client, Failure> {
    let internal = |e: reqwest::Error| internal(e.without_url().to_string());
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .connect_timeout(connect)
        .pool_idle_timeout(idle)
        .dns_resolver(Lookup(shared.resolver.clone()));
    // Without TLS nothing is ever verified, so an empty set of roots will do.
    let roots = match &link.trust {
        Some((roots, _)) => roots.clone(),
        None => Arc::new(RootCertStore::empty()),
    };
    let config = tls::client_config(&roots, &[b"h2", b"http/1.1"])?;
    builder = builder.tls_backend_preconfigured(config);
    if let Some(proxy) = &link.settings.proxy {
        let url = format!("http://{}", authority(&proxy.host, proxy.port));
        let mut through = reqwest::Proxy::https(url).map_err(internal)?;
        if let Some(authorization) = &proxy.authorization {
            through = through.custom_http_auth(authorization.clone());
        }
        builder = builder.proxy(through);
    }
    builder.build().map_err(internal)
}

fn internal(why: String) -> Failure {
    Failure::before_sending(FailureKind::Internal, why)
}

fn explain(error: &reqwest::Error, link: &Link, limits: &AsyncLimits) -> Failure {
    let found = Failure::of_exchange(error);
    if !error.is_connect() || found.kind == FailureKind::Tls {
        return found;
    }
    let message = if error.is_timeout() {
        format!("no connection within {:?}", limits.connect_timeout)
    } else {
        let peer = match &link.settings.proxy {
            Some(proxy) => proxy.shown(),
            None => authority(&link.settings.host, link.settings.port),
        };
        format!("cannot connect to {peer}: {}", innermost(error))
    };
    Failure::before_sending(FailureKind::Connect, message)
}

/// Whether hyper dropped the request with its connection, the only one of its errors of use that can be met here.
///
/// Over HTTP/2 that is the one request that waits until the server allows another stream. If its body is unread, its end was
/// not written, and the server never had a request that it could process. Nor was its head, unless that very write failed: once
/// it is written the task that waits runs next, and begins with the body, before the only thread of `crate::runtime`
/// reads on and learns of the connection's end.
fn was_dropped(error: &reqwest::Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |e| e.source())
        .filter_map(|e| e.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_user)
}

/// The cause at the end of the chain: the only one that names no URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// Names go the same way as in blocking calls.
struct Lookup(Arc<Resolver>);

impl Resolve for Lookup {
    fn resolve(&self, _: Name) -> Resolving {
        // A link has one host, or one proxy, to look up.
        let resolver = self.0.clone();
        Box::pin(async move {
            match resolver.resolve_async().await {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(failure) => Err(failure.message.into()),
            }
        })
    }
}

/// A body that notes when a connection takes its request.
struct Watched {
    rest: Option<Bytes>,
    sent: Arc<AtomicBool>,
    /// There is a body, and nobody asked for it yet.
    unread: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.store(true, Ordering::Release);
        self.unread.store(false, Ordering::Release);
        Poll::Ready(self.rest.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent.store(true, Ordering::Release);
        self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // Also asked before there is a connection, so it tells nothing.
        SizeHint::with_exact(self.rest.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
