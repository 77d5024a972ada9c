//! HTTP exchanges with one server, written once: on the caller's thread, or as a task of the library's or the program's
//! own tokio runtime. Also the byte streams to servers that do not speak HTTP (`byte_stream`).
//!
//! A [`Link`] is a server together with the path to it: proxy, certificates, connections. All users in the process
//! with the same settings share it. It follows no redirect, keeps no cookie, and repeats no request of which a byte
//! was written. Each failure says whether a byte was written. A forked child shares no connection, lock or thread
//! with its parent. Never knows an option, an error code, a credential or a token.

mod answer_head;
mod body;
mod byte_stream;
mod coding;
mod connection;
mod deadline;
mod exchange;
mod failure;
mod line;
mod pool;
mod proxy;
mod reactor;
mod request;
mod resolve;
mod roots;
mod socket;
mod stream;
mod tls;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use http::{HeaderMap, HeaderValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

pub(crate) use byte_stream::{Address, ByteStream, Dialer};
pub(crate) use proxy::Proxy;
pub(crate) use reactor::Tokio;
pub(crate) use request::{Limits, Request};
pub(crate) use roots::SystemRoots;

use line::Line;
use pool::Pool;
use reactor::{CallersThread, Task, run_here};
use resolve::{LookUp, Resolver};

use crate::exchange::{Answer, Failure, FailureKind};
use crate::platform::above_stdio::StdioOccupied;
use crate::platform::process::PerProcess;
use crate::platform::runtime;

/// A server and the path to it. Users with the same settings share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LinkSettings {
    /// False for plain http.
    pub tls: bool,
    /// Lower-case, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// A PEM file that replaces the system's roots.
    pub ca_bundle: Option<PathBuf>,
    pub system_roots: SystemRoots,
    /// The proxy that [`Proxy::decide`] found.
    pub proxy: Option<Proxy>,
    /// How many connections may be open at once for requests that are not urgent, and how many for those that are.
    pub max_connections: usize,
}

/// A server and the path to it, as the process uses it.
pub(crate) struct Link {
    settings: LinkSettings,
    host_header: HeaderValue,
    /// With TLS: the trusted roots, and the name that the certificate must have.
    trust: Option<(Arc<RootCertStore>, ServerName<'static>)>,
    look_up: LookUp,
    shared: PerProcess<Shared>,
    /// How many handles use it.
    handles: PerProcess<Arc<AtomicUsize>>,
}

/// What the exchanges of one process over one link share.
struct Shared {
    pool: Arc<Pool>,
    line: Line,
    urgent_line: Line,
    resolver: Arc<Resolver>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

type Links = Mutex<HashMap<LinkSettings, Weak<Link>>>;

static LINKS: PerProcess<Links> = PerProcess::new();

impl Link {
    /// The process's link for these settings. It reads the roots now, so that a CA bundle that cannot be used is
    /// reported when a manager is built. It connects nothing.
    ///
    /// # Errors
    /// [`FailureKind::Tls`] for roots that cannot be used, [`FailureKind::Internal`] for a text that is not a host
    /// name.
    pub(crate) fn open(settings: LinkSettings) -> Result<Arc<Link>, Failure> {
        let known = LINKS.lock().get(&settings).and_then(Weak::upgrade);
        if let Some(link) = known {
            return Ok(link);
        }
        let link = Arc::new(Link::new(settings, resolve::ask_system)?);
        let mut links = LINKS.lock();
        if let Some(first) = links.get(&link.settings).and_then(Weak::upgrade) {
            return Ok(first);
        }
        // Now and then, so that many links are opened in linear time.
        if links.len().is_power_of_two() {
            links.retain(|_, other| other.strong_count() > 0);
        }
        links.insert(link.settings.clone(), Arc::downgrade(&link));
        Ok(link)
    }

