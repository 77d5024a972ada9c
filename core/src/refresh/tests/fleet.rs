//! Among the hosts of a fleet.

use super::*;
use crate::budget::Slot;
use crate::hold::Hold;
use crate::refresh::fleet::COME_BACK;

/// A store that answers at once, and what its hosts have there.
#[derive(Default)]
struct Store {
    record: Option<Record>,
    /// The host that has the lease.
    leased_by: Option<u32>,
    counted: u32,
    away: bool,
    asked: u32,
}

/// A host with one process, or one process after the other.
struct Host {
    number: u32,
    record: Record,
    ledger: Ledger,
    kept: Option<Kept>,
    newest: BootTime,
}

impl Host {
    fn new(number: u32) -> Host {
        Host {
            number,
            record: Record::default(),
            ledger: ledger(),
            kept: None,
            newest: BootTime(0),
        }
    }

    fn begin(&self, now: BootTime) -> Refresh {
        let terms = Terms {
            id: u64::from(self.number) * 100_000_000 + now.0,
            newest: self.newest,
            kept: self.kept,
            safety_margin: Duration::from_secs(10),
            tokens_per_hour: 100,
            fleet: true,
        };
        Refresh::new(1, now, Key::Current, false).sharing(now, terms)
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
                Action::Look { .. } => Input::Seen(self.record.clone()),
                Action::Lead { .. } => Input::Led(Some(self.record.clone())),
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
        if store.away {
            return Input::Away;
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
                store.record = Some(record.for_fleet());
                if lease.is_none() {
                    store.leased_by = None;
                }
                if fresh {
                    store.counted = 1;
                }
                return Input::Stored(true);
            }
            Ask::Lead { .. } if store.leased_by.is_none() => store.leased_by = Some(self.number),
            Ask::Lead { .. } | Ask::Look => {}
        }
        Input::Found(Box::new(Found {
            record: store.record.clone(),
            leads: matches!(what, Ask::Lead { .. }) && store.leased_by == Some(self.number),
            leased: store.leased_by.is_some_and(|by| by != self.number),
            hosts: store.counted,
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
    assert_eq!(store.asked, 4, "look, lead, slot, token");
    for number in 2..=8 {
        let mut host = Host::new(number);
        let asked = store.asked;
        let Finish::Shared { issue, .. } = host.refresh(&mut store, after(100)) else {
            panic!("asked again")
        };
        assert_eq!(issue.stamp.asked_at, after(0));
        assert_eq!(store.asked - asked, 2, "look, count");
        assert_eq!(host.record.counts, first.record.counts);
        assert_eq!(host.record.hosts, number);
    }
    assert_eq!(store.leased_by, None);
    // The next token says how many had the last one.
    assert!(matches!(
        first.refresh(&mut store, after(48_000)),
        Finish::Granted { .. }
    ));
    assert_eq!(store.record.unwrap().hosts, 8);
}

#[test]
fn the_slot_is_in_the_store_before_the_request_is_sent_and_nobody_else_may_send_meanwhile() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    let action = one.run(&mut refresh, &mut store, after(0), Input::Start);
    assert!(matches!(action, Action::Send { .. }));
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 1);
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
    assert_eq!(store.record.unwrap().counts.taken.len(), 2);
}

#[test]
fn a_token_that_was_rejected_here_or_is_known_here_is_not_taken_over() {
    let mut store = Store::default();
    let (mut one, mut two) = (Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    two.refresh(&mut store, after(10));
    // A 401: the process has dropped it, and its host's record says so.
    let rejected = two.kept.take().unwrap().id;
    two.record.rejected = Some(rejected);
    assert!(matches!(
        two.refresh(&mut store, after(20_000)),
        Finish::Granted { .. }
    ));
    assert_eq!(store.record.as_ref().unwrap().rejected, Some(rejected));
}

#[test]
fn a_429_holds_all_hosts_and_a_403_the_one_that_saw_it() {
    for (class, others_ask) in [
        (Class::RateLimited, false),
        (Class::Unauthorized, false),
        (Class::Forbidden, true),
        (Class::Temporary, true),
    ] {
        let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
        let mut refresh = one.begin(after(0));
        one.run(&mut refresh, &mut store, after(0), Input::Start);
        let answer = rejected(class, false, false);
        let action = one.run(&mut refresh, &mut store, after(10), answer);
        assert!(matches!(action, Action::Finish(Finish::Failed { .. })));
        assert_eq!(store.leased_by, None, "{class:?}");
        let finish = two.refresh(&mut store, after(20));
        let granted = matches!(finish, Finish::Granted { .. });
        assert_eq!(granted, others_ask, "{class:?}: {finish:?}");
        if others_ask {
            // Whoever is held takes what the others get.
            let finish = one.refresh(&mut store, after(5_000));
            assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
        } else {
            let hold: &Hold = two.record.hold.as_ref().unwrap();
            assert_eq!(hold.class, class);
        }
    }
}

#[test]
fn without_the_store_each_host_keeps_to_its_part_of_the_budget() {
    let mut store = Store::default();
    let mut hosts: Vec<Host> = (1..=4).map(Host::new).collect();
    for host in &mut hosts {
        host.refresh(&mut store, after(0));
    }
    hosts[0].refresh(&mut store, after(48_000));
    for host in &mut hosts[1..] {
        host.refresh(&mut store, after(48_100));
    }
    store.away = true;
    // Two slots of a hundred are taken, so each of four hosts has 24.
    for host in &mut hosts {
        let mut granted = 0;
        let mut now = after(100_000);
        let until = loop {
            host.kept = None;
            match host.refresh(&mut store, now) {
                Finish::Granted { issue, .. } => {
                    assert_eq!(issue.apart, 4);
                    let lifetime = issue.lifetime(Duration::from_secs(10), 100);
                    assert_eq!(lifetime.usable, Duration::from_secs(58));
                    granted += 1;
                }
                failed => break retry_after(failed),
            }
            now = now.plus(Duration::from_secs(58));
        };
        assert_eq!(granted, 24);
        // Its own first slot leaves the hour first, but for what the fleet had taken before.
        assert!(now.plus(until) <= after(3_615_000 + 100_000));
    }
}

#[test]
fn a_host_that_was_alone_has_the_whole_budget() {
    let mut store = Store::default();
    let mut host = Host::new(1);
    host.refresh(&mut store, after(0));
    store.away = true;
    host.kept = None;
    let Finish::Granted { issue, .. } = host.refresh(&mut store, after(48_000)) else {
        panic!("refused")
    };
    let lifetime = issue.lifetime(Duration::from_secs(10), 100);
    assert_eq!((issue.apart, lifetime.usable.as_secs()), (1, 50));
    assert_eq!(host.ledger.budget.left(after(48_000)), (8, 98));
}

#[test]
fn a_store_that_is_away_is_asked_once_in_five_seconds() {
    let mut store = Store {
        away: true,
        ..Store::default()
    };
    let mut host = Host::new(1);
    host.refresh(&mut store, after(0));
    let asked = store.asked;
    for millis in [500, 1_000, 4_900] {
        host.kept = None;
        host.newest = after(millis);
        host.refresh(&mut store, after(millis));
    }
    assert_eq!(store.asked, asked);
    host.kept = None;
    host.newest = after(5_000);
    host.refresh(&mut store, after(5_000));
    assert_eq!(store.asked, asked + 1);
}

#[test]
fn back_from_an_outage_a_host_tells_its_slots_and_its_token_without_a_new_one() {
    let mut store = Store::default();
    let (mut one, mut two) = (Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    two.refresh(&mut store, after(10));
    store.away = true;
    one.refresh(&mut store, after(48_000));
    two.refresh(&mut store, after(48_100));
    let both = (one.newest, two.newest);
    assert_eq!(both, (after(48_000), after(48_100)));
    // Still away: the token is kept, and that is all.
    let finish = one.refresh(&mut store, after(53_500));
    assert!(matches!(finish, Finish::Kept { again } if again == COME_BACK));
    store.away = false;
    let finish = one.refresh(&mut store, after(59_000));
    assert!(
        matches!(finish, Finish::Kept { again } if again > COME_BACK),
        "{finish:?}"
    );
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 2);
    // The other one's token is newer: it stays there, and is now the fleet's.
    let finish = two.refresh(&mut store, after(59_100));
    assert!(matches!(finish, Finish::Kept { .. }), "{finish:?}");
    let stored = store.record.as_ref().unwrap();
    let issue = stored.issue.as_ref().unwrap();
    assert_eq!((issue.stamp.asked_at, issue.apart), (after(48_100), 0));
    assert_eq!(stored.counts.taken.len(), 3);
    assert!(stored.counts.taken.iter().all(|slot: &Slot| !slot.apart));
    // For a while each keeps to its part: not all may have told their slots yet.
    assert_eq!(one.ledger.budget.left(after(59_100)).1, (100 - 1) / 2 - 1);
}

#[test]
fn a_host_that_was_refused_asks_the_store_for_others_tokens_once_a_second() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut taken = ledger();
    for id in 1..=10 {
        taken.budget.take(after(0), id, false).unwrap();
    }
    store.record = Some(Record {
        counts: taken.budget.counts().clone(),
        ..Record::default()
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
fn a_store_that_lost_all_is_told_what_the_host_knows() {
    let mut store = Store::default();
    let mut host = Host::new(1);
    host.refresh(&mut store, after(0));
    store = Store::default();
    let finish = host.refresh(&mut store, after(48_000));
    assert!(matches!(finish, Finish::Granted { .. }));
    assert_eq!(store.record.unwrap().counts.taken.len(), 2);
}

#[test]
fn a_slow_store_takes_half_a_second_of_a_refresh_at_most() {
    let (mut store, mut host) = (Store::default(), Host::new(1));
    let (mut now, mut input, mut spent) = (after(0), Input::Start, Duration::ZERO);
    let mut refresh = host.begin(now);
    loop {
        let action = refresh.step(&mut host.ledger, now, 1.0, input);
        input = match action {
            Action::Look { .. } => Input::Seen(host.record.clone()),
            Action::Lead { .. } => Input::Led(Some(host.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, within } => {
                let takes = Duration::from_millis(200);
                spent += takes.min(within);
                now = now.plus(takes.min(within));
                match takes <= within {
                    true => host.ask(&mut store, what),
                    false => Input::Away,
                }
            }
            Action::Send { .. } => break,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(spent, Duration::from_millis(500));
}

#[test]
fn an_older_value_that_is_put_back_is_not_taken_and_nothing_that_was_spent_is_forgotten() {
    let mut store = Store::default();
    let (mut one, mut two) = (Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    let older = store.record.clone();
    one.refresh(&mut store, after(47_500));
    store.record = older;
    // Its token would do for two seconds more.
    let finish = one.refresh(&mut store, after(95_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 3);
    two.newest = one.newest;
    store.record.as_mut().unwrap().issue = Some(issue(after(47_500)));
    let finish = two.refresh(&mut store, after(95_100));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
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
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 1);
    assert_eq!(two.ledger.budget.left(after(5_020)), (9, 99));
}

#[test]
fn a_store_that_lost_all_while_a_host_waited_takes_no_slot_from_it() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    for at in [0, 48_000] {
        one.refresh(&mut store, after(at));
    }
    let mut refresh = one.begin(after(100_000));
    one.newest = after(48_000);
    one.run(&mut refresh, &mut store, after(100_000), Input::Start);
    let mut other = two.begin(after(100_010));
    two.run(&mut other, &mut store, after(100_010), Input::Start);
    let mut fresh = Host::new(3);
    store = Store::default();
    let mut third = fresh.begin(after(100_020));
    fresh.run(&mut third, &mut store, after(100_020), Input::Start);
    two.run(&mut other, &mut store, after(100_030), Input::PauseOver);
    // Those that were sent for sure, and that of the new host.
    assert_eq!(two.ledger.budget.counts().taken.len(), 3);
}

#[test]
fn a_429_that_the_store_could_not_be_told_holds_this_host_when_the_store_is_back() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    store.away = true;
    let error = Error::new(ErrorCode::RateLimited, "m", "h");
    let rejection = Rejection {
        error: error.with_retry_after(Duration::from_secs(60)),
        class: Class::RateLimited,
        resend: false,
        unsent: false,
        capped: false,
    };
    let answer = Input::Answer(Err(rejection), None);
    one.run(&mut refresh, &mut store, after(100), answer);
    store.away = false;
    store.leased_by = None;
    let left = retry_after(one.refresh(&mut store, after(10_100)));
    assert_eq!(left, Duration::from_secs(50));
    // A token that another host has got since says that it is over.
    let finish = two.refresh(&mut store, after(20_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    let finish = one.refresh(&mut store, after(21_500));
    assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
    one.kept = None;
    one.record.rejected = store
        .record
        .as_ref()
        .unwrap()
        .issue
        .as_ref()
        .map(|i| i.stamp.id);
    let finish = one.refresh(&mut store, after(30_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
}

#[test]
fn whatever_number_of_hosts_the_store_tells_nobody_waits_long_for_the_next_look() {
    let mut store = Store {
        record: Some(Record::default()),
        leased_by: Some(9),
        counted: u32::MAX,
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
    store.record = Some(Record {
        issue: Some(issue(after(0))),
        rejected: Some(1),
        ..Record::default()
    });
    one.record.rejected = Some(5);
    let mut refresh = one.begin(after(10));
    one.run(&mut refresh, &mut store, after(10), Input::Start);
    assert_eq!(store.record.unwrap().rejected, Some(1));
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
    for counts in [&one.record.counts, &store.record.unwrap().counts] {
        assert_eq!(counts.told.map(|told| told.left), Some(3));
    }
}

#[test]
fn what_a_host_alone_has_met_does_not_hide_what_holds_all() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    for (host, at, class) in [
        (&mut one, 0, Class::Forbidden),
        (&mut two, 100, Class::RateLimited),
    ] {
        let mut refresh = host.begin(after(at));
        host.run(&mut refresh, &mut store, after(at), Input::Start);
        let answer = rejected(class, false, false);
        host.run(&mut refresh, &mut store, after(at), answer);
    }
    one.record.hold.as_mut().unwrap().until = after(300_000);
    one.refresh(&mut store, after(2_000));
    assert_eq!(one.ledger.holds.last().unwrap().class, Class::RateLimited);
}

#[test]
fn a_lease_is_short_until_the_slot_is_told_and_then_outlasts_the_request() {
    let (mut store, mut one) = (Store::default(), Host::new(1));
    let mut refresh = one.begin(after(0));
    let (mut input, mut leases) = (Input::Start, Vec::new());
    loop {
        input = match refresh.step(&mut one.ledger, after(0), 1.0, input) {
            Action::Look { .. } => Input::Seen(one.record.clone()),
            Action::Lead { .. } => Input::Led(Some(one.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, .. } => {
                match &what {
                    Ask::Lead { lease } => leases.push(*lease),
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
fn an_outage_of_the_token_endpoint_leaves_a_fleet_some_of_the_hour() {
    for number in [2, 8, 100] {
        let mut store = Store::default();
        let mut hosts: Vec<Host> = (1..=number).map(Host::new).collect();
        for at in [0, 48_000] {
            for host in &mut hosts {
                host.refresh(&mut store, after(at + u64::from(host.number)));
            }
        }
        // Half an hour of 5xx, while callers of all hosts ask every other second.
        for second in (100..1900).step_by(2) {
            for host in &mut hosts {
                let now = after(second * 1000 + u64::from(host.number));
                host.kept = None;
                let mut refresh = host.begin(now);
                let action = host.run(&mut refresh, &mut store, now, Input::Start);
                if matches!(action, Action::Send { .. }) {
                    let answer = rejected(Class::Temporary, false, false);
                    host.run(&mut refresh, &mut store, now, answer);
                }
            }
        }
        let left = hosts[0].ledger.budget.left(after(1_900_000)).1;
        assert!(left >= 20, "{number} hosts: {left}");
    }
}

/// That host tries and is answered 503; `false` if it does not try.
fn tries_in_vain(host: &mut Host, store: &mut Store, now: BootTime) -> bool {
    let mut refresh = host.begin(now);
    let action = host.run(&mut refresh, store, now, Input::Start);
    let tried = matches!(action, Action::Send { .. });
    if tried {
        let answer = rejected(Class::Temporary, true, false);
        let action = host.run(&mut refresh, store, now, answer);
        if matches!(action, Action::Pause(_)) {
            // The first failure of all in a row is tried once more.
            host.run(&mut refresh, store, now, Input::PauseOver);
            let answer = rejected(Class::Temporary, true, false);
            host.run(&mut refresh, store, now, answer);
        }
    }
    tried
}

#[test]
fn failures_of_several_hosts_in_a_row_hold_all_until_one_is_granted_a_token() {
    let (mut store, mut hosts) = (Store::default(), Vec::from_iter((1..=6).map(Host::new)));
    let tried = |host: &mut Host, store: &mut Store, millis: u64| {
        tries_in_vain(host, store, after(1_000_000 + millis))
    };
    for host in &mut hosts[..3] {
        assert!(tried(host, &mut store, 0), "host {}", host.number);
    }
    let taken = store.record.as_ref().unwrap().counts.taken.len();
    assert_eq!(taken, 4, "one is tried again");
    // The fourth has not failed, and yet does not ask; it is told why and when.
    let now = after(1_000_100);
    let Finish::Failed { error, held, .. } = hosts[3].refresh(&mut store, now) else {
        panic!("it asked")
    };
    assert!(held.is_none());
    let pause = error.retry_after().unwrap();
    assert!(pause <= Duration::from_secs(4), "{pause:?}");
    let asked = store.asked;
    for millis in (200..2_000).step_by(200) {
        hosts[3].refresh(&mut store, after(1_000_000 + millis));
    }
    assert_eq!(store.asked, asked, "meanwhile no host bothers the store");
    // Then one of them does, whichever, and the pause doubles.
    assert!(tried(&mut hosts[4], &mut store, 4_100));
    assert!(!tried(&mut hosts[5], &mut store, 10_000));
    let now = after(1_012_200);
    let finish = hosts[5].refresh(&mut store, now);
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    assert_eq!(store.record.as_ref().unwrap().outage, None);
    hosts[3].refresh(&mut store, now.plus(Duration::from_millis(10)));
    // Now it is a first failure again.
    assert!(tried(&mut hosts[3], &mut store, 80_000));
    assert!(tried(&mut hosts[5], &mut store, 80_000));
}

#[test]
fn a_host_that_fails_again_and_again_holds_no_other() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut tries = 0;
    for second in 0..300 {
        tries += u32::from(tries_in_vain(&mut one, &mut store, after(second * 1_000)));
    }
    assert!(tries > 5, "{tries}");
    let finish = two.refresh(&mut store, after(300_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
}

#[test]
fn a_failure_that_was_forgotten_in_the_store_holds_no_host_any_more() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    one.run(
        &mut refresh,
        &mut store,
        after(10),
        rejected(Class::RateLimited, false, false),
    );
    let finish = two.refresh(&mut store, after(20));
    assert!(matches!(finish, Finish::Failed { .. }), "{finish:?}");
    let stored = store.record.as_mut().unwrap();
    (stored.hold, stored.forgotten) = (None, Some(after(1_000)));
    let asked = store.asked;
    let finish = two.refresh(&mut store, after(5_000));
    assert!(matches!(finish, Finish::Failed { .. }), "{finish:?}");
    assert_eq!(store.asked, asked, "no other host is granted a token");
    let finish = two.refresh(&mut store, after(5_100));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
}

#[test]
fn a_host_whose_own_way_failed_lets_the_others_go_first_until_a_renewal_is_late() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    two.refresh(&mut store, after(10));
    let mut refresh = one.begin(after(47_000));
    one.run(&mut refresh, &mut store, after(47_000), Input::Start);
    let unreachable = rejected(Class::Temporary, true, true);
    let failed = after(49_000);
    let action = one.run(&mut refresh, &mut store, failed, unreachable);
    let kept_others_waiting = matches!(action, Action::Pause(_));
    assert!(!kept_others_waiting, "sent again: {action:?}");
    two.refresh(&mut store, after(49_500));
    one.refresh(&mut store, after(49_600));
    // Also after it has taken another host's token, it waits for others before it asks.
    let now = after(97_000);
    let mut refresh = one.begin(now);
    let mut action = one.run(&mut refresh, &mut store, now, Input::Start);
    for millis in [300, 1_000, 1_900] {
        assert!(matches!(action, Action::Pause(_)), "{millis}: {action:?}");
        let now = now.plus(Duration::from_millis(millis));
        action = one.run(&mut refresh, &mut store, now, Input::PauseOver);
    }
    let late = now.plus(Duration::from_secs(2));
    let action = one.run(&mut refresh, &mut store, late, Input::PauseOver);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
}

#[test]
fn who_keeps_other_hosts_waiting_has_two_seconds_to_connect() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let connect_within = |host: &mut Host, store: &mut Store, now| {
        let mut refresh = host.begin(now);
        let action = host.run(&mut refresh, store, now, Input::Start);
        let Action::Send { connect_within, .. } = action else {
            panic!("{action:?}")
        };
        host.run(&mut refresh, store, now, Input::Answer(Ok(grant()), None));
        connect_within
    };
    // As far as the first host knows it is alone.
    assert_eq!(connect_within(&mut one, &mut store, after(0)), REQUEST_TIME);
    two.refresh(&mut store, after(10));
    assert_eq!(
        connect_within(&mut two, &mut store, after(60_000)),
        OTHERS_WAIT
    );
}

#[test]
fn a_slot_is_not_used_for_a_request_that_is_sent_much_later() {
    let (mut store, mut host) = (Store::default(), Host::new(1));
    let mut refresh = host.begin(after(0));
    let mut input = Input::Start;
    let action = loop {
        let action = refresh.step(&mut host.ledger, after(0), 1.0, input);
        input = match action {
            Action::Look { .. } => Input::Seen(host.record.clone()),
            Action::Lead { .. } => Input::Led(Some(host.record.clone())),
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
        .counts
        .taken
        .iter()
        .map(|slot| slot.at)
        .collect();
    assert_eq!(taken, [after(0), now]);
}

#[test]
fn a_store_that_lacks_what_a_host_has_taken_is_told_when_its_token_is_taken_over() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    two.refresh(&mut store, after(10));
    two.kept = None;
    two.refresh(&mut store, after(60_000));
    // Emptied, and written by a host that does not know of the second slot.
    store = Store::default();
    one.kept = None;
    one.refresh(&mut store, after(61_000));
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 2);
    two.kept = None;
    let finish = two.refresh(&mut store, after(61_100));
    assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
    assert_eq!(store.record.as_ref().unwrap().counts.taken.len(), 3);
    assert_eq!((store.leased_by, store.counted), (None, 2));
}
