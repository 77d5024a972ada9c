//! While the store is not there, or is not what it should be: no call is slower than a second for it, nobody is refused by
//! 88Pay, and the hosts come back to it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::harness::{Harness, until};
use crate::proxy::{Answers, Proxy};
use crate::worker::Worker;
use crate::yardstick::in_time;

/// What a call may take for a store that is away; the aim is that no call takes longer.
const SLOWEST: f64 = 1.0;

/// Once a store is back the hosts have come back to it after that time.
const COME_BACK: f64 = 5.0;

/// A process that comes while another one of its host is at the store looks again so much later.
const AGAIN: f64 = 1.0;

/// A busy machine may be that late with the call that brings a host back, and with the store's answer.
const SLACK: f64 = 0.75;

/// When the store is disturbed.
const DISTURBED: Duration = Duration::from_secs(1);

/// What an outage is like.
#[derive(Clone, Copy)]
struct Outage {
    /// So many hosts, with so many processes each.
    workers: (u32, u32),
    /// When the store is let be. All call for seven seconds more.
    let_be: Duration,
    /// The hosts find that the store cannot be used.
    noticed: bool,
}

/// It is over when all have just found the store away, so that they try again as late as they can.
const SHORT: Outage = Outage {
    workers: (2, 2),
    let_be: Duration::from_secs(2),
    noticed: true,
};

/// They have tried again in vain, and then get another token, each for itself.
const LONG: Outage = Outage {
    workers: (4, 1),
    let_be: Duration::from_millis(7_300),
    noticed: true,
};

/// The hosts call steadily through it.
fn go_through(
    what: &str,
    harness: &Harness,
    outage: Outage,
    disturb: impl FnOnce(),
    let_be: impl FnOnce(),
) {
    let mut workers = harness.workers(outage.workers.0, outage.workers.1);
    for worker in &mut workers {
        assert_eq!(worker.ask("call"), 200, "{what}");
    }
    let begun = Instant::now();
    for worker in &mut workers {
        worker.tell(&format!("steady {} 20", outage.let_be.as_secs() + 7));
    }
    thread::sleep(DISTURBED);
    disturb();
    // No token is good any more: callers wait while the store is asked for one.
    harness.sandbox.revoke_all();
    thread::sleep((begun + outage.let_be).saturating_duration_since(Instant::now()));
    let_be();
    let back = begun.elapsed().as_secs_f64();
    let (mut slowest, mut away): (f64, Option<f64>) = (0.0, None);
    for worker in &mut workers {
        let told = worker.hear().unwrap();
        assert_eq!(
            told["failed"].as_array().unwrap().len(),
            0,
            "{what}: {told}"
        );
        slowest = slowest.max(told["slowest"].as_f64().unwrap());
        away = away
            .into_iter()
            .chain(told["away"].as_f64())
            .reduce(f64::max);
    }
    let again = away.map(|away| away - back);
    println!("{what}: the slowest call took {slowest:.3} s, all were back after {again:.3?} s");
    assert!(slowest < SLOWEST, "{what}: {slowest} s");
    assert!(away.is_some() || !outage.noticed, "{what}");
    let fellows = f64::from(outage.workers.1 - 1);
    let most = COME_BACK + fellows * AGAIN + SLACK;
    assert!(again.is_none_or(|after| after < most), "{what}: {again:?}");
    let counters = harness.sandbox.counters();
    assert!(counters.tokens_refused.is_empty(), "{what}: {counters:?}");
    // Each process met it once that its token had been revoked.
    assert!(
        counters.unauthorized <= workers.len() as u64,
        "{what}: {counters:?}"
    );
    has_one_token(what, &mut workers);
}

/// The tokens of the hosts that were apart last eight seconds more at most; then all have one. Calls are what brings it.
fn has_one_token(what: &str, workers: &mut [Worker]) {
    until(Duration::from_secs(20), what, || {
        let mut tokens = Vec::new();
        for worker in workers.iter_mut() {
            assert_eq!(worker.ask("call"), 200, "{what}");
            tokens.push(worker.ask("token"));
        }
        let away = |worker: &mut Worker| !worker.ask("stats")["store_degraded"].is_null();
        tokens.windows(2).all(|pair| pair[0] == pair[1]) && !workers.iter_mut().any(away)
    });
}

