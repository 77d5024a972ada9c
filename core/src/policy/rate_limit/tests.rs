use super::*;

const START: BootTime = BootTime(1_000_000_000);

fn after(seconds: f64) -> BootTime {
    START.plus(Duration::from_secs_f64(seconds))
}

#[test]
fn the_eleventh_in_a_minute_is_refused_with_the_time_to_come_back() {
    let mut budget = Budget::new(10, 100);
    for i in 0..10 {
        budget.take(after(f64::from(i)), 0, false).unwrap();
    }
    assert_eq!(budget.left(after(9.0)), (0, 90));
    let refusal = budget.take(after(10.0), 0, false).unwrap_err();
    assert_eq!((refusal.limit, refusal.until), (Limit::Minute, after(62.0)));
    assert!(budget.take(after(61.9), 0, false).is_err());
    assert!(budget.take(after(62.0), 0, false).is_ok());
    assert!(budget.take(after(62.1), 0, false).is_err());
}

#[test]
fn the_hundred_and_first_in_an_hour_is_refused_with_the_time_to_come_back() {
    let mut budget = Budget::new(10, 100);
    for i in 0..100 {
        budget.take(after(7.0 * f64::from(i)), 0, false).unwrap();
    }
    let refusal = budget.take(after(2000.0), 0, false).unwrap_err();
    assert_eq!((refusal.limit, refusal.until), (Limit::Hour, after(3615.0)));
    assert!(budget.take(after(3615.0), 0, false).is_ok());
}

/// What the server said ends later than the window here if its answer took long, and says no more than that does.
#[test]
fn what_is_used_up_here_is_told_as_that_and_with_the_time_at_which_the_server_has_more() {
    let mut budget = Budget::new(2, 100);
    budget.take(START, 0, false).unwrap();
    budget.note_server_limit(after(3.0), Some(2), 1, Duration::from_secs(60));
    budget.take(after(3.0), 0, false).unwrap();
    let refusal = budget.refusal(after(4.0)).unwrap();
    assert_eq!((refusal.limit, refusal.until), (Limit::Minute, after(63.0)));
    // The slot here is free again, and only the server's word is left.
    let refusal = budget.refusal(after(62.5)).unwrap();
    assert_eq!((refusal.limit, refusal.until), (Limit::Server, after(63.0)));

    // Somebody else asks as well, who is not counted here: of the minute, or of the hour.
    for (limit, taken, seconds) in [(2, 1, 30), (100, 1, 3000), (100, 2, 3000)] {
        let mut budget = Budget::new(2, 100);
        for _ in 0..taken {
            budget.take(START, 0, false).unwrap();
        }
        budget.note_server_limit(START, Some(limit), 0, Duration::from_secs(seconds));
        let refusal = budget.refusal(after(1.0)).unwrap();
        let until = after(seconds as f64);
        assert_eq!(
            (refusal.limit, refusal.until),
            (Limit::Server, until),
            "{limit}"
        );
    }
}

#[test]
fn no_window_of_the_server_overflows_however_it_is_asked() {
    // Greedy: whenever a slot is free it is taken.
    let mut budget = Budget::new(10, 100);
    let mut taken: Vec<f64> = Vec::new();
    for tenth in 0..(3 * 36_000) {
        let t = f64::from(tenth) / 10.0;
        if budget.take(after(t), 0, false).is_ok() {
            taken.push(t);
        }
    }
    let most = |window: f64| {
        taken
            .iter()
            .map(|from| {
                taken
                    .iter()
                    .filter(|t| **t >= *from && **t < from + window)
                    .count()
            })
            .max()
            .unwrap()
    };
    assert!(taken.len() > 200);
    assert_eq!(most(61.9), 10);
    assert_eq!(most(3614.9), 100);
}

#[test]
fn only_a_slot_that_was_given_back_is_free_again() {
    let mut budget = Budget::new(1, 100);
    let slot = budget.take(START, 0, false).unwrap();
    assert!(budget.take(START, 0, false).is_err());
    budget.give_back(slot);
    assert!(budget.take(START, 0, false).is_ok());
    // Also of what the server said is left.
    let mut budget = Budget::new(10, 100);
    budget.note_server_limit(START, Some(10), 1, Duration::from_secs(30));
    let slot = budget.take(START, 0, false).unwrap();
    assert!(budget.take(START, 0, false).is_err());
    budget.give_back(slot);
    assert!(budget.take(START, 0, false).is_ok());
}

