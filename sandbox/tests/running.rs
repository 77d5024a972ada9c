//! Starting, stopping, and many clients at once.

mod client;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use client::*;
use pay88_sandbox::{Action, Config, Fault, Match, Sandbox};

/// Client and server share this process, so both ends of each connection count against its limit.
fn allow_many_files() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live rlimit, which the call fills in.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(got, 0);
    limit.rlim_cur = limit.rlim_max.min(8192);
    // SAFETY: the pointer is to a live rlimit, which the call only reads.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    allow_many_files();
    let sandbox = plain(unlimited());
    let token = Client::to(&sandbox).token();
    let mut clients: Vec<Client> = (0..1000).map(|_| Client::to(&sandbox)).collect();
    for client in &mut clients {
        client.send(charge(&token));
    }
    for client in &mut clients {
        assert_eq!(client.answer().unwrap().status, 200);
    }
    let counters = sandbox.counters();
    assert_eq!(counters.charges_created, 1000);
    assert!(counters.connections_peak >= 1000, "{counters:?}");
    let start = Instant::now();
    sandbox.stop();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(clients.iter_mut().all(Client::is_over));
}

#[test]
fn a_hundred_tls_connections_are_served_at_once() {
    let sandbox = Sandbox::start(unlimited()).unwrap();
    let token = Client::tls(&sandbox, "localhost").unwrap().token();
    let all_open = Barrier::new(100);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let mut client = Client::tls(&sandbox, "localhost").unwrap();
                all_open.wait();
                assert_eq!(client.charge(&token).status, 200);
            });
        }
    });
    assert_eq!(sandbox.counters().tls_handshakes, 101);
    assert!(sandbox.counters().connections_peak >= 100);
}

#[test]
fn a_connection_that_ended_is_not_counted_as_open() {
    let sandbox = plain(Config::default());
    let mut client = Client::to(&sandbox);
    client.token();
    assert_eq!(sandbox.counters().connections_open, 1);
    drop(client);
    let start = Instant::now();
    while sandbox.counters().connections_open > 0 {
        assert!(start.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(sandbox.counters().connections_accepted, 1);
}

/// A free port of an address of that test's own: no other test takes it when it is given up.
fn of_its_own(number: u8) -> SocketAddr {
    ([127, 0, 0, number], 0).into()
}

#[test]
fn a_stop_ends_whatever_waits() {
    let sandbox = plain(Config {
        listen: of_its_own(81),
        control: Some(of_its_own(81)),
        ..unlimited()
    });
    let token = Client::to(&sandbox).token();
    let hour = Duration::from_secs(3600);
    let mut waiting: Vec<Client> = [
        Action::Stall,
        Action::StallInBody,
        Action::Delay { seconds: hour },
        Action::HugeBody { bytes: u64::MAX },
    ]
    .into_iter()
    .map(|action| {
        sandbox.fault(Fault::once(Match::Calls, action));
        let mut client = Client::to(&sandbox);
        let played = sandbox.counters().faults_played;
        client.send(charge(&token));
        while sandbox.counters().faults_played == played {
            thread::yield_now();
        }
        client
    })
    .collect();
    waiting.push(Client::to(&sandbox));
    let mut half_asked = Client::to(&sandbox);
    half_asked.send("POST /api");
    waiting.push(half_asked);

    let address = sandbox.address();
    let control = sandbox.control_url().unwrap();
    let start = Instant::now();
    drop(sandbox);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    for client in &mut waiting {
        client.rest();
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "every one of them ended"
    );
    assert!(TcpStream::connect(address).is_err());
    assert!(TcpStream::connect(control.strip_prefix("http://").unwrap()).is_err());
}

#[test]
fn the_same_port_can_be_taken_again_at_once() {
    let first = plain(Config {
        listen: of_its_own(82),
        ..Config::default()
    });
    Client::to(&first).token();
    let address = first.address();
    first.stop();
    let second = plain(Config {
        listen: address,
        ..Config::default()
    });
    assert_eq!(second.address(), address);
    Client::to(&second).token();
}

#[test]
fn a_port_in_use_is_an_error() {
    let first = plain(Config::default());
    let second = Sandbox::start(Config {
        listen: first.address(),
        ..Config::default()
    });
    assert_eq!(second.err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn plain_http_and_the_control_port_stay_on_this_machine() {
    let everywhere = (Ipv4Addr::UNSPECIFIED, 0).into();
    for config in [
        Config {
            tls: false,
            listen: everywhere,
            ..Config::default()
        },
        Config {
            control: Some(everywhere),
            ..Config::default()
        },
    ] {
        let error = Sandbox::start(config).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    let sandbox = Sandbox::start(Config {
        listen: everywhere,
        ..Config::default()
    });
    drop(sandbox.unwrap());
}

#[test]
fn urls_name_scheme_host_and_port() {
    let tls = Sandbox::start(Config::default()).unwrap();
    assert_eq!(
        tls.base_url(),
        format!("https://localhost:{}", tls.address().port())
    );
    let plain = plain(Config {
        control: None,
        ..Config::default()
    });
    assert_eq!(plain.base_url(), format!("http://{}", plain.address()));
    assert_eq!(plain.control_url(), None);
    assert_eq!(plain.ca_pem(), "");
}

#[test]
fn the_certificate_authority_is_written_to_the_file_that_is_named() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let name = format!("pay88-sandbox-{}.pem", std::process::id());
    let path = std::env::temp_dir().join(name);
    sandbox.write_ca(&path).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written, sandbox.ca_pem());
    assert!(sandbox.write_ca("/nowhere/at/all.pem").is_err());
}
