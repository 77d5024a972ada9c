//! While the store is not there, or is not what it should be: no call is slower than a second for it, nobody is refused by
//! 88Pay, and the hosts come back to it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::player::Player;
use crate::stage::{Stage, until};

/// What a call may take for a store that is away; the aim is that no call takes longer.
const SLOWEST: f64 = 1.0;

/// How long all call, and when they are disturbed and let be again.
const TIME: u64 = 9;

/// Two hosts of two processes call steadily through it.
fn go_through(stage: &Stage, disturb: impl FnOnce(), let_be: impl FnOnce()) {
    let mut players = stage.crowd(2, 2);
    for player in &mut players {
        player.tell(&format!("steady {TIME} 20"));
    }
    thread::sleep(Duration::from_secs(2));
    disturb();
    thread::sleep(Duration::from_secs(3));
    let_be();
    let mut slowest: f64 = 0.0;
    for player in &mut players {
        let told = player.hear().unwrap();
        assert_eq!(told["failed"].as_array().unwrap().len(), 0, "{told}");
        slowest = slowest.max(told["slowest"].as_f64().unwrap());
    }
    println!("the slowest call took {slowest:.3} s");
    assert!(slowest < SLOWEST, "{slowest} s");
    stage.assert_no_refusals();
    is_one_fleet_again(&mut players);
}

/// All have one token, and none says that the store is away. Calls are what brings them back.
fn is_one_fleet_again(players: &mut [Player]) {
    let took = until(Duration::from_secs(10), "one fleet again", || {
        let mut tokens = Vec::new();
        for player in players.iter_mut() {
            assert_eq!(player.ask("call"), 200);
            tokens.push(player.ask("token"));
        }
        let away = |player: &mut Player| !player.ask("stats")["store_degraded"].is_null();
        tokens.windows(2).all(|pair| pair[0] == pair[1]) && !players.iter_mut().any(away)
    });
    println!("one fleet again {took:?} after the calls had ended");
}

fn redis_url(daemon: &Daemon) -> String {
    format!("redis://127.0.0.1:{}", daemon.port)
}

#[test]
fn a_redis_that_is_killed_and_comes_back_empty() {
    let redis = std::cell::RefCell::new(Daemon::redis(&[]));
    let stage = Stage::hurried(&redis_url(&redis.borrow()));
    go_through(
        &stage,
        || redis.borrow_mut().kill(),
        || redis.borrow_mut().restart(),
    );
}

#[test]
fn a_memcached_that_is_killed_and_comes_back_empty() {
    let memcached = std::cell::RefCell::new(Daemon::memcached(&[]));
    let url = format!("memcached://127.0.0.1:{}", memcached.borrow().port);
    let stage = Stage::hurried(&url);
    go_through(
        &stage,
        || memcached.borrow_mut().kill(),
        || memcached.borrow_mut().restart(),
    );
}

#[test]
fn a_store_that_is_stopped_and_goes_on() {
    let (redis, memcached) = (Daemon::redis(&[]), Daemon::memcached(&[]));
    for (kind, daemon) in [("redis", redis), ("memcached", memcached)] {
        let stage = Stage::hurried(&format!("{kind}://127.0.0.1:{}", daemon.port));
        go_through(&stage, || daemon.stop(), || daemon.go_on());
    }
}

#[test]
fn a_store_that_forgets_all_is_out_of_memory_or_takes_no_writes() {
    let redis = Daemon::redis(&[]);
    let stage = Stage::hurried(&redis_url(&redis));
    go_through(&stage, || drop(redis.command("FLUSHALL")), || ());
    let memory = |bytes: &str| redis.command(&format!("CONFIG SET maxmemory {bytes}"));
    go_through(&stage, || drop(memory("1")), || drop(memory("0")));
    let replicas =
        |number: &str| redis.command(&format!("CONFIG SET min-replicas-to-write {number}"));
    go_through(&stage, || drop(replicas("1")), || drop(replicas("0")));
    go_through(
        &stage,
        || drop(redis.command("REPLICAOF 127.0.0.1 1")),
        || drop(redis.command("REPLICAOF NO ONE")),
    );
}

