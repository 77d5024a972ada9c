//! While the store is there.

use std::collections::HashSet;
use std::time::Duration;

use pay88_sandbox::{Action, Fault, Match};

use crate::daemon::{Daemon, Dir, free_port};
use crate::player::Player;
use crate::stage::Stage;
use crate::yardstick::in_time;

/// All at once; what they have then.
fn tokens(players: &mut [Player]) -> HashSet<String> {
    for player in players.iter_mut() {
        player.tell("token");
    }
    let answers = players.iter_mut().map(|player| player.hear());
    answers.map(|answer| answer.unwrap().to_string()).collect()
}

/// 8 hosts of 4 processes that begin at once, with nothing in the store.
fn one_token_for_all(stores: &str) {
    in_time(|| {
        let stage = Stage::with(stores, |config| {
            config.token_delay = Duration::from_millis(300);
        });
        let mut players = stage.crowd(8, 4);
        let tokens = tokens(&mut players);
        assert_eq!(tokens.len(), 1, "one token and its session: {tokens:?}");
        for player in &mut players {
            assert_eq!(player.ask("call"), 200);
        }
        assert_eq!(stage.sandbox.counters().tokens_requested, 1);
        stage.assert_no_refusals();
        let hosts = players
            .iter_mut()
            .map(|player| player.ask("stats")["hosts"].as_u64());
        assert_eq!(hosts.max().unwrap(), Some(8));
    });
}

#[test]
fn eight_hosts_of_four_processes_ask_for_one_token_at_redis() {
    let redis = Daemon::redis(&[]);
    one_token_for_all(&format!("redis://127.0.0.1:{}", redis.port));
}

#[test]
fn eight_hosts_of_four_processes_ask_for_one_token_at_memcached() {
    let memcached = Daemon::memcached(&[]);
    one_token_for_all(&format!("memcached://127.0.0.1:{}", memcached.port));
}

#[test]
fn eight_hosts_of_four_processes_ask_for_one_token_at_redis_with_tls_and_a_password() {
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
    one_token_for_all(&format!("{at}?ca={certificate}"));
}

#[test]
fn a_password_and_a_database_are_enough_to_share() {
    in_time(|| {
        let redis = Daemon::redis(&["--requirepass", "storepass"]);
        let stage = Stage::new(&format!("redis://:storepass@127.0.0.1:{}/3", redis.port));
        let mut players = stage.crowd(2, 1);
        assert_eq!(tokens(&mut players).len(), 1);
        let wrong = Stage::new(&format!("redis://:otherpass@127.0.0.1:{}/3", redis.port));
        let mut player = wrong.player(0);
        assert_eq!(player.ask("call"), 200, "it goes on by itself");
        let reason = player.ask("stats")["store_degraded"].to_string();
        assert!(reason.contains("WRONGPASS"), "{reason}");
        assert!(!reason.contains("otherpass"), "{reason}");
    });
}

#[test]
fn a_token_that_was_revoked_is_replaced_once_for_all_hosts() {
    in_time(|| {
        let redis = Daemon::redis(&[]);
        let stage = Stage::new(&format!("redis://127.0.0.1:{}", redis.port));
        let mut players = stage.crowd(4, 2);
        tokens(&mut players);
        stage.sandbox.revoke_all();
        for player in &mut players {
            player.tell("call");
        }
        for player in &mut players {
            assert_eq!(player.hear().unwrap(), 200);
        }
        assert_eq!(stage.sandbox.counters().tokens_requested, 2);
    });
}

#[test]
fn a_429_holds_all_hosts_and_a_403_leaves_the_others_alone() {
    in_time(|| {
        let redis = Daemon::redis(&[]);
        let store = format!("redis://127.0.0.1:{}", redis.port);
        let stage = Stage::new(&store);
        let mut players = stage.crowd(8, 1);
        let forbidden = Action::status(403);
        stage
            .sandbox
            .fault(Fault::times(1, Match::Token, forbidden));
        assert_eq!(players[0].ask("token")["error"], "access_denied");
        for player in &mut players[1..] {
            assert_eq!(player.ask("call"), 200);
        }
        assert_eq!(players[0].ask("call"), 200, "it has the others' token");
        assert_eq!(stage.sandbox.counters().tokens_requested, 2);

        let stage = Stage::new(&store);
        let mut players = stage.crowd(3, 1);
        let limited = Action::status(429);
        stage.sandbox.fault(Fault::always(Match::Token, limited));
        for player in &mut players {
            let answer = player.ask("token");
            assert_eq!(answer["error"], "rate_limited");
            assert!(answer["retry_after"].as_f64().unwrap() > 50.0, "{answer}");
        }
        assert_eq!(stage.sandbox.counters().tokens_requested, 1);
    });
}
