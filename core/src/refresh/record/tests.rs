//! The two records, by examples.

use std::collections::VecDeque;

use serde_json::json;

use super::format::COARSE_STEP;
use super::*;
use crate::error::{Error, ErrorCode};
use crate::policy::rate_limit::{ServerLimit, Slot};
use crate::policy::token_response::Class;
use crate::secret::Secret;

fn slot(at: u64) -> Slot {
    Slot {
        at: BootTime(at),
        id: 0,
        partitioned: false,
        pending: false,
    }
}

fn issue(id: u64, asked_at: u64) -> Issue {
    Issue {
        stamp: Stamp {
            id,
            asked_at: BootTime(asked_at),
        },
        grant: Grant {
            access_token: Secret::new(format!("token-{id}")),
            session_id: Secret::new(format!("sess_{id}")),
            expires_in: 60,
        },
        budget_shares: 2,
    }
}

fn full() -> Common {
    Common {
        issue: Some(issue(u64::MAX, 5_000)),
        rejected: Some(7),
        hosts: 8,
        counts: Counts {
            taken: VecDeque::from([
                slot(1),
                slot(1),
                Slot { id: 9, ..slot(1) },
                Slot {
                    id: 8,
                    partitioned: true,
                    pending: true,
                    ..slot(70)
                },
            ]),
            forced: VecDeque::from([slot(70)]),
            server_limits: vec![
                ServerLimit {
                    left: 2,
                    hourly: false,
                    until: BootTime(70),
                },
                ServerLimit {
                    left: 3,
                    hourly: true,
                    until: BootTime(80),
                },
            ],
        },
        under_way: Some(8),
        backoff: Some(Backoff {
            class: Class::RateLimited,
            at: BootTime(3),
            until: BootTime(60_003),
            error: Error::new(ErrorCode::RateLimited, "m \"quoted\"", "h").with_status(429),
            streak: 2,
        }),
        outage: Some(Backoff {
            class: Class::Temporary,
            at: BootTime(4),
            until: BootTime(60_004),
            error: Error::new(ErrorCode::ConnectionFailed, "m", "h").with_status(503),
            streak: 3,
        }),
        others: Map::new(),
    }
}

fn of_host() -> HostRecord {
    HostRecord {
        common: full(),
        term: 2,
        sequence: 40,
        done_by: Some(BootTime(9_000)),
        previous_until: Some(BootTime(11)),
        host: u64::MAX,
        unreachable_at: Some(BootTime(12)),
        ask_at: Some(BootTime(13)),
    }
}

fn of_fleet() -> FleetRecord {
    FleetRecord {
        common: full(),
        failed_host: u64::MAX,
        forgotten: Some(BootTime(14)),
    }
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    for record in [HostRecord::default(), of_host()] {
        let bytes = record.to_bytes(BootTime(100));
        assert!(bytes.len() <= record.common.room());
        assert_eq!(HostRecord::from_bytes(&bytes), Some(record));
    }
    for record in [FleetRecord::default(), of_fleet()] {
        let bytes = record.to_bytes(BootTime(100));
        assert!(bytes.len() <= record.common.room());
        assert_eq!(FleetRecord::from_bytes(&bytes), Some(record));
    }
}

#[test]
fn fields_of_a_later_release_are_kept_and_unknown_failures_are_no_fault() {
    let text =
        br#"{"term":1,"sequence":2,"colour":{"x":[1]},"backoff":{"class":"eclipse","code":"dark"}}"#;
    let host = HostRecord::from_bytes(text).unwrap();
    assert_eq!(host.common.backoff, None);
    let again = HostRecord::from_bytes(&host.to_bytes(BootTime(0))).unwrap();
    assert_eq!(again.common.others["colour"], json!({"x": [1]}));
    let fleet = FleetRecord::from_bytes(text).unwrap();
    assert_eq!(fleet.common.backoff, None);
    let again = FleetRecord::from_bytes(&fleet.for_all_hosts().to_bytes(BootTime(0))).unwrap();
    assert_eq!(again.common.others["colour"], json!({"x": [1]}));
}

