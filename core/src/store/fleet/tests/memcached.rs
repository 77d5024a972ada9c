//! What Memcached alone has: epochs, a memory that may be too small, old releases.

use super::*;

fn at(daemon: &Daemon) -> Server {
    server(&format!("memcached://127.0.0.1:{}", daemon.port))
}

#[test]
fn a_value_of_another_epoch_counts_as_none_and_is_replaced() {
    within(30 * SECOND, || {
        let daemon = Daemon::memcached(&[]);
        let mut session = session_of(&at(&daemon), NAME);
        publish(&mut *session, b"of the first");
        assert_eq!(daemon.command(&format!("md pay88:{NAME}:clock")), "HD\r\n");
        let first = session.read(AMPLE).unwrap();
        assert!(first.value.is_none());
        publish(&mut *session, b"of the second");
        assert_eq!(value(&mut *session).unwrap(), b"of the second");
    });
}

#[test]
fn what_somebody_wrote_past_the_lease_is_not_replaced() {
    within(30 * SECOND, || {
        let daemon = Daemon::memcached(&[]);
        let mut session = session_of(&at(&daemon), NAME);
        let foreign = format!("set pay88:{NAME}:value 0 60 1\r\nx");
        for written_before in [false, true] {
            assert!(session.take_lease(20 * SECOND, AMPLE).unwrap().0);
            assert_eq!(daemon.command(&foreign), "STORED\r\n");
            let lease = written_before.then_some(20 * SECOND);
            assert!(
                !session
                    .write(b"mine", 60 * SECOND, lease, Some(MINE), AMPLE)
                    .unwrap()
            );
            session.release(AMPLE).unwrap();
            publish(&mut *session, b"known");
        }
    });
}

#[test]
fn a_server_that_was_stopped_and_goes_on_has_the_same_clock_for_all() {
    within(120 * SECOND, || {
        let daemon = Daemon::memcached(&[]);
        // A busy machine is late now and then. A clock that goes wrong does so each time.
        let late: Vec<String> = (0..10)
            .map_while(|_| clock_is_the_same_after_a_stop(&daemon).err())
            .collect();
        assert!(late.len() < 10, "{late:?}");
    });
}

