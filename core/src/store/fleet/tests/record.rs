//! The record in a store that is played: what is believed of it, and how instants keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use zeroize::Zeroizing;

use super::super::session::{Found as There, Session, StoreTime};
use super::super::*;
use crate::config::endpoint::BaseUrl;
use crate::config::option::Opt;
use crate::error::{Error, ErrorCode};
use crate::platform::virtual_clock::VirtualClock;
use crate::policy::backoff::Backoff;
use crate::policy::rate_limit::ServerLimit;
use crate::policy::token_response::{Class, Grant};
use crate::refresh::Ask;
use crate::refresh::record::Issue;
use crate::secret::Secret;

/// What is in the store, and its clock: so many milliseconds ahead of boot time, told in steps of that many. Time passes only
/// while an answer of the store is on its way.
#[derive(Default)]
struct Shelf {
    clock: Arc<VirtualClock>,
    values: HashMap<String, Vec<u8>>,
    marks: Vec<u8>,
    ahead: i64,
    step: u64,
    leased: Option<Duration>,
}

struct Reader(Arc<Mutex<Shelf>>, String);

impl Reader {
    fn there(&self) -> There {
        let now = boot(&self.0);
        let shelf = self.0.lock().unwrap();
        let now = now.0.saturating_add_signed(shelf.ahead);
        shelf.clock.advance(Duration::from_micros(300));
        let step = shelf.step.max(1);
        let earliest = now / step * step;
        There {
            value: shelf.values.get(&self.1).cloned().map(Zeroizing::new),
            leased: shelf.leased,
            now: StoreTime {
                earliest,
                // Redis and Memcached allow as much for the way.
                latest: earliest + step - 1 + 2,
            },
        }
    }
}

impl Session for Reader {
    fn read(&mut self, _: Duration) -> Result<There, String> {
        Ok(self.there())
    }

    fn take_lease(&mut self, _: Duration, _: Duration) -> Result<(bool, There), String> {
        Ok((true, self.there()))
    }

    fn write(
        &mut self,
        value: &[u8],
        _: Duration,
        _: Option<Duration>,
        fresh: Option<&[u8]>,
        _: Duration,
    ) -> Result<bool, String> {
        let mut shelf = self.0.lock().unwrap();
        if let Some(mark) = fresh {
            shelf.marks = mark.to_vec();
        }
        shelf.values.insert(self.1.clone(), value.to_vec());
        Ok(true)
    }

    fn release(&mut self, _: Duration) -> Result<(), String> {
        Ok(())
    }

    fn writable(&mut self, _: Duration) -> Result<(), String> {
        Ok(())
    }

    fn marks(&mut self, mine: &[u8], _: Duration) -> Result<Vec<u8>, String> {
        let marks = &mut self.0.lock().unwrap().marks;
        marks.extend_from_slice(mine);
        Ok(marks.clone())
    }
}

pub(super) fn api_key(text: &str) -> ApiKey {
    let base_url = BaseUrl::parse("https://pay.example").unwrap();
    ApiKey::parse(Opt::ApiKey, text, &base_url).unwrap()
}

/// What a host has of the store.
fn host(shelf: &Arc<Mutex<Shelf>>, key: &str, merchant_id: &str) -> FleetClient {
    let stores = [StoreUrl::parse("redis+unix:///nowhere").unwrap()];
    let clock = Clock::Virtual(shelf.lock().unwrap().clock.clone());
    let fleet = Fleet::new(&stores, "https://pay.example", merchant_id, clock);
    let mut client = Arc::new(fleet).client(&api_key(key)).unwrap();
    let reader = Reader(shelf.clone(), client.name.clone());
    client.session = Some((0, Box::new(reader)));
    client
}

fn look(host: &mut FleetClient) -> Option<FleetRecord> {
    match host.ask(Ask::Read, ATTEMPT_TIME).unwrap() {
        Answer::Found(found) => found.record,
        _ => panic!("not found"),
    }
}

