//! Among the hosts of a fleet.

mod failures;
mod outages;

use super::*;
use crate::policy::backoff::Backoff;
use crate::policy::rate_limit::Slot;
use crate::refresh::fleet::COME_BACK;
use crate::refresh::record::FleetRecord;

/// A store that answers at once, and what its hosts have there.
#[derive(Default)]
struct Store {
    record: Option<FleetRecord>,
    /// The host that has the lease.
    leased_by: Option<u32>,
    counted: u32,
    unreachable: bool,
    asked: u32,
}

/// A host with one process, or one process after the other.
struct Host {
    number: u32,
    record: HostRecord,
    ledger: Ledger,
    kept: Option<Kept>,
    newest: BootTime,
}

impl Host {
    fn new(number: u32) -> Host {
        Host {
            number,
            record: HostRecord::default(),
            ledger: ledger(),
            kept: None,
            newest: BootTime(0),
        }
    }

    fn begin(&self, now: BootTime) -> Refresh {
        let context = Context {
            id: u64::from(self.number) * 100_000_000 + now.0,
            newest: self.newest,
            dropped: None,
            kept: self.kept,
            safety_margin: Duration::from_secs(10),
            tokens_per_hour: 100,
            fleet: true,
            limit: REFRESH_TIME,
        };
        Refresh::new(1, now, Key::Current, false, context)
    }

    /// Goes on until the store and this host's record have nothing more to say.
    fn run(
        &mut self,
        refresh: &mut Refresh,
        store: &mut Store,
        now: BootTime,
        mut input: Input,
    ) -> Action {
        for _ in 0..30 {
            let action = refresh.step(&mut self.ledger, now, 1.0, input);
            input = match action {
                Action::Read { .. } => Input::Read(self.record.clone()),
                Action::Lock { .. } => Input::Locked(Some(self.record.clone())),
                Action::Write(record) => {
                    self.record = *record.clone();
                    Input::Written(record)
                }
                Action::Ask { what, .. } => self.ask(store, what),
                other => return other,
            };
        }
        panic!("it comes to no end");
    }

    fn ask(&self, store: &mut Store, what: Ask) -> Input {
        store.asked += 1;
        if store.unreachable {
            return Input::Unreachable;
        }
        let mine = store.leased_by == Some(self.number);
        match what {
            Ask::Count => {
                store.counted += 1;
                return Input::Counted(store.counted);
            }
            Ask::Release => {
                store.leased_by = store.leased_by.filter(|_| !mine);
                return Input::Stored(true);
            }
            Ask::Write { .. } if !mine => return Input::Stored(false),
            Ask::Write {
                record,
                lease,
                fresh,
            } => {
                store.record = Some(record.for_all_hosts());
                if lease.is_none() {
                    store.leased_by = None;
                }
                if fresh {
                    store.counted = 1;
                }
                return Input::Stored(true);
            }
            Ask::Lease { .. } if store.leased_by.is_none() => store.leased_by = Some(self.number),
            Ask::Lease { .. } | Ask::Read => {}
        }
        let leads = matches!(what, Ask::Lease { .. }) && store.leased_by == Some(self.number);
        Input::Found(Box::new(Found {
            record: store.record.clone(),
            leads,
            leased: store.leased_by.is_some_and(|by| by != self.number),
            hosts: if leads { store.counted } else { 0 },
        }))
    }

    /// A whole refresh, with a token endpoint that grants.
    fn refresh(&mut self, store: &mut Store, now: BootTime) -> Finish {
        let mut refresh = self.begin(now);
        let mut action = self.run(&mut refresh, store, now, Input::Start);
        if matches!(action, Action::Send { .. }) {
            action = self.run(&mut refresh, store, now, Input::Answer(Ok(grant()), None));
        }
        let Action::Finish(finish) = action else {
            panic!("{action:?}")
        };
        if let Finish::Granted { issue, .. } | Finish::Shared { issue, .. } = &finish {
            self.newest = issue.stamp.asked_at;
            let lifetime = issue.lifetime(Duration::from_secs(10), 100);
            self.kept = Some(Kept {
                id: issue.stamp.id,
                due: issue.stamp.asked_at.plus(lifetime.renew),
                end: issue.stamp.asked_at.plus(lifetime.usable),
            });
        }
        finish
    }
}

fn retry_after(finish: Finish) -> Duration {
    let Finish::Failed { error, .. } = finish else {
        panic!("{finish:?}")
    };
    assert_eq!(error.code(), ErrorCode::RateLimited, "{error}");
    error.retry_after().unwrap()
}

