//! The machine by itself: told what happens, it says what to do.

mod fleet;
mod properties;

use super::host::READ_AGAIN;
use super::*;
use crate::error::ErrorCode;
use crate::policy::rate_limit::Budget;
use crate::refresh::record::Common;
use crate::secret::Secret;

/// A record's part with that token.
fn has(issue: Issue) -> Common {
    Common {
        issue: Some(issue),
        ..Common::default()
    }
}

fn ledger() -> Ledger {
    Ledger::new(10, 100)
}

fn context() -> Context {
    Context {
        id: 7,
        newest: BootTime(0),
        dropped: None,
        kept: None,
        fleet: false,
        limit: REFRESH_TIME,
        safety_margin: Duration::from_secs(10),
        tokens_per_hour: 100,
    }
}

fn sharing(now: BootTime, other_key: bool) -> Refresh {
    Refresh::new(1, now, Key::Current, other_key, context())
}

/// What is done next that takes time, where nobody else has the lock and `record` is what is there.
fn run(
    refresh: &mut Refresh,
    ledger: &mut Ledger,
    record: &mut HostRecord,
    now: BootTime,
    mut input: Input,
) -> Action {
    loop {
        input = match refresh.step(ledger, now, 0.0, input) {
            Action::Read { .. } => Input::Read(record.clone()),
            Action::Lock { .. } => Input::Locked(Some(record.clone())),
            Action::Write(written) => {
                *record = *written.clone();
                Input::Written(written)
            }
            other => return other,
        };
    }
}

fn grant() -> Grant {
    Grant {
        access_token: Secret::new("a".into()),
        session_id: Secret::new("s".into()),
        expires_in: 60,
    }
}

fn rejected(class: Class, resend: bool, unsent: bool) -> Input {
    let error = Error::new(ErrorCode::BadResponse, "m", "h");
    Input::Answer(
        Err(Rejection {
            error,
            class,
            resend,
            unsent,
            capped: false,
        }),
        None,
    )
}

#[test]
fn a_grant_takes_one_slot_and_clears_what_is_held() {
    let (mut ledger, mut record, now) = (ledger(), HostRecord::default(), BootTime(0));
    let mut refresh = sharing(now, false);
    let action = run(&mut refresh, &mut ledger, &mut record, now, Input::Start);
    assert!(
        matches!(action, Action::Send { key: Key::Current, within, .. } if within == REQUEST_TIME)
    );
    let answer = Input::Answer(Ok(grant()), None);
    let action = run(&mut refresh, &mut ledger, &mut record, now, answer);
    assert!(matches!(action, Action::Finish(Finish::Granted { .. })));
    assert_eq!(ledger.budget.left(now), (9, 99));
}

#[test]
fn a_gateway_fault_is_sent_once_more_after_half_a_second_to_a_second() {
    let (mut ledger, mut record, now) = (ledger(), HostRecord::default(), BootTime(0));
    let mut refresh = sharing(now, false);
    run(&mut refresh, &mut ledger, &mut record, now, Input::Start);
    let failed = || rejected(Class::Temporary, true, false);
    let Action::Pause(pause) = run(&mut refresh, &mut ledger, &mut record, now, failed()) else {
        panic!("no pause")
    };
    assert_eq!(pause, Duration::from_millis(500));
    let action = run(
        &mut refresh,
        &mut ledger,
        &mut record,
        now,
        Input::PauseOver,
    );
    assert!(matches!(action, Action::Send { .. }));
    let action = run(&mut refresh, &mut ledger, &mut record, now, failed());
    assert!(matches!(
        action,
        Action::Finish(Finish::Failed {
            backoff: Some((Class::Temporary, _)),
            ..
        })
    ));
    assert_eq!(ledger.budget.left(now).0, 8);
    assert!(ledger.backoffs.check(now).is_some());
}

#[test]
fn a_slot_comes_back_only_if_nothing_was_written() {
    for (unsent, left) in [(true, 10), (false, 9)] {
        let (mut ledger, mut record, now) = (ledger(), HostRecord::default(), BootTime(0));
        let mut refresh = sharing(now, false);
        run(&mut refresh, &mut ledger, &mut record, now, Input::Start);
        let answer = rejected(Class::Temporary, false, unsent);
        run(&mut refresh, &mut ledger, &mut record, now, answer);
        assert_eq!(ledger.budget.left(now).0, left);
    }
}

