//! A proxy before a store that lets answers through, or does not.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What becomes of a store's answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answers {
    Open,
    /// Each comes that many milliseconds late.
    Late(u64),
    /// The first one of a connection comes, and rubbish after it.
    Rubbish,
    /// The first one of a connection comes, and nothing after it.
    Silence,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    answers: Arc<AtomicU64>,
}

const RUBBISH: u64 = u64::MAX;
const SILENCE: u64 = u64::MAX - 1;

impl Proxy {
    /// Before the store that listens at `port` on loopback.
    pub(crate) fn new(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            port: listener.local_addr().unwrap().port(),
            answers: Arc::default(),
        };
        let answers = proxy.answers.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), answers) = (client, answers.clone()) else {
                    return;
                };
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
                thread::spawn(move || answer(server, client, &answers));
            }
        });
        proxy
    }

    pub(crate) fn set(&self, answers: Answers) {
        let number = match answers {
            Answers::Open => 0,
            Answers::Late(millis) => millis,
            Answers::Rubbish => RUBBISH,
            Answers::Silence => SILENCE,
        };
        self.answers.store(number, Ordering::SeqCst);
    }
}

/// The store's answers are short: each comes in one piece.
fn answer(mut server: TcpStream, mut client: TcpStream, answers: &AtomicU64) {
    let (mut piece, mut first) = ([0; 64 * 1024], true);
    while let Ok(length @ 1..) = server.read(&mut piece) {
        let sent = match answers.load(Ordering::SeqCst) {
            RUBBISH if !first => {
                client.write_all(b"$7\r\n*-1\r\nHTTP/1.1 400 Bad Request\r\n\0\xff")
            }
            SILENCE if !first => Ok(()),
            answers => {
                if answers < SILENCE {
                    thread::sleep(Duration::from_millis(answers));
                }
                client.write_all(&piece[..length])
            }
        };
        if sent.is_err() {
            return;
        }
        first = false;
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}
