//! TLS: the handshake, and what a refusal means.
//!
//! Certificates and names are always verified, by TLS 1.2 or 1.3. Nothing here can turn that off. The provider is
//! passed explicitly: no process-wide default is set or read.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::deadline::Deadline;
use super::reactor::{Reactor, Watched};
use crate::cause::Cause;
use crate::exchange::{Failure, FailureKind};

/// How messages name the settings that can mend a refusal.
#[derive(Clone, Copy)]
pub(super) struct SettingNames {
    /// The setting for the PEM file of a CA.
    pub(super) ca: &'static str,
    /// The setting for the host.
    pub(super) host: &'static str,
}

/// Those of the connections to 88Pay.
pub(super) const OPTIONS: SettingNames = SettingNames {
    ca: "ca_bundle",
    host: "base_url",
};

/// A configuration that resumes sessions of its own. `alpn` is in order of preference.
pub(super) fn client_config(
    roots: &Arc<RootCertStore>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::before_sending(FailureKind::Internal, e.to_string()))?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Ok(config)
}

/// Does the handshake over a connected socket. When it returns, the kernel has taken everything.
pub(super) async fn handshake<R: Reactor>(
    config: &Arc<ClientConfig>,
    name: &ServerName<'static>,
    names: SettingNames,
    watched: &Watched,
    deadline: &mut Deadline<'_, R>,
) -> Result<ClientConnection, Failure> {
    let socket = watched.socket();
    deadline.enter("during the TLS handshake");
    let begin = || ClientConnection::new(config.clone(), name.clone());
    let begun = deadline.reactor.work(begin).await;
    let mut tls = begun.map_err(|e| failure(&e, names))?;
    const LOST: &str = "the connection was lost during the TLS handshake";
    while tls.is_handshaking() || tls.wants_write() {
        socket.want_nothing();
        let step = if tls.wants_write() {
            tls.write_tls(&mut &**socket)
        } else {
            match tls.read_tls(&mut &**socket) {
                Ok(0) => {
                    let message = format!("{LOST}: the peer closed it");
                    return Err(Failure::before_sending(FailureKind::Connect, message));
                }
                Ok(n) => {
                    let process = || tls.process_new_packets().map(drop);
                    if let Err(error) = deadline.reactor.work(process).await {
                        // The server is told the reason, if that works at once.
                        let _ = tls.write_tls(&mut &**socket);
                        return Err(failure(&error, names));
                    }
                    Ok(n)
                }
                Err(error) => Err(error),
            }
        };
        match step {
            // A server that sends byte by byte must not delay past the deadline, so the deadline is checked here too.
            Ok(_) => drop(deadline.check()?),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => deadline.ready(watched).await?,
            Err(e) => return Err(Failure::by_system(FailureKind::Connect, LOST, &e)),
        }
    }
    Ok(tls)
}

/// The TLS error inside an error chain, if there is one.
pub(super) fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

pub(super) fn failure(error: &rustls::Error, names: SettingNames) -> Failure {
    Failure::before_sending(FailureKind::Tls, explain(error, names)).because(Cause::said(error))
}

/// What went wrong, and what to do about it.
fn explain(error: &rustls::Error, names: SettingNames) -> String {
    let SettingNames { ca, host } = names;
    let advice = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            // A CA of the same name with another key makes a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!("; if this server is meant, name the PEM file of its CA with {ca}")
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "; check this host's clock, and the certificate's dates".to_owned()
            }
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!("; the certificate names no host in its subjectAltName: {SELF_SIGNED}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("; check the host in {host}: its certificate is for other names")
            }
            CertificateError::Other(other) => match other.to_string().as_str() {
                "CaUsedAsEndEntity" => {
                    format!(
                        "; the server's certificate is that of a CA, which no server may use: {SELF_SIGNED}"
                    )
                }
                "UnsupportedCertVersion" => {
                    format!("; the server's certificate is not of X.509 version 3: {SELF_SIGNED}")
                }
                _ => String::new(),
            },
            _ => String::new(),
        },
        rustls::Error::InvalidMessage(_) => {
            "; the peer does not seem to speak TLS on this port".to_owned()
        }
        _ => String::new(),
    };
    format!("TLS failed: {error}{advice}")
}

/// How to make a certificate that a server can use and that is its own CA.
const SELF_SIGNED: &str = "one that signs itself is made with `openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem \
                           -days 365 -subj /CN=HOST -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:HOST`";
