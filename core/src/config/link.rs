//! Opens the connection to 88Pay with what the user has set.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::endpoint::BaseUrl;
use crate::error::{Error, Result, limit_reached};
use crate::transport::{Link, LinkSettings, Proxy, SystemRoots};

/// The link to 88Pay. Connects nothing yet.
pub(crate) fn open_link(
    base_url: &BaseUrl,
    ca_bundle: Option<PathBuf>,
    system_roots: SystemRoots,
    proxy: Option<Proxy>,
    max_connections: usize,
) -> Result<Arc<Link>> {
    let hint = match ca_bundle {
        Some(_) => {
            "Give ca_bundle a PEM file with the certificates of the authorities to trust, or leave it out: then the system's are \
             trusted."
        }
        None => "Install the system's CA certificates, or name a PEM file with ca_bundle.",
    };
    Link::open(LinkSettings {
        tls: base_url.is_https(),
        host: base_url.host().to_owned(),
        port: base_url.port(),
        ca_bundle,
        system_roots,
        proxy,
        max_connections,
    })
    .map_err(|failure| {
        let hint = failure
            .cause
            .as_ref()
            .and_then(limit_reached)
            .unwrap_or(hint);
        Error::invalid(format!("{}.", failure.message), hint).caused_by(failure.cause)
    })
}
