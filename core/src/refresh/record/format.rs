//! The records as JSON, before they are sealed.
//!
//! A field that is not set is left out. So a reader of any release knows what a missing field means.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Common, FleetRecord, HostRecord, Issue, Stamp};
use crate::error::{Error, ErrorCode};
use crate::policy::backoff::Backoff;
use crate::policy::rate_limit::{Counts, ServerLimit, Slot};
use crate::policy::token_response::{Class, Grant};
use crate::secret::{Secret, wipe};
use crate::time::BootTime;

/// The fields of a slot that has an entry of its own.
const PARTITIONED: u64 = 1;
const PENDING: u64 = 2;

/// If there are more slots, their instants are written in coarser steps.
pub(super) const EXACT_SLOTS: usize = 400;

/// Slots that are older than the window of the minute count for the hour only. Their instants are written in steps of so many
/// milliseconds.
const COARSE_AFTER: Duration = Duration::from_secs(75);
pub(super) const COARSE_STEP: u64 = 10_000;

impl HostRecord {
    pub(crate) fn to_bytes(&self, now: BootTime) -> Zeroizing<Vec<u8>> {
        self.common.to_bytes(
            now,
            [
                ("term", json!(self.term)),
                ("sequence", json!(self.sequence)),
                ("done_by", time(self.done_by)),
                ("previous_until", time(self.previous_until)),
                ("host", number(self.host)),
                ("unreachable_at", time(self.unreachable_at)),
                ("ask_at", time(self.ask_at)),
            ],
        )
    }

    /// `None` for anything that is no record.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<HostRecord> {
        read(bytes, |fields| {
            Some(HostRecord {
                term: fields.remove("term")?.as_u64()?,
                sequence: fields.remove("sequence")?.as_u64()?,
                done_by: optional(fields, "done_by", as_time)?,
                previous_until: optional(fields, "previous_until", as_time)?,
                host: optional(fields, "host", |value| value.as_u64())?.unwrap_or_default(),
                unreachable_at: optional(fields, "unreachable_at", as_time)?,
                ask_at: optional(fields, "ask_at", as_time)?,
                common: Common::read(fields)?,
            })
        })
    }
}

impl FleetRecord {
    pub(crate) fn to_bytes(&self, now: BootTime) -> Zeroizing<Vec<u8>> {
        self.common.to_bytes(
            now,
            [
                ("failed_host", number(self.failed_host)),
                ("forgotten", time(self.forgotten)),
            ],
        )
    }

    /// `None` for anything that is no record.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<FleetRecord> {
        read(bytes, |fields| {
            Some(FleetRecord {
                failed_host: optional(fields, "failed_host", |value| value.as_u64())?
                    .unwrap_or_default(),
                forgotten: optional(fields, "forgotten", as_time)?,
                common: Common::read(fields)?,
            })
        })
    }
}

