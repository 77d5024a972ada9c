//! What a dump of the store shows.

use pay88_sandbox::TEST_KEY;

use crate::daemon::Daemon;
use crate::harness::Harness;
use crate::yardstick::in_time;

fn names(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text).into_owned();
    let words = text.split(|c: char| c.is_whitespace() || c == '=');
    let names = words.filter(|word| word.starts_with("pay88"));
    names.map(str::to_owned).collect()
}

#[test]
fn neither_token_nor_session_nor_key_is_in_a_dump_of_the_store() {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    for (kind, store) in [("redis", redis), ("memcached", memcached)] {
        in_time(|| {
            let harness = Harness::new(&format!("{kind}://127.0.0.1:{}", store.port));
            let token = harness.worker(0).ask("pair");
            let mut dump = match kind {
                "redis" => store.answer("KEYS *"),
                _ => store.answer("lru_crawler metadump all"),
            };
            let names = names(&dump);
            assert!(names.len() >= 2, "{names:?}");
            for name in names {
                dump.extend(match kind {
                    "redis" => store.answer(&format!("GET {name}")),
                    _ => store.answer(&format!("get {}", name.replace("%3A", ":"))),
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
        });
    }
}