#[test]
fn a_new_key_that_is_not_known_yet_falls_back_to_the_previous_one() {
    let (mut ledger, mut record, now) = (ledger(), HostRecord::default(), BootTime(0));
    let mut refresh = sharing(now, true);
    run(&mut refresh, &mut ledger, &mut record, now, Input::Start);
    let unknown = || rejected(Class::Unauthorized, false, false);
    let action = run(&mut refresh, &mut ledger, &mut record, now, unknown());
    let previous = Action::Send {
        key: Key::Previous,
        within: REQUEST_TIME,
        connect_within: REQUEST_TIME,
    };
    assert_eq!(format!("{action:?}"), format!("{previous:?}"));
    let mut of_previous = HostRecord::default();
    let action = run(&mut refresh, &mut ledger, &mut of_previous, now, unknown());
    assert!(matches!(
        action,
        Action::Finish(Finish::Failed {
            backoff: Some((Class::Unauthorized, _)),
            ..
        })
    ));
}

#[test]
fn over_the_budget_nothing_is_sent_and_the_time_is_told() {
    let (mut ledger, mut record, now) = (ledger(), HostRecord::default(), BootTime(0));
    record.common.counts.spend_minute(now, 10);
    let mut refresh = sharing(now, false);
    let action = run(&mut refresh, &mut ledger, &mut record, now, Input::Start);
    let Action::Finish(Finish::Failed {
        error,
        backoff: None,
        ..
    }) = action
    else {
        panic!("sent")
    };
    assert_eq!(
        (error.code(), error.retry_after()),
        (ErrorCode::RateLimited, Some(Duration::from_secs(62)))
    );
}

// --- Together with others ------------------------------------------------------------------------------------------

fn issue(asked_at: BootTime) -> Issue {
    Issue {
        stamp: Stamp { id: 1, asked_at },
        grant: grant(),
        budget_shares: 0,
    }
}

fn after(millis: u64) -> BootTime {
    BootTime(100_000 + millis)
}

/// Steps until something must be sent; gives the record as it was announced.
fn announce(
    refresh: &mut Refresh,
    ledger: &mut Ledger,
    now: BootTime,
    record: HostRecord,
) -> HostRecord {
    let mut input = Input::Start;
    let mut announced = None;
    loop {
        input = match refresh.step(ledger, now, 0.5, input) {
            Action::Read { .. } => Input::Read(record.clone()),
            Action::Lock { .. } => Input::Locked(Some(record.clone())),
            Action::Write(record) => {
                announced = Some(*record.clone());
                Input::Written(record)
            }
            Action::Send { .. } => return announced.expect("sent without a word"),
            other => panic!("{other:?}"),
        };
    }
}

#[test]
fn the_request_of_a_leader_that_died_counts_from_when_it_is_followed() {
    let now = after(8_000);
    let mut record = HostRecord {
        done_by: Some(after(20_000)),
        ..HostRecord::default()
    };
    let slot = ledger().budget.take(after(0), 1, false).unwrap();
    record.common.counts.taken.push_back(slot);
    // It may have died before it had a slot of its own.
    for (under_way, at) in [(Some(1), now), (None, after(0))] {
        record.common.under_way = under_way;
        let announced = announce(&mut sharing(now, false), &mut ledger(), now, record.clone());
        let taken = announced.common.counts.taken.iter();
        assert_eq!(taken.map(|slot| slot.at).collect::<Vec<_>>(), [at, now]);
        assert_eq!(announced.common.under_way, Some(7));
    }
}

#[test]
fn a_token_that_another_has_asked_for_is_taken_without_the_lock() {
    let record = HostRecord {
        common: has(issue(after(0))),
        ..HostRecord::default()
    };
    for (now, newest, taken) in [
        (after(10), BootTime(0), true),
        (after(49_999), BootTime(0), true),
        (after(50_000), BootTime(0), false),
        (after(10), after(0), false),
    ] {
        let mut refresh = sharing(now, false);
        refresh.context.newest = newest;
        refresh.step(&mut ledger(), now, 0.5, Input::Start);
        let action = refresh.step(&mut ledger(), now, 0.5, Input::Read(record.clone()));
        let shared = matches!(action, Action::Finish(Finish::Shared { .. }));
        assert_eq!(shared, taken, "{now:?} {newest:?}");
    }
}

