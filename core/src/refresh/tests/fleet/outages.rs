//! While the store cannot be reached, is slow, or has lost what it knew, and after that.

use super::*;

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
    store.unreachable = true;
    // Two slots of a hundred are taken, so each of four hosts has 24.
    for host in &mut hosts {
        let mut granted = 0;
        let mut now = after(100_000);
        let until = loop {
            host.kept = None;
            match host.refresh(&mut store, now) {
                Finish::Granted { issue, .. } => {
                    assert_eq!(issue.budget_shares, 4);
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

/// 88Pay may count a request as late as it can be under way.
#[test]
fn a_host_that_learns_no_more_of_the_request_of_another_counts_it_from_its_latest_instant() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    let mut never_ends = two.begin(after(0));
    let action = two.run(&mut never_ends, &mut store, after(0), Input::Start);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
    let mut refresh = one.begin(after(1_000));
    let action = one.run(&mut refresh, &mut store, after(1_000), Input::Start);
    assert!(matches!(action, Action::Pause(_)), "{action:?}");
    store.unreachable = true;
    let now = after(1_100);
    let action = one.run(&mut refresh, &mut store, now, Input::PauseOver);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
    let granted = Input::Answer(Ok(grant()), None);
    let action = one.run(&mut refresh, &mut store, now, granted);
    assert!(matches!(action, Action::Finish(Finish::Granted { .. })));
    // The other one was counted at 11 s.
    let mut in_that_minute = 1;
    for now in (64_000..71_000).step_by(100) {
        one.kept = None;
        let finish = one.refresh(&mut store, after(now));
        in_that_minute += u32::from(matches!(finish, Finish::Granted { .. }));
    }
    assert_eq!(in_that_minute, 10);
    // That is over, and the store does not make it later.
    (store.unreachable, store.leased_by) = (false, None);
    one.kept = None;
    one.refresh(&mut store, after(80_000));
    let taken = &one.record.common.counts.taken;
    assert_eq!(taken[1].at, after(11_000), "{taken:?}");
}

#[test]
fn a_host_that_was_alone_has_the_whole_budget() {
    let mut store = Store::default();
    let mut host = Host::new(1);
    host.refresh(&mut store, after(0));
    store.unreachable = true;
    host.kept = None;
    let Finish::Granted { issue, .. } = host.refresh(&mut store, after(48_000)) else {
        panic!("refused")
    };
    let lifetime = issue.lifetime(Duration::from_secs(10), 100);
    assert_eq!((issue.budget_shares, lifetime.usable.as_secs()), (1, 50));
    assert_eq!(host.ledger.budget.left(after(48_000)), (8, 98));
}

#[test]
fn a_store_that_is_away_is_asked_once_in_five_seconds() {
    let mut store = Store {
        unreachable: true,
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
    store.unreachable = true;
    one.refresh(&mut store, after(48_000));
    two.refresh(&mut store, after(48_100));
    let both = (one.newest, two.newest);
    assert_eq!(both, (after(48_000), after(48_100)));
    // Still unreachable: the token is kept, and that is all.
    let finish = one.refresh(&mut store, after(53_500));
    assert!(matches!(finish, Finish::Kept { again } if again == COME_BACK));
    store.unreachable = false;
    let finish = one.refresh(&mut store, after(59_000));
    assert!(
        matches!(finish, Finish::Kept { again } if again > COME_BACK),
        "{finish:?}"
    );
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 2);
    // The other one's token is newer: it stays there, and is now the fleet's.
    let finish = two.refresh(&mut store, after(59_100));
    assert!(matches!(finish, Finish::Kept { .. }), "{finish:?}");
    let stored = store.record.as_ref().unwrap();
    let issue = stored.common.issue.as_ref().unwrap();
    assert_eq!(
        (issue.stamp.asked_at, issue.budget_shares),
        (after(48_100), 0)
    );
    assert_eq!(stored.common.counts.taken.len(), 3);
    assert!(
        stored
            .common
            .counts
            .taken
            .iter()
            .all(|slot: &Slot| !slot.partitioned)
    );
    // Each keeps to its share for fifteen seconds more: not all may have told their slots.
    let own = (100 - 1) / 2 - 1;
    for (millis, left) in [(59_100, own), (73_999, own), (74_000, 100 - 2)] {
        let mut refresh = one.begin(after(millis));
        one.run(&mut refresh, &mut store, after(millis), Input::Start);
        let known = one.ledger.budget.left(after(millis)).1;
        assert_eq!(known, left, "{millis}");
    }
}

#[test]
fn a_store_that_lost_all_is_told_what_the_host_knows() {
    let mut store = Store::default();
    let mut host = Host::new(1);
    host.refresh(&mut store, after(0));
    store = Store::default();
    let finish = host.refresh(&mut store, after(48_000));
    assert!(matches!(finish, Finish::Granted { .. }));
    assert_eq!(store.record.unwrap().common.counts.taken.len(), 2);
}

#[test]
fn a_slow_store_takes_half_a_second_of_a_refresh_at_most() {
    let (mut store, mut host) = (Store::default(), Host::new(1));
    let (mut now, mut input, mut spent) = (after(0), Input::Start, Duration::ZERO);
    let mut refresh = host.begin(now);
    loop {
        let action = refresh.step(&mut host.ledger, now, 1.0, input);
        input = match action {
            Action::Read { .. } => Input::Read(host.record.clone()),
            Action::Lock { .. } => Input::Locked(Some(host.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, within } => {
                let takes = Duration::from_millis(200);
                spent += takes.min(within);
                now = now.plus(takes.min(within));
                match takes <= within {
                    true => host.ask(&mut store, what),
                    false => Input::Unreachable,
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
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 3);
    two.newest = one.newest;
    store.record.as_mut().unwrap().common.issue = Some(issue(after(47_500)));
    let finish = two.refresh(&mut store, after(95_100));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
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
    store.unreachable = true;
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
    store.unreachable = false;
    store.leased_by = None;
    let left = retry_after(one.refresh(&mut store, after(10_100)));
    assert_eq!(left, Duration::from_secs(50));
    // A token that another host has got since says that it is over.
    let finish = two.refresh(&mut store, after(20_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    let finish = one.refresh(&mut store, after(21_500));
    assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
    one.kept = None;
    one.record.common.rejected = store
        .record
        .as_ref()
        .unwrap()
        .common
        .issue
        .as_ref()
        .map(|i| i.stamp.id);
    let finish = one.refresh(&mut store, after(30_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
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
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 2);
    two.kept = None;
    let finish = two.refresh(&mut store, after(61_100));
    assert!(matches!(finish, Finish::Shared { .. }), "{finish:?}");
    assert_eq!(store.record.as_ref().unwrap().common.counts.taken.len(), 3);
    assert_eq!((store.leased_by, store.counted), (None, 2));
}

/// The process that waits at a store with answers that late, while another host has the lease; what it does in the end.
fn wait_at_a_store(answers: Duration) -> (Duration, Action) {
    let mut store = Store {
        leased_by: Some(9),
        ..Store::default()
    };
    let (mut host, mut now, mut input) = (Host::new(1), after(0), Input::Start);
    let mut refresh = host.begin(now);
    loop {
        let action = refresh.step(&mut host.ledger, now, 1.0, input);
        input = match action {
            Action::Read { .. } => Input::Read(host.record.clone()),
            Action::Lock { .. } => Input::Locked(Some(host.record.clone())),
            Action::Write(record) => Input::Written(record),
            Action::Ask { what, within } => {
                now = now.plus(answers.min(within));
                match answers <= within {
                    true => host.ask(&mut store, what),
                    false => Input::Unreachable,
                }
            }
            Action::Pause(pause) => {
                now = now.plus(pause);
                Input::PauseOver
            }
            ended => return (after(0).until(now), ended),
        };
    }
}

#[test]
fn nobody_waits_for_another_host_at_a_store_that_is_slow() {
    for millis in [51, 100, 200, 249] {
        let (time, ended) = wait_at_a_store(Duration::from_millis(millis));
        assert!(matches!(ended, Action::Send { .. }), "{millis}: {ended:?}");
        assert!(time < Duration::from_secs(1), "{millis}: {time:?}");
    }
    // Elsewhere as long as the other one may need.
    for millis in [1, 20, 50] {
        let (time, ended) = wait_at_a_store(Duration::from_millis(millis));
        assert!(matches!(ended, Action::Finish(_)), "{millis}: {ended:?}");
        assert!(time > Duration::from_secs(15), "{millis}: {time:?}");
    }
}

#[test]
fn a_host_is_back_as_soon_as_one_of_its_processes_has_been_at_the_store() {
    let (mut store, mut host) = (Store::default(), Host::new(1));
    host.refresh(&mut store, after(0));
    assert!(!host.record.is_back(), "it could always be reached");
    store.unreachable = true;
    host.refresh(&mut store, after(48_000));
    assert!(!host.record.is_back());
    store.unreachable = false;
    host.refresh(&mut store, after(53_000));
    assert!(host.record.is_back());
}

#[test]
fn an_outage_does_not_make_the_fleet_seem_smaller_while_not_all_hosts_have_come_back() {
    let (mut store, mut hosts) = (Store::default(), Vec::from_iter((1..=8).map(Host::new)));
    for host in &mut hosts {
        host.refresh(&mut store, after(0));
    }
    store.unreachable = true;
    let host = &mut hosts[0];
    host.refresh(&mut store, after(48_000));
    store.unreachable = false;
    let finish = host.refresh(&mut store, after(53_000));
    assert!(matches!(finish, Finish::Kept { .. }), "{finish:?}");
    for (at, left) in [(120_000, 8), (170_000, 5)] {
        let finish = host.refresh(&mut store, after(at));
        assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
        assert_eq!(store.record.as_ref().unwrap().common.hosts, left, "{at}");
    }
}