fn write(host: &mut FleetClient, record: &FleetRecord) {
    let write = Ask::Write {
        record: Box::new(record.clone()),
        lease: None,
        fresh: true,
    };
    assert!(matches!(
        host.ask(write, ATTEMPT_TIME),
        Ok(Answer::Stored(true))
    ));
}

fn record(now: BootTime) -> FleetRecord {
    let slot = |id| Slot {
        at: now,
        id,
        partitioned: true,
        pending: false,
    };
    let mut record = FleetRecord::default();
    record.common.issue = Some(Issue {
        stamp: Stamp {
            id: 1,
            asked_at: now,
        },
        grant: Grant {
            access_token: Secret::new("token-1".into()),
            session_id: Secret::new("sess_1".into()),
            expires_in: 60,
        },
        budget_shares: 3,
    });
    record.common.counts.taken.extend([slot(0), slot(5)]);
    record
}

fn shelf(ahead: i64, step: u64) -> Arc<Mutex<Shelf>> {
    Arc::new(Mutex::new(Shelf {
        ahead,
        step,
        ..Shelf::default()
    }))
}

fn boot(shelf: &Arc<Mutex<Shelf>>) -> BootTime {
    Clock::Virtual(shelf.lock().unwrap().clock.clone()).boot()
}

#[test]
fn a_token_never_seems_younger_nor_a_slot_older_than_it_is_whatever_the_stores_clock_says() {
    let clocks = [
        (0, 1),
        (3_600_000, 1),
        (-60_000, 1),
        (1_790_000_000_000, 1000),
    ];
    // Where in its step the store's clock is at either reading, in microseconds.
    let moments = [(0, 0), (800, 0), (0, 800), (0, 900_000), (900_000, 200_000)];
    for ((ahead, step), (before, between)) in clocks
        .iter()
        .flat_map(|clock| moments.map(|at| (*clock, at)))
    {
        let shelf = shelf(ahead, step);
        let pass = |micros| {
            let clock = shelf.lock().unwrap().clock.clone();
            clock.advance(Duration::from_micros(micros));
        };
        let (mut one, mut two) = (
            host(&shelf, KEY, "MCH-COL-1"),
            host(&shelf, KEY, "MCH-COL-1"),
        );
        pass(before);
        let now = boot(&shelf);
        look(&mut one);
        write(&mut one, &record(now));
        pass(between);
        let found = look(&mut two).unwrap();
        let what = format!("{step}: {before}, {between}");
        let slot = found.common.counts.taken[0].at;
        let early = now.until(slot).as_millis() as u64;
        assert!(slot >= now && early <= 2 * step + 50, "{what}: {early}");
        let issue = found.common.issue.unwrap();
        let asked_at = issue.stamp.asked_at;
        let age = asked_at.until(now).as_millis() as u64;
        assert!(asked_at <= now && age <= 2 * step + 50, "{what}: {age}");
        assert_eq!(issue.budget_shares, 0, "that was said of another host");
    }
}

#[test]
fn what_is_counted_does_not_creep_when_hosts_write_it_in_turn() {
    let shelf = shelf(1_790_000_000_000, 1000);
    let now = boot(&shelf);
    let mut first = host(&shelf, KEY, "MCH-COL-1");
    look(&mut first);
    write(&mut first, &record(now));
    let there = first.stored.common.counts.clone();
    for _ in 0..50 {
        let mut next = host(&shelf, KEY, "MCH-COL-1");
        let found = look(&mut next).unwrap();
        assert_eq!(
            found.common.counts.taken.len(),
            1,
            "a slot without an id is this host's guess"
        );
        write(&mut next, &found);
        assert_eq!(next.stored.common.counts, there);
    }
}

