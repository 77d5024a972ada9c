//! What is so of all records and of any bytes: random ones are made, and those that fail are made smaller.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use serde_json::json;

use super::format::EXACT_SLOTS;
use super::*;
use crate::error::{Error, ErrorCode};
use crate::policy::rate_limit::Budget;
use crate::policy::rate_limit::{ServerLimit, Slot};
use crate::policy::token_response::Class;
use crate::secret::Secret;

/// So many milliseconds are an hour and a half, of which the last instants have not come at [`NOW`].
const SPAN: u64 = 5_400_000;
const NOW: u64 = 10_000_000;

fn instant() -> impl Strategy<Value = BootTime> {
    (NOW - 4_000_000..NOW - 4_000_000 + SPAN).prop_map(BootTime)
}

/// One that both records know is the same in both.
fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![
        (1..40_u32).prop_map(|id| Slot {
            at: BootTime(NOW - u64::from(id) * 97_000),
            id,
            partitioned: id % 7 == 0,
            pending: false,
        }),
        (0..40_u64).prop_map(|at| Slot {
            at: BootTime(NOW - at * 91_000),
            id: 0,
            partitioned: false,
            pending: false,
        }),
    ]
}

fn slots() -> impl Strategy<Value = VecDeque<Slot>> {
    vec(slot(), 0..30).prop_map(|mut slots| {
        slots.sort_by_key(|slot| (slot.at, slot.id));
        slots.dedup_by(|one, other| one.id != 0 && one.id == other.id);
        slots.into()
    })
}

fn server_limit() -> impl Strategy<Value = ServerLimit> {
    (0..20_u32, any::<bool>(), instant()).prop_map(|(left, hourly, until)| ServerLimit {
        left,
        hourly,
        until,
    })
}

fn counts() -> impl Strategy<Value = Counts> {
    (slots(), slots(), vec(server_limit(), 0..12)).prop_map(|(taken, forced, limits)| {
        let mut counts = Counts {
            taken,
            forced,
            server_limits: Vec::new(),
        };
        limits
            .into_iter()
            .for_each(|limit| counts.add_server_limit(limit));
        counts
    })
}

fn backoff() -> impl Strategy<Value = Backoff> {
    let class = prop_oneof![
        Just(Class::RateLimited),
        Just(Class::Unauthorized),
        Just(Class::Forbidden),
        Just(Class::Temporary)
    ];
    let error = (0..ErrorCode::ALL.len(), ".{0,8}", of(100..1000_u16));
    let error = error.prop_map(|(code, text, status)| {
        let error = Error::new(ErrorCode::ALL[code], text.clone(), text);
        match status {
            Some(status) => error.with_status(status),
            None => error,
        }
    });
    (class, instant(), instant(), error, any::<u32>()).prop_map(
        |(class, at, until, error, streak)| Backoff {
            class,
            at,
            until,
            error,
            streak,
        },
    )
}

/// Tokens have numbers from 1, and the later one has the higher number.
fn issue() -> impl Strategy<Value = Issue> {
    (1..4_u64, "[!-~]{1,40}", "[!-~]{1,20}", 11..3601_u64).prop_map(
        |(id, access_token, session_id, expires_in)| Issue {
            stamp: Stamp {
                id,
                asked_at: BootTime(NOW - 50_000 + id * 10_000),
            },
            grant: Grant {
                access_token: Secret::new(access_token),
                session_id: Secret::new(session_id),
                expires_in,
            },
            budget_shares: 0,
        },
    )
}

prop_compose! {
    fn common()(
        (issue, rejected, hosts) in (of(issue()), of(1..4_u64), 0..9_u32),
        (counts, under_way) in (counts(), of(1..40_u32)),
        (backoff, outage) in (of(backoff()), of(backoff())),
        others in vec(("later_[a-z]{1,5}", any::<u32>()), 0..3),
    ) -> Common {
        Common {
            issue, rejected, hosts, counts, under_way, backoff, outage,
            others: others.into_iter().map(|(name, value)| (name, json!(value))).collect(),
        }
    }
}

prop_compose! {
    fn of_host()(
        common in common(),
        (term, sequence, host) in (0..5_u64, 0..9_u64, any::<u64>()),
        (done_by, previous_until) in (of(instant()), of(instant())),
        (unreachable_at, ask_at) in (of(instant()), of(instant())),
    ) -> HostRecord {
        HostRecord { common, term, sequence, done_by, previous_until, host, unreachable_at, ask_at }
    }
}

