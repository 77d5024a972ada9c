//! What holds for exchanges as a whole, shown against small servers on loopback.

mod asynchronous;
mod authorities;
mod coding;
mod http2;
mod limits;
mod reuse;
mod server;
mod ways;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::*;
use crate::test_limits::within;

const SECOND: Duration = Duration::from_secs(1);

fn plain(port: u16) -> LinkSettings {
    LinkSettings {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        ca_bundle: None,
        system_roots: SystemRoots::default(),
        proxy: None,
    }
}

/// A link of this test's own: the table of the process is not asked.
fn link(settings: LinkSettings) -> Arc<Link> {
    Arc::new(Link::new(settings, resolve::ask_system).unwrap())
}

fn limits(time: Duration) -> Limits<'static> {
    Limits {
        deadline: Instant::now() + time,
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(45),
        max_response_bytes: 1 << 20,
        interrupt: None,
    }
}

fn post(link: &Link, body: &'static str, limits: &Limits<'_>) -> Result<Answer, Failure> {
    let request = Request {
        method: &Method::POST,
        target: "/a?b=c",
        headers: &HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        keep_secret: false,
    };
    link.exchange(request, limits, &mut |headers| {
        headers.insert("authorization", HeaderValue::from_static("Bearer t"));
    })
}