#[test]
fn one_host_asks_and_the_others_take_its_token_over() {
    let mut store = Store::default();
    let mut first = Host::new(1);
    assert!(matches!(
        first.refresh(&mut store, after(0)),
        Finish::Granted { .. }
    ));
    assert_eq!(store.asked, 4, "read, lease, slot, token");
    for number in 2..=8 {
        let mut host = Host::new(number);
        let asked = store.asked;
        let Finish::Shared { issue, .. } = host.refresh(&mut store, after(100)) else {
            panic!("asked again")
        };
        assert_eq!(issue.stamp.asked_at, after(0));
        assert_eq!(store.asked - asked, 2, "read, count");
        assert_eq!(host.record.common.counts, first.record.common.counts);
        assert_eq!(host.record.common.hosts, number);
    }
    assert_eq!(store.leased_by, None);
    // The next token says how many had the last one.
    assert!(matches!(
        first.refresh(&mut store, after(48_000)),
        Finish::Granted { .. }
    ));
    assert_eq!(store.record.unwrap().common.hosts, 8);
}

#[test]
fn the_slot_is_in_the_store_before_the_request_is_sent_and_nobody_else_may_send_meanwhile() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    let action = one.run(&mut refresh, &mut store, after(0), Input::Start);
    assert!(matches!(action, Action::Send { .. }));
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 1);
    let mut other = two.begin(after(10));
    let mut action = two.run(&mut other, &mut store, after(10), Input::Start);
    for millis in [35, 60, 85] {
        assert!(
            matches!(action, Action::Pause(pause) if pause <= Duration::from_millis(50)),
            "{action:?}"
        );
        action = two.run(&mut other, &mut store, after(millis), Input::PauseOver);
    }
    one.run(
        &mut refresh,
        &mut store,
        after(90),
        Input::Answer(Ok(grant()), None),
    );
    let action = two.run(&mut other, &mut store, after(110), Input::PauseOver);
    assert!(matches!(action, Action::Finish(Finish::Shared { .. })));
}

#[test]
fn a_lease_that_was_lost_publishes_nothing_and_its_request_stays_counted() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    // It was frozen; its lease has ended, and another host has got a token.
    store.leased_by = None;
    two.refresh(&mut store, after(13_000));
    let answer = Input::Answer(Ok(grant()), None);
    let action = one.run(&mut refresh, &mut store, after(14_000), answer);
    let Action::Finish(Finish::Shared { issue, .. }) = action else {
        panic!("{action:?}")
    };
    assert_eq!(issue.stamp.asked_at, after(13_000));
    assert_eq!(store.record.unwrap().common.counts.taken.len(), 2);
}

#[test]
fn a_token_that_was_rejected_here_or_is_known_here_is_not_taken_over() {
    let mut store = Store::default();
    let (mut one, mut two) = (Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    two.refresh(&mut store, after(10));
    // A 401: the process has dropped it, and its host's record says so.
    let rejected = two.kept.take().unwrap().id;
    two.record.common.rejected = Some(rejected);
    assert!(matches!(
        two.refresh(&mut store, after(20_000)),
        Finish::Granted { .. }
    ));
    assert_eq!(
        store.record.as_ref().unwrap().common.rejected,
        Some(rejected)
    );
}

#[test]
fn a_host_that_was_refused_asks_the_store_for_others_tokens_once_a_second() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut taken = ledger();
    for id in 1..=10 {
        taken.budget.take(after(0), id, false).unwrap();
    }
    store.record = Some(FleetRecord {
        common: Common {
            counts: taken.budget.counts().clone(),
            ..Common::default()
        },
        ..FleetRecord::default()
    });
    assert_eq!(
        retry_after(one.refresh(&mut store, after(100))).as_secs(),
        61
    );
    assert_eq!(store.asked, 1);
    assert!(!retry_after(one.refresh(&mut store, after(1_000))).is_zero());
    assert_eq!(store.asked, 1, "it was refused on its own host");
    two.refresh(&mut store, after(62_000));
    let finish = one.refresh(&mut store, after(62_100));
    assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
}

#[test]
fn a_slot_that_one_host_gives_back_is_no_longer_counted_by_those_who_saw_it() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    let mut other = two.begin(after(10));
    let action = two.run(&mut other, &mut store, after(10), Input::Start);
    assert!(matches!(action, Action::Pause(_)), "{action:?}");
    // Nothing could be sent.
    let answer = rejected(Class::Temporary, false, true);
    one.run(&mut refresh, &mut store, after(5_000), answer);
    let action = two.run(&mut other, &mut store, after(5_020), Input::PauseOver);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 1);
    assert_eq!(two.ledger.budget.left(after(5_020)), (9, 99));
}