prop_compose! {
    fn of_fleet()(
        common in common(),
        (failed_host, forgotten) in (any::<u64>(), of(instant())),
    ) -> FleetRecord {
        FleetRecord { common, failed_host, forgotten }
    }
}

/// What is written of both alike, and read.
trait Record: Sized + PartialEq + std::fmt::Debug {
    fn bytes(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
    fn common(&self) -> &Common;
}

impl Record for HostRecord {
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes(BootTime(NOW)).to_vec()
    }

    fn read(bytes: &[u8]) -> Option<HostRecord> {
        HostRecord::from_bytes(bytes)
    }

    fn common(&self) -> &Common {
        &self.common
    }
}

impl Record for FleetRecord {
    fn bytes(&self) -> Vec<u8> {
        self.to_bytes(BootTime(NOW)).to_vec()
    }

    fn read(bytes: &[u8]) -> Option<FleetRecord> {
        FleetRecord::from_bytes(bytes)
    }

    fn common(&self) -> &Common {
        &self.common
    }
}

fn comes_back(record: &impl Record) -> Result<(), TestCaseError> {
    let bytes = record.bytes();
    prop_assert!(bytes.len() <= record.common().room());
    let read = Record::read(&bytes);
    prop_assert_eq!(read.as_ref(), Some(record));
    Ok(())
}

type Change = (prop::sample::Index, Option<u8>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        Just(None),
        any::<u8>().prop_map(Some),
        "[-0-9:,\"{}\\[\\]\\\\eu.]".prop_map(|text| text.bytes().next()),
    ];
    vec((any::<prop::sample::Index>(), change), 1..6)
}

fn is_none_or_whole<R: Record>(record: &R, changes: &[Change]) -> Result<(), TestCaseError> {
    let mut bytes = record.bytes();
    for (at, change) in changes {
        let at = at.index(bytes.len());
        match change {
            Some(byte) => bytes[at] = *byte,
            None => drop(bytes.remove(at)),
        }
    }
    if let Some(read) = R::read(&bytes) {
        let counts = &read.common().counts;
        // More slots than are written one by one come back in steps.
        if counts.taken.len().max(counts.forced.len()) <= EXACT_SLOTS {
            prop_assert_eq!(R::read(&read.bytes()), Some(read));
        }
    }
    Ok(())
}

/// A field, one inside it, and what is there instead.
type Other = (prop::sample::Index, Option<prop::sample::Index>, Value);

fn others() -> impl Strategy<Value = Other> {
    let value = prop_oneof![
        Just(json!(null)),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!("x")),
        Just(json!([])),
        Just(json!({})),
        Just(json!(true)),
        Just(json!([[]])),
        Just(json!([[1]])),
        Just(json!([[1, 2, 3, 4, 5]])),
        any::<u64>().prop_map(|n| json!(n)),
    ];
    (
        any::<prop::sample::Index>(),
        of(any::<prop::sample::Index>()),
        value,
    )
}

fn survives<R: Record>(record: &R, (field, inner, value): Other) -> Result<(), TestCaseError> {
    let mut whole: Map<String, Value> = serde_json::from_slice(&record.bytes()).unwrap();
    let count = whole.len();
    let place = whole.values_mut().nth(field.index(count)).unwrap();
    match (
        place.as_object_mut().filter(|fields| !fields.is_empty()),
        inner,
    ) {
        (Some(fields), Some(inner)) => {
            let at = inner.index(fields.len());
            *fields.values_mut().nth(at).unwrap() = value;
        }
        _ => *place = value,
    }
    if let Some(read) = R::read(&serde_json::to_vec(&whole).unwrap()) {
        prop_assert_eq!(R::read(&read.bytes()), Some(read));
    }
    Ok(())
}

/// The same token in both records, as it is in life: they were asked for once.
fn records() -> impl Strategy<Value = (HostRecord, HostRecord)> {
    (of_host(), of_host()).prop_map(|(one, mut other)| {
        if let (Some(one), Some(other)) = (&one.common.issue, &mut other.common.issue)
            && one.stamp == other.stamp
        {
            *other = one.clone();
        }
        (one, other)
    })
}

fn both(one: &HostRecord, other: &HostRecord) -> HostRecord {
    let mut both = one.clone();
    both.recall(other);
    both
}

