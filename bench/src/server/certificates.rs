//! The certificate of the server, and the authority that it is verified against.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::job::Failure;

/// Writes a CA and the certificate of a server at that address; gives the CA's file.
pub(super) fn write(root: &Path, address: &str) -> Result<String, Failure> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "pay88 bench CA");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([address.to_owned()])?.signed_by(&key, &issuer)?;
    fs::write(root.join("server.pem"), certificate.pem())?;
    fs::write(root.join("server.key"), key.serialize_pem())?;
    let path = root.join("ca.pem");
    fs::write(&path, ca.pem())?;
    Ok(path.display().to_string())
}