#[test]
fn what_the_server_says_only_lowers_what_is_left() {
    let mut budget = Budget::new(10, 100);
    budget.note_server_limit(START, Some(10), 50, Duration::from_secs(30));
    assert_eq!(budget.left(START), (10, 100));
    budget.note_server_limit(START, Some(100), 40, Duration::from_secs(30));
    assert_eq!(budget.left(START), (10, 40));
    budget.note_server_limit(START, Some(10), 1, Duration::from_secs(30));
    budget.note_server_limit(START, Some(10), 9, Duration::from_secs(30));
    assert!(budget.take(START, 0, false).is_ok());
    assert_eq!(
        budget.take(after(1.0), 0, false).unwrap_err().until,
        after(30.0)
    );
    assert!(budget.take(after(30.0), 0, false).is_ok());
    budget.note_server_limit(after(31.0), None, 0, Duration::from_secs(1 << 40));
    assert_eq!(
        budget.take(after(32.0), 0, false).unwrap_err().until,
        after(31.0 + 62.0)
    );
}

#[test]
fn what_the_server_said_and_holds_still_is_not_displaced_by_what_has_ended() {
    let told = |left, until| ServerLimit {
        left,
        hourly: false,
        until: after(until),
    };
    let (mut ended, mut later) = (Counts::default(), Counts::default());
    ended.add_server_limit(told(0, 10.0));
    later.add_server_limit(told(2, 50.0));
    for (one, other) in [(&ended, &later), (&later, &ended)] {
        let mut budget = Budget::new(10, 100);
        let mut both = one.clone();
        both.merge(other);
        budget.set_counts(both);
        assert_eq!(budget.refusal(after(9.9)).unwrap().until, after(10.0));
        assert_eq!(budget.left(after(10.0)).0, 2);
        assert_eq!(budget.left(after(50.0)).0, 10);
    }
    // What says less than is known is not kept, and never more than a few.
    later.add_server_limit(told(3, 50.0));
    assert_eq!(later.server_limits.len(), 1);
    for left in 3..1000 {
        later.add_server_limit(told(left, 50.0 + f64::from(left)));
    }
    assert!(later.server_limits.len() <= MOST_SERVER_LIMITS);
    assert!(
        later
            .server_limits
            .iter()
            .any(|told| told.until == after(1049.0))
    );
}

#[test]
fn hosts_that_replace_the_same_token_have_forced_one() {
    let mut fleet = Counts::default();
    for host in 0..30 {
        let mut budget = Budget::new(10, 100);
        budget.force(after(f64::from(host)), 7).unwrap();
        fleet.merge(budget.counts());
    }
    assert_eq!(fleet.forced.len(), 1);
}

#[test]
fn forced_tokens_are_ten_seconds_apart_and_twenty_an_hour() {
    let mut budget = Budget::new(1000, 1000);
    assert!(budget.force(START, 0).is_ok());
    assert_eq!(budget.force(after(9.0), 0).unwrap_err().until, after(10.0));
    for i in 1..20 {
        assert!(budget.force(after(10.0 * f64::from(i)), 0).is_ok());
    }
    let refusal = budget.force(after(300.0), 0).unwrap_err();
    assert_eq!(
        (refusal.limit, refusal.until),
        (Limit::Reserve, after(3615.0))
    );
}

fn slot(at: f64, id: u32, partitioned: bool) -> Slot {
    let at = after(at);
    Slot {
        at,
        id,
        partitioned,
        pending: false,
    }
}

#[test]
fn hosts_that_cannot_tell_each_other_split_what_was_left() {
    for (hosts, each) in [(1, 100 - 20), (2, 40), (8, 10)] {
        let mut budget = Budget::new(100, 100);
        budget.counts.taken = (0..20).map(|i| slot(0.0, i + 1, false)).collect();
        budget.divide(hosts, 0);
        for i in 0..each {
            budget.take(after(100.0), 100 + i, true).unwrap();
        }
        let refusal = budget.take(after(100.0), 1, true).unwrap_err();
        // What all have taken leaves the window, and each has its share of that.
        assert_eq!(refusal.until, after(3615.0), "{hosts}");
    }
    let mut budget = Budget::new(10, 100);
    budget.divide(11, 0);
    assert_eq!(budget.take(START, 1, true).unwrap_err().limit, Limit::Share);
}

