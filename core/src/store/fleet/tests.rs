//! What every store promises, shown with a real redis-server and a real memcached.

mod daemon;
mod hostile;
mod memcached;
mod properties;
mod record;
mod redis;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::test_support::limits::{in_a_child, within};
use daemon::Daemon;

const SECOND: Duration = Duration::from_secs(1);
/// For what is to succeed, or to be refused: a busy machine may take that long for it.
const AMPLE: Duration = Duration::from_secs(10);
/// The mark of the host that writes a token.
const MINE: &[u8] = b"the first host's";
const NAME: &str = "0123456789abcdef0123456789abcdef";

fn owner() -> Owner {
    crate::platform::random::bytes().unwrap()
}

fn server(url: &str) -> Server {
    Server::new(StoreUrl::parse(url).unwrap())
}

fn session_of(server: &Server, name: &str) -> Box<dyn Session> {
    server.open(name, owner(), AMPLE).unwrap()
}

/// Leads, writes `value` as a new token's, and gives the lease back.
fn publish(session: &mut dyn Session, value: &[u8]) {
    assert!(session.take_lease(10 * SECOND, AMPLE).unwrap().0);
    assert!(
        session
            .write(value, 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
}

fn value(session: &mut dyn Session) -> Option<Vec<u8>> {
    let found = session.read(AMPLE).unwrap();
    found.value.map(|value| value.to_vec())
}

/// A store of each kind.
struct Harness {
    daemon: Daemon,
    server: Server,
}

impl Harness {
    fn redis() -> Harness {
        let daemon = Daemon::redis(&[]);
        let server = server(&format!("redis://127.0.0.1:{}", daemon.port));
        Harness { daemon, server }
    }

    fn memcached() -> Harness {
        let daemon = Daemon::memcached(&[]);
        let server = server(&format!("memcached://127.0.0.1:{}", daemon.port));
        Harness { daemon, server }
    }

    fn session(&self) -> Box<dyn Session> {
        session_of(&self.server, NAME)
    }

    fn flush(&self) {
        let flush = match self.server.shown().starts_with("redis") {
            true => "FLUSHALL",
            false => "flush_all",
        };
        assert!(self.daemon.command(flush).contains("OK"));
    }
}

/// Each promise of `Session` is kept by each kind of store.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod with_redis {
            $(#[test] fn $promise() { super::within(60 * super::SECOND, || super::$promise(super::Harness::redis())); })*
        }
        mod with_memcached {
            $(#[test] fn $promise() { super::within(60 * super::SECOND, || super::$promise(super::Harness::memcached())); })*
        }
    };
}

promises! {
    an_empty_store_has_nothing_but_a_clock
    what_a_leader_writes_the_others_read
    a_forked_child_asks_on_its_own
    one_at_a_time_leads
    who_follows_one_that_died_has_its_lease
    a_lease_ends_by_itself_and_no_sooner_than_was_asked
    a_late_leader_writes_nothing_and_gives_back_nobody_elses_lease
    who_does_not_lead_writes_nothing
    a_leader_that_keeps_its_lease_writes_again
    the_hosts_that_have_a_token_leave_their_marks_each_once
    no_more_marks_are_taken_than_are_read
    a_value_ends_when_its_time_is_over
    a_value_that_ended_while_one_led_is_replaced
    any_bytes_up_to_the_limit_come_back_as_they_were
    two_credentials_have_nothing_in_common
    of_many_at_once_one_leads_and_no_write_is_lost
    a_leader_of_what_was_flushed_writes_nothing
    a_killed_store_is_told_at_once_and_found_again_when_it_is_back
    a_stopped_store_costs_no_more_than_the_time_given
    a_lease_that_a_stopped_store_gives_to_somebody_gone_ends_soon
    the_clock_is_the_same_for_all_and_goes_as_time_does
}

fn an_empty_store_has_nothing_but_a_clock(harness: Harness) {
    let mut session = harness.session();
    let found = session.read(AMPLE).unwrap();
    assert!(found.value.is_none() && found.leased.is_none());
    assert!(session.marks(MINE, AMPLE).unwrap().is_empty());
    assert!(found.now.earliest <= found.now.latest && found.now.earliest > 1_000_000_000);
}

fn what_a_leader_writes_the_others_read(harness: Harness) {
    let (mut one, mut other) = (harness.session(), harness.session());
    publish(&mut *one, b"first");
    assert_eq!(value(&mut *other).unwrap(), b"first");
    let (led, found) = other.take_lease(10 * SECOND, AMPLE).unwrap();
    assert!(led && found.leased.is_none());
    assert_eq!(**found.value.unwrap(), *b"first");
    assert!(
        other
            .write(b"second", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    assert_eq!(value(&mut *one).unwrap(), b"second");
}

fn a_forked_child_asks_on_its_own(harness: Harness) {
    let mut session = harness.session();
    publish(&mut *session, b"inherited");
    let status = in_a_child(|| {
        let own = harness
            .server
            .open(NAME, owner(), AMPLE)
            .and_then(|mut own| {
                own.take_lease(9 * SECOND, AMPLE)?;
                own.write(b"the child's", 60 * SECOND, None, Some(MINE), AMPLE)
            });
        i32::from(own != Ok(true))
    });
    assert_eq!(status, 0);
    assert_eq!(value(&mut *session).unwrap(), b"the child's");
}

fn one_at_a_time_leads(harness: Harness) {
    let (mut one, mut other) = (harness.session(), harness.session());
    let taken = Instant::now();
    assert!(one.take_lease(8 * SECOND, AMPLE).unwrap().0);
    let (led, found) = other.take_lease(8 * SECOND, AMPLE).unwrap();
    assert!(!led);
    let left = found.leased.unwrap();
    assert!(
        left + taken.elapsed() > 7 * SECOND && left <= 9 * SECOND,
        "{left:?}"
    );
    let left = one.read(AMPLE).unwrap().leased;
    assert!(left.is_none_or(|left| left + taken.elapsed() > 7 * SECOND));
    one.release(AMPLE).unwrap();
    assert!(other.read(AMPLE).unwrap().leased.is_none());
    assert!(other.take_lease(8 * SECOND, AMPLE).unwrap().0);
}

fn who_follows_one_that_died_has_its_lease(harness: Harness) {
    let owner = owner();
    let open = || harness.server.open(NAME, owner, AMPLE).unwrap();
    let mut died = open();
    assert!(died.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert!(
        died.write(b"a", 60 * SECOND, Some(9 * SECOND), None, AMPLE)
            .unwrap()
    );
    drop(died);
    let mut other = harness.session();
    assert!(other.read(AMPLE).unwrap().leased.is_some());
    assert!(!other.take_lease(9 * SECOND, AMPLE).unwrap().0);
    let mut next = open();
    assert!(
        next.read(AMPLE).unwrap().leased.is_none(),
        "nobody else has it"
    );
    let (leads, found) = next.take_lease(9 * SECOND, AMPLE).unwrap();
    assert!(leads);
    assert_eq!(**found.value.unwrap(), *b"a");
    assert!(
        next.write(b"b", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    assert!(other.take_lease(9 * SECOND, AMPLE).unwrap().0);
}

fn a_lease_ends_by_itself_and_no_sooner_than_was_asked(harness: Harness) {
    let (mut one, mut other) = (harness.session(), harness.session());
    for lease in [SECOND / 2, SECOND] {
        let asked = Instant::now();
        assert!(one.take_lease(lease, AMPLE).unwrap().0);
        let taken = Instant::now();
        while !other.take_lease(lease, AMPLE).unwrap().0 {
            assert!(taken.elapsed() < lease + AMPLE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(asked.elapsed() >= lease, "{:?}", asked.elapsed());
        other.release(AMPLE).unwrap();
    }
}

fn a_late_leader_writes_nothing_and_gives_back_nobody_elses_lease(harness: Harness) {
    for releases_first in [false, true] {
        let (mut late, mut next) = (harness.session(), harness.session());
        assert!(late.take_lease(SECOND / 10, AMPLE).unwrap().0);
        while !next.take_lease(10 * SECOND, AMPLE).unwrap().0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        if releases_first {
            late.release(AMPLE).unwrap();
            assert!(late.read(AMPLE).unwrap().leased.is_some());
        }
        for lease in [None, Some(10 * SECOND)] {
            let written = late.write(b"late", 60 * SECOND, lease, Some(MINE), AMPLE);
            assert!(!written.unwrap());
        }
        late.release(AMPLE).unwrap();
        assert!(late.read(AMPLE).unwrap().leased.is_some());
        let written = next.write(b"next", 60 * SECOND, None, Some(MINE), AMPLE);
        assert!(written.unwrap());
        let written = late.write(b"late", 60 * SECOND, None, Some(MINE), AMPLE);
        assert!(!written.unwrap());
        assert_eq!(value(&mut *late).unwrap(), b"next");
    }
}

fn who_does_not_lead_writes_nothing(harness: Harness) {
    let mut session = harness.session();
    assert!(
        !session
            .write(b"x", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    publish(&mut *session, b"kept");
    assert!(
        !session
            .write(b"x", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    assert_eq!(value(&mut *session).unwrap(), b"kept");
}

fn a_leader_that_keeps_its_lease_writes_again(harness: Harness) {
    let (mut one, mut other) = (harness.session(), harness.session());
    assert!(one.take_lease(5 * SECOND, AMPLE).unwrap().0);
    let written = Instant::now();
    assert!(
        one.write(b"counted", 60 * SECOND, Some(9 * SECOND), None, AMPLE)
            .unwrap()
    );
    let left = other.read(AMPLE).unwrap().leased.unwrap();
    assert!(
        left + written.elapsed() > 8 * SECOND && left <= 10 * SECOND,
        "{left:?}"
    );
    assert_eq!(value(&mut *other).unwrap(), b"counted");
    assert!(!other.take_lease(SECOND, AMPLE).unwrap().0);
    assert!(
        one.write(b"answered", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    let (led, found) = other.take_lease(SECOND, AMPLE).unwrap();
    assert!(led);
    assert_eq!(**found.value.unwrap(), *b"answered");
}

fn the_hosts_that_have_a_token_leave_their_marks_each_once(harness: Harness) {
    let mut hosts = [harness.session(), harness.session(), harness.session()];
    publish(&mut *hosts[0], b"first");
    let marks: [&[u8]; 3] = [MINE, b"the second one's", b"\r\n\0\xff"];
    for (number, host) in hosts.iter_mut().enumerate() {
        host.read(AMPLE).unwrap();
        for _ in 0..3 {
            let found = host.marks(marks[number], AMPLE).unwrap();
            assert_eq!(found, marks[..=number].concat());
        }
    }
    // What is no new token changes nothing of it, and who has no mark to leave changes nothing either.
    let [one, other, late] = &mut hosts;
    assert!(one.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert_eq!(one.marks(&[], AMPLE).unwrap(), marks.concat());
    assert!(
        one.write(b"noted", 60 * SECOND, Some(9 * SECOND), None, AMPLE)
            .unwrap()
    );
    other.read(AMPLE).unwrap();
    assert_eq!(other.marks(&[], AMPLE).unwrap(), marks.concat());
    assert!(
        one.write(b"second", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    // Who still has the token before leaves no mark for the new one.
    late.marks(marks[2], AMPLE).unwrap();
    other.read(AMPLE).unwrap();
    assert_eq!(other.marks(&[], AMPLE).unwrap(), MINE);
    assert_eq!(other.marks(marks[1], AMPLE).unwrap(), marks[..2].concat());
}

fn no_more_marks_are_taken_than_are_read(harness: Harness) {
    let mut session = harness.session();
    publish(&mut *session, b"first");
    let many: Vec<u8> = (0..65_500_u32 / 4).flat_map(u32::to_le_bytes).collect();
    session.marks(&many, AMPLE).unwrap();
    session.marks(b"more", AMPLE).unwrap();
    session.marks(b"one mark too many", AMPLE).unwrap();
    let found = session.marks(&[], AMPLE).unwrap();
    assert_eq!(found, [MINE, &many, b"more"].concat());
}

fn a_value_ends_when_its_time_is_over(harness: Harness) {
    let mut session = harness.session();
    let written = Instant::now();
    assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert!(
        session
            .write(b"short", SECOND, Some(9 * SECOND), Some(MINE), AMPLE)
            .unwrap()
    );
    while value(&mut *session).is_some() {
        assert!(written.elapsed() < SECOND + AMPLE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(written.elapsed() >= SECOND);
    assert!(session.marks(MINE, AMPLE).unwrap().is_empty());
}

fn a_value_that_ended_while_one_led_is_replaced(harness: Harness) {
    let (mut one, mut other) = (harness.session(), harness.session());
    assert!(other.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert!(
        other
            .write(b"short", SECOND / 10, None, Some(MINE), AMPLE)
            .unwrap()
    );
    assert!(one.take_lease(20 * SECOND, AMPLE).unwrap().0);
    while value(&mut *other).is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        one.write(b"next", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    assert_eq!(value(&mut *other).unwrap(), b"next");
}

fn any_bytes_up_to_the_limit_come_back_as_they_were(harness: Harness) {
    let mut session = harness.session();
    let every: Vec<u8> = (0..=255).collect();
    for bytes in [
        b"".to_vec(),
        b"\r\n".to_vec(),
        b"VA 3\r\nEN\r\n$-1\r\n\0".to_vec(),
        every.clone(),
        every.repeat(256),
    ] {
        publish(&mut *session, &bytes);
        assert_eq!(value(&mut *session).unwrap(), bytes);
    }
    assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
    let refused = session.write(&vec![0; 65_537], SECOND, None, Some(MINE), AMPLE);
    assert!(refused.unwrap_err().contains("too long"));
}

fn two_credentials_have_nothing_in_common(harness: Harness) {
    let mut one = harness.session();
    let mut other = session_of(&harness.server, "ffffffffffffffffffffffffffffffff");
    publish(&mut *one, b"one");
    assert_eq!(value(&mut *other), None);
    assert!(one.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert!(other.take_lease(9 * SECOND, AMPLE).unwrap().0);
    assert!(other.marks(MINE, AMPLE).unwrap().is_empty());
}

fn of_many_at_once_one_leads_and_no_write_is_lost(harness: Harness) {
    const ROUNDS: u64 = 12;
    let (leading, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (harness, leading, written) = (&harness, &leading, &written);
            scope.spawn(move || {
                let mut session = harness.session();
                let mut done = 0;
                while done < ROUNDS {
                    let (led, found) = session.take_lease(20 * SECOND, AMPLE).unwrap();
                    if !led {
                        std::thread::sleep(Duration::from_millis(1 + number % 3));
                        continue;
                    }
                    assert!(!leading.swap(true, Ordering::SeqCst), "two lead");
                    std::thread::sleep(Duration::from_millis(1));
                    let before = found.value.map_or(0, |value| {
                        u64::from_le_bytes(value.as_slice().try_into().unwrap())
                    });
                    assert_eq!(before, written.load(Ordering::SeqCst), "a write is lost");
                    let keep_lease = (done + number).is_multiple_of(2).then_some(20 * SECOND);
                    let next = (before + 1).to_le_bytes();
                    written.store(before + 1, Ordering::SeqCst);
                    // Before the lease is given back, which others may see before this thread does.
                    leading.store(false, Ordering::SeqCst);
                    let kept = session.write(&next, 60 * SECOND, keep_lease, Some(MINE), AMPLE);
                    assert!(kept.unwrap());
                    if keep_lease.is_some() {
                        session.release(AMPLE).unwrap();
                    }
                    done += 1;
                }
            });
        }
    });
    assert_eq!(written.into_inner(), 16 * ROUNDS);
    let last = value(&mut *harness.session()).unwrap();
    assert_eq!(last, (16 * ROUNDS).to_le_bytes());
}

fn a_leader_of_what_was_flushed_writes_nothing(harness: Harness) {
    let mut session = harness.session();
    publish(&mut *session, b"old");
    assert!(session.take_lease(9 * SECOND, AMPLE).unwrap().0);
    harness.flush();
    assert!(
        !session
            .write(b"new", 60 * SECOND, None, Some(MINE), AMPLE)
            .unwrap()
    );
    let found = session.read(AMPLE).unwrap();
    assert!(found.value.is_none() && found.leased.is_none());
    assert!(session.marks(&[], AMPLE).unwrap().is_empty());
    publish(&mut *session, b"new");
    assert_eq!(value(&mut *session).unwrap(), b"new");
}

fn a_killed_store_is_told_at_once_and_found_again_when_it_is_back(mut harness: Harness) {
    let mut session = harness.session();
    publish(&mut *session, b"gone");
    harness.daemon.kill();
    let asked = Instant::now();
    session.read(AMPLE).err().unwrap();
    session.release(AMPLE).err().unwrap_or_default();
    let refused = harness.server.open(NAME, owner(), AMPLE).err().unwrap();
    assert!(refused.contains("refused"), "{refused}");
    // Each of them was given more.
    assert!(asked.elapsed() < AMPLE * 9 / 10);
    harness.daemon.restart();
    session.read(AMPLE).err().unwrap();
    let mut session = harness.session();
    assert_eq!(value(&mut *session), None);
    publish(&mut *session, b"back");
    assert_eq!(value(&mut *session).unwrap(), b"back");
}

fn a_stopped_store_costs_no_more_than_the_time_given(harness: Harness) {
    let mut session = harness.session();
    publish(&mut *session, b"kept");
    harness.daemon.stop();
    let time = Duration::from_millis(300);
    let asked = Instant::now();
    let reason = session.read(time).err().unwrap();
    assert!(reason.contains("time"), "{reason}");
    let took = asked.elapsed();
    println!("300 ms at a stopped store took {took:?}");
    assert!(took >= time && took < 10 * time, "{took:?}");
    // The kernel still accepts for it, so that only a question finds out.
    let asked = Instant::now();
    let opened = harness.server.open(NAME, owner(), time);
    assert!(
        opened
            .and_then(|mut session| session.take_lease(SECOND, time))
            .is_err()
    );
    assert!(asked.elapsed() < 20 * time);
    harness.daemon.go_on();
    // An answer that comes late is never taken for that to the next question.
    session.read(AMPLE).err().unwrap();
    assert_eq!(value(&mut *harness.session()).unwrap(), b"kept");
}

fn a_lease_that_a_stopped_store_gives_to_somebody_gone_ends_soon(harness: Harness) {
    let mut gone = harness.session();
    gone.read(AMPLE).unwrap();
    harness.daemon.stop();
    gone.take_lease(40 * SECOND, SECOND / 5).err().unwrap();
    drop(gone);
    harness.daemon.go_on();
    let back = Instant::now();
    let mut session = harness.session();
    // The question that waited is answered, though nobody is there any more.
    while session.read(AMPLE).unwrap().leased.is_none() {
        assert!(back.elapsed() < 10 * SECOND, "it was not asked");
    }
    let mut asked = Instant::now();
    while !session.take_lease(40 * SECOND, AMPLE).unwrap().0 {
        assert!(back.elapsed() < 10 * SECOND, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
        asked = Instant::now();
    }
    let left = harness.session().read(AMPLE).unwrap().leased.unwrap();
    assert!(left + asked.elapsed() > 38 * SECOND, "{left:?}");
}

fn the_clock_is_the_same_for_all_and_goes_as_time_does(harness: Harness) {
    // A busy machine is late now and then. A clock that goes wrong does so each time.
    let late: Vec<String> = (0..10)
        .map_while(|_| clock_goes_as_time_does(&harness).err())
        .collect();
    assert!(late.len() < 10, "{late:?}");
}

fn clock_goes_as_time_does(harness: &Harness) -> Result<(), String> {
    /// How much later than a second the server of a busy machine may tick, in milliseconds.
    const BUSY: u64 = 200;
    let other = server(harness.server.shown());
    let (mut one, mut other) = (harness.session(), session_of(&other, NAME));
    let (began, first) = (Instant::now(), one.read(AMPLE)?.now);
    let mut width = u64::MAX;
    while began.elapsed() < 3 * SECOND {
        std::thread::sleep(Duration::from_millis(37));
        for session in [&mut one, &mut other] {
            let asked = began.elapsed().as_millis() as u64;
            let now = session.read(AMPLE)?.now;
            let answered = began.elapsed().as_millis() as u64 + 1;
            assert!(now.earliest <= now.latest);
            // Both count from the same instant, within their bounds.
            if now.latest + BUSY < first.earliest + asked
                || now.earliest > first.latest + answered + BUSY
            {
                return Err(format!("{first:?} {now:?} {asked} {answered}"));
            }
            width = width.min(now.latest - now.earliest);
        }
    }
    match width <= 400 {
        true => Ok(()),
        false => Err(format!("{width} ms is all that is known of the time")),
    }
}
