//! Shows who shares the token: each tier of the option `share`, what is in it, and who else is on this machine.
//!
//! Forgets remembered failures if asked to. Never forgets the tokens that were counted.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pay88::{Tier, TierState, TokenManager};

use super::report::{Check, Report};
use crate::output::Result;

/// The name of the process namespace on every machine that is not a container.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

const HELD: &str = "Until then nobody asks 88Pay. Once the cause is mended, `pay88 doctor --reset` ends that sooner. The tokens \
                    that were counted stay counted.";

/// Without a manager nobody knows which options are set.
pub(super) fn examine(report: &mut Report, manager: Option<&TokenManager>) -> Result<()> {
    let Some(manager) = manager else {
        return report.add(Check::skipped(
            "share",
            "environment and all checks before it",
        ));
    };
    let tiers = manager.tiers();
    for tier in &tiers {
        report.add(found(tier))?;
    }
    if let [tier] = tiers.as_slice() {
        // With a store, all of them share.
        for check in [other_users(tier), container(tier)].into_iter().flatten() {
            report.add(check)?;
        }
    }
    if let Some(check) = tiers.iter().find_map(taken_names) {
        report.add(check)?;
    }
    report.tell_tiers(&tiers);
    Ok(())
}

/// Forgets what all tiers remember, and says what that was.
pub(super) fn reset(report: &mut Report, manager: Option<&TokenManager>) -> Result<()> {
    let Some(manager) = manager else {
        return report.add(Check::skipped(
            "share",
            "environment and all checks before it",
        ));
    };
    let before = manager.tiers();
    let held = |tier: &Tier| tier.state.as_ref().ok().and_then(|state| state.hold);
    if before.iter().any(|tier| held(tier).is_some()) {
        manager.forget_failures()?;
    }
    let after = manager.tiers();
    for (before, after) in before.iter().zip(&after) {
        report.add(match (held(before), held(after), &after.state) {
            (_, _, Err(_)) => found(after),
            _ if after.kind == "process" => found(after),
            (None, None, Ok(state)) => {
                let nothing = "no failure was remembered".to_owned();
                Check::passed(after.kind, lines(after, &[nothing, budget(state)]))
            }
            (Some((class, left)), None, Ok(state)) => {
                let forgotten = format!("forgot {class}, which held for {} more", seconds(left));
                Check::passed(after.kind, lines(after, &[forgotten, budget(state)]))
            }
            (_, Some((class, _)), _) => Check::failed(
                after.kind,
                lines(after, &[format!("{class} is still remembered")]),
                "A token is being asked for right now, and that result counts. Try again in some seconds.",
            ),
        })?;
    }
    report.tell_tiers(&after);
    Ok(())
}

fn found(tier: &Tier) -> Check {
    let state = match &tier.state {
        Ok(state) => state,
        Err(error) => return Check::warning(tier.kind, error.message(), error.hint()),
    };
    if tier.kind == "process" {
        return Check::passed(
            tier.kind,
            "nothing is shared; `share=host` has one token for all processes of this user on this host",
        );
    }
    let mut said = vec![token(state), budget(state)];
    if state.hosts > 0 {
        said.push(match tier.kind {
            "store" => format!("hosts that have it: {}", state.hosts),
            _ => format!(
                "hosts that share it, as far as this one knows: {}",
                state.hosts
            ),
        });
    }
    match state.hold {
        None => Check::passed(tier.kind, lines(tier, &said)),
        Some((class, left)) => {
            said.push(format!("{class} is remembered for {} more", seconds(left)));
            Check::warning(tier.kind, lines(tier, &said), HELD)
        }
    }
}

/// Where the tier is, and what is said about it.
fn lines(tier: &Tier, said: &[String]) -> String {
    format!(
        "{}\n{}",
        tier.place.as_deref().unwrap_or_default(),
        said.join("\n")
    )
}

fn token(state: &TierState) -> String {
    match state.token_age {
        None => "no token".to_owned(),
        Some(age) if state.token_valid_for.is_zero() => {
            format!("no token: the last one was asked for {} ago", seconds(age))
        }
        Some(age) => format!(
            "a token, asked for {} ago and good for {} more",
            seconds(age),
            seconds(state.token_valid_for)
        ),
    }
}

fn budget(state: &TierState) -> String {
    let (minute, hour) = state.budget_left;
    let left = format!("{minute} tokens left in this minute, {hour} in this hour");
    match state.budget_split {
        0 | 1 => left,
        hosts => format!("{left}: this host's share, one of {hosts}, while no store can be used"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// Other users of this machine who do not share.
fn other_users(tier: &Tier) -> Option<Check> {
    let users: Vec<String> = tier.other_users.iter().map(u32::to_string).collect();
    (!users.is_empty()).then(|| {
        Check::warning(
            "others",
            format!("other users of this machine have tokens of their own: {}", users.join(", ")),
            "Run this as the user of the program in question. Users of one key share its token through `share=host:<dir>`, a \
             directory on a tmpfs that a group of theirs may write to, or through a store.",
        )
    })
}

/// Who has taken the names that come first.
fn taken_names(tier: &Tier) -> Option<Check> {
    let taken = |taken: &pay88::TakenName| format!("{} belongs to user {}", taken.path, taken.by);
    let names: Vec<String> = tier.taken_names.iter().map(taken).collect();
    (!names.is_empty()).then(|| {
        Check::warning(
            "names",
            format!("{}\nthe next name is used", names.join("\n")),
            "Nothing is lost: all who share the token use that name. To free the first name, ask that user, or remove it as \
             root.",
        )
    })
}

/// A host's token is shared by all processes that see the same directory.
fn container(tier: &Tier) -> Option<Check> {
    let directory = tier
        .place
        .as_deref()
        .map(Path::new)
        .and_then(Path::parent)?;
    in_container().then(|| {
        Check::passed(
            "container",
            format!(
                "this is a container: those that do not see the same {} are hosts of their own\n\
                 containers share through one tmpfs as `share=host:<dir>`, or through a store",
                directory.display()
            ),
        )
    })
}

fn in_container() -> bool {
    let told = |path: &&str| Path::new(path).exists();
    let namespace = fs::read_link("/proc/self/ns/pid");
    ["/.dockerenv", "/run/.containerenv"].iter().any(told)
        || namespace.is_ok_and(|name| name != Path::new(FIRST_NAMESPACE))
}
