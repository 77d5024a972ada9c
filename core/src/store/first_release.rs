//! The record as the first release of its format has it: what that release writes, and what it makes of a later one's.
//!
//! Spelled out here and not made by the code of today, which may change what it writes and must still be understood.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::time::BootTime;

/// One token, one slot that was forced, a limit that was told, a failure that holds, and these slots.
pub(crate) fn written(now: BootTime, taken: &Value) -> Vec<u8> {
    let (now, later) = (now.0, now.0 + 60_000);
    let text = format!(
        r#"{{"turn":3,"sequence":7,
            "issue":{{"id":5,"asked_at":{now},"access_token":"token-5","session_id":"sess_5","expires_in":60}},
            "taken":{taken},"forced":[[{now},1]],"told":{{"left":6,"hourly":false,"until":{later}}},
            "hold":{{"class":"rate_limited","at":{now},"until":{later},"streak":1,"code":"rate_limited","message":"m",
                     "hint":"h","http_status":429}}}}"#
    );
    text.into_bytes()
}

/// What the first release finds.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) token: String,
    pub(crate) session: String,
    pub(crate) taken: u64,
    pub(crate) forced: u64,
    pub(crate) told: Option<u64>,
    /// The class, and until when.
    pub(crate) hold: Option<(String, u64)>,
}

/// Reads no more than the fields that release knows, and takes none of them that is not as it was. Fails where that
/// release would throw the record away.
pub(crate) fn read(plain: &[u8]) -> Found {
    let record: Map<String, Value> = serde_json::from_slice(plain).unwrap();
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    for name in ["turn", "sequence"] {
        assert!(record[name].is_u64(), "{name}");
    }
    for name in ["done_by", "rejected", "previous_until"] {
        assert!(record.get(name).is_none_or(Value::is_u64), "{name}");
    }
    let issue = &record["issue"];
    for name in ["id", "asked_at", "expires_in"] {
        number(issue, name);
    }
    let counted = |name: &str| runs(&record[name]).values().sum();
    let told = record.get("told").map(|told| {
        assert!(told["hourly"].is_boolean() && told["until"].is_u64());
        number(told, "left")
    });
    let hold = record.get("hold").map(|hold| {
        for name in ["code", "message", "hint"] {
            text(hold, name);
        }
        for name in ["at", "streak"] {
            number(hold, name);
        }
        (text(hold, "class"), number(hold, "until"))
    });
    Found {
        token: text(issue, "access_token"),
        session: text(issue, "session_id"),
        taken: counted("taken"),
        forced: counted("forced"),
        told,
        hold,
    }
}

/// The same record with one more slot, as that release writes it: what it does not know within a field is gone, and whole
/// fields that it does not know are kept.
pub(crate) fn written_over(plain: &[u8], now: BootTime) -> Vec<u8> {
    let mut record: Map<String, Value> = serde_json::from_slice(plain).unwrap();
    record["sequence"] = json!(record["sequence"].as_u64().unwrap() + 1);
    for (name, more) in [("taken", 1), ("forced", 0)] {
        let mut runs = runs(&record[name]);
        *runs.entry(now.0).or_default() += more;
        record[name] = json!(runs.into_iter().collect::<Vec<_>>());
    }
    let issue = record["issue"].as_object_mut().unwrap();
    let known = ["id", "asked_at", "access_token", "session_id", "expires_in"];
    issue.retain(|name, _| known.contains(&name.as_str()));
    serde_json::to_vec(&record).unwrap()
}

/// How many slots were taken at each instant.
fn runs(value: &Value) -> BTreeMap<u64, u64> {
    let mut runs = BTreeMap::new();
    for run in value.as_array().unwrap() {
        *runs.entry(run[0].as_u64().unwrap()).or_default() += run[1].as_u64().unwrap();
    }
    runs
}