#[test]
fn a_slot_that_was_given_back_long_ago_is_free_for_those_who_saw_it_while_it_was_taken() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    let mut refresh = one.begin(after(60_000));
    one.run(&mut refresh, &mut store, after(60_000), Input::Start);
    // The other one sees the slot, and gives up before the lease is free.
    let mut other = two.begin(after(60_010));
    let action = two.run(&mut other, &mut store, after(60_010), Input::Start);
    assert!(matches!(action, Action::Pause(_)), "{action:?}");
    let gone = Input::Abandoned { unsent: false };
    two.run(&mut other, &mut store, after(60_020), gone);
    assert_eq!(two.record.common.counts.taken.len(), 2);
    // Nothing could be sent.
    let answer = rejected(Class::Temporary, false, true);
    one.run(&mut refresh, &mut store, after(61_000), answer);
    let finish = two.refresh(&mut store, after(120_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    for counts in [
        &two.record.common.counts,
        &store.record.unwrap().common.counts,
    ] {
        assert_eq!(counts.taken.len(), 2, "those of the two tokens");
    }
}

#[test]
fn whatever_number_of_hosts_the_store_tells_nobody_waits_long_for_the_next_look() {
    let mut store = Store {
        record: Some(FleetRecord {
            common: Common {
                hosts: u32::MAX,
                ..Common::default()
            },
            ..FleetRecord::default()
        }),
        leased_by: Some(9),
        ..Store::default()
    };
    let mut host = Host::new(1);
    let mut refresh = host.begin(after(0));
    let action = host.run(&mut refresh, &mut store, after(0), Input::Start);
    assert!(
        matches!(action, Action::Pause(pause) if pause <= Duration::from_millis(500)),
        "{action:?}"
    );
}

#[test]
fn what_a_host_rejected_long_ago_does_not_take_the_place_of_what_another_rejects_now() {
    let (mut store, mut one) = (Store::default(), Host::new(1));
    store.record = Some(FleetRecord {
        common: Common {
            rejected: Some(1),
            ..has(issue(after(0)))
        },
        ..FleetRecord::default()
    });
    one.record.common.rejected = Some(5);
    let mut refresh = one.begin(after(10));
    one.run(&mut refresh, &mut store, after(10), Input::Start);
    assert_eq!(store.record.unwrap().common.rejected, Some(1));
}

#[test]
fn what_88pay_says_is_left_is_told_to_the_host_as_well_as_to_the_fleet() {
    let (mut store, mut one) = (Store::default(), Host::new(1));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    let told = RateLimit {
        limit: None,
        remaining: 3,
        reset_in: Duration::from_secs(30),
    };
    let answer = Input::Answer(Ok(grant()), Some(told));
    one.run(&mut refresh, &mut store, after(100), answer);
    for counts in [
        &one.record.common.counts,
        &store.record.unwrap().common.counts,
    ] {
        assert_eq!(
            counts
                .server_limits
                .iter()
                .map(|told| told.left)
                .collect::<Vec<_>>(),
            [3]
        );
    }
}

#[test]
fn a_lease_is_short_until_the_slot_is_told_and_then_outlasts_the_request() {
    let (mut store, mut one) = (Store::default(), Host::new(1));
    let mut refresh = one.begin(after(0));
    let (mut input, mut leases) = (Input::Start, Vec::new());
    loop {
        input = match refresh.step(&mut one.ledger, after(0), 1.0, input) {
            Action::Read { .. } => Input::Read(one.record.clone()),
            Action::Lock { .. } => Input::Locked(Some(one.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, .. } => {
                match &what {
                    Ask::Lease { lease } => leases.push(*lease),
                    Ask::Write { lease, .. } => leases.extend(*lease),
                    _ => {}
                }
                one.ask(&mut store, what)
            }
            Action::Send { within, .. } => {
                assert!(leases[1] > within);
                break;
            }
            other => panic!("{other:?}"),
        };
    }
    assert!(leases[0] <= Duration::from_secs(2), "{leases:?}");
}

#[test]
fn a_slot_is_not_used_for_a_request_that_is_sent_much_later() {
    let (mut store, mut host) = (Store::default(), Host::new(1));
    let mut refresh = host.begin(after(0));
    let mut input = Input::Start;
    let action = loop {
        let action = refresh.step(&mut host.ledger, after(0), 1.0, input);
        input = match action {
            Action::Read { .. } => Input::Read(host.record.clone()),
            Action::Lock { .. } => Input::Locked(Some(host.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, .. } if matches!(what, Ask::Write { .. }) => break what,
            Action::Ask { what, .. } => host.ask(&mut store, what),
            other => panic!("{other:?}"),
        };
    };
    // The store has it, and then the process is stopped for five seconds.
    let input = host.ask(&mut store, action);
    let now = after(5_000);
    let action = host.run(&mut refresh, &mut store, now, input);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
    let taken: Vec<BootTime> = store
        .record
        .unwrap()
        .common
        .counts
        .taken
        .iter()
        .map(|slot| slot.at)
        .collect();
    assert_eq!(taken, [now], "the other one was not used");
}

#[test]
fn tokens_that_are_dropped_one_after_the_other_do_not_make_the_fleet_seem_smaller() {
    let (mut store, mut hosts) = (Store::default(), Vec::from_iter((1..=8).map(Host::new)));
    for host in &mut hosts {
        host.refresh(&mut store, after(0));
    }
    for (at, left) in [
        (1_000, 8),
        (2_000, 8),
        (3_000, 8),
        (50_000, 5),
        (100_000, 3),
    ] {
        let host = &mut hosts[0];
        let kept = host.kept.take().unwrap();
        if at < 50_000 {
            host.record.common.rejected = Some(kept.id);
        }
        let finish = host.refresh(&mut store, after(at));
        assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
        assert_eq!(store.record.as_ref().unwrap().common.hosts, left, "{at}");
    }
}
