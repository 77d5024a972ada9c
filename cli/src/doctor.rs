//! `pay88 doctor`: goes through the testing checklist and the troubleshooting of 88Pay's documentation, and says what
//! to do about each failure.
//!
//! It costs one token at most, and creates nothing just for the report. Checks that depend on a failed one are
//! skipped. Secrets are masked.

mod connectivity;
mod credentials;
mod report;
mod session;
mod sharing;

use std::process::ExitCode;

use crate::options::Options;
use crate::output::Result;
use clap::Args;
use report::Report;

/// Check credentials, settings, the connection to 88Pay, a token, a call, and who shares the token.
///
/// Goes through the testing checklist and the troubleshooting of 88Pay's documentation, and says what to do about
/// each failure. If no token is shared, it costs one of the 10 tokens a minute and 100 an hour that 88Pay grants to a
/// key. (A connection that is cut just before the answer can cost a second token.) It makes one call that only reads:
/// the balance.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 all checks passed (warnings allowed), 1 a check failed, 2 the command line is wrong, 3 the report cannot be printed.
Colour is used on a terminal only, and never if NO_COLOR is set.")]
pub(crate) struct Doctor {
    /// Prints JSON: `passed`; `checks` with `name`, `status` (passed, warning, failed, skipped), `detail` and
    /// `advice`; and `tiers`, with what is in each tier of the option share. Times are in seconds.
    #[arg(long)]
    pub(crate) json: bool,

    /// Only forgets the failures of the token endpoint that the host and the store remember (429, 401). The next call
    /// then asks 88Pay again. The tokens that were counted stay counted. A running program also remembers failures of
    /// its own connection to 88Pay (403, 5xx, network). These end by themselves.
    #[arg(long)]
    reset: bool,

    #[command(flatten)]
    options: Options,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let config = self.options.config()?;
        let mut report = Report::new(self.json);
        let manager = credentials::examine(&mut report, &self.options, &config)?;
        if self.reset {
            sharing::reset(&mut report, manager.as_ref())?;
            return report.end();
        }
        let connected = connectivity::examine(&mut report, &self.options, &config)?;
        session::examine(&mut report, manager.as_ref().filter(|_| connected))?;
        sharing::examine(&mut report, manager.as_ref())?;
        report.end()
    }
}
