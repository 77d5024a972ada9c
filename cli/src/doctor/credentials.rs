//! Checks that need no network: each option by itself, then all together.
//!
//! The library decides. This module only says which option was checked, where its value came from, and what was
//! trimmed.

use pay88::{Config, OPTIONS, OptionKind, OptionSpec, TokenManager, mask};

use super::report::{Check, Report};
use crate::options::Options;
use crate::output::Result;

/// The hosts whose keys have a known environment.
const SANDBOX: &str = "https://api-sandbox.88pay.io";
const PRODUCTION: &str = "https://api.88pay.io";

/// The options that have a check of their own.
const SINGLE: [&str; 3] = ["api_key", "merchant_id", "base_url"];

/// Gives a manager if everything passed.
pub(super) fn examine(
    report: &mut Report,
    options: &Options,
    config: &Config,
) -> Result<Option<TokenManager>> {
    for name in SINGLE {
        report.add(single(name, options, config)?)?;
    }
    report.add(others(config))?;
    let all_good = SINGLE.iter().all(|name| report.passed(name)) && report.passed("options");
    if !all_good {
        report.add(Check::skipped(
            "environment",
            "api_key, merchant_id, base_url and options",
        ))?;
        return Ok(None);
    }
    match TokenManager::new(config.clone()) {
        Ok(manager) => {
            report.add(Check::passed("environment", fits(&manager)))?;
            Ok(Some(manager))
        }
        Err(error) => {
            report.add(Check::error("environment", &error))?;
            Ok(None)
        }
    }
}

/// The key, the merchant or the base URL.
fn single(name: &'static str, options: &Options, config: &Config) -> Result<Check> {
    let Some(option) = OPTIONS.iter().find(|option| option.name == name) else {
        return Ok(Check::skipped(name, "an option of that name"));
    };
    let raw = match options.raw(option) {
        Ok(raw) => raw,
        Err(error) => return Ok(Check::error(name, &error)),
    };
    if let Err(error) = config.check(name) {
        let blank = raw.as_ref().filter(|raw| raw.text.trim().is_empty());
        return Ok(match blank {
            Some(raw) => Check::failed(
                name,
                format!("The {name} is blank ({}).", raw.source),
                format!("{} It is set, but it is empty.", error.hint()),
            ),
            None => Check::error(name, &error),
        });
    }
    // A blank variable counts as not set.
    let Some(raw) = raw.filter(|raw| !raw.text.trim().is_empty()) else {
        return Ok(Check::passed(
            name,
            format!("{}, the default", option.default),
        ));
    };
    let shown = shown(option, raw.text.trim());
    if raw.text.trim() != raw.text.as_str() {
        return Ok(Check::warning(
            name,
            format!("{shown}, from {}, with white space around it", raw.source),
            "pay88 removes it; other programs would be answered 401. Remove spaces and line breaks where it is set.",
        ));
    }
    Ok(Check::passed(name, format!("{shown}, from {}", raw.source)))
}

fn shown(option: &OptionSpec, text: &str) -> String {
    match option.kind {
        OptionKind::Secret => mask(text),
        _ => text.to_owned(),
    }
}

/// All other options.
fn others(config: &Config) -> Check {
    let others = || {
        OPTIONS
            .iter()
            .filter(|option| !SINGLE.contains(&option.name))
    };
    for option in others() {
        if let Err(error) = config.check(option.name) {
            return Check::error("options", &error);
        }
    }
    let set: Vec<&str> = others()
        .map(|option| option.name)
        .filter(|name| config.is_set(name))
        .collect();
    let found = match set.as_slice() {
        [] => "the defaults".to_owned(),
        set => format!("{} set, all others the defaults", set.join(", ")),
    };
    match config.unknown_variables().as_slice() {
        [] => Check::passed("options", found),
        unknown => Check::warning(
            "options",
            format!("{found}\nset, and not read: {}", unknown.join(", ")),
            "No option has these names. Check their spelling, unless another program reads them; `pay88 token --help` lists the options.",
        ),
    }
}

fn fits(manager: &TokenManager) -> &'static str {
    match manager.base_url() {
        SANDBOX => "a sandbox key with the sandbox",
        PRODUCTION => "a production key with production",
        _ => "the host is not one of 88Pay's, so it may take keys of either environment",
    }
}
