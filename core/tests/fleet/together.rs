//! While the store is there.

use std::collections::HashSet;
use std::time::Duration;

use pay88_sandbox::{Action, Fault, Match};

use crate::daemon::{Daemon, Dir, free_port};
use crate::harness::Harness;
use crate::worker::Worker;
use crate::yardstick::in_time;

/// All at once; what they have then.
fn tokens(workers: &mut [Worker]) -> HashSet<String> {
    for worker in workers.iter_mut() {
        worker.tell("token");
    }
    let answers = workers.iter_mut().map(|worker| worker.hear());
    answers.map(|answer| answer.unwrap().to_string()).collect()
}

/// 8 hosts of so many processes that begin at once, with nothing in the store.
fn one_token_for_all(stores: &str, processes: u32) {
    in_time(|| {
        let harness = Harness::with(stores, |config| {
            config.token_delay = Duration::from_millis(300);
        });
        let mut workers = harness.workers(8, processes);
        let tokens = tokens(&mut workers);
        assert_eq!(tokens.len(), 1, "one token and its session: {tokens:?}");
        for worker in &mut workers {
            assert_eq!(worker.ask("call"), 200);
        }
        assert_eq!(harness.sandbox.counters().tokens_requested, 1);
        harness.assert_no_refusals();
        let hosts = workers
            .iter_mut()
            .map(|worker| worker.ask("stats")["hosts"].as_u64());
        assert_eq!(hosts.max().unwrap(), Some(8));
    });
}

#[test]
fn eight_hosts_of_four_processes_ask_for_one_token_at_redis() {
    let redis = Daemon::redis(&[]);
    one_token_for_all(&format!("redis://127.0.0.1:{}", redis.port), 4);
}

#[test]
fn eight_hosts_of_four_processes_ask_for_one_token_at_memcached() {
    let memcached = Daemon::memcached(&[]);
    one_token_for_all(&format!("memcached://127.0.0.1:{}", memcached.port), 4);
}

#[test]
fn eight_hosts_ask_for_one_token_at_redis_with_tls_and_a_password() {
    let dir = Dir::new();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = dir.write("certificate.pem", &certified.cert.pem());
    let key = dir.write("key.pem", &certified.signing_key.serialize_pem());
    let plain = free_port().to_string();
    let settings = [
        ["--tls-port", "PORT"],
        ["--port", &plain],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &certificate],
        ["--tls-auth-clients", "no"],
        ["--requirepass", "storepass"],
    ];
    let redis = Daemon::redis(&settings.concat());
    let at = format!("rediss://:storepass@127.0.0.1:{}", redis.port);
    // One process each: the handshakes have to fit into the time that a store is given.
    one_token_for_all(&format!("{at}?ca={certificate}"), 1);
}

#[test]
fn a_password_and_a_database_are_enough_to_share() {
    in_time(|| {
        let redis = Daemon::redis(&["--requirepass", "storepass"]);
        let harness = Harness::new(&format!("redis://:storepass@127.0.0.1:{}/3", redis.port));
        let mut workers = harness.workers(2, 1);
        assert_eq!(tokens(&mut workers).len(), 1);
        let wrong = Harness::new(&format!("redis://:otherpass@127.0.0.1:{}/3", redis.port));
        let mut worker = wrong.worker(0);
        assert_eq!(worker.ask("call"), 200, "it goes on by itself");
        let reason = worker.ask("stats")["store_degraded"].to_string();
        assert!(reason.contains("WRONGPASS"), "{reason}");
        assert!(!reason.contains("otherpass"), "{reason}");
    });
}

#[test]
fn a_token_that_was_revoked_is_replaced_once_for_all_hosts() {
    in_time(|| {
        let redis = Daemon::redis(&[]);
        let harness = Harness::new(&format!("redis://127.0.0.1:{}", redis.port));
        let mut workers = harness.workers(4, 2);
        tokens(&mut workers);
        harness.sandbox.revoke_all();
        for worker in &mut workers {
            worker.tell("call");
        }
        for worker in &mut workers {
            assert_eq!(worker.hear().unwrap(), 200);
        }
        assert_eq!(harness.sandbox.counters().tokens_requested, 2);
    });
}

#[test]
fn a_429_holds_all_hosts_and_a_403_leaves_the_others_alone() {
    in_time(|| {
        let redis = Daemon::redis(&[]);
        let store = format!("redis://127.0.0.1:{}", redis.port);
        let harness = Harness::new(&store);
        let mut workers = harness.workers(8, 1);
        let forbidden = Action::status(403);
        harness
            .sandbox
            .fault(Fault::times(1, Match::Token, forbidden));
        assert_eq!(workers[0].ask("token")["error"], "access_denied");
        for worker in &mut workers[1..] {
            assert_eq!(worker.ask("call"), 200);
        }
        assert_eq!(workers[0].ask("call"), 200, "it has the others' token");
        assert_eq!(harness.sandbox.counters().tokens_requested, 2);

        let harness = Harness::new(&store);
        let mut workers = harness.workers(3, 1);
        let limited = Action::status(429);
        harness.sandbox.fault(Fault::always(Match::Token, limited));
        for worker in &mut workers {
            let answer = worker.ask("token");
            assert_eq!(answer["error"], "rate_limited");
            assert!(answer["retry_after"].as_f64().unwrap() > 50.0, "{answer}");
        }
        assert_eq!(harness.sandbox.counters().tokens_requested, 1);
    });
}