#[test]
fn what_is_no_record_is_none() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"term":1}"#,
        r#"{"term":-1,"sequence":2}"#,
        r#"{"term":1,"sequence":2,"issue":{"id":1}}"#,
        r#"{"term":1,"sequence":2,"taken":[[1]]}"#,
        r#"{"term":1,"sequence":2,"taken":[[1,18446744073709551615]]}"#,
    ] {
        assert_eq!(HostRecord::from_bytes(text.as_bytes()), None, "{text}");
    }
    for text in [
        "",
        "[]",
        r#"{"issue":{"id":1}}"#,
        r#"{"taken":[[1]]}"#,
        r#"{"server_limits":7}"#,
    ] {
        assert_eq!(FleetRecord::from_bytes(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn ten_thousand_slots_of_an_hour_take_little_room_and_none_is_forgotten_too_soon() {
    let now = BootTime(3_600_000);
    let mut record = HostRecord::default();
    record.common.counts.taken = (0..10_000).map(|i| slot(i * 360)).collect();
    let mut before = record.clone();
    for _ in 0..3 {
        let bytes = before.to_bytes(now);
        assert!(bytes.len() < 20_000, "{}", bytes.len());
        before = HostRecord::from_bytes(&bytes).unwrap();
    }
    assert_eq!(before.common.counts.taken.len(), 10_000);
    for (was, is) in record
        .common
        .counts
        .taken
        .iter()
        .zip(&before.common.counts.taken)
    {
        assert!(was.at <= is.at && is.at.0 - was.at.0 < COARSE_STEP);
        assert!(was.at.plus(Duration::from_secs(62)) <= now || was == is);
    }
}

#[test]
fn what_is_remembered_is_added_to_a_record_that_was_set_back() {
    let mut mine = of_host();
    for failure in [&mut mine.common.backoff, &mut mine.common.outage] {
        failure.as_mut().unwrap().at = BootTime(6_001);
    }
    let mut found = HostRecord {
        sequence: 1,
        ..HostRecord::default()
    };
    found.common.issue = Some(issue(1, 6_000));
    found.common.counts.taken.extend([slot(1), slot(90)]);
    assert!(mine.newer_than(&found));
    found.recall(&mine);
    let taken: Vec<u64> = found
        .common
        .counts
        .taken
        .iter()
        .map(|slot| slot.at.0)
        .collect();
    assert_eq!(taken, [1, 1, 1, 70, 90]);
    assert_eq!(
        found.common.issue,
        Some(issue(1, 6_000)),
        "the newer token stays"
    );
    assert_eq!(
        found.common.rejected, None,
        "it was another that was rejected"
    );
    assert_eq!((found.term, found.sequence), (2, 40));
    let (backoff, outage) = (&mine.common.backoff, &mine.common.outage);
    assert_eq!(
        (&found.common.backoff, &found.common.outage),
        (backoff, outage)
    );
    let again = found.clone();
    found.recall(&mine);
    assert_eq!(found, again, "once is enough");
}

/// It would be signed with the old key although 88Pay accepts the new one.
#[test]
fn a_key_that_somebody_got_a_token_with_is_not_remembered_as_unknown() {
    let unknown = HostRecord {
        previous_until: Some(BootTime(400_000)),
        ..HostRecord::default()
    };
    for (asked_at, previous_until) in [(99_999, unknown.previous_until), (100_001, None)] {
        let accepted = HostRecord {
            common: Common {
                issue: Some(issue(1, asked_at)),
                ..Common::default()
            },
            ..HostRecord::default()
        };
        let (mut here, mut there) = (unknown.clone(), accepted.clone());
        here.recall(&accepted);
        there.recall(&unknown);
        assert_eq!(here.previous_until, previous_until, "{asked_at}");
        assert_eq!(there.previous_until, previous_until, "{asked_at}");
    }
}

/// Who was too late to write keeps what it has read, and adds it to what others have written since.
#[test]
fn a_failure_that_somebody_elses_token_has_ended_does_not_come_back() {
    let failed = |class| HostRecord {
        common: Common {
            backoff: Some(Backoff {
                class,
                ..full().backoff.unwrap()
            }),
            outage: full().outage,
            ..Common::default()
        },
        ..HostRecord::default()
    };
    let has_token = HostRecord {
        common: Common {
            issue: Some(issue(1, 6_000)),
            ..Common::default()
        },
        ..HostRecord::default()
    };
    for (class, is_over) in [
        (Class::RateLimited, true),
        (Class::Unauthorized, true),
        // This host may be kept from 88Pay where others are not.
        (Class::Forbidden, false),
        (Class::Temporary, false),
    ] {
        let (mut here, mut there) = (failed(class), has_token.clone());
        here.recall(&has_token);
        there.recall(&failed(class));
        for record in [&here.common, &there.common] {
            assert_eq!(record.backoff.is_none(), is_over, "{class:?}");
            assert_eq!(record.outage, None);
        }
    }
}

#[test]
fn a_token_that_either_of_two_records_rejects_is_rejected_in_both_together() {
    for (found, mine) in [(Some(7), Some(1)), (Some(1), Some(7)), (None, Some(1))] {
        let with = |rejected| Common {
            issue: Some(issue(1, 6_000)),
            rejected,
            ..Common::default()
        };
        let mut record = with(found);
        record.recall(&with(mine));
        assert!(record.good().is_none(), "{found:?} {mine:?}");
    }
}

#[test]
fn a_rejected_token_is_no_good_one() {
    let mut record = full();
    assert!(record.good().is_some());
    record.rejected = Some(u64::MAX);
    assert!(record.good().is_none());
}