fn clock_is_the_same_after_a_stop(daemon: &Daemon) -> Result<(), String> {
    let (knows, asks_anew) = (at(daemon), at(daemon));
    let mut session = session_of(&knows, NAME);
    let before = session.read(AMPLE).unwrap().now;
    for _ in 0..30 {
        session.read(AMPLE).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.stop();
    std::thread::sleep(2 * SECOND);
    daemon.go_on();
    // The server's timer has seen the time that passed.
    std::thread::sleep(SECOND + SECOND / 5);
    let known = session.read(AMPLE).unwrap().now;
    let anew = session_of(&asks_anew, NAME).read(AMPLE).unwrap().now;
    let same = known.earliest <= anew.latest && anew.earliest <= known.latest + 200;
    match same && known.latest >= before.earliest + 4_700 {
        true => Ok(()),
        false => Err(format!("{before:?} {known:?} {anew:?}")),
    }
}

#[test]
fn all_hosts_begin_the_same_clock() {
    within(30 * SECOND, || {
        let daemon = Daemon::memcached(&[]);
        let server = at(&daemon);
        std::thread::scope(|scope| {
            let looks = (0..16).map(|_| {
                scope.spawn(|| {
                    let now = session_of(&server, NAME).read(AMPLE).unwrap().now;
                    (now.earliest, now.latest)
                })
            });
            let looks: Vec<_> = looks.collect();
            let times: Vec<_> = looks.into_iter().map(|look| look.join().unwrap()).collect();
            let latest_start = times.iter().map(|time| time.0).max().unwrap();
            let earliest_end = times.iter().map(|time| time.1).min().unwrap();
            assert!(latest_start <= earliest_end + 2000, "{times:?}");
        });
        let mut session = session_of(&server, NAME);
        publish(&mut *session, b"x");
        assert_eq!(value(&mut *session_of(&server, NAME)).unwrap(), b"x");
    });
}

#[test]
fn what_is_written_ends_by_itself() {
    within(30 * SECOND, || {
        let daemon = Daemon::memcached(&[]);
        let mut session = session_of(&at(&daemon), NAME);
        publish(&mut *session, b"x");
        session.marks(b"another", AMPLE).unwrap();
        assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
        // The list is made in the background, and leaves out what is in use.
        let end = Instant::now() + 10 * SECOND;
        let items = loop {
            let listed = daemon.command("lru_crawler metadump all");
            let items = listed.lines().filter(|line| line.contains("pay88"));
            let items: Vec<String> = items.map(str::to_owned).collect();
            if items.len() == 4 {
                break items;
            }
            assert!(Instant::now() < end, "{listed}");
        };
        for item in items {
            assert!(!item.contains("exp=-1"), "{item}");
        }
    });
}

#[test]
fn a_server_without_versions_is_not_trusted() {
    within(30 * SECOND, || {
        let daemon = Daemon::memcached(&["-C"]);
        let mut session = session_of(&at(&daemon), NAME);
        let refused = session.take_lease(9 * SECOND, AMPLE).err().unwrap();
        assert!(refused.contains("-C"), "{refused}");
    });
}

#[test]
fn whether_it_takes_writes_is_found_out_without_leaving_anything() {
    within(60 * SECOND, || {
        let writable = |daemon: &Daemon| {
            let mut session = session_of(&at(daemon), NAME);
            session.read(AMPLE)?;
            session.writable(AMPLE)
        };
        let daemon = Daemon::memcached(&[]);
        assert_eq!(writable(&daemon), Ok(()));
        assert_eq!(value(&mut *session_of(&at(&daemon), NAME)), None);
        let why = writable(&Daemon::memcached(&["-C"])).unwrap_err();
        assert!(why.contains("-C"), "{why}");

        // One that never makes room, filled by values of the usual length.
        let full = Daemon::memcached(&["-M", "-m", "2"]);
        session_of(&at(&full), NAME).read(AMPLE).unwrap();
        let data = "x".repeat(2048);
        let mut sets: String = (0..3000)
            .map(|number| format!("set fill{number} 0 0 2048 noreply\r\n{data}\r\n"))
            .collect();
        sets += &format!("set last 0 0 2048\r\n{data}");
        let answer = full.command(&sets);
        assert!(answer.contains("out of memory"), "{answer:.200}");
        let why = writable(&full).unwrap_err();
        assert!(why.contains("memory is full"), "{why}");
    });
}

#[test]
fn a_store_that_wants_a_password_says_that_it_is_not_supported() {
    within(30 * SECOND, || {
        let dir = daemon::Dir::new();
        let users = dir.write("users", "pay:hush\n");
        let daemon = Daemon::memcached(&["-Y", &users]);
        let refused = session_of(&at(&daemon), NAME).read(AMPLE).err().unwrap();
        assert!(refused.contains("password"), "{refused}");
    });
}

/// Takes all the memory that there is for large values.
fn fill(daemon: &Daemon) {
    let item = [7; 60_000].map(char::from).iter().collect::<String>();
    for number in 0..1000 {
        let answer = daemon.command(&format!("set filler{number} 0 0 60000\r\n{item}"));
        if answer.starts_with("SERVER_ERROR out of memory") {
            return;
        }
        assert_eq!(answer, "STORED\r\n");
    }
    panic!("it is never full");
}

#[test]
fn a_full_store_says_so_and_still_takes_a_lease_back() {
    within(60 * SECOND, || {
        let daemon = Daemon::memcached(&["-M", "-m", "2", "-o", "no_lru_maintainer"]);
        let mut session = session_of(&at(&daemon), NAME);
        publish(&mut *session, b"before");
        assert!(session.take_lease(50 * SECOND, AMPLE).unwrap().0);
        // A value of a size of which there is none yet needs memory of its own.
        let large = vec![7; 60_000];
        fill(&daemon);
        let refused = session.write(&large, 60 * SECOND, Some(50 * SECOND), Some(MINE), AMPLE);
        assert!(refused.unwrap_err().contains("memory is full"));
        session.release(AMPLE).unwrap();
        assert!(session.read(AMPLE).unwrap().leased.is_none());
    });
}