#[test]
fn a_store_whose_clock_was_set_back_counts_from_now() {
    let shelf = shelf(7_200_000, 1);
    let now = boot(&shelf);
    let mut one = host(&shelf, KEY, "MCH-COL-1");
    look(&mut one);
    let mut told = record(now);
    told.common.counts.server_limits = vec![ServerLimit {
        left: 0,
        hourly: false,
        until: now.plus(Duration::from_secs(30)),
    }];
    told.common.backoff = Some(Backoff {
        class: Class::RateLimited,
        at: now,
        until: now.plus(Duration::from_secs(60)),
        error: Error::new(ErrorCode::RateLimited, "m", "h"),
        streak: 1,
    });
    write(&mut one, &told);
    shelf.lock().unwrap().ahead = 0;
    let mut other = host(&shelf, KEY, "MCH-COL-1");
    let found = look(&mut other).unwrap();
    let hold = now
        .until(found.common.backoff.as_ref().unwrap().until)
        .as_secs();
    assert!((55..=61).contains(&hold), "{hold} s");
    let told = now
        .until(found.common.counts.server_limits[0].until)
        .as_secs();
    assert!(told <= 3616, "{told} s");
    let later = found.common.counts.taken[0].at.0 - now.0;
    assert!(later < 1_000, "{later} ms");
    // The token is of a time that has not come: nobody takes it (`Context::takes`).
    assert!(found.common.issue.unwrap().stamp.asked_at > boot(&shelf));
}

#[test]
fn a_lease_that_does_not_end_keeps_nobody_from_going_on_without_the_store() {
    let shelf = shelf(0, 1);
    let mut one = host(&shelf, KEY, "MCH-COL-1");
    shelf.lock().unwrap().leased = Some(Duration::from_secs(14));
    assert!(one.ask(Ask::Read, ATTEMPT_TIME).is_ok());
    shelf.lock().unwrap().leased = Some(Duration::from_secs(3600));
    assert!(one.ask(Ask::Read, ATTEMPT_TIME).is_err());
}

#[test]
fn what_a_later_release_adds_to_the_record_is_kept_when_this_one_writes() {
    let shelf = shelf(0, 1);
    let (mut one, mut two) = (
        host(&shelf, KEY, "MCH-COL-1"),
        host(&shelf, KEY, "MCH-COL-1"),
    );
    look(&mut one);
    let mut later = record(boot(&shelf));
    later
        .common
        .others
        .insert("colour".to_owned(), json!("blue"));
    write(&mut one, &later);
    let found = look(&mut two).unwrap();
    write(&mut two, &found);
    assert_eq!(look(&mut one).unwrap().common.others["colour"], "blue");
}

#[test]
fn what_was_cut_changed_moved_or_sealed_by_others_is_nothing() {
    let shelf = shelf(0, 1);
    let mut mine = host(&shelf, KEY, "MCH-COL-1");
    look(&mut mine);
    write(&mut mine, &record(boot(&shelf)));
    let value = shelf.lock().unwrap().values[&mine.name].clone();
    let put = |host: &mut FleetClient, value: Vec<u8>| {
        shelf
            .lock()
            .unwrap()
            .values
            .insert(host.name.clone(), value);
        look(host)
    };
    assert!(put(&mut mine, value.clone()).is_some());
    for length in [0, 1, HEADER, HEADER + 30, value.len() - 1] {
        assert!(
            put(&mut mine, value[..length].to_vec()).is_none(),
            "{length}"
        );
    }
    for at in (0..value.len()).step_by(7).chain(0..HEADER) {
        let mut other = value.clone();
        other[at] ^= 1;
        assert!(put(&mut mine, other).is_none(), "{at}");
    }
    let mut others = host(&shelf, "sk_test_sandbox_2", "MCH-COL-1");
    assert!(put(&mut others, value.clone()).is_none());
    let mut moved = host(&shelf, KEY, "MCH-COL-2");
    assert_ne!(moved.name, mine.name);
    assert!(put(&mut moved, value).is_none());
}

