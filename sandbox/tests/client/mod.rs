//! A client that sends exactly the bytes it is told to, and gives up after ten seconds.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test code, of which each file uses its own part"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pay88_sandbox::{Answer, Config, Sandbox, TEST_KEY, TEST_MERCHANT, TOKEN_PATH};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub const LIMIT: Duration = Duration::from_secs(10);
pub const CHARGE: &str =
    r#"{"flow":"PAYIN","method_code":"CARDS","amount":50000,"currency":"COP","country":"COL"}"#;
pub const CHARGES: &str = "/api/transactions/charges";

pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A connection and what was read from it ahead.
pub struct Client {
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
}

pub fn plain(config: Config) -> Sandbox {
    Sandbox::start(Config {
        tls: false,
        ..config
    })
    .unwrap()
}

/// A configuration without limits.
pub fn unlimited() -> Config {
    Config {
        tokens_per_minute: 0,
        tokens_per_hour: 0,
        ..Config::default()
    }
}

/// A sandbox without limits, and a client that has a token of it.
pub struct World {
    pub sandbox: Sandbox,
    pub client: Client,
    pub token: Token,
}

impl World {
    pub fn new() -> World {
        let sandbox = plain(unlimited());
        let mut client = Client::to(&sandbox);
        let token = client.token();
        World {
            sandbox,
            client,
            token,
        }
    }
}

pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

impl Client {
    pub fn plain(address: SocketAddr) -> Client {
        Client::over(tcp(address))
    }

    pub fn to(sandbox: &Sandbox) -> Client {
        Client::plain(sandbox.address())
    }

    pub fn tls(sandbox: &Sandbox, name: &str) -> io::Result<Client> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(sandbox.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tcp = tcp(sandbox.address());
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Client::over(StreamOwned::new(connection, tcp)))
    }

    fn over(wire: impl Wire + 'static) -> Client {
        Client {
            wire: Box::new(wire),
            unread: Vec::new(),
        }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.write_all(bytes.as_ref()).unwrap();
        self.wire.flush().unwrap();
    }

    /// Reads an answer to a request that is no HEAD.
    pub fn answer(&mut self) -> io::Result<Answer> {
        self.answer_to("POST")
    }

    pub fn answer_to(&mut self, method: &str) -> io::Result<Answer> {
        let mut answer = self.head()?;
        let length: usize = match answer.header("Content-Length") {
            Some(length) if method != "HEAD" => length.parse().unwrap(),
            _ => 0,
        };
        while self.unread.len() < length {
            self.fill()?;
        }
        answer.body = self.unread.drain(..length).collect();
        Ok(answer)
    }

    /// Reads the head of an answer; its body stays to be read.
    pub fn head(&mut self) -> io::Result<Answer> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response
                .parse(&self.unread)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            if let httparse::Status::Complete(used) = parsed {
                let answer = Answer {
                    status: response.code.unwrap(),
                    headers: response
                        .headers
                        .iter()
                        .map(|header| {
                            let value = String::from_utf8(header.value.to_vec()).unwrap();
                            (header.name.to_owned(), value)
                        })
                        .collect(),
                    body: Vec::new(),
                };
                self.unread.drain(..used);
                return Ok(answer);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0u8; 64 << 10];
        match self.wire.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }

    /// Reads this many bytes of a body and forgets them.
    pub fn discard(&mut self, mut bytes: u64) {
        while bytes > 0 {
            if self.unread.is_empty() {
                self.fill().unwrap();
            }
            let taken = self.unread.len().min(bytes as usize);
            self.unread.drain(..taken);
            bytes -= taken as u64;
        }
    }

    pub fn read_exactly(&mut self, bytes: &mut [u8]) {
        while self.unread.len() < bytes.len() {
            self.fill().unwrap();
        }
        bytes.copy_from_slice(&self.unread[..bytes.len()]);
        self.unread.drain(..bytes.len());
    }

    /// Everything up to the end of the stream, however it ends.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        std::mem::take(&mut self.unread)
    }

    /// How the connection ends, when nothing else comes: `Ok` for an end that was meant.
    pub fn ending(&mut self) -> io::Result<()> {
        assert!(self.unread.is_empty());
        assert_eq!(self.wire.read(&mut [0; 1])?, 0);
        Ok(())
    }

    /// Whether the connection ends and nothing else comes.
    pub fn is_over(&mut self) -> bool {
        match self.fill() {
            Ok(()) => false,
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ),
        }
    }

    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes);
        self.answer().unwrap()
    }

    /// Asks for a token as it should be done.
    pub fn token(&mut self) -> Token {
        let answer = self.ask(token_request());
        assert_eq!(answer.status, 200, "{}", answer.json());
        Token::of(&answer)
    }

    pub fn charge(&mut self, token: &Token) -> Answer {
        self.ask(charge(token))
    }
}

pub struct Token {
    pub access: String,
    pub session: String,
}

impl Token {
    pub fn of(answer: &Answer) -> Token {
        let data = &answer.json()["data"];
        Token {
            access: data["access_token"].as_str().unwrap().to_owned(),
            session: data["session_id"].as_str().unwrap().to_owned(),
        }
    }

    pub fn headers(&self) -> String {
        format!(
            "Authorization: Bearer {}\r\nx-session-id: {}\r\n",
            self.access, self.session
        )
    }
}

/// A request with `Host` and, unless there is no body, its length.
pub fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}")
}

pub fn key_headers(key: &str, merchant: &str) -> String {
    format!("x-api-key: {key}\r\nx-merchant-id: {merchant}\r\n")
}

pub fn token_request() -> String {
    let headers = key_headers(TEST_KEY, TEST_MERCHANT);
    request("POST", TOKEN_PATH, &headers, "")
}

pub fn call(method: &str, target: &str, token: &Token, body: &str) -> String {
    let headers = format!("{}Content-Type: application/json\r\n", token.headers());
    request(method, target, &headers, body)
}

pub fn charge(token: &Token) -> String {
    call("POST", CHARGES, token, CHARGE)
}
