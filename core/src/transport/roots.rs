//! Chooses the certificate authorities to trust: those of a file that a setting names, otherwise the system's.
//!
//! Promises: never reads the environment. A file that cannot be used is reported with what it seems to be. openssl
//! can add to a certificate what it is trusted for (`TRUSTED CERTIFICATE`); that is obeyed, so an authority that is
//! not for TLS servers is not trusted.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::tls::SettingNames;
use crate::cause::Cause;
use crate::exchange::{Failure, FailureKind};

/// Where to look for the system's authorities. If nothing is named: in the places where systems keep them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SystemRoots {
    /// What `SSL_CERT_FILE` names.
    pub(crate) file: Option<PathBuf>,
    /// What `SSL_CERT_DIR` names.
    pub(crate) dirs: Vec<PathBuf>,
}

/// The files in the fixed places, as `openssl-probe` 0.2 has them for Linux. The crate itself gives only the
/// directories.
const SYSTEM_FILES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/opt/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/cacert.pem",
];

/// The largest bundle that is read. Those of systems have about 250 KB.
const LARGEST: u64 = 16 << 20;

/// What failed where the system gave no descriptor for a file.
pub(super) const UNREAD: &str = "no certificates can be read";

/// The authorities of `bundle`, otherwise the system's.
pub(super) fn roots(
    bundle: Option<&Path>,
    system: &SystemRoots,
    names: SettingNames,
) -> Result<Arc<RootCertStore>, Failure> {
    let bad = |message: String| Failure::before_sending(FailureKind::Tls, message);
    let mut store = RootCertStore::empty();
    match bundle {
        Some(path) => {
            let unusable = |why: String| {
                bad(format!(
                    "{} {} cannot be used: {why}",
                    names.ca,
                    path.display()
                ))
            };
            let bytes = read(path).map_err(|cause| unusable(cause.to_string()).because(cause))?;
            let certificates = certificates(&bytes).map_err(unusable)?;
            if store.add_parsable_certificates(certificates).0 == 0 {
                return Err(unusable(match is_der(&bytes) {
                    true => {
                        "it is binary (DER) and no certificate: from a PKCS #12 file `openssl pkcs12 -nokeys -in FILE` makes PEM, from \
                         PKCS #7 `openssl pkcs7 -inform DER -print_certs -in FILE`"
                            .to_owned()
                    }
                    false => "none of its certificates can be used".to_owned(),
                }));
            }
        }
        None => {
            let (certificates, origin) = system.load();
            if store.add_parsable_certificates(certificates).0 == 0 {
                return Err(bad(format!(
                    "no usable certificate in {origin}: install the system's CA certificates (package ca-certificates) or name a PEM file \
                     with {}",
                    names.ca
                )));
            }
        }
    }
    Ok(Arc::new(store))
}

impl SystemRoots {
    /// The certificates that can be read, and where they were looked for.
    fn load(&self) -> (Vec<CertificateDer<'static>>, String) {
        if self.file.is_none() && self.dirs.is_empty() {
            let file = SYSTEM_FILES
                .iter()
                .map(Path::new)
                .find(|file| file.exists());
            let dirs: Vec<&Path> = openssl_probe::candidate_cert_dirs().collect();
            return load(file, &dirs, Vec::new(), "the system's certificate store");
        }
        let dirs: Vec<&Path> = self.dirs.iter().map(PathBuf::as_path).collect();
        let place = "what SSL_CERT_FILE and SSL_CERT_DIR name";
        let Some(file) = &self.file else {
            return load(None, &dirs, Vec::new(), place);
        };
        let bytes = read(file).map_err(|cause| cause.to_string());
        match bytes.and_then(|bytes| certificates(&bytes)) {
            Ok(certificates) => load(None, &dirs, certificates, place),
            Err(why) => {
                let place = format!("{place} ({}: {why})", file.display());
                load(None, &dirs, Vec::new(), &place)
            }
        }
    }
}

/// `certificates` together with those of a file and of directories. Also says where they come from, and what went
/// wrong first.
fn load(
    file: Option<&Path>,
    dirs: &[&Path],
    mut certificates: Vec<CertificateDer<'static>>,
    place: &str,
) -> (Vec<CertificateDer<'static>>, String) {
    let mut place = place.to_owned();
    // The file is passed with the first directory, where it may be as well: so it is read once.
    for i in 0..dirs.len().max(1) {
        let file = file.filter(|_| i == 0);
        let loaded = rustls_native_certs::load_certs_from_paths(file, dirs.get(i).copied());
        certificates.extend(loaded.certs);
        if let Some(error) = loaded.errors.first().filter(|_| !place.ends_with(')')) {
            place = format!("{place} ({error})");
        }
    }
    certificates.sort_unstable_by(|a, b| a.as_ref().cmp(b));
    certificates.dedup();
    (certificates, place)
}

fn read(path: &Path) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Cause::of_system(&error))?;
    if bytes.len() as u64 > LARGEST {
        let said = format_args!("it has more than {} MiB", LARGEST >> 20);
        return Err(Cause::said(&said));
    }
    Ok(bytes)
}