#[test]
fn neither_token_nor_session_nor_key_is_readable_in_the_store() {
    let shelf = shelf(0, 1);
    let mut mine = host(&shelf, KEY, "MCH-COL-1");
    look(&mut mine);
    write(&mut mine, &record(boot(&shelf)));
    for (name, value) in &shelf.lock().unwrap().values {
        for secret in ["token-1", "sess_1", KEY, "MCH-COL-1"] {
            let shown = value
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!shown && !name.contains(secret), "{secret}");
        }
    }
}

#[test]
fn a_store_that_failed_is_left_alone_for_five_seconds_doubling_to_a_minute() {
    let clock = Arc::new(VirtualClock::default());
    let stores = ["redis+unix:///nowhere", "redis+unix:///elsewhere"];
    let stores = stores.map(|url| StoreUrl::parse(url).unwrap());
    let fleet = Fleet::new(
        &stores,
        "https://pay.example",
        "MCH-COL-1",
        Clock::Virtual(clock.clone()),
    );
    assert_eq!(fleet.candidates(), [0, 1]);
    for seconds in [5, 10, 20, 40, 60, 60] {
        fleet.note(0, false);
        clock.advance(Duration::from_secs(seconds) - Duration::from_millis(1));
        assert_eq!(fleet.candidates(), [1], "{seconds} s");
        clock.advance(Duration::from_millis(1));
        assert_eq!(fleet.candidates(), [0, 1]);
    }
    fleet.note(0, false);
    fleet.note(1, false);
    assert_eq!(fleet.candidates(), [0, 1], "one of them has to be tried");
    fleet.note(0, true);
    assert_eq!(fleet.candidates(), [0]);
}

const KEY: &str = "sk_test_sandbox_1";

/// How many hosts have the token, as its next leader counts them.
fn counted(host: &mut FleetClient) -> u32 {
    let lead = Ask::Lease {
        lease: ATTEMPT_TIME,
    };
    match host.ask(lead, ATTEMPT_TIME).unwrap() {
        Answer::Found(found) => found.hosts,
        _ => panic!("not found"),
    }
}

/// `counted` once more, by a host that takes the token over.
fn take_over(host: &mut FleetClient) -> u32 {
    look(host).unwrap();
    match host.ask(Ask::Count, ATTEMPT_TIME).unwrap() {
        Answer::Counted(hosts) => hosts,
        _ => panic!("not counted"),
    }
}

#[test]
fn only_hosts_that_have_the_key_count_and_each_of_them_once() {
    let shelf = shelf(0, 1);
    let numbered = |number: u64, key| {
        let mut one = host(&shelf, key, "MCH-COL-1");
        one.host = number;
        one
    };
    let now = boot(&shelf);
    let mut one = numbered(1, KEY);
    look(&mut one);
    write(&mut one, &record(now));
    assert_eq!(counted(&mut one), 1);
    for number in 2..=4 {
        for _ in 0..2 {
            assert_eq!(take_over(&mut numbered(number, KEY)), number as u32);
        }
    }
    assert_eq!(counted(&mut numbered(5, KEY)), 4);
    // What others leave there counts nothing: any bytes, a thousand of a mark, and marks that were made with another key.
    let marks = shelf.lock().unwrap().marks.clone();
    let mut other = numbered(7, "sk_test_sandbox_another_key_0001");
    other.stored = record(now);
    for more in [
        b"1000".to_vec(),
        vec![b'1'; 60_000],
        marks.repeat(1000),
        other.mark(&other.stored, 7).repeat(1000),
    ] {
        shelf.lock().unwrap().marks = [&marks[..], &more].concat();
        assert_eq!(counted(&mut one), 4);
    }
    // Nor do the marks of one token count for the next.
    let mut next = record(now);
    next.common.issue.as_mut().unwrap().stamp.id = 2;
    write(&mut one, &next);
    shelf.lock().unwrap().marks = marks;
    assert_eq!(counted(&mut one), 0);
    shelf.lock().unwrap().marks.clear();
    assert_eq!(take_over(&mut numbered(2, KEY)), 1);
}
