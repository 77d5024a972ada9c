//! What those who share one set of credentials tell each other: the token, the counts, the failure of the key, and who
//! is at a refresh.
//!
//! Promises: token and session ID are always a pair of one answer; what a later release adds beside the known fields is
//! kept when an older one writes; what is older never displaces what is newer, and what was spent stays spent. A value
//! without I/O; instants are boot time.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode};
use crate::policy::backoff::Hold;
use crate::policy::expiry::Lifetime;
use crate::policy::rate_limit::{Counts, Slot, Told};
use crate::policy::token_response::{Class, Grant};
use crate::secret::{Secret, wipe};
use crate::time::BootTime;

/// What is known of a slot that has an entry of its own.
const APART: u64 = 1;
const PENDING: u64 = 2;

/// More slots than that are written in coarser steps.
const EXACT_SLOTS: usize = 400;

/// Slots older than the minute's window are counted for the hour alone, in steps of that many milliseconds.
const COARSE_AFTER: Duration = Duration::from_secs(75);
const COARSE_STEP: u64 = 10_000;

/// Which token it is, for all who share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    /// Random.
    pub(crate) id: u64,
    /// Before its request was sent. A token with a later instant is newer.
    pub(crate) asked_at: BootTime,
}

/// A token as it is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) stamp: Stamp,
    pub(crate) grant: Grant,
    /// Asked for while the other hosts could not be told: by one of so many; else 0.
    pub(crate) apart: u32,
}