impl Common {
    /// Adds the fields that only one of the two records has.
    fn to_bytes<const N: usize>(
        &self,
        now: BootTime,
        own: [(&str, Value); N],
    ) -> Zeroizing<Vec<u8>> {
        let Counts {
            taken,
            forced,
            server_limits,
        } = &self.counts;
        let common = [
            // Moved, not copied: all of it is wiped below.
            (
                "issue",
                self.issue.as_ref().map_or(Value::Null, issue_to_json),
            ),
            ("rejected", json!(self.rejected)),
            ("hosts", number(self.hosts.into())),
            ("taken", runs(taken, now)),
            ("under_way", json!(self.under_way)),
            ("forced", runs(forced, now)),
            (
                "server_limits",
                server_limits.iter().map(server_limit_to_json).collect(),
            ),
            ("backoff", json!(self.backoff.as_ref().map(backoff_to_json))),
            ("outage", json!(self.outage.as_ref().map(backoff_to_json))),
        ];
        let mut fields = self.others.clone();
        for (name, value) in common.into_iter().chain(own) {
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

    /// Takes the known fields out of a record, and keeps the rest as it is.
    fn read(fields: &mut Map<String, Value>) -> Option<Common> {
        Some(Common {
            issue: optional(fields, "issue", read_issue)?,
            rejected: optional(fields, "rejected", |value| value.as_u64())?,
            hosts: optional(fields, "hosts", as_count)?.unwrap_or_default(),
            counts: Counts {
                taken: optional(fields, "taken", read_runs)?.unwrap_or_default(),
                forced: optional(fields, "forced", read_runs)?.unwrap_or_default(),
                server_limits: optional(fields, "server_limits", read_server_limits)?
                    .unwrap_or_default(),
            },
            under_way: optional(fields, "under_way", as_count)?.filter(|id| *id != 0),
            backoff: optional(fields, "backoff", read_backoff)?.flatten(),
            outage: optional(fields, "outage", read_backoff)?.flatten(),
            others: std::mem::take(fields),
        })
    }

    /// At least as many bytes as the record has as text.
    pub(super) fn room(&self) -> usize {
        let secrets = self.issue.as_ref().map_or(0, |issue| {
            issue.grant.access_token.expose().len() + issue.grant.session_id.expose().len()
        });
        // Some characters of a token may have to be escaped.
        2 * secrets + 48 * (self.counts.taken.len() + self.counts.forced.len()) + 16 * 1024
    }
}

fn read<T>(bytes: &[u8], fields: impl FnOnce(&mut Map<String, Value>) -> Option<T>) -> Option<T> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let record = value.as_object_mut().and_then(fields);
    wipe(&mut value);
    record
}

fn time(time: Option<BootTime>) -> Value {
    json!(time.map(|time| time.0))
}

/// `null` for 0.
fn number(number: u64) -> Value {
    json!((number > 0).then_some(number))
}

fn issue_to_json(issue: &Issue) -> Value {
    json!({
        "budget_shares": issue.budget_shares,
        "id": issue.stamp.id,
        "asked_at": issue.stamp.asked_at.0,
        "access_token": issue.grant.access_token.expose(),
        "session_id": issue.grant.session_id.expose(),
        "expires_in": issue.grant.expires_in,
    })
}

fn server_limit_to_json(limit: &ServerLimit) -> Value {
    json!({"left": limit.left, "hourly": limit.hourly, "until": limit.until.0})
}

fn backoff_to_json(backoff: &Backoff) -> Value {
    json!({
        "class": backoff.class.name(), "at": backoff.at.0, "until": backoff.until.0, "streak": backoff.streak,
        "code": backoff.error.code().name(), "message": backoff.error.message(), "hint": backoff.error.hint(),
        "http_status": backoff.error.http_status(),
    })
}

/// Instants, with the number of slots at each. A slot with an ID has an entry of its own.
fn runs(slots: &VecDeque<Slot>, now: BootTime) -> Value {
    let coarse = slots.len() > EXACT_SLOTS;
    let mut runs: Vec<Vec<u64>> = Vec::new();
    for slot in slots {
        let (at, id) = match coarse && slot.at.plus(COARSE_AFTER) <= now {
            // Rounded to a later instant, so that no slot is forgotten too soon. An instant that was rounded stays as it is.
            true => (slot.at.0.next_multiple_of(COARSE_STEP), 0),
            false => (slot.at.0, slot.id),
        };
        match runs.last_mut().map(Vec::as_mut_slice) {
            Some([last, count]) if *last == at && id == 0 => *count += 1,
            _ if id == 0 => runs.push(vec![at, 1]),
            _ => {
                let known =
                    u64::from(slot.partitioned) * PARTITIONED + u64::from(slot.pending) * PENDING;
                let mut run = vec![at, 1, id.into()];
                run.extend(Some(known).filter(|known| *known != 0));
                runs.push(run);
            }
        }
    }
    json!(runs)
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
        budget_shares: as_count(value.get_mut("budget_shares")?)?,
        grant: Grant {
            access_token: grant.0,
            session_id: grant.1,
            expires_in: value.get("expires_in")?.as_u64()?,
        },
    })
}

fn read_server_limits(value: &mut Value) -> Option<Vec<ServerLimit>> {
    let mut counts = Counts::default();
    for limit in value.as_array()? {
        counts.add_server_limit(read_server_limit(limit)?);
    }
    Some(counts.server_limits)
}

fn read_server_limit(value: &Value) -> Option<ServerLimit> {
    Some(ServerLimit {
        left: u32::try_from(value.get("left")?.as_u64()?).ok()?,
        hourly: value.get("hourly")?.as_bool()?,
        until: BootTime(value.get("until")?.as_u64()?),
    })
}

/// `None` for a class or a code that this release does not know.
fn read_backoff(value: &mut Value) -> Option<Option<Backoff>> {
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
    Some(Some(Backoff {
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
            partitioned: number(3)? & PARTITIONED != 0,
            pending: number(3)? & PENDING != 0,
        };
        // Sealed by whoever has the key, so a large number is a fault and not an attack; it is bounded all the same.
        let count = run.get(1)?.as_u64().filter(|count| *count <= 1_000_000)?;
        slots.extend((0..count).map(|_| slot));
    }
    slots.make_contiguous().sort_by_key(|slot| slot.at);
    Some(slots)
}