fn redis_url(daemon: &Daemon) -> String {
    url("redis", daemon.port)
}

fn url(kind: &str, port: u16) -> String {
    format!("{kind}://127.0.0.1:{port}")
}

/// Both kinds at once.
fn of_both_kinds(go_through: impl Fn(&str, Daemon) + Sync) {
    thread::scope(|scope| {
        for kind in ["redis", "memcached"] {
            let go_through = &go_through;
            scope.spawn(move || {
                in_time(|| {
                    let daemon = match kind {
                        "redis" => Daemon::redis(&[]),
                        _ => Daemon::memcached(&[]),
                    };
                    go_through(kind, daemon);
                });
            });
        }
    });
}

#[test]
fn a_store_that_is_killed_and_comes_back_empty() {
    let alone = Outage {
        workers: LONG.workers,
        ..SHORT
    };
    for outage in [alone, LONG] {
        of_both_kinds(|kind, daemon| {
            let harness = Harness::hurried(&url(kind, daemon.port));
            let daemon = std::cell::RefCell::new(daemon);
            let (kill, restart) = (
                || daemon.borrow_mut().kill(),
                || daemon.borrow_mut().restart(),
            );
            let what = format!("{kind} killed until {:?}", outage.let_be);
            go_through(&what, &harness, outage, kill, restart);
        });
    }
}

#[test]
fn a_store_that_is_stopped_and_goes_on() {
    of_both_kinds(|kind, daemon| {
        let harness = Harness::hurried(&url(kind, daemon.port));
        let (stop, go_on) = (|| daemon.stop(), || daemon.go_on());
        go_through(&format!("{kind} stopped"), &harness, SHORT, stop, go_on);
    });
}

#[test]
fn a_store_that_forgets_all() {
    of_both_kinds(|kind, daemon| {
        let harness = Harness::hurried(&url(kind, daemon.port));
        let flush = match kind {
            "redis" => "FLUSHALL",
            _ => "flush_all",
        };
        let (flush, rest) = (|| drop(daemon.command(flush)), || ());
        let outage = Outage {
            noticed: false,
            ..SHORT
        };
        go_through(&format!("{kind} flushed"), &harness, outage, flush, rest);
    });
}

#[test]
fn a_redis_that_is_out_of_memory_or_takes_no_writes() {
    thread::scope(|scope| {
        for (disturb, let_be) in [
            ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
            (
                "CONFIG SET min-replicas-to-write 1",
                "CONFIG SET min-replicas-to-write 0",
            ),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ] {
            scope.spawn(move || {
                in_time(|| {
                    let redis = Daemon::redis(&[]);
                    let harness = Harness::hurried(&redis_url(&redis));
                    let say = |line| drop(redis.command(line));
                    go_through(disturb, &harness, SHORT, || say(disturb), || say(let_be));
                });
            });
        }
    });
}

#[test]
fn a_memcached_that_is_out_of_memory() {
    in_time(|| {
        // It has few sizes of places, and evicts nothing.
        let memcached = Daemon::memcached(&["-M", "-m", "2", "-f", "4"]);
        let fill = || {
            let mut stream = TcpStream::connect(("127.0.0.1", memcached.port)).unwrap();
            for size in [10_000, 4_000, 1_000, 250, 60] {
                for number in 0.. {
                    let data = "x".repeat(size);
                    let set = format!("ms fill-{size}-{number} {size}\r\n{data}\r\n");
                    stream.write_all(set.as_bytes()).unwrap();
                    let mut answer = [0; 100];
                    let length = stream.read(&mut answer).unwrap();
                    if answer[..length].starts_with(b"SERVER_ERROR out of memory") {
                        break;
                    }
                }
            }
        };
        let empty = || drop(memcached.command("flush_all"));
        let harness = Harness::hurried(&url("memcached", memcached.port));
        // A value that has its place already may still be replaced there.
        let outage = Outage {
            noticed: false,
            ..SHORT
        };
        go_through("memcached full", &harness, outage, fill, empty);
    });
}