#[test]
fn a_leader_says_by_when_it_will_be_done_and_takes_its_slot_before_it_sends() {
    let (mut ledger, now) = (ledger(), after(0));
    let mut refresh = sharing(now, false);
    let announced = announce(&mut refresh, &mut ledger, now, HostRecord::default());
    assert_eq!(announced.done_by, Some(now.plus(REFRESH_TIME)));
    assert_eq!(announced.common.counts.taken.len(), 1);
    let action = refresh.step(
        &mut ledger,
        after(300),
        0.5,
        Input::Answer(Ok(grant()), None),
    );
    let Action::Write(record) = action else {
        panic!("not told: {action:?}")
    };
    assert_eq!(
        (record.done_by, record.common.counts.taken.len()),
        (None, 1)
    );
    assert_eq!(
        (announced.common.under_way, record.common.under_way),
        (Some(7), None)
    );
    let stamp = Stamp {
        id: 7,
        asked_at: now,
    };
    assert_eq!(record.common.issue.as_ref().unwrap().stamp, stamp);
    let action = refresh.step(&mut ledger, after(300), 0.5, Input::Written(record));
    assert!(
        matches!(action, Action::Finish(Finish::Granted { issue, .. }) if issue.stamp == stamp)
    );
}

#[test]
fn the_budget_that_counts_is_the_shared_one() {
    let now = after(0);
    let mut record = HostRecord::default();
    record.common.counts.spend_minute(now, 10);
    let mut refresh = sharing(now, false);
    refresh.step(&mut ledger(), now, 0.5, Input::Start);
    let mut ledger = ledger();
    let action = refresh.step(&mut ledger, now, 0.5, Input::Read(record.clone()));
    assert!(matches!(
        action,
        Action::Finish(Finish::Failed { backoff: None, .. })
    ));
    // While a leader is at work its slot may be the last one, and its token is waited for.
    record.done_by = Some(after(1000));
    let mut refresh = sharing(now, false);
    refresh.step(&mut ledger, now, 0.5, Input::Start);
    let action = refresh.step(&mut ledger, now, 0.5, Input::Read(record));
    assert!(matches!(action, Action::Lock { term: 0 }));
}

/// What a follower does at that time, when the lock of each term below `free` is held.
fn follow(refresh: &mut Refresh, now: BootTime, record: &HostRecord, free: u64) -> Action {
    let mut ledger = ledger();
    let input = match refresh.state {
        State::New => Input::Start,
        _ => Input::PauseOver,
    };
    let mut action = refresh.step(&mut ledger, now, 0.5, input);
    loop {
        let input = match action {
            Action::Read { .. } => Input::Read(record.clone()),
            Action::Lock { term } => Input::Locked((term >= free).then(|| record.clone())),
            other => return other,
        };
        action = refresh.step(&mut ledger, now, 0.5, input);
    }
}

#[test]
fn where_the_locks_of_two_turns_are_held_in_silence_it_goes_on_alone_with_a_slot_of_its_own() {
    let (nobody, mut ledger) = (u64::MAX, ledger());
    // Nothing is announced, or what was announced is over.
    for (done_by, begun) in [(None, 0), (Some(after(5_000)), 5_100)] {
        let record = HostRecord {
            done_by,
            ..HostRecord::default()
        };
        let mut refresh = sharing(after(0), false);
        for millis in [0, 1_000, 1_990] {
            let action = follow(&mut refresh, after(begun + millis), &record, nobody);
            assert!(matches!(action, Action::Pause(READ_AGAIN)), "{action:?}");
        }
        let now = after(begun + 2_000);
        let action = follow(&mut refresh, now, &record, nobody);
        assert!(matches!(action, Action::GoAlone), "{action:?}");
        let action = refresh.step(&mut ledger, now, 0.5, Input::Locked(Some(record)));
        let Action::Write(written) = action else {
            panic!("{action:?}")
        };
        assert_eq!(written.common.counts.taken.len(), 1);
        let action = refresh.step(&mut ledger, now, 0.5, Input::Written(written));
        assert!(matches!(action, Action::Send { .. }), "{action:?}");
    }
}