    fn new(settings: LinkSettings, look_up: LookUp) -> Result<Link, Failure> {
        let internal = |why: String| Failure::before_sending(FailureKind::Internal, why);
        let default_port = if settings.tls { 443 } else { 80 };
        let mut host_header = request::authority(&settings.host, settings.port);
        if settings.port == default_port {
            host_header.truncate(host_header.len() - format!(":{default_port}").len());
        }
        let host_header =
            HeaderValue::try_from(host_header).map_err(|e| internal(e.to_string()))?;
        let trust = if settings.tls {
            let name = ServerName::try_from(settings.host.clone())
                .map_err(|e| internal(format!("{} is no host name: {e}", settings.host)))?;
            // Crates open these files.
            let _occupied = StdioOccupied::new()
                .map_err(|e| Failure::by_system(FailureKind::Internal, roots::UNREAD, &e))?;
            Some((
                roots::roots(
                    settings.ca_bundle.as_deref(),
                    &settings.system_roots,
                    tls::OPTIONS,
                )?,
                name,
            ))
        } else {
            None
        };
        Ok(Link {
            settings,
            host_header,
            trust,
            look_up,
            shared: PerProcess::new(),
            handles: PerProcess::new(),
        })
    }

    pub(crate) fn handles(&self) -> &Arc<AtomicUsize> {
        self.handles.get_or_make(Arc::default)
    }

    /// Counts one more handle that uses it in this process.
    pub(crate) fn attach(&self) {
        self.handles().fetch_add(1, Ordering::SeqCst);
        runtime::attach();
    }

    /// Counts one handle less.
    pub(crate) fn detach(&self) {
        self.handles().fetch_sub(1, Ordering::SeqCst);
        self.close_if_unused();
        runtime::detach();
    }

    /// Without a handle no later call would close the idle connections.
    fn close_if_unused(&self) {
        if self.handles().load(Ordering::SeqCst) == 0
            && let Some(shared) = self.shared.get()
        {
            Pool::close_when_unused(&shared.pool, self.handles());
        }
    }

    /// Sends the request and reads the whole answer, on the caller's thread. `interrupt` is called there at once and
    /// then at least every 50 ms, with nothing locked; true stops the call. `authorize` fills in the credentials when
    /// a connection is ready to take them. It is called once more if that connection turns out to be dead before it
    /// took a byte.
    ///
    /// # Errors
    /// Why there is no complete answer, and whether a byte of the request can have been sent.
    pub(crate) fn exchange(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        interrupt: Option<&dyn Fn() -> bool>,
        authorize: &mut dyn FnMut(&mut HeaderMap),
    ) -> Result<Answer, Failure> {
        let reactor = CallersThread::new(interrupt);
        run_here(exchange::exchange(
            self, request, limits, &reactor, authorize,
        ))
    }

    /// As [`Link::exchange`], in a task of that runtime. `interrupt` is called before each step, and wakes nobody: to end
    /// a wait, drop the future.
    ///
    /// # Errors
    /// As [`Link::exchange`].
    pub(crate) async fn exchange_async(
        &self,
        request: &Request<'_>,
        limits: &Limits,
        runtime: Tokio,
        interrupt: Option<&(dyn Fn() -> bool + Sync)>,
        authorize: impl FnMut(&mut HeaderMap) + Send,
    ) -> Result<Answer, Failure> {
        let reactor = Task::new(runtime, interrupt);
        // Boxed, because every future around it is moved several times before it runs, with all its contents.
        Box::pin(exchange::exchange(
            self, request, limits, &reactor, authorize,
        ))
        .await
    }

    fn shared(&self) -> Result<&Shared, Failure> {
        self.shared.get_or_try_make(|| {
            let first_hop = match &self.settings.proxy {
                Some(proxy) => (proxy.host.as_str(), proxy.port),
                None => (self.settings.host.as_str(), self.settings.port),
            };
            let tls = match &self.trust {
                Some((roots, name)) => {
                    let config = tls::client_config(roots, &[b"http/1.1"])?;
                    Some((Arc::new(config), name.clone()))
                }
                None => None,
            };
            Ok(Shared {
                pool: Pool::new(self.settings.max_connections),
                line: Line::new(self.settings.max_connections),
                urgent_line: Line::new(self.settings.max_connections),
                resolver: Resolver::new(first_hop.0, first_hop.1, self.look_up),
                tls,
            })
        })
    }
}

#[cfg(test)]
mod tests;
