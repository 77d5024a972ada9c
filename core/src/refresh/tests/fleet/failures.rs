//! What the failures of some hosts mean to the others.

use super::*;

fn dates(common: &Common) -> Vec<BootTime> {
    common.counts.taken.iter().map(|slot| slot.at).collect()
}

#[test]
fn the_request_of_a_host_that_died_counts_from_the_latest_instant_at_which_it_can_have_been_sent() {
    let (mut store, mut one, mut two) = (Store::default(), Host::new(1), Host::new(2));
    one.refresh(&mut store, after(0));
    let mut refresh = one.begin(after(60_000));
    let action = one.run(&mut refresh, &mut store, after(60_000), Input::Start);
    assert!(matches!(action, Action::Send { .. }), "{action:?}");
    // It is killed then, and its lease ends by itself.
    store.leased_by = None;
    let finish = two.refresh(&mut store, after(73_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    let known = [after(0), after(71_000), after(73_000)];
    let stored = store.record.as_ref().unwrap();
    assert_eq!(dates(&stored.common), known);
    assert_eq!(dates(&two.record.common), known);
    assert_eq!(
        (stored.common.under_way, two.record.common.under_way),
        (None, None)
    );
    // Nor does it count from ever later, whoever looks.
    let finish = two.refresh(&mut store, after(133_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    assert_eq!(dates(&two.record.common)[..3], known);
}

/// The next process of the same host goes on with its lease.
#[test]
fn the_request_of_a_process_that_died_counts_from_when_another_of_its_host_follows() {
    let (mut store, mut one) = (Store::default(), Host::new(1));
    let mut refresh = one.begin(after(0));
    one.run(&mut refresh, &mut store, after(0), Input::Start);
    one.ledger = ledger();
    let finish = one.refresh(&mut store, after(5_000));
    assert!(matches!(finish, Finish::Granted { .. }), "{finish:?}");
    let known = [after(5_000), after(5_000)];
    assert_eq!(dates(&one.record.common), known);
    assert_eq!(dates(&store.record.unwrap().common), known);
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
            let backoff: &Backoff = two.record.common.backoff.as_ref().unwrap();
            assert_eq!(backoff.class, class);
        }
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
    one.record.common.backoff.as_mut().unwrap().until = after(300_000);
    one.refresh(&mut store, after(2_000));
    assert_eq!(
        one.ledger.backoffs.last().unwrap().class,
        Class::RateLimited
    );
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
    let taken = store.record.as_ref().unwrap().common.counts.taken.len();
    assert_eq!(taken, 4, "one is tried again");
    // The fourth has not failed, and yet does not ask; it is told why and when.
    let now = after(1_000_100);
    let Finish::Failed { error, backoff, .. } = hosts[3].refresh(&mut store, now) else {
        panic!("it asked")
    };
    assert!(backoff.is_none());
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
    assert_eq!(store.record.as_ref().unwrap().common.outage, None);
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
    (stored.common.backoff, stored.forgotten) = (None, Some(after(1_000)));
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