#[test]
fn a_leader_that_died_is_followed_at_once_and_one_that_hangs_when_its_time_is_over() {
    let record = HostRecord {
        done_by: Some(after(20_000)),
        ..HostRecord::default()
    };
    let mut refresh = sharing(after(0), false);
    for millis in [0, 20, 5_000, 20_099] {
        let action = follow(&mut refresh, after(millis), &record, 1);
        assert!(
            matches!(action, Action::Pause(READ_AGAIN)),
            "{millis}: {action:?}"
        );
    }
    let dead = follow(&mut sharing(after(0), false), after(20), &record, 0);
    assert!(matches!(dead, Action::Write(record) if record.term == 0));
    let hangs = follow(&mut refresh, after(20_100), &record, 1);
    let Action::Write(record) = hangs else {
        panic!("{hangs:?}")
    };
    // Its own time begins anew.
    assert_eq!((record.term, record.done_by), (1, Some(after(30_100))));
}

#[test]
fn a_lock_that_is_held_without_a_word_is_passed_over_after_a_second() {
    let record = HostRecord::default();
    let mut refresh = sharing(after(0), false);
    for millis in [0, 500, 999] {
        let action = follow(&mut refresh, after(millis), &record, 1);
        assert!(matches!(action, Action::Pause(_)), "{millis}: {action:?}");
    }
    let action = follow(&mut refresh, after(1_000), &record, 1);
    assert!(matches!(action, Action::Write(record) if record.term == 1));
}

#[test]
fn nobody_waits_for_others_for_ever() {
    let record = HostRecord {
        done_by: Some(after(3_600_000)),
        ..HostRecord::default()
    };
    let mut refresh = sharing(after(0), false);
    let action = follow(&mut refresh, after(29_999), &record, u64::MAX);
    assert!(matches!(action, Action::Pause(_)), "{action:?}");
    let action = follow(&mut refresh, after(30_000), &record, u64::MAX);
    let Action::Finish(Finish::Failed { error, .. }) = action else {
        panic!("{action:?}")
    };
    assert_eq!(error.code(), ErrorCode::Timeout);
}

#[test]
fn a_machine_that_sleeps_does_not_use_up_a_waiters_time() {
    let record = HostRecord {
        done_by: Some(after(3_600_000)),
        ..HostRecord::default()
    };
    let mut refresh = sharing(after(0), false);
    follow(&mut refresh, after(10_000), &record, u64::MAX);
    refresh.slept(Duration::from_secs(100));
    let action = follow(&mut refresh, after(129_999), &record, u64::MAX);
    assert!(matches!(action, Action::Pause(_)), "{action:?}");
    let action = follow(&mut refresh, after(130_000), &record, u64::MAX);
    assert!(matches!(action, Action::Finish(Finish::Failed { .. })));
}

#[test]
fn what_a_late_leader_brings_is_discarded_and_it_looks_for_what_others_have() {
    let (mut ledger, now) = (ledger(), after(0));
    let mut refresh = sharing(now, false);
    announce(&mut refresh, &mut ledger, now, HostRecord::default());
    let late = after(60_000);
    let action = refresh.step(&mut ledger, late, 0.5, Input::Answer(Ok(grant()), None));
    assert!(matches!(action, Action::Write(_)));
    let action = refresh.step(&mut ledger, late, 0.5, Input::Late);
    assert!(matches!(action, Action::Read { .. }), "{action:?}");
    let theirs = HostRecord {
        term: 1,
        common: has(issue(after(30_000))),
        ..HostRecord::default()
    };
    let action = refresh.step(&mut ledger, late, 0.5, Input::Read(theirs));
    assert!(matches!(action, Action::Finish(Finish::Shared { .. })));
}

#[test]
fn failures_of_the_key_are_told_to_all_and_others_to_those_who_waited_for_them() {
    for (class, waited, told) in [
        (Class::RateLimited, false, true),
        (Class::Unauthorized, false, true),
        (Class::Temporary, true, true),
        (Class::Temporary, false, false),
        (Class::Forbidden, false, false),
    ] {
        let (mut leaders, now) = (ledger(), after(0));
        let mut leader = sharing(now, false);
        announce(&mut leader, &mut leaders, now, HostRecord::default());
        let mut follower = sharing(now, false);
        if waited {
            let action = follow(&mut follower, now, &HostRecord::default(), 1);
            assert!(matches!(action, Action::Pause(_)));
        }
        let action = leader.step(&mut leaders, after(10), 0.5, rejected(class, false, false));
        let Action::Write(record) = action else {
            panic!("{action:?}")
        };
        let action = follow(&mut follower, after(30), &record, 0);
        let refused = matches!(action, Action::Finish(Finish::Failed { backoff: None, .. }));
        assert_eq!(refused, told, "{class:?} {waited}");
    }
}

