//! Who shares the token: each tier of the option `share`, what is there, and who else is on this machine.
//!
//! A failure that is remembered is forgotten here, if that is asked for; what was counted never is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pay88::{Tier, TierState, TokenManager};

use super::report::{Check, Report};
use crate::output::Result;

/// The process namespace of every machine that is no container has this name.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

const HELD: &str = "88Pay is not asked until then, whoever calls. Once the cause is mended `pay88 doctor --reset` ends that \
                    sooner; what was counted stays counted.";

/// Without a manager it is not known what is set.
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
        // Where there is a store, all share.
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

/// Forgets what is remembered in all tiers, and says what that was.
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
                lines(after, &[format!("{class} is remembered still")]),
                "Somebody is asking for a token right now, and what comes of that counts. Try again in some seconds.",
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

/// Where it is, and what is said of it.
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
        hosts => format!("{left}: this host's part of {hosts}, while no store can be used"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// Who is on this machine and does not share.
fn other_users(tier: &Tier) -> Option<Check> {
    let users: Vec<String> = tier.other_users.iter().map(u32::to_string).collect();
    (!users.is_empty()).then(|| {
        Check::warning(
            "others",
            format!("other users of this machine have tokens of their own: {}", users.join(", ")),
            "Run this as the user whose program you look at. Users of one key share its token through `share=host:<dir>`, a \
             directory on a tmpfs that a group of theirs may write to, or through a store.",
        )
    })
}

/// Who is in the way of the names that come first.
fn taken_names(tier: &Tier) -> Option<Check> {
    let taken = |taken: &pay88::TakenName| format!("{} belongs to user {}", taken.path, taken.by);
    let names: Vec<String> = tier.taken_names.iter().map(taken).collect();
    (!names.is_empty()).then(|| {
        Check::warning(
            "names",
            format!("{}\nthe next name is used", names.join("\n")),
            "Nothing is lost: all who share the token use that name. If nobody is to have the first one, ask that user, or \
             remove it as root.",
        )
    })
}

/// What is shared by a host is shared by those who see the same directory.
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
                "this is one: those that do not see the same {} are other hosts\n\
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