/// The certificates of a file: PEM as curl and openssl accept it, or a binary certificate (DER).
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if is_der(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(
            "it is UTF-16 text: `iconv -f UTF-16 -t UTF-8 FILE` makes PEM of it".to_owned(),
        );
    }
    // A byte-order mark and comments before the first block do no harm, and need not be UTF-8.
    let text = String::from_utf8_lossy(bytes);
    let mut others = Vec::new();
    let mut certificates = Vec::new();
    for block in Blocks(&text) {
        let (label, body) = block?;
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => certificates.push(decode(body)?),
            "TRUSTED CERTIFICATE" => match trusted(decode(body)?)? {
                Some(certificate) => certificates.push(certificate),
                None => others.push(label),
            },
            _ => others.push(label),
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(match others.as_slice() {
        [] => what_else(&text),
        ["PKCS7", ..] => {
            "it is PKCS #7: `openssl pkcs7 -print_certs -in FILE` makes PEM of it".to_owned()
        }
        [label, ..] if label.ends_with("PRIVATE KEY") => {
            "it holds a private key and no certificate".to_owned()
        }
        _ => "it is PEM, and holds no certificate of an authority for TLS servers".to_owned(),
    })
}

/// Whether it begins as binary certificates and containers do: with a sequence of more than 127 bytes.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [SEQUENCE, 0x81..=0x84, ..])
}

/// What a file without any PEM block seems to be.
fn what_else(text: &str) -> String {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    match start.chars().next() {
        None => "it is empty",
        Some('<') => "it seems to be HTML, such as the error page of a download",
        Some(_) => "it is not PEM: that has a line `-----BEGIN CERTIFICATE-----`",
    }
    .to_owned()
}

/// The PEM blocks of a text: label and body.
struct Blocks<'a>(&'a str);

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<(&'a str, &'a str), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, begun) = self.0.split_once("-----BEGIN ")?;
        let (label, rest) = begun.split_once("-----")?;
        let end = format!("-----END {label}-----");
        Some(match rest.split_once(&end) {
            Some((body, after)) => {
                self.0 = after;
                Ok((label, body))
            }
            None => {
                self.0 = "";
                Err("a PEM block in it has no end: the file seems to be cut off".to_owned())
            }
        })
    }
}

fn decode(body: &str) -> Result<CertificateDer<'static>, String> {
    let lines: Vec<&str> = body.lines().map(str::trim).collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n").trim()
    );
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| format!("a certificate in it cannot be read: {error}"))
}

// --- What openssl writes beside a certificate ------------------------------------------------------------------------

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
/// `[0] IMPLICIT SEQUENCE`
const REJECTED_USES: u8 = 0xa0;

/// `id-kp-serverAuth` and `anyExtendedKeyUsage`, without tag and length.
const SERVER_USES: [&[u8]; 2] = [
    &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
    &[0x55, 0x1d, 0x25, 0x00],
];

/// The certificate of a `TRUSTED CERTIFICATE`. That is an X.509 certificate, followed by what openssl trusts it for
/// (`CertAux`). `None` if that does not include TLS servers. As in openssl, a rejection wins.
fn trusted(der: CertificateDer<'static>) -> Result<Option<CertificateDer<'static>>, String> {
    let broken = || "a TRUSTED CERTIFICATE in it cannot be read".to_owned();
    let (certificate, behind) = Element::split(&der).ok_or_else(broken)?;
    let (mut accepted, mut rejected) = (None, None);
    if !behind.is_empty() {
        let (aux, _) = Element::split(behind).ok_or_else(broken)?;
        let mut rest = aux.value;
        while !rest.is_empty() {
            let (field, next) = Element::split(rest).ok_or_else(broken)?;
            match field.tag {
                SEQUENCE => accepted = Some(has_server_use(field.value).ok_or_else(broken)?),
                REJECTED_USES => rejected = Some(has_server_use(field.value).ok_or_else(broken)?),
                _ => (),
            }
            rest = next;
        }
    }
    let for_servers = accepted.unwrap_or(true) && !rejected.unwrap_or(false);
    Ok(for_servers.then(|| CertificateDer::from(certificate.whole.to_vec())))
}

/// Whether a list of uses includes TLS servers.
fn has_server_use(mut uses: &[u8]) -> Option<bool> {
    let mut found = false;
    while !uses.is_empty() {
        let (one, next) = Element::split(uses)?;
        found |= one.tag == OBJECT_ID && SERVER_USES.contains(&one.value);
        uses = next;
    }
    Some(found)
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// The first element, and the bytes after it.
    fn split(bytes: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (&tag, rest) = bytes.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0, |length, &digit| length << 8 | usize::from(digit));
                (length, rest)
            }
            _ => return None,
        };
        let (value, behind) = rest.split_at_checked(length)?;
        let whole = &bytes[..bytes.len() - behind.len()];
        Some((Element { tag, value, whole }, behind))
    }
}