#[test]
fn a_slot_of_a_request_that_was_not_written_comes_back_for_all() {
    let (mut ledger, now) = (ledger(), after(0));
    let mut refresh = sharing(now, false);
    announce(&mut refresh, &mut ledger, now, HostRecord::default());
    let unsent = rejected(Class::Temporary, false, true);
    let action = refresh.step(&mut ledger, now, 0.5, unsent);
    assert!(matches!(action, Action::Write(record) if record.common.counts.taken.is_empty()));
}

#[test]
fn a_stall_between_slot_and_sending_spends_no_slot() {
    let (mut ledger, now) = (ledger(), after(0));
    let mut refresh = sharing(now, false);
    let (mut now, mut input, mut written) = (now, Input::Start, 0);
    loop {
        input = match refresh.step(&mut ledger, now, 0.5, input) {
            Action::Read { .. } => Input::Read(HostRecord::default()),
            Action::Lock { .. } => Input::Locked(Some(HostRecord::default())),
            Action::Write(record) => {
                assert_eq!(
                    record.common.counts.taken.len(),
                    1,
                    "no more than one is taken"
                );
                written += 1;
                if written < 4 {
                    now = now.plus(Duration::from_secs(1));
                }
                Input::Written(record)
            }
            Action::Send { .. } => break,
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(written, 4);
    assert_eq!(ledger.budget.counts().taken.len(), 1);
}

/// Whether it is stopped for a second each time, or another process takes the last slot for the other key each time.
#[test]
fn whoever_is_too_late_to_send_again_and_again_gives_up_in_the_end_and_has_spent_nothing() {
    let (mut ledger, mut now) = (ledger(), after(0));
    let mut refresh = sharing(now, false);
    let mut input = Input::Start;
    for _ in 0..100 {
        input = match refresh.step(&mut ledger, now, 0.5, input) {
            Action::Read { .. } => Input::Read(HostRecord::default()),
            Action::Lock { .. } => Input::Locked(Some(HostRecord::default())),
            Action::Write(record) => {
                now = now.plus(Duration::from_secs(1));
                Input::Written(record)
            }
            Action::Finish(Finish::Failed { error, .. }) => {
                assert_eq!(error.code(), ErrorCode::Timeout);
                assert!(ledger.budget.counts().taken.is_empty());
                return;
            }
            other => panic!("{other:?}"),
        };
    }
    panic!("it comes to no end");
}

/// Callers do the work themselves where the system has no threads, each within its own time.
#[test]
fn callers_who_give_up_one_after_the_other_back_off_and_the_first_keeps_nobody() {
    let (mut ledger, mut record) = (ledger(), HostRecord::default());
    let mut sends = |at: u64, unsent: bool| {
        let mut refresh = sharing(after(at), false);
        let action = run(
            &mut refresh,
            &mut ledger,
            &mut record,
            after(at),
            Input::Start,
        );
        if let Action::Finish(Finish::Failed { error, .. }) = action {
            return Err((error.code(), error.retry_after().unwrap()));
        }
        assert!(matches!(action, Action::Send { .. }), "{action:?}");
        let gone = Input::Abandoned { unsent };
        let action = run(
            &mut refresh,
            &mut ledger,
            &mut record,
            after(at + 100),
            gone,
        );
        assert!(matches!(action, Action::Finish(Finish::Abandoned)));
        Ok(())
    };
    for at in [0, 200, 400] {
        assert_eq!(sends(at, true), Ok(()), "nothing was sent");
    }
    assert_eq!(sends(1_000, false), Ok(()));
    assert_eq!(sends(1_200, false), Ok(()), "it may have more time");
    let (code, pause) = sends(1_400, false).unwrap_err();
    assert_eq!(code, ErrorCode::Timeout);
    assert!(pause <= Duration::from_secs(2), "{pause:?}");
    let later = (1_400..600_000).step_by(200);
    let sent = later.filter(|at| sends(*at, false).is_ok()).count();
    assert!((1..30).contains(&sent), "{sent} slots in ten minutes");
}

#[test]
fn a_request_that_may_have_been_counted_late_counts_from_its_answer() {
    for (took, at) in [(1_999, 0), (2_000, 2_000), (9_000, 9_000)] {
        for answer in [
            Input::Answer(Ok(grant()), None),
            rejected(Class::Temporary, false, false),
            Input::Abandoned { unsent: false },
        ] {
            let mut ledger = ledger();
            let mut refresh = sharing(after(0), false);
            announce(&mut refresh, &mut ledger, after(0), HostRecord::default());
            let action = refresh.step(&mut ledger, after(took), 0.5, answer);
            let Action::Write(record) = action else {
                panic!("{action:?}")
            };
            let taken: Vec<_> = record
                .common
                .counts
                .taken
                .iter()
                .map(|slot| slot.at)
                .collect();
            assert_eq!(taken, [after(at)], "{took}");
        }
    }
}

#[test]
fn a_new_key_that_is_not_known_yet_is_told_to_all_and_the_old_ones_record_is_gone_to() {
    let (mut ledger, now) = (ledger(), after(0));
    let mut refresh = sharing(now, true);
    announce(&mut refresh, &mut ledger, now, HostRecord::default());
    let unknown = rejected(Class::Unauthorized, false, false);
    let action = refresh.step(&mut ledger, now, 0.5, unknown);
    let Action::Write(record) = action else {
        panic!("{action:?}")
    };
    assert_eq!(record.previous_until, Some(now.plus(NEW_KEY_TRIED_EVERY)));
    let told = *record.clone();
    let action = refresh.step(&mut ledger, now, 0.5, Input::Written(record));
    assert!(matches!(action, Action::Read { key: Key::Previous }));
    // Who comes later goes there without asking.
    let mut next = sharing(now, true);
    next.step(&mut ledger, now, 0.5, Input::Start);
    let action = next.step(&mut ledger, now, 0.5, Input::Read(told));
    assert!(matches!(action, Action::Read { key: Key::Previous }));
}

#[test]
fn whoever_is_late_again_and_again_gives_up_in_the_end() {
    let mut ledger = ledger();
    let mut refresh = sharing(after(0), false);
    let mut action = refresh.step(&mut ledger, after(0), 0.5, Input::Start);
    for millis in (0..60_000).step_by(600) {
        let input = match action {
            Action::Read { .. } => Input::Read(HostRecord::default()),
            Action::Lock { .. } => Input::Locked(Some(HostRecord::default())),
            Action::Write(_) => Input::Late,
            Action::Finish(Finish::Failed { error, .. }) => {
                assert_eq!(error.code(), ErrorCode::Timeout);
                return;
            }
            other => panic!("{other:?}"),
        };
        action = refresh.step(&mut ledger, after(millis), 0.5, input);
    }
    panic!("it comes to no end");
}

#[test]
fn what_was_not_asked_for_ends_a_refresh_and_what_it_took_stays_spent() {
    let told: [fn() -> Input; 9] = [
        || Input::Start,
        || Input::Read(HostRecord::default()),
        || Input::Locked(None),
        || Input::Written(Box::default()),
        || Input::Late,
        || Input::Stored(true),
        || Input::Counted(3),
        || Input::Unreachable,
        || Input::PauseOver,
    ];
    for input in told {
        let (mut ledger, now) = (ledger(), after(0));
        let mut refresh = sharing(now, false);
        announce(&mut refresh, &mut ledger, now, HostRecord::default());
        let action = refresh.step(&mut ledger, now, 0.5, input());
        let Action::Finish(Finish::Failed { error, .. }) = action else {
            panic!("{action:?}")
        };
        assert_eq!(error.code(), ErrorCode::Internal);
        assert_eq!(ledger.budget.left(now).0, 9);
        // It stays at its end.
        let again = refresh.step(&mut ledger, now, 0.5, Input::Answer(Ok(grant()), None));
        assert!(matches!(again, Action::Finish(Finish::Failed { .. })));
    }
}