/// What may be done by it at that instant: the slots that are left, when there is one, and until when what is remembered stops requests.
fn allows(
    record: &HostRecord,
    now: BootTime,
) -> (usize, usize, Option<BootTime>, Vec<Option<BootTime>>) {
    let mut budget = Budget::new(10, 100);
    budget.set_counts(record.common.counts.clone());
    let (minute, hour) = budget.left(now);
    let backoffs = [&record.common.backoff, &record.common.outage].into_iter();
    let backoffs = backoffs.map(|backoff| {
        backoff
            .as_ref()
            .map(|backoff| backoff.until)
            .filter(|until| now < *until)
    });
    (
        minute,
        hour,
        budget.refusal(now).map(|refusal| refusal.until),
        backoffs.collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_record_comes_back_as_it_was_written((host, fleet) in (of_host(), of_fleet())) {
        comes_back(&host)?;
        comes_back(&fleet)?;
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..400)) {
        let _: Option<HostRecord> = HostRecord::from_bytes(&bytes);
        let _: Option<FleetRecord> = FleetRecord::from_bytes(&bytes);
    }

    /// A record of which some bytes were changed, cut out or doubled: what is read of it is written and read alike.
    #[test]
    fn a_record_that_was_changed_anywhere_is_none_or_a_whole_one(
        (host, fleet) in (of_host(), of_fleet()),
        changes in changes(),
    ) {
        is_none_or_whole(&host, &changes)?;
        is_none_or_whole(&fleet, &changes)?;
    }

    /// A record in which any field, at any depth, has a value of another kind.
    #[test]
    fn a_record_with_any_value_in_any_field_is_survived(
        (host, fleet) in (of_host(), of_fleet()),
        other in others(),
    ) {
        survives(&host, other.clone())?;
        survives(&fleet, other)?;
    }

    #[test]
    fn what_was_added_once_is_not_added_again((one, other) in records()) {
        let both = both(&one, &other);
        let mut again = both.clone();
        again.recall(&other);
        prop_assert_eq!(&again, &both);
        again.recall(&one);
        prop_assert_eq!(&again.common.counts, &both.common.counts);
        let mut itself = one.clone();
        itself.recall(&one);
        prop_assert_eq!(itself, one);
    }

    /// It does not matter which of two records was found and which was remembered.
    #[test]
    fn what_two_records_allow_together_is_the_same_from_either_side((one, other) in records(), now in instant()) {
        let (here, there) = (both(&one, &other), both(&other, &one));
        prop_assert_eq!(allows(&here, now), allows(&there, now));
        prop_assert_eq!(here.common.good(), there.common.good());
        prop_assert_eq!((here.term, here.sequence), (there.term, there.sequence));
        prop_assert_eq!(here.previous_until, there.previous_until);
        prop_assert_eq!((here.host, here.common.hosts), (there.host, there.common.hosts));
        prop_assert_eq!((here.unreachable_at, here.ask_at), (there.unreachable_at, there.ask_at));
    }

    #[test]
    fn nothing_that_holds_in_either_of_two_records_is_lost((one, other) in records(), now in instant()) {
        let both = both(&one, &other);
        let (minute, hour, until, backoffs) = allows(&both, now);
        for record in [&one, &other] {
            let known = allows(record, now);
            prop_assert!(minute <= known.0 && hour <= known.1);
            prop_assert!(until >= known.2);
            let asked_at = |record: &HostRecord| record.common.stamp().map(|stamp| stamp.asked_at);
            for (backoffs, known) in backoffs.iter().zip(known.3) {
                // Unless somebody got a token since.
                prop_assert!(*backoffs >= known || asked_at(record) < asked_at(&both));
            }
            for (slots, known) in [
                (&both.common.counts.taken, &record.common.counts.taken),
                (&both.common.counts.forced, &record.common.counts.forced),
            ] {
                prop_assert!(known.iter().all(|slot| slots.contains(slot)));
                let count = |slots: &VecDeque<Slot>| slots.iter().filter(|slot| slot.id == 0).count();
                prop_assert!(count(slots) >= count(known));
            }
            // A token that is rejected in one of them is not handed out.
            if let (Some(good), Some(issue)) = (both.common.good(), &record.common.issue) {
                prop_assert!(good.stamp.asked_at >= issue.stamp.asked_at);
                prop_assert!(issue.stamp != good.stamp || record.common.rejected != Some(good.stamp.id));
            }
        }
    }
}