/// A server that takes connections and does that with each.
fn server(with: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || with(stream));
        }
    });
    port
}

#[test]
fn what_listens_and_is_no_store_slows_no_call() {
    let silent = server(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let rubbish = server(|mut stream| {
        while stream
            .write_all(b"$7\r\n*-1\r\nHTTP/1.1 400 Bad Request\r\n\0\xff")
            .is_ok()
        {}
    });
    let slow = server(|mut stream| {
        while stream.write_all(b"*").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    for kind in ["redis", "memcached"] {
        for port in [silent, rubbish, slow] {
            let stage = Stage::hurried(&format!("{kind}://127.0.0.1:{port}"));
            let mut players = stage.crowd(1, 2);
            for player in &mut players {
                player.tell("steady 3 20");
            }
            for player in &mut players {
                let told = player.hear().unwrap();
                assert_eq!(told["failed"].as_array().unwrap().len(), 0, "{told}");
                assert!(told["slowest"].as_f64().unwrap() < SLOWEST, "{told}");
            }
            // Whoever asked it knows why.
            let mut reasons = players.iter_mut().map(|player| player.ask("stats"));
            let port = port.to_string();
            assert!(reasons.any(|stats| stats["store_degraded"].to_string().contains(&port)));
            stage.assert_no_refusals();
        }
    }
}

#[test]
fn the_second_store_is_used_while_the_first_is_away() {
    let redis = std::cell::RefCell::new(Daemon::redis(&[]));
    let memcached = Daemon::memcached(&[]);
    let stores = format!(
        "{},memcached://127.0.0.1:{}",
        redis_url(&redis.borrow()),
        memcached.port
    );
    let stage = Stage::hurried(&stores);
    let mut players = stage.crowd(2, 1);
    redis.borrow_mut().kill();
    for player in &mut players {
        assert_eq!(player.ask("call"), 200);
    }
    let tokens: Vec<_> = players
        .iter_mut()
        .map(|player| player.ask("token"))
        .collect();
    assert_eq!(tokens[0], tokens[1]);
    for player in &mut players {
        let stats = player.ask("stats");
        assert!(
            stats["store"].as_str().unwrap().starts_with("memcached:"),
            "{stats}"
        );
    }
    stage.assert_no_refusals();
}

#[test]
fn two_hosts_without_their_store_split_what_was_left() {
    let redis = std::cell::RefCell::new(Daemon::redis(&[]));
    let mut stage = Stage::with(&redis_url(&redis.borrow()), |config| {
        config.expires_in = 11.into();
    });
    stage.set("tokens_per_minute", "6");
    let mut players = stage.crowd(2, 1);
    until(Duration::from_secs(30), "each knows of the other", || {
        let knows = |player: &mut Player| {
            assert_eq!(player.ask("call"), 200);
            player.ask("stats")["hosts"] == 2
        };
        players
            .iter_mut()
            .filter_map(|player| knows(player).then_some(()))
            .count()
            == 2
    });
    let before = stage.sandbox.counters().tokens_requested;
    redis.borrow_mut().kill();
    // Each takes no more than its part of what was left of the minute's six, and is then refused with a time.
    let part = (6 - before) / 2;
    until(Duration::from_secs(60), "both parts are used up", || {
        let answers: Vec<_> = players
            .iter_mut()
            .map(|player| player.ask("token"))
            .collect();
        let refused = |answer: &&serde_json::Value| {
            answer["error"] == "rate_limited"
                && answer["retry_after"].as_f64().unwrap() > 0.0
                && answer["message"].as_str().unwrap().contains("part")
        };
        answers.iter().filter(refused).count() == 2
    });
    assert_eq!(stage.sandbox.counters().tokens_requested, before + 2 * part);
    stage.assert_no_refusals();
}
