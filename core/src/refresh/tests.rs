//! The machine by itself: told what happens, it says what to do.

use super::*;
use crate::secret::Secret;

fn ledger() -> Ledger {
    Ledger {
        budget: Budget::new(10, 100),
        holds: Holds::default(),
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
    let (mut ledger, now) = (ledger(), BootTime(0));
    let mut refresh = Refresh::new(1, now, Key::Current, false);
    let action = refresh.step(&mut ledger, now, 0.5, Input::Start);
    assert!(matches!(action, Action::Send { key: Key::Current, within } if within == REQUEST_TIME));
    let action = refresh.step(&mut ledger, now, 0.5, Input::Answer(Ok(grant()), None));
    assert!(matches!(action, Action::Finish(Finish::Granted { .. })));
    assert_eq!(ledger.budget.left(now), (9, 99));
}

#[test]
fn a_gateway_fault_is_sent_once_more_after_half_a_second_to_a_second() {
    let (mut ledger, now) = (ledger(), BootTime(0));
    let mut refresh = Refresh::new(1, now, Key::Current, false);
    refresh.step(&mut ledger, now, 0.0, Input::Start);
    let Action::Pause(pause) = refresh.step(
        &mut ledger,
        now,
        0.0,
        rejected(Class::Temporary, true, false),
    ) else {
        panic!("no pause")
    };
    assert_eq!(pause, Duration::from_millis(500));
    assert!(matches!(
        refresh.step(&mut ledger, now, 0.0, Input::PauseOver),
        Action::Send { .. }
    ));
    let action = refresh.step(
        &mut ledger,
        now,
        0.0,
        rejected(Class::Temporary, true, false),
    );
    assert!(matches!(
        action,
        Action::Finish(Finish::Failed {
            held: Some((Class::Temporary, _)),
            ..
        })
    ));
    assert_eq!(ledger.budget.left(now).0, 8);
    assert!(ledger.holds.check(now).is_some());
}

#[test]
fn a_slot_comes_back_only_if_nothing_was_written() {
    for (unsent, left) in [(true, 10), (false, 9)] {
        let (mut ledger, now) = (ledger(), BootTime(0));
        let mut refresh = Refresh::new(1, now, Key::Current, false);
        refresh.step(&mut ledger, now, 0.0, Input::Start);
        refresh.step(
            &mut ledger,
            now,
            0.0,
            rejected(Class::Temporary, false, unsent),
        );
        assert_eq!(ledger.budget.left(now).0, left);
    }
}

#[test]
fn a_new_key_that_is_not_known_yet_falls_back_to_the_previous_one() {
    let (mut ledger, now) = (ledger(), BootTime(0));
    let mut refresh = Refresh::new(1, now, Key::Current, true);
    refresh.step(&mut ledger, now, 0.0, Input::Start);
    let action = refresh.step(
        &mut ledger,
        now,
        0.0,
        rejected(Class::Unauthorized, false, false),
    );
    assert!(matches!(
        action,
        Action::Send {
            key: Key::Previous,
            ..
        }
    ));
    let action = refresh.step(
        &mut ledger,
        now,
        0.0,
        rejected(Class::Unauthorized, false, false),
    );
    assert!(matches!(
        action,
        Action::Finish(Finish::Failed {
            held: Some((Class::Unauthorized, _)),
            ..
        })
    ));
}

#[test]
fn over_the_budget_nothing_is_sent_and_the_time_is_told() {
    let (mut ledger, now) = (ledger(), BootTime(0));
    for _ in 0..10 {
        ledger.budget.take(now).unwrap();
    }
    let action =
        Refresh::new(1, now, Key::Current, false).step(&mut ledger, now, 0.0, Input::Start);
    let Action::Finish(Finish::Failed {
        error, held: None, ..
    }) = action
    else {
        panic!("sent")
    };
    assert_eq!(
        (error.code(), error.retry_after()),
        (ErrorCode::RateLimited, Some(Duration::from_secs(62)))
    );
}
