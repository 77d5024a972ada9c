//! Servers for tests: one thread a connection, each doing what the test says.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(super) trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

pub(super) struct Server {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
    /// Of those, the ones that `serve` has left.
    ended: Arc<AtomicUsize>,
}

impl Server {
    /// `serve` has each connection, with its number from 0.
    pub(super) fn raw(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (connections.clone(), Arc::new(serve));
        let ended = Arc::new(AtomicUsize::new(0));
        let over = ended.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                // No server of a test waits for ever.
                stream
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                stream.set_nodelay(true).unwrap();
                let (serve, over) = (serve.clone(), over.clone());
                std::thread::spawn(move || {
                    let its = stream.try_clone().unwrap();
                    serve(stream, number);
                    end(&its);
                    over.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Server {
            port,
            connections,
            ended,
        }
    }

    /// The same under TLS, with a certificate of `authority` for `localhost` and 127.0.0.1.
    pub(super) fn tls(
        authority: &Authority,
        alpn: &[&str],
        serve: impl Fn(&mut dyn Both, usize) + Send + Sync + 'static,
    ) -> Server {
        let config = authority.server(&["localhost", "127.0.0.1"], alpn, false);
        Server::raw(move |stream, number| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            serve(&mut stream, number);
        })
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until it has left so many connections, and their other ends can know it.
    pub(super) fn wait_for_ends(&self, number: usize) {
        let begun = Instant::now();
        while self.ended.load(Ordering::SeqCst) < number {
            assert!(begun.elapsed() < Duration::from_secs(60), "it goes on");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Ends a connection at once: a child that another test has forked may have the socket, too, and closing would not.
pub(super) fn end(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

/// Resets a connection at once, whoever else has the socket.
pub(super) fn break_off(stream: &TcpStream) {
    // SAFETY: a zeroed address is one of no family, which breaks the connection off.
    let broken_off = unsafe {
        let none: libc::sockaddr = std::mem::zeroed();
        let length = size_of_val(&none) as libc::socklen_t;
        libc::connect(stream.as_raw_fd(), &none, length)
    };
    assert_eq!(broken_off, 0, "{}", io::Error::last_os_error());
}

/// One request with its body, or nothing when the client has closed.
pub(super) fn read_request(stream: &mut (impl Read + ?Sized)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => bytes.push(byte[0]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Answers every request of a connection, as long as there are any.
pub(super) fn answer_all(stream: &mut (impl Read + Write + ?Sized)) {
    while read_request(stream).is_some() {
        stream.write_all(OK).unwrap();
        stream.flush().unwrap();
    }
}

/// A certificate authority, whose certificate is in a file as long as this lives.
pub(super) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(super) file: PathBuf,
}

impl Authority {
    pub(super) fn new() -> Authority {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(
            rcgen::DnType::CommonName,
            format!("test authority {number}"),
        );
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let name = format!("pay88-transport-{}-{number}.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, pem).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        Authority { issuer, file }
    }

    pub(super) fn server(&self, names: &[&str], alpn: &[&str], expired: bool) -> Arc<ServerConfig> {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|&n| n.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}