impl Issue {
    pub(crate) fn lifetime(&self, safety_margin: Duration, tokens_per_hour: u32) -> Lifetime {
        let life = Duration::from_secs(self.grant.expires_in);
        match self.apart {
            // One host alone has the whole budget.
            0 | 1 => Lifetime::derive(life, safety_margin, tokens_per_hour),
            _ => Lifetime::longest(life),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Who leads a refresh holds the lock of this term. It goes up when a leader is not waited for any longer.
    pub(crate) term: u64,
    /// Goes up with every writing.
    pub(crate) sequence: u64,
    /// The leader's refresh ends by then, one way or the other.
    pub(crate) done_by: Option<BootTime>,
    pub(crate) issue: Option<Issue>,
    /// The token that 88Pay did not accept any more, or that a user has dropped.
    pub(crate) rejected: Option<u64>,
    pub(crate) counts: Counts,
    pub(crate) hold: Option<Hold>,
    /// Attempts of hosts that have failed in a row, at the cost of a slot each.
    pub(crate) outage: Option<Hold>,
    /// Until then this key is not asked for, but the one that it replaces.
    pub(crate) previous_until: Option<BootTime>,
    /// Failures of the key that were met before are forgotten, by whoever remembers them.
    pub(crate) forgotten: Option<BootTime>,
    /// A random number by which the fleet's store knows this host; 0 before it was asked. In the store: that of the host
    /// whose attempt has failed last.
    pub(crate) host: u64,
    /// How many hosts share the token, as far as is known; 0 where nothing is.
    pub(crate) hosts: u32,
    /// Until when the fleet's store was last out of reach, as far as is known.
    pub(crate) away: Option<BootTime>,
    /// The fleet's store need not be asked before.
    pub(crate) ask_at: Option<BootTime>,
    /// Fields of a later release.
    pub(crate) others: Map<String, Value>,
}

impl Record {
    /// The shared token, unless it was rejected.
    pub(crate) fn good(&self) -> Option<&Issue> {
        self.issue
            .as_ref()
            .filter(|issue| Some(issue.stamp.id) != self.rejected)
    }

    /// Whether somebody has said to be at a refresh and may still be.
    pub(crate) fn is_led(&self, now: BootTime) -> bool {
        self.done_by.is_some_and(|done_by| now < done_by)
    }

    /// Whether it was written after `other`.
    pub(crate) fn newer_than(&self, other: &Record) -> bool {
        (self.term, self.sequence) > (other.term, other.sequence)
    }

    /// Adds what this process remembers where it is more than what was found: the record was lost, or set back.
    pub(crate) fn recall(&mut self, mine: &Record) {
        self.term = self.term.max(mine.term);
        self.sequence = self.sequence.max(mine.sequence);
        self.counts.merge(&mine.counts);
        let asked_at = |issue: &Option<Issue>| issue.as_ref().map(|issue| issue.stamp.asked_at);
        let (found, known) = (self.rejected, mine.rejected);
        match asked_at(&self.issue).cmp(&asked_at(&mine.issue)) {
            Ordering::Less => {
                self.issue = mine.issue.clone();
                self.rejected = known;
            }
            Ordering::Equal => self.rejected = found.or(known),
            Ordering::Greater => {}
        }
        let kept = self.issue.as_ref().map(|issue| issue.stamp.id);
        if kept.is_some() && (found == kept || known == kept) {
            self.rejected = kept;
        }
        let until = |hold: &Option<Hold>| hold.as_ref().map(|hold| hold.until);
        for (mine, hold) in [
            (&mine.hold, &mut self.hold),
            (&mine.outage, &mut self.outage),
        ] {
            if until(mine) > until(hold) {
                *hold = mine.clone();
            }
        }
        self.previous_until = self.previous_until.max(mine.previous_until);
        self.forgotten = self.forgotten.max(mine.forgotten);
        self.host = self.host.max(mine.host);
        self.hosts = self.hosts.max(mine.hosts);
        self.away = self.away.max(mine.away);
        self.ask_at = self.ask_at.max(mine.ask_at);
    }

    /// What the hosts of a fleet tell each other of this.
    pub(crate) fn for_fleet(&self) -> Record {
        let mut record = Record {
            issue: self.issue.clone(),
            rejected: self.rejected,
            counts: self.counts.clone(),
            hold: self.hold.clone().filter(|hold| hold.class.of_key()),
            outage: self.outage.clone(),
            forgotten: self.forgotten,
            host: self.host,
            hosts: self.hosts,
            others: self.others.clone(),
            ..Record::default()
        };
        // Slots without an id stand for what was lost here; the store knows better.
        record.counts.taken.retain(|slot| slot.id != 0);
        record.counts.told_to_all();
        record.counts.settled();
        if let Some(issue) = &mut record.issue {
            issue.apart = 0;
        }
        record
    }

    /// The same on a clock that is ahead by something between `least` and `most` milliseconds: the token seems no younger
    /// there than it is, and what was spent or holds no older.
    pub(crate) fn shifted(mut self, least: i64, most: i64) -> Record {
        let by = |time: &mut BootTime, by| time.0 = time.0.saturating_add_signed(by);
        if let Some(issue) = &mut self.issue {
            by(&mut issue.stamp.asked_at, least);
        }
        let shift = |time: &mut BootTime| by(time, most);
        for slots in [&mut self.counts.taken, &mut self.counts.forced] {
            slots.iter_mut().for_each(|slot| shift(&mut slot.at));
        }
        self.counts
            .told
            .iter_mut()
            .for_each(|told| shift(&mut told.until));
        if let Some(forgotten) = &mut self.forgotten {
            shift(forgotten);
        }
        for hold in [&mut self.hold, &mut self.outage].into_iter().flatten() {
            shift(&mut hold.at);
            shift(&mut hold.until);
        }
        self
    }

    pub(crate) fn to_bytes(&self, now: BootTime) -> Zeroizing<Vec<u8>> {
        let mut fields = self.others.clone();
        let at = |time: Option<BootTime>| json!(time.map(|time| time.0));
        // The first release knows one, so the lowest comes first.
        let mut told = self.counts.told.clone();
        told.sort_by_key(|told| told.left);
        let mut told = told.into_iter().map(told_to_json);
        for (name, value) in [
            ("turn", json!(self.term)),
            ("sequence", json!(self.sequence)),
            ("done_by", at(self.done_by)),
            // Moved, not copied: all of it is wiped below.
            (
                "issue",
                self.issue.as_ref().map_or(Value::Null, issue_to_json),
            ),
            ("rejected", json!(self.rejected)),
            ("taken", runs(&self.counts.taken, now)),
            ("forced", runs(&self.counts.forced, now)),
            ("told", told.next().unwrap_or_default()),
            ("told_more", more(told.collect())),
            ("hold", json!(self.hold.as_ref().map(hold_to_json))),
            ("outage", json!(self.outage.as_ref().map(hold_to_json))),
            ("previous_until", at(self.previous_until)),
            ("forgotten", at(self.forgotten)),
            ("host", json!((self.host > 0).then_some(self.host))),
            ("hosts", json!((self.hosts > 0).then_some(self.hosts))),
            ("away", at(self.away)),
            ("ask_at", at(self.ask_at)),
        ] {
            // What is not set is left out, so that a reader of any release knows what that means.
            match value {
                Value::Null => drop(fields.remove(name)),
                value => drop(fields.insert(name.to_owned(), value)),
            }
        }
        // Large enough at once: a growing buffer would leave pieces of the token in freed memory.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.room()));
        let mut value = Value::Object(fields);
        // Writing to memory cannot fail; an empty record would be read as none at all.
        if serde_json::to_writer(&mut *bytes, &value).is_err() {
            bytes.clear();
        }
        wipe(&mut value);
        bytes
    }

    /// `None` for anything that is no record.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Record> {
        let mut value: Value = serde_json::from_slice(bytes).ok()?;
        let record = value.as_object_mut().and_then(read);
        wipe(&mut value);
        record
    }

    /// More than the record takes as text.
    fn room(&self) -> usize {
        let secrets = self.issue.as_ref().map_or(0, |issue| {
            issue.grant.access_token.expose().len() + issue.grant.session_id.expose().len()
        });
        // Of a token's characters some may have to be escaped.
        2 * secrets + 48 * (self.counts.taken.len() + self.counts.forced.len()) + 16 * 1024
    }
}

fn issue_to_json(issue: &Issue) -> Value {
    json!({
        "apart": issue.apart,
        "id": issue.stamp.id,
        "asked_at": issue.stamp.asked_at.0,
        "access_token": issue.grant.access_token.expose(),
        "session_id": issue.grant.session_id.expose(),
        "expires_in": issue.grant.expires_in,
    })
}

/// `null` for nothing.
fn more(values: Vec<Value>) -> Value {
    match values.is_empty() {
        true => Value::Null,
        false => Value::Array(values),
    }
}

fn told_to_json(told: Told) -> Value {
    json!({"left": told.left, "hourly": told.hourly, "until": told.until.0})
}

fn hold_to_json(hold: &Hold) -> Value {
    json!({
        "class": hold.class.name(), "at": hold.at.0, "until": hold.until.0, "streak": hold.streak,
        "code": hold.error.code().name(), "message": hold.error.message(), "hint": hold.error.hint(),
        "http_status": hold.error.http_status(),
    })
}

/// Instants with the number of slots at each; a slot that is known by an id has an entry of its own.
fn runs(slots: &VecDeque<Slot>, now: BootTime) -> Value {
    let coarse = slots.len() > EXACT_SLOTS;
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for slot in slots {
        let (at, id) = match coarse && slot.at.plus(COARSE_AFTER) <= now {
            // Later rather than earlier: nothing is forgotten too soon. It stays the same when it is done again.
            true => (slot.at.0.next_multiple_of(COARSE_STEP), 0),
            false => (slot.at.0, slot.id),
        };
        match runs.last_mut().map(Vec::as_mut_slice) {
            Some([last, count]) if *last == at && id == 0 => *count += 1,
            _ if id == 0 => runs.push(vec![at, 1]),
            _ => {
                let known = u64::from(slot.apart) * APART + u64::from(slot.pending) * PENDING;
                let mut run = vec![at, 1, id.into()];
                run.extend(Some(known).filter(|known| *known != 0));
                runs.push(run);
            }
        }
    }
    json!(runs)
}

/// Takes the known fields out of a record and keeps the others.
fn read(fields: &mut Map<String, Value>) -> Option<Record> {
    let record = Record {
        term: fields.remove("turn")?.as_u64()?,
        sequence: fields.remove("sequence")?.as_u64()?,
        done_by: optional(fields, "done_by", as_time)?,
        issue: optional(fields, "issue", read_issue)?,
        rejected: optional(fields, "rejected", |value| value.as_u64())?,
        counts: Counts {
            taken: optional(fields, "taken", read_runs)?.unwrap_or_default(),
            forced: optional(fields, "forced", read_runs)?.unwrap_or_default(),
            told: read_all_told(fields)?,
        },
        hold: optional(fields, "hold", read_hold)?.flatten(),
        outage: optional(fields, "outage", read_hold)?.flatten(),
        previous_until: optional(fields, "previous_until", as_time)?,
        forgotten: optional(fields, "forgotten", as_time)?,
        host: optional(fields, "host", |value| value.as_u64())?.unwrap_or_default(),
        hosts: optional(fields, "hosts", as_count)?.unwrap_or_default(),
        away: optional(fields, "away", as_time)?,
        ask_at: optional(fields, "ask_at", as_time)?,
        others: std::mem::take(fields),
    };
    Some(record)
}

/// `Some(None)` for a field that is not there, `None` for one that cannot be read.
fn optional<T>(
    fields: &mut Map<String, Value>,
    name: &str,
    read: impl FnOnce(&mut Value) -> Option<T>,
) -> Option<Option<T>> {
    match fields.remove(name) {
        None => Some(None),
        Some(mut value) => {
            let result = read(&mut value);
            wipe(&mut value);
            result.map(Some)
        }
    }
}

fn as_time(value: &mut Value) -> Option<BootTime> {
    value.as_u64().map(BootTime)
}

fn as_count(value: &mut Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn read_issue(value: &mut Value) -> Option<Issue> {
    let mut secret = |name: &str| match value.get_mut(name)? {
        Value::String(text) => Some(Secret::new(std::mem::take(text))),
        _ => None,
    };
    let grant = (secret("access_token")?, secret("session_id")?);
    Some(Issue {
        stamp: Stamp {
            id: value.get("id")?.as_u64()?,
            asked_at: BootTime(value.get("asked_at")?.as_u64()?),
        },
        // A release without fleets does not say.
        apart: value.get_mut("apart").map_or(Some(0), as_count)?,
        grant: Grant {
            access_token: grant.0,
            session_id: grant.1,
            expires_in: value.get("expires_in")?.as_u64()?,
        },
    })
}

fn read_all_told(fields: &mut Map<String, Value>) -> Option<Vec<Told>> {
    let mut counts = Counts::default();
    let first = optional(fields, "told", |value| read_told(value))?;
    let more = optional(fields, "told_more", |value| {
        value
            .as_array()?
            .iter()
            .map(read_told)
            .collect::<Option<Vec<_>>>()
    })?;
    for told in first.into_iter().chain(more.into_iter().flatten()) {
        counts.hear(told);
    }
    Some(counts.told)
}

fn read_told(value: &Value) -> Option<Told> {
    Some(Told {
        left: u32::try_from(value.get("left")?.as_u64()?).ok()?,
        hourly: value.get("hourly")?.as_bool()?,
        until: BootTime(value.get("until")?.as_u64()?),
    })
}

/// A class or code that this release does not know is nothing that it could keep to.
fn read_hold(value: &mut Value) -> Option<Option<Hold>> {
    let text = |name: &str| value.get(name)?.as_str();
    let code = text("code")?;
    let code = ErrorCode::ALL.iter().find(|known| known.name() == code);
    let (Some(class), Some(code)) = (Class::named(text("class")?), code) else {
        return Some(None);
    };
    let mut error = Error::new(*code, text("message")?, text("hint")?.to_owned());
    if let Some(status) = value.get("http_status").and_then(Value::as_u64) {
        error = error.with_status(u16::try_from(status).ok()?);
    }
    Some(Some(Hold {
        class,
        at: BootTime(value.get("at")?.as_u64()?),
        until: BootTime(value.get("until")?.as_u64()?),
        error,
        streak: u32::try_from(value.get("streak")?.as_u64()?).ok()?,
    }))
}

fn read_runs(value: &mut Value) -> Option<VecDeque<Slot>> {
    let mut slots = VecDeque::new();
    for run in value.as_array()? {
        let number = |index| run.get(index).map_or(Some(0), Value::as_u64);
        let slot = Slot {
            at: BootTime(run.get(0)?.as_u64()?),
            id: u32::try_from(number(2)?).ok()?,
            apart: number(3)? & APART != 0,
            pending: number(3)? & PENDING != 0,
        };
        // Sealed by whoever has the key, so a large number is a fault and not an attack; it is bounded all the same.
        let count = run.get(1)?.as_u64().filter(|count| *count <= 1_000_000)?;
        slots.extend((0..count).map(|_| slot));
    }
    slots.make_contiguous().sort_by_key(|slot| slot.at);
    Some(slots)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(at: u64) -> Slot {
        Slot {
            at: BootTime(at),
            id: 0,
            apart: false,
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
            apart: 2,
        }
    }

    fn full() -> Record {
        Record {
            term: 2,
            sequence: 40,
            done_by: Some(BootTime(9_000)),
            issue: Some(issue(u64::MAX, 5_000)),
            rejected: Some(7),
            counts: Counts {
                taken: VecDeque::from([
                    slot(1),
                    slot(1),
                    Slot { id: 9, ..slot(1) },
                    Slot {
                        id: 8,
                        apart: true,
                        pending: true,
                        ..slot(70)
                    },
                ]),
                forced: VecDeque::from([slot(70)]),
                told: vec![
                    Told {
                        left: 2,
                        hourly: false,
                        until: BootTime(70),
                    },
                    Told {
                        left: 3,
                        hourly: true,
                        until: BootTime(80),
                    },
                ],
            },
            hold: Some(Hold {
                class: Class::RateLimited,
                at: BootTime(3),
                until: BootTime(60_003),
                error: Error::new(ErrorCode::RateLimited, "m \"quoted\"", "h").with_status(429),
                streak: 2,
            }),
            outage: Some(Hold {
                class: Class::Temporary,
                at: BootTime(4),
                until: BootTime(60_004),
                error: Error::new(ErrorCode::ConnectionFailed, "m", "h").with_status(503),
                streak: 3,
            }),
            previous_until: Some(BootTime(11)),
            forgotten: Some(BootTime(14)),
            host: u64::MAX,
            hosts: 8,
            away: Some(BootTime(12)),
            ask_at: Some(BootTime(13)),
            others: Map::new(),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        for record in [Record::default(), full()] {
            let bytes = record.to_bytes(BootTime(100));
            assert!(bytes.len() <= record.room());
            assert_eq!(Record::from_bytes(&bytes), Some(record));
        }
    }

    #[test]
    fn fields_of_a_later_release_are_kept_and_unknown_failures_are_no_fault() {
        let text = br#"{"turn":1,"sequence":2,"colour":{"x":[1]},"hold":{"class":"eclipse","code":"dark"}}"#;
        let record = Record::from_bytes(text).unwrap();
        assert_eq!(record.hold, None);
        let again = Record::from_bytes(&record.to_bytes(BootTime(0))).unwrap();
        assert_eq!(again.others["colour"], json!({"x": [1]}));
    }

    #[test]
    fn what_is_no_record_is_none() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"turn":1}"#,
            r#"{"turn":-1,"sequence":2}"#,
            r#"{"turn":1,"sequence":2,"issue":{"id":1}}"#,
            r#"{"turn":1,"sequence":2,"taken":[[1]]}"#,
            r#"{"turn":1,"sequence":2,"taken":[[1,18446744073709551615]]}"#,
        ] {
            assert_eq!(Record::from_bytes(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn ten_thousand_slots_of_an_hour_take_little_room_and_none_is_forgotten_too_soon() {
        let now = BootTime(3_600_000);
        let mut record = Record::default();
        record.counts.taken = (0..10_000).map(|i| slot(i * 360)).collect();
        let mut before = record.clone();
        for _ in 0..3 {
            let bytes = before.to_bytes(now);
            assert!(bytes.len() < 20_000, "{}", bytes.len());
            before = Record::from_bytes(&bytes).unwrap();
        }
        assert_eq!(before.counts.taken.len(), 10_000);
        for (was, is) in record.counts.taken.iter().zip(&before.counts.taken) {
            assert!(was.at <= is.at && is.at.0 - was.at.0 < COARSE_STEP);
            assert!(was.at.plus(Duration::from_secs(62)) <= now || was == is);
        }
    }

    #[test]
    fn what_is_remembered_is_added_to_a_record_that_was_set_back() {
        let mine = full();
        let mut found = Record {
            sequence: 1,
            issue: Some(issue(1, 6_000)),
            ..Record::default()
        };
        found.counts.taken.extend([slot(1), slot(90)]);
        assert!(mine.newer_than(&found));
        found.recall(&mine);
        let taken: Vec<u64> = found.counts.taken.iter().map(|slot| slot.at.0).collect();
        assert_eq!(taken, [1, 1, 1, 70, 90]);
        assert_eq!(found.issue, Some(issue(1, 6_000)), "the newer token stays");
        assert_eq!(found.rejected, None, "it was another that was rejected");
        assert_eq!((found.term, found.sequence), (2, 40));
        assert_eq!((&found.hold, &found.outage), (&mine.hold, &mine.outage));
        let again = found.clone();
        found.recall(&mine);
        assert_eq!(found, again, "once is enough");
    }

    #[test]
    fn a_token_that_either_of_two_records_rejects_is_rejected_in_both_together() {
        for (found, mine) in [(Some(7), Some(1)), (Some(1), Some(7)), (None, Some(1))] {
            let with = |rejected| Record {
                issue: Some(issue(1, 6_000)),
                rejected,
                ..Record::default()
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
}
