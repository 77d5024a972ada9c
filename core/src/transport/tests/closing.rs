//! Servers that close a connection right behind their answer, without saying so in the answer.

use std::io::Write;

use rustls::{ServerConnection, StreamOwned};

use super::server::{Authority, OK, Server, answer_all, end, read_request};
use super::*;

fn secure(server: &Server, authority: &Authority) -> LinkSettings {
    LinkSettings {
        tls: true,
        ca_bundle: Some(authority.file.clone()),
        ..plain(server.port)
    }
}

/// A server that closes each connection that long behind its only answer.
struct Closing {
    server: Server,
    /// How long after the answer each was closed, which on a busy machine is later.
    closed: Arc<Mutex<Vec<Duration>>>,
}

impl Closing {
    fn after(pause: Duration, authority: &Authority) -> Closing {
        let config = authority.server(&["localhost", "127.0.0.1"], &[], false);
        let closed = Arc::new(Mutex::new(Vec::new()));
        let its = closed.clone();
        let server = Server::raw(move |stream, _| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            if read_request(&mut stream).is_none() {
                // Given up before anything was sent: the machine is too busy for this round.
                return its.lock().unwrap().push(Duration::MAX);
            }
            let begun = Instant::now();
            let _ = stream.write_all(OK);
            let _ = stream.flush();
            std::thread::sleep(pause);
            end(&stream.sock);
            its.lock().unwrap().push(begun.elapsed());
        });
        Closing { server, closed }
    }

    /// The latest closing, once all are closed.
    fn latest(&self) -> Duration {
        loop {
            let closed = self.closed.lock().unwrap();
            if closed.len() == self.server.connections() {
                return closed.iter().copied().max().unwrap_or_default();
            }
            drop(closed);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn no_charge_is_in_doubt_at_a_server_that_closes_behind_its_answers() {
    within(600 * SECOND, || {
        let authority = Authority::new();
        for (pause, by) in [0, 300, 1000, 3000]
            .into_iter()
            .flat_map(|p| EACH.map(|by| (p, by)))
        {
            // Ten that are as meant: a busy machine closes some later.
            let mut rounds = 0;
            while rounds < 10 {
                let closing = Closing::after(Duration::from_micros(pause), &authority);
                let link = link(secure(&closing.server, &authority));
                // Behind an urgent request a charge takes another connection, and behind another one it waits.
                let first: fn(Request<'_>) -> Request<'_> = match rounds % 2 {
                    0 => urgent,
                    _ => |request| request,
                };
                by.exchange(&link, first, limits(5 * SECOND), None).unwrap();
                let doubt = (0..4).find_map(|_| by.charge(&link, 5 * SECOND).err());
                // One that closes later is one that keeps connections for a while.
                if closing.latest() < Duration::from_millis(30) {
                    assert_eq!(doubt, None, "{by:?}, {pause} us, round {rounds}");
                    rounds += 1;
                }
            }
        }
    });
}

#[test]
fn charges_share_the_connections_of_a_server_that_keeps_them() {
    within(600 * SECOND, || {
        let authority = Authority::new();
        for (by, behind_urgent) in EACH.into_iter().flat_map(|by| [(by, false), (by, true)]) {
            let bare = Server::raw(|mut stream, _| answer_all(&mut stream));
            let under_tls = Server::tls(&authority, &[], |stream, _| answer_all(stream));
            for (server, settings) in [
                (&bare, plain(bare.port)),
                (&under_tls, secure(&under_tls, &authority)),
            ] {
                let link = link(settings);
                if behind_urgent {
                    by.exchange(&link, urgent, limits(5 * SECOND), None)
                        .unwrap();
                }
                for _ in 0..50 {
                    by.charge(&link, 5 * SECOND).unwrap();
                }
                let connections = server.connections();
                // Where many processes start, only those that had to ask for a token have two.
                let most = 1 + usize::from(behind_urgent);
                assert!(connections <= most, "{by:?}: {connections} connections");
            }
        }
    });
}

#[test]
fn what_may_be_repeated_shares_connections_at_once() {
    let server = Server::raw(|mut stream, _| answer_all(&mut stream));
    let link = link(plain(server.port));
    for _ in 0..10 {
        By::Caller.send(&link, "x", 5 * SECOND).unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_server_that_begins_to_close_connections_is_remembered() {
    within(600 * SECOND, || {
        // What idles for long has a connection of its own anyway, and a busy machine makes each idle.
        in_time("a charge every 100 ms", || {
            let begun = Instant::now();
            let connections = connections_of_charges_at_one_that_closes_the_first();
            if begun.elapsed() > SECOND * 8 / 10 && connections != [1, 1, 1, 2, 3, 4, 4] {
                return Err(format!("{connections:?} after {:?}", begun.elapsed()));
            }
            assert_eq!(connections, [1, 1, 1, 2, 3, 4, 4]);
            Ok(())
        });
    });
}

/// How many connections there were after each of six charges, and after what may be repeated.
fn connections_of_charges_at_one_that_closes_the_first() -> Vec<usize> {
    // The first connection is kept for three answers, and ends right behind the third.
    let server = Server::raw(|mut stream, number| {
        for _ in 0..if number == 0 { 3 } else { 1000 } {
            if read_request(&mut stream).is_none() {
                return;
            }
            stream.write_all(OK).unwrap();
        }
    });
    let link = link(plain(server.port));
    let mut connections = Vec::new();
    let mut charge = || {
        By::Caller.charge(&link, 20 * SECOND).unwrap();
        connections.push(server.connections());
        std::thread::sleep(Duration::from_millis(100));
    };
    (0..3).for_each(|_| charge());
    server.wait_for_ends(1);
    // From here on each charge has a connection of its own, and only they.
    (0..3).for_each(|_| charge());
    By::Caller.send(&link, "x", 20 * SECOND).unwrap();
    connections.push(server.connections());
    connections
}
