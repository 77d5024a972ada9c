//! The report: one line for each check, as it is made, or everything as JSON at the end.

use std::env;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use pay88::{Error, Tier};
use serde_json::{Value, json};

use crate::output::{self, Result};

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Passed,
    /// Unusual, but it does not stop pay88.
    Warning,
    Failed,
    /// It depends on a check that failed.
    Skipped,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Warning => "warning",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
        }
    }

    /// The colour of its name, as an ANSI sequence.
    fn colour(self) -> &'static str {
        match self {
            Status::Passed => "\x1b[32m",
            Status::Warning => "\x1b[33m",
            Status::Failed => "\x1b[31m",
            Status::Skipped => "\x1b[2m",
        }
    }
}

/// One check.
pub(super) struct Check {
    name: &'static str,
    status: Status,
    /// What was found, in one or more lines.
    detail: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Check {
    pub(super) fn passed(name: &'static str, detail: impl Into<String>) -> Check {
        Check {
            name,
            status: Status::Passed,
            detail: detail.into(),
            advice: None,
        }
    }

    pub(super) fn warning(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        Check {
            name,
            status: Status::Warning,
            detail: detail.into(),
            advice: Some(advice.into()),
        }
    }

    pub(super) fn failed(
        name: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        Check {
            status: Status::Failed,
            ..Check::warning(name, detail, advice)
        }
    }

    /// A check that failed, in the library's own words.
    pub(super) fn error(name: &'static str, error: &Error) -> Check {
        let mut advice = error.hint().to_owned();
        if let Some(after) = error.retry_after() {
            advice += &format!(" Try again in {:.0} s.", after.as_secs_f64().ceil());
        }
        Check::failed(name, error.message(), advice)
    }

    /// A check that was skipped. `needs` names what has to pass first.
    pub(super) fn skipped(name: &'static str, needs: &str) -> Check {
        Check {
            name,
            status: Status::Skipped,
            detail: format!("needs {needs}"),
            advice: None,
        }
    }
}

/// All checks so far.
pub(super) struct Report {
    checks: Vec<Check>,
    tiers: Vec<Value>,
    as_json: bool,
    colour: bool,
}

impl Report {
    pub(super) fn new(as_json: bool) -> Report {
        let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|value| value == "dumb");
        Report {
            checks: Vec::new(),
            tiers: Vec::new(),
            as_json,
            colour: io::stdout().is_terminal() && !forbidden,
        }
    }

    /// Adds a check, and shows it to people at once.
    ///
    /// # Errors
    /// As [`output::print_report`].
    pub(super) fn add(&mut self, check: Check) -> Result<()> {
        if !self.as_json {
            output::print_report(self.line(&check))?;
        }
        self.checks.push(check);
        Ok(())
    }

    /// Adds what was found in each tier, for programs.
    pub(super) fn tell_tiers(&mut self, tiers: &[Tier]) {
        self.tiers = tiers.iter().map(Tier::to_json).collect();
    }

    /// Whether the check of that name was made, and did not fail.
    pub(super) fn passed(&self, name: &str) -> bool {
        self.checks.iter().any(|check| {
            check.name == name && matches!(check.status, Status::Passed | Status::Warning)
        })
    }

    /// Whether the check of that name was made, and failed.
    pub(super) fn failed(&self, name: &str) -> bool {
        self.checks
            .iter()
            .any(|check| check.name == name && check.status == Status::Failed)
    }

    fn line(&self, check: &Check) -> String {
        let (status, name) = (check.status.name(), check.name);
        let (on, off) = match self.colour {
            true => (check.status.colour(), "\x1b[0m"),
            false => ("", ""),
        };
        let gap = " ".repeat(9 - status.len());
        let margin = " ".repeat(22);
        let detail = check.detail.replace('\n', &format!("\n{margin}"));
        let mut line = format!("{on}{status}{off}{gap}{name:<11}  {detail}\n");
        if let Some(advice) = &check.advice {
            line += &format!("{margin}-> {advice}\n");
        }
        line
    }

    /// Ends the report with the overall result.
    pub(super) fn end(&self) -> Result<ExitCode> {
        let count = |status| self.checks.iter().filter(|c| c.status == status).count();
        let passed = count(Status::Failed) + count(Status::Skipped) == 0;
        output::print_report(if self.as_json {
            let checks: Vec<_> = self
                .checks
                .iter()
                .map(|check| {
                    json!({
                        "name": check.name,
                        "status": check.status.name(),
                        "detail": check.detail,
                        "advice": check.advice,
                    })
                })
                .collect();
            format!(
                "{:#}\n",
                json!({"passed": passed, "checks": checks, "tiers": self.tiers})
            )
        } else {
            let counts: Vec<String> = [
                Status::Passed,
                Status::Warning,
                Status::Failed,
                Status::Skipped,
            ]
            .into_iter()
            .filter(|status| count(*status) > 0)
            .map(|status| format!("{} {}", count(status), status.name()))
            .collect();
            format!("\n{}\n", counts.join(", "))
        })?;
        Ok(match passed {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
