//! The certificate authority of one sandbox and the certificate of its server, made anew at each start. Keys never leave memory.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};

/// Mean length of a year in seconds.
const YEAR: u64 = 31_556_952;

/// What a server needs to speak TLS, and a client to trust it.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

impl Identity {
    /// For this machine, and for the names and addresses that are given.
    pub(crate) fn new(given: &[String]) -> io::Result<Self> {
        let mut ca = params("pay88 sandbox CA", Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, new_key()?).map_err(io::Error::other)?;

        for name in given {
            if ServerName::try_from(name.as_str()).is_err() {
                let message = format!("{name:?} is no name of a host");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let own = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let names = own.into_iter().chain(given.iter().cloned()).collect();
        let mut leaf = params("localhost", names)?;
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = new_key()?;
        let leaf = leaf.signed_by(&key, &ca).map_err(io::Error::other)?;

        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(io::Error::other)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Identity {
            server: Arc::new(server),
            ca_pem: ca.pem(),
        })
    }
}

fn new_key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn params(name: &str, alternatives: Vec<String>) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(alternatives).map_err(io::Error::other)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let year = 1970 + i32::try_from(now.as_secs() / YEAR).unwrap_or(0);
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + 2, 1, 1);
    Ok(params)
}