#[test]
fn a_store_whose_answers_are_late_rubbish_or_missing() {
    for ways in [
        [Answers::Late(200), Answers::Late(300)],
        [Answers::Late(400), Answers::Rubbish],
        [Answers::Silence, Answers::Late(100)],
    ] {
        of_both_kinds(|kind, daemon| {
            thread::scope(|scope| {
                for way in ways {
                    let port = daemon.port;
                    scope.spawn(move || {
                        let proxy = Proxy::new(port);
                        let harness = Harness::hurried(&url(kind, proxy.port));
                        let (spoil, mend) = (|| proxy.set(way), || proxy.set(Answers::Open));
                        go_through(&format!("{kind} {way:?}"), &harness, SHORT, spoil, mend);
                    });
                }
            });
        });
    }
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
    in_time(|| {
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
                let harness = Harness::hurried(&format!("{kind}://127.0.0.1:{port}"));
                let mut workers = harness.workers(1, 2);
                for worker in &mut workers {
                    worker.tell("steady 3 20");
                }
                for worker in &mut workers {
                    let told = worker.hear().unwrap();
                    assert_eq!(told["failed"].as_array().unwrap().len(), 0, "{told}");
                    assert!(told["slowest"].as_f64().unwrap() < SLOWEST, "{told}");
                }
                // Whoever asked it knows why.
                let mut reasons = workers.iter_mut().map(|worker| worker.ask("stats"));
                let port = port.to_string();
                assert!(reasons.any(|stats| stats["store_degraded"].to_string().contains(&port)));
                harness.assert_no_refusals();
            }
        }
    });
}

#[test]
fn the_second_store_is_used_while_the_first_is_away() {
    in_time(|| {
        let redis = std::cell::RefCell::new(Daemon::redis(&[]));
        let memcached = Daemon::memcached(&[]);
        let stores = format!(
            "{},memcached://127.0.0.1:{}",
            redis_url(&redis.borrow()),
            memcached.port
        );
        let harness = Harness::hurried(&stores);
        let mut workers = harness.workers(2, 1);
        redis.borrow_mut().kill();
        for worker in &mut workers {
            assert_eq!(worker.ask("call"), 200);
        }
        let tokens: Vec<_> = workers
            .iter_mut()
            .map(|worker| worker.ask("token"))
            .collect();
        assert_eq!(tokens[0], tokens[1]);
        for worker in &mut workers {
            let stats = worker.ask("stats");
            assert!(
                stats["store"].as_str().unwrap().starts_with("memcached:"),
                "{stats}"
            );
        }
        harness.assert_no_refusals();
    });
}

#[test]
fn two_hosts_without_their_store_split_what_was_left() {
    in_time(|| {
        let redis = std::cell::RefCell::new(Daemon::redis(&[]));
        let mut harness = Harness::with(&redis_url(&redis.borrow()), |config| {
            config.expires_in = 11.into();
        });
        harness.set("tokens_per_minute", "6");
        let mut workers = harness.workers(2, 1);
        until(Duration::from_secs(30), "each knows of the other", || {
            let knows = |worker: &mut Worker| {
                assert_eq!(worker.ask("call"), 200);
                let stats = worker.ask("stats");
                // A renewal that is under way when the store ends would count for one of them alone.
                let is_new = stats["token_age"].as_f64().is_some_and(|age| age < 0.5);
                stats["hosts"] == 2 && is_new
            };
            workers
                .iter_mut()
                .filter_map(|worker| knows(worker).then_some(()))
                .count()
                == 2
        });
        let before = harness.sandbox.counters().tokens_requested;
        redis.borrow_mut().kill();
        // Each takes no more than its share of what was left of the minute's six, and is then refused with a time.
        let part = (6 - before) / 2;
        until(Duration::from_secs(60), "both shares are used up", || {
            let answers: Vec<_> = workers
                .iter_mut()
                .map(|worker| worker.ask("token"))
                .collect();
            let refused = |answer: &&serde_json::Value| {
                answer["error"] == "rate_limited"
                    && answer["retry_after"].as_f64().unwrap() > 0.0
                    && answer["message"].as_str().unwrap().contains("share")
            };
            answers.iter().filter(refused).count() == 2
        });
        assert_eq!(
            harness.sandbox.counters().tokens_requested,
            before + 2 * part
        );
        harness.assert_no_refusals();
    });
}
