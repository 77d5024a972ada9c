//! How a new token is had: a state machine without I/O.
//!
//! It is told what happened and says what to do next. Two drivers carry it out: a short-lived thread in production
//! (`manager`), a loop under a virtual clock in tests. Promises: every sending takes a slot of the budget first; a
//! request is sent a second time only where a gateway or the connection failed; the whole has an end. Never sleeps,
//! never sends, never reads a clock.

use std::time::Duration;

use crate::budget::{Budget, Refusal, Slot};
use crate::clock::BootTime;
use crate::error::{Error, ErrorCode};
use crate::grant::{Grant, RateLimit, Rejection};
use crate::hold::{Class, Holds};

/// One token request may take this long, and the whole refresh that long: always less than a caller's 30 s.
const REQUEST_TIME: Duration = Duration::from_secs(10);
const REFRESH_TIME: Duration = Duration::from_secs(20);

/// The pause before the second sending is jittered between the half of it and the whole.
const RESEND_PAUSE: Duration = Duration::from_secs(1);

/// What is counted and remembered of the token endpoint.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) budget: Budget,
    pub(crate) holds: Holds,
}

/// Which of the two keys a request is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Current,
    /// The one that was replaced, while 88Pay does not know the new one yet.
    Previous,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    Start,
    Answer(Result<Grant, Rejection>, Option<RateLimit>),
    PauseOver,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send a token request; its answer must come within that time.
    Send {
        key: Key,
        within: Duration,
    },
    Pause(Duration),
    Finish(Finish),
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Finish {
    Granted {
        grant: Grant,
        key: Key,
    },
    /// `held` says for how long it is remembered; `None` if the budget itself was the reason.
    Failed {
        error: Error,
        held: Option<(Class, Duration)>,
        capped: bool,
    },
}

/// One refresh.
#[derive(Debug)]
pub(crate) struct Refresh {
    attempt: u64,
    until: BootTime,
    key: Key,
    /// There is another key, and it was not tried yet.
    other_key: bool,
    resent: bool,
    slot: Option<Slot>,
}

impl Ledger {
    /// Why no request may be sent now, if that is so: a failure that is remembered, or the budget.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Error> {
        let held = self.holds.check(now);
        held.or_else(|| {
            let refusal = self.budget.refusal(now)?;
            Some(over_budget(&self.budget, now, refusal))
        })
    }
}

impl Refresh {
    /// Begins with `key`; `other_key` says whether there is a second one to fall back to.
    pub(crate) fn new(attempt: u64, now: BootTime, key: Key, other_key: bool) -> Refresh {
        Refresh {
            attempt,
            until: now.plus(REFRESH_TIME),
            key,
            other_key,
            resent: false,
            slot: None,
        }
    }

    /// One step. `jitter` is a random number from 0 to 1.
    pub(crate) fn step(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        input: Input,
    ) -> Action {
        match input {
            Input::Start | Input::PauseOver => self.send(ledger, now),
            Input::Answer(result, told) => {
                if let Some(told) = told {
                    ledger
                        .budget
                        .told(now, told.limit, told.remaining, told.reset_in);
                }
                match result {
                    Ok(grant) => {
                        ledger.holds.clear();
                        Action::Finish(Finish::Granted {
                            grant,
                            key: self.key,
                        })
                    }
                    Err(rejection) => self.rejected(ledger, now, jitter, rejection),
                }
            }
        }
    }

    fn send(&mut self, ledger: &mut Ledger, now: BootTime) -> Action {
        match ledger.budget.take(now) {
            Ok(slot) => {
                self.slot = Some(slot);
                Action::Send {
                    key: self.key,
                    within: REQUEST_TIME.min(now.until(self.until)),
                }
            }
            Err(refusal) => Action::Finish(Finish::Failed {
                error: over_budget(&ledger.budget, now, refusal).with_attempt(self.attempt),
                held: None,
                capped: false,
            }),
        }
    }

    /// The last sending is over: its slot comes back only if nothing was written to the network.
    pub(crate) fn settle(&mut self, ledger: &mut Ledger, unsent: bool) {
        if let (true, Some(slot)) = (unsent, self.slot.take()) {
            ledger.budget.give_back(slot);
        }
    }

    fn rejected(
        &mut self,
        ledger: &mut Ledger,
        now: BootTime,
        jitter: f64,
        mut rejection: Rejection,
    ) -> Action {
        rejection.error = rejection.error.with_attempt(self.attempt);
        self.settle(ledger, rejection.unsent);
        if rejection.class == Class::Unauthorized && std::mem::take(&mut self.other_key) {
            self.key = match self.key {
                Key::Current => Key::Previous,
                Key::Previous => Key::Current,
            };
            return self.send(ledger, now);
        }
        let pause = RESEND_PAUSE.mul_f64(0.5 + jitter / 2.0);
        if rejection.resend && !self.resent && pause < now.until(self.until) {
            self.resent = true;
            return Action::Pause(pause);
        }
        let capped = rejection.capped;
        let pause = ledger.holds.note(now, &rejection, jitter);
        let error = match rejection.error.retry_after() {
            None => rejection.error.with_retry_after(pause),
            Some(_) => rejection.error,
        };
        Action::Finish(Finish::Failed {
            error,
            held: Some((rejection.class, pause)),
            capped,
        })
    }
}

/// The error of a caller that wants a token which the budget does not allow.
pub(crate) fn over_budget(budget: &Budget, now: BootTime, refusal: Refusal) -> Error {
    let (per_minute, per_hour) = budget.limits();
    let message = match refusal.limit {
        "minute" => format!("The {per_minute} tokens that 88Pay grants in a minute are used up."),
        "hour" => format!("The {per_hour} tokens that 88Pay grants in an hour are used up."),
        "forced" => {
            "Too many tokens were invalidated or rejected lately to ask for another one now."
                .to_owned()
        }
        _ => "88Pay says that no more tokens are left for now.".to_owned(),
    };
    Error::new(
        ErrorCode::RateLimited,
        message,
        "Nothing was sent. Try again after the given time; look for other programs or hosts that use the same key.",
    )
    .with_retry_after(now.until(refusal.until))
}

#[cfg(test)]
mod tests {
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
        assert!(
            matches!(action, Action::Send { key: Key::Current, within } if within == REQUEST_TIME)
        );
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
}
