//! What `pay88 doctor --json` found, by the names of its checks.

use std::process::Command;

use pay88_sandbox::{Action, Fault, Match};
use serde_json::Value;

use super::{Ended, Stand, quiet, run};

pub(crate) const CHECKS: [&str; 15] = [
    "api_key",
    "merchant_id",
    "base_url",
    "options",
    "environment",
    "dns",
    "connection",
    "tls",
    "clock",
    "token",
    "jwt",
    "session_id",
    "expires_in",
    "cache",
    "call",
];

/// What is said of sharing after them; which of it depends on the option share and the machine.
pub(crate) const SHARING: [&str; 7] = [
    "share",
    "process",
    "host",
    "store",
    "others",
    "container",
    "names",
];

/// The checks by name; the text for people has to say the same, and both have to end alike.
pub(crate) struct Diagnosis {
    pub(crate) status: i32,
    pub(crate) checks: Vec<Value>,
    /// What is in each tier of the option share.
    pub(crate) tiers: Vec<Value>,
}

impl Diagnosis {
    pub(crate) fn of(ended: Ended) -> Diagnosis {
        let report = ended.json();
        let checks = report["checks"].as_array().unwrap().clone();
        let names: Vec<_> = checks
            .iter()
            .map(|check| check["name"].as_str().unwrap())
            .collect();
        let (before, sharing) = names.split_at(CHECKS.len());
        assert_eq!(before, CHECKS);
        assert!(!sharing.is_empty() && sharing.iter().all(|name| SHARING.contains(name)));
        let all_well = checks
            .iter()
            .all(|c| c["status"] == "passed" || c["status"] == "warning");
        assert_eq!(report["passed"], all_well, "{report:#}");
        assert_eq!(ended.status, if all_well { 0 } else { 1 }, "{report:#}");
        Diagnosis {
            status: ended.status,
            checks,
            tiers: report["tiers"].as_array().unwrap().clone(),
        }
    }

    pub(crate) fn check(&self, name: &str) -> &Value {
        self.checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap()
    }

    /// The check has this status, and says all of that in its detail or advice.
    pub(crate) fn expect(&self, name: &str, status: &str, said: &[&str]) -> &Self {
        let check = self.check(name);
        assert_eq!(check["status"], status, "{:#?}", self.checks);
        let advised = check["advice"]
            .as_str()
            .is_some_and(|advice| !advice.is_empty());
        assert_eq!(
            advised,
            status == "failed" || status == "warning",
            "{check}"
        );
        let text = format!("{} {}", check["detail"], check["advice"]);
        for piece in said {
            assert!(text.contains(piece), "{piece}: {check}");
        }
        self
    }

    /// All checks from the first to the last named are skipped.
    pub(crate) fn skips(&self, first: &str, last: &str) -> &Self {
        let at = |name| CHECKS.iter().position(|check| *check == name).unwrap();
        for name in &CHECKS[at(first)..=at(last)] {
            self.expect(name, "skipped", &["needs"]);
        }
        self
    }

    pub(crate) fn passes(&self, first: &str, last: &str) -> &Self {
        let at = |name| CHECKS.iter().position(|check| *check == name).unwrap();
        for name in &CHECKS[at(first)..=at(last)] {
            self.expect(name, "passed", &[]);
        }
        self
    }
}

pub(crate) fn diagnose(command: Command) -> Diagnosis {
    Diagnosis::of(quiet(run(command)))
}

/// With these variables set besides, or removed where there is no value.
pub(crate) fn doctor(stand: &Stand, changed: &[(&str, Option<&str>)]) -> Diagnosis {
    let mut command = stand.pay88(&["doctor", "--json"]);
    for (name, value) in changed {
        let name = format!("EIGHTY_EIGHT_PAY_{name}");
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    diagnose(command)
}

/// Under faults that are played for ever, on a sandbox of its own.
pub(crate) fn with_fault(on: Match, action: Action) -> (Stand, Diagnosis) {
    let stand = Stand::start();
    stand.sandbox.fault(Fault::always(on, action));
    let diagnosis = doctor(&stand, &[]);
    (stand, diagnosis)
}