/// Three hours without a store, after an hour of 77 tokens; whenever a host may ask it does.
#[test]
fn more_hosts_than_slots_take_turns_and_each_has_one_but_all_together_never_overflow() {
    for (hosts, host_seed) in [(11, 1), (30, 2), (100, 3), (101, 4), (1_000, 5)] {
        let mut before = VecDeque::new();
        for i in 0..77_u32 {
            before.push_back(slot(f64::from(i) * 46.8, i + 1, false));
        }
        let mut random = numbers(host_seed);
        let mut fleet: Vec<Budget> = (0..hosts)
            .map(|_| {
                let mut budget = Budget::new(10, 100);
                budget.counts.taken = before.clone();
                budget.divide(hosts, random());
                budget
            })
            .collect();
        let mut taken: Vec<f64> = (0..77).map(|i| f64::from(i) * 46.8).collect();
        let mut had = vec![0; hosts as usize];
        for second in (3_605..14_400).step_by(1 + hosts as usize / 100) {
            let now = f64::from(second);
            for (host, budget) in fleet.iter_mut().enumerate() {
                if budget.take(after(now), second, true).is_ok() {
                    taken.push(now);
                    had[host] += 1;
                }
            }
        }
        for (window, most) in [(60.0, 10), (3600.0, 100)] {
            let fullest = taken.iter().enumerate().map(|(first, from)| {
                taken[first..]
                    .iter()
                    .take_while(|at| **at < from + window)
                    .count()
            });
            let fullest = fullest.max().unwrap();
            assert!(fullest <= most, "{hosts}: {fullest} in {window} s");
        }
        let without = had.iter().filter(|had| **had == 0).count();
        // The period of 50 hosts is two hours.
        assert!(
            hosts > 50 || without == 0,
            "{hosts}: {without} have had none"
        );
        assert!(taken.len() > 77 + 30, "{hosts}: {}", taken.len());
    }
}

/// A turn that is refused says when to look again, and never later than a minute: the store may be back by then.
#[test]
fn whose_turn_it_is_not_is_told_to_look_again_within_a_minute() {
    let mut budget = Budget::new(10, 100);
    budget.divide(1_000, 0);
    for second in 0..200_000 {
        let now = after(f64::from(second));
        if let Some(refusal) = budget.refusal(now) {
            let wait = now.until(refusal.until);
            assert!(!wait.is_zero() && wait <= MINUTE, "{wait:?}");
        }
    }
}

/// Numbers that are the same in each run.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

#[test]
fn a_slot_that_two_have_counted_is_one_and_what_either_has_is_kept() {
    let mut mine = Counts {
        taken: VecDeque::from([slot(1.0, 0, false), slot(1.0, 7, true), slot(3.0, 8, false)]),
        ..Counts::default()
    };
    let theirs = Counts {
        taken: VecDeque::from([
            slot(0.9, 7, false),
            slot(1.0, 0, false),
            slot(2.0, 9, false),
        ]),
        ..Counts::default()
    };
    mine.merge(&theirs);
    let expected = [
        slot(1.0, 0, false),
        slot(1.0, 7, true),
        slot(2.0, 9, false),
        slot(3.0, 8, false),
    ];
    assert_eq!(mine.taken, expected);
    let again = mine.clone();
    mine.merge(&theirs);
    assert_eq!(mine, again, "once is enough");
}

#[test]
fn what_the_server_said_to_two_is_the_same_together_whoever_adds_the_other() {
    let heard = |all: &[(u32, bool, u64)]| {
        let mut counts = Counts::default();
        for &(left, hourly, until) in all {
            counts.add_server_limit(ServerLimit {
                left,
                hourly,
                until: BootTime(until),
            });
        }
        counts
    };
    let one = heard(&[
        (0, false, 6_000_000),
        (1, true, 6_000_000),
        (13, true, 9_478_443),
        (1, false, 10_413_557),
    ]);
    let other = heard(&[
        (1, false, 6_000_001),
        (2, false, 6_000_002),
        (3, false, 6_000_003),
        (10, true, 8_915_339),
        (10, false, 9_858_350),
        (14, true, 10_480_294),
    ]);
    let (mut here, mut there) = (one.clone(), other.clone());
    here.merge(&other);
    there.merge(&one);
    assert_eq!(here.server_limits, there.server_limits);
    let again = here.clone();
    here.merge(&one);
    here.merge(&other);
    assert_eq!(here.server_limits, again.server_limits);
}

#[test]
fn a_request_whose_end_nobody_tells_counts_as_late_as_it_can_have_been_under_way() {
    let longest = Duration::from_secs(11);
    let dated = |id: u32, now: f64| {
        let mut counts = Counts::default();
        for (second, id) in [1, 2, 3, 0].into_iter().enumerate() {
            counts.taken.push_back(Slot {
                at: after(second as f64),
                id,
                partitioned: false,
                pending: false,
            });
        }
        counts.date_unfinished(id, after(now), longest);
        let taken = counts.taken.iter();
        taken.map(|slot| (slot.id, slot.at)).collect::<Vec<_>>()
    };
    let [first, second, third, fourth] =
        [(1, 0.0), (2, 1.0), (3, 2.0), (0, 3.0)].map(|(id, at)| (id, after(at)));
    assert_eq!(dated(2, 2.5), [first, second, third, fourth]);
    assert_eq!(dated(2, 9.0), [first, third, fourth, (2, after(9.0))]);
    assert_eq!(dated(2, 90.0), [first, third, fourth, (2, after(12.0))]);
    assert_eq!(
        dated(4, 90.0),
        [first, second, third, fourth],
        "given back, or forgotten"
    );
}
