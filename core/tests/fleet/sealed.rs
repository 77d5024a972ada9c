//! What a dump of the store shows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pay88_sandbox::TEST_KEY;

use crate::daemon::Daemon;
use crate::harness::Harness;

/// All that it answers within a while.
fn ask(port: u16, line: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let patience = Duration::from_millis(300);
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn names(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).into_owned();
    let words = text.split(|c: char| c.is_whitespace() || c == '=');
    let names = words.filter(|word| word.starts_with("pay88"));
    names.map(str::to_owned).collect()
}

#[test]
fn neither_token_nor_session_nor_key_is_in_a_dump_of_the_store() {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    for (kind, port) in [("redis", redis.port), ("memcached", memcached.port)] {
        let harness = Harness::new(&format!("{kind}://127.0.0.1:{port}"));
        let token = harness.worker(0).ask("pair");
        let mut dump = match kind {
            "redis" => ask(port, "KEYS *"),
            _ => ask(port, "lru_crawler metadump all"),
        };
        let names = names(&dump);
        assert!(names.len() >= 2, "{names:?}");
        for name in names {
            dump.extend(match kind {
                "redis" => ask(port, &format!("GET {name}")),
                _ => ask(port, &format!("get {}", name.replace("%3A", ":"))),
            });
        }
        assert!(
            dump.len() > 500,
            "{kind}: {}",
            String::from_utf8_lossy(&dump)
        );
        let (token, session) = (
            token["token"].as_str().unwrap(),
            token["session"].as_str().unwrap(),
        );
        let signature = token.rsplit('.').next().unwrap();
        for secret in [token, session, signature, TEST_KEY, "MCH-COL", "127.0.0.1"] {
            let shown = dump
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!shown, "{kind}: {secret}");
        }
    }
}
