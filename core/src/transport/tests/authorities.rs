//! Whom a file of certificates makes trusted, shown with files that openssl made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::roots::roots;
use super::super::tls::{OPTIONS, SettingNames};
use super::server::{Server, answer_all};
use super::*;

/// A directory with what openssl makes in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pay88-authorities-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    /// One that holds the certificate of a CA, `ca.pem`, and its key, `key.pem`.
    fn with_ca() -> Directory {
        let directory = Directory::new();
        directory.openssl(&format!("{SELF_SIGNED} -keyout key.pem -out ca.pem"));
        directory
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .output()
            .expect("this test needs openssl");
        let told = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments}: {told}");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.file(name), bytes).unwrap();
        self.file(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SELF_SIGNED: &str = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost";

/// How many authorities a file has, or why it cannot be used.
fn trusted_of(file: &Path) -> Result<usize, String> {
    match roots(Some(file), &SystemRoots::default(), OPTIONS) {
        Ok(store) => Ok(store.len()),
        Err(failure) => Err(failure.message),
    }
}

#[test]
fn bundles_are_read_as_curl_and_openssl_read_them() {
    let made = Directory::with_ca();
    made.openssl("x509 -in ca.pem -outform DER -out ca.der");
    made.openssl("x509 -in ca.pem -trustout -out trusted.pem");
    made.openssl(
        "x509 -in ca.pem -trustout -addtrust serverAuth -setalias me -out for-servers.pem",
    );
    made.openssl("x509 -in ca.pem -trustout -addtrust anyExtendedKeyUsage -out for-all.pem");
    made.openssl("x509 -in ca.pem -trustout -addreject clientAuth -out not-clients.pem");
    let text = String::from_utf8(made.read("ca.pem")).unwrap();
    assert!(
        String::from_utf8(made.read("trusted.pem"))
            .unwrap()
            .contains("BEGIN TRUSTED CERTIFICATE")
    );
    made.write("bom.pem", format!("\u{feff}{text}"));
    made.write("crlf.pem", text.replace('\n', "\r\n"));
    made.write("indented.pem", text.replace('\n', "\n  "));
    made.write("no-line-end.pem", text.trim_end());
    made.write(
        "comment.pem",
        [b"# Autorit\xe9 de test\n", text.as_bytes()].concat(),
    );
    made.write("x509.pem", text.replace("CERTIFICATE", "X509 CERTIFICATE"));
    made.write(
        "with-key.pem",
        [made.read("key.pem"), made.read("ca.pem")].concat(),
    );
    for name in [
        "ca.pem",
        "ca.der",
        "trusted.pem",
        "for-servers.pem",
        "for-all.pem",
        "not-clients.pem",
        "bom.pem",
        "crlf.pem",
        "indented.pem",
        "no-line-end.pem",
        "comment.pem",
        "x509.pem",
        "with-key.pem",
    ] {
        assert_eq!(trusted_of(&made.file(name)), Ok(1), "{name}");
    }
}

#[test]
fn an_authority_that_is_not_for_tls_servers_is_not_trusted() {
    let made = Directory::with_ca();
    for (name, uses) in [
        ("rejected.pem", "-addreject serverAuth"),
        ("rejected-for-all.pem", "-addreject anyExtendedKeyUsage"),
        ("for-mail.pem", "-addtrust emailProtection"),
        ("both.pem", "-addtrust serverAuth -addreject serverAuth"),
    ] {
        made.openssl(&format!("x509 -in ca.pem -trustout {uses} -out {name}"));
        let why = trusted_of(&made.file(name)).unwrap_err();
        assert!(
            why.contains("no certificate of an authority for TLS servers"),
            "{name}: {why}"
        );
    }
    let both = [made.read("rejected.pem"), made.read("ca.pem")].concat();
    assert_eq!(trusted_of(&made.write("one-of-two.pem", both)), Ok(1));
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_what_it_seems_to_be() {
    let made = Directory::with_ca();
    made.openssl("pkcs12 -export -in ca.pem -inkey key.pem -passout pass:x -out store.p12");
    made.openssl("crl2pkcs7 -nocrl -certfile ca.pem -out chain.p7b");
    made.openssl(
        "req -new -newkey rsa:2048 -nodes -keyout other.pem -subj /CN=localhost -out request.pem",
    );
    let text = String::from_utf8(made.read("ca.pem")).unwrap();
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    made.write("utf16.pem", utf16);
    made.write("empty.pem", "");
    made.write("blank.pem", "\u{feff} \n\n");
    made.write(
        "page.html",
        "\n<!DOCTYPE html><html><body>404</body></html>",
    );
    made.write("note.txt", "0 certificates here\n");
    made.write("cut.pem", &text[..text.len() / 2]);
    made.write("broken.pem", text.replace("MII", "M!I"));
    made.write(
        "not-x509.pem",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    );
    for (name, told) in [
        ("store.p12", "`openssl pkcs12 -nokeys -in FILE`"),
        ("chain.p7b", "`openssl pkcs7 -print_certs -in FILE`"),
        ("key.pem", "a private key"),
        ("request.pem", "no certificate of an authority"),
        ("utf16.pem", "UTF-16"),
        ("empty.pem", "empty"),
        ("blank.pem", "empty"),
        ("page.html", "HTML"),
        ("note.txt", "not PEM"),
        ("cut.pem", "cut off"),
        ("broken.pem", "cannot be read"),
        ("not-x509.pem", "can be used"),
        ("missing.pem", "No such file"),
        ("", "directory"),
    ] {
        let path = made.file(name);
        let why = trusted_of(&path).unwrap_err();
        assert!(why.contains(told), "{name}: {why}");
        assert!(
            why.contains(&format!("ca_bundle {}", path.display())),
            "{name}: {why}"
        );
    }
    // The way to PEM that is told is one.
    made.openssl("pkcs12 -nokeys -in store.p12 -passin pass:x -out from-p12.pem");
    made.openssl("pkcs7 -print_certs -in chain.p7b -out from-p7b.pem");
    assert_eq!(trusted_of(&made.file("from-p12.pem")), Ok(1));
    assert_eq!(trusted_of(&made.file("from-p7b.pem")), Ok(1));

    let of_a_store = SettingNames {
        ca: "`?ca=` in the store's URL",
        host: "the store's URL",
    };
    let file = made.file("empty.pem");
    let failure = roots(Some(&file), &SystemRoots::default(), of_a_store).unwrap_err();
    assert!(
        failure.message.starts_with("`?ca=` in the store's URL"),
        "{}",
        failure.message
    );
}

/// What becomes of a request to a server that has this certificate and key, for a client that trusts the certificate.
fn trusting_itself(certificate: &Path, key: &Path) -> Result<Answer, Failure> {
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    // A resolver, since rustls itself serves no certificate that it would refuse.
    let key = CertifiedKey::new(
        vec![CertificateDer::from_pem_file(certificate).unwrap()],
        provider.key_provider.load_private_key(key).unwrap(),
    );
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let config = Arc::new(config);
    let server = Server::raw(move |stream, _| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        answer_all(&mut StreamOwned::new(connection, stream));
    });
    let settings = LinkSettings {
        tls: true,
        host: "localhost".to_owned(),
        ca_bundle: Some(certificate.to_owned()),
        ..plain(server.port)
    };
    post(&link(settings), "x", &limits(5 * SECOND))
}

#[test]
fn a_certificate_that_signs_itself_is_taken_or_told_how_to_make() {
    within(120 * SECOND, || {
        let made = Directory::new();
        let command = {
            made.openssl(&format!(
                "{SELF_SIGNED} -keyout ca-key.pem -out ca.pem -addext subjectAltName=DNS:localhost"
            ));
            let failure =
                trusting_itself(&made.file("ca.pem"), &made.file("ca-key.pem")).unwrap_err();
            assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false));
            assert!(
                failure.message.contains("is that of a CA"),
                "{}",
                failure.message
            );
            let command = failure.message.split('`').nth(1).expect("a command");
            command.replace("HOST", "localhost")
        };
        // What is advised makes a certificate that is taken.
        made.openssl(command.strip_prefix("openssl ").unwrap());
        let answer = trusting_itself(&made.file("cert.pem"), &made.file("key.pem")).unwrap();
        assert_eq!(answer.body, b"ok");

        // As old guides have it, without a name that counts, or without extensions at all.
        made.openssl(&format!(
            "{SELF_SIGNED} -addext basicConstraints=critical,CA:FALSE -keyout k2.pem -out c2.pem"
        ));
        made.openssl(
            "req -new -newkey rsa:2048 -nodes -keyout k3.pem -subj /CN=localhost -out r3.pem",
        );
        made.openssl("x509 -req -in r3.pem -signkey k3.pem -days 30 -out c3.pem");
        for (certificate, key, told) in [
            ("c2.pem", "k2.pem", "names no host in its subjectAltName"),
            ("c3.pem", "k3.pem", "X.509 version 3"),
        ] {
            let failure = trusting_itself(&made.file(certificate), &made.file(key)).unwrap_err();
            assert!(
                failure.message.contains(told),
                "{certificate}: {}",
                failure.message
            );
            assert!(
                failure.message.contains("openssl req -x509"),
                "{}",
                failure.message
            );
        }
    });
}
