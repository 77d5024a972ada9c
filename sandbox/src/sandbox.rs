//! A running sandbox: the rules behind a port for clients and a port for control, from start to stop.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::control;
use crate::exchange;
use crate::server::{Port, reachable};
use crate::service::Service;
use crate::tls::Identity;

/// A running sandbox. It is used as the [`Service`] it serves: counters, log, faults, switches. Dropping it stops it and
/// closes every connection.
pub struct Sandbox {
    service: Arc<Service>,
    identity: Option<Arc<Identity>>,
    /// What clients call it.
    host: String,
    port: Port,
    control: Option<Port>,
}

impl Sandbox {
    /// Starts a sandbox. Fails if an address cannot be listened on, or, with [`io::ErrorKind::InvalidInput`], if plain HTTP
    /// or the control port would be reachable from elsewhere than this machine.
    pub fn start(config: Config) -> io::Result<Sandbox> {
        if !config.tls {
            loopback_only(config.listen, "plain HTTP")?;
        }
        let service = Arc::new(Service::new(&config)?);
        let identity = match config.tls {
            true => Some(Arc::new(Identity::new(&config.names)?)),
            false => None,
        };
        let control = match config.control {
            Some(address) => {
                loopback_only(address, "the control port")?;
                let (service, identity) = (Arc::clone(&service), identity.clone());
                Some(Port::open(address, move |_, _, socket| {
                    let ca_pem = identity.as_ref().map_or("", |identity| &identity.ca_pem);
                    control::serve(&service, ca_pem, socket);
                })?)
            }
            None => None,
        };
        let (serving, secured) = (Arc::clone(&service), identity.clone());
        let port = Port::open(config.listen, move |running, number, socket| {
            let tls = secured.as_ref().map(|identity| &identity.server);
            exchange::serve(&serving, tls, running, number, socket);
        })?;
        let host = config.names.first().map_or("localhost", String::as_str);
        Ok(Sandbox {
            service,
            identity,
            host: match host.contains(':') {
                true => format!("[{host}]"),
                false => host.to_owned(),
            },
            port,
            control,
        })
    }

    /// The base URL for clients: `https://localhost:<port>`, or the first of [`Config::names`]; `http://127.0.0.1:<port>` without
    /// TLS.
    pub fn base_url(&self) -> String {
        match self.identity {
            Some(_) => format!("https://{}:{}", self.host, self.port.address.port()),
            None => format!("http://{}", reachable(self.port.address)),
        }
    }

    /// The base URL of the control port, if there is one.
    pub fn control_url(&self) -> Option<String> {
        let control = self.control.as_ref()?;
        Some(format!("http://{}", control.address))
    }

    /// The certificate authority that clients have to trust, as PEM; empty without TLS.
    pub fn ca_pem(&self) -> &str {
        self.identity
            .as_ref()
            .map_or("", |identity| &identity.ca_pem)
    }

    /// Writes [`Sandbox::ca_pem`] to a file.
    pub fn write_ca(&self, path: impl AsRef<Path>) -> io::Result<()> {
        std::fs::write(path, self.ca_pem())
    }

    /// The address that clients are listened to on.
    pub fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// Stops it: what waits is given up, every connection closed. Dropping does the same.
    pub fn stop(self) {}
}

impl Deref for Sandbox {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

fn loopback_only(address: SocketAddr, what: &str) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("{what} is served on loopback only, not on {address}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}
