//! `pay88 doctor`: walks the documentation's testing checklist and troubleshooting, and says what to do for each failure.
//!
//! It costs one token at most. What depends on something that failed is skipped. Secrets are shown masked.

mod credentials;
mod report;
mod session;
mod way;

use std::process::ExitCode;

use clap::Args;
use pay88::Result;

use crate::options::Options;
use report::Report;

/// Check credentials, settings, the way to 88Pay, a token and a call.
///
/// Walks the testing checklist and the troubleshooting of 88Pay's documentation, and says for each failure what to do.
/// It costs one of the 10 tokens a minute and 100 an hour that 88Pay grants to a key (a connection that is cut just
/// before the answer can cost a second one), and makes one call that only reads: the balance.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 all checks passed (warnings allowed), 1 a check failed, 2 the command line is wrong.
Colour is used on a terminal only, and never if NO_COLOR is set.")]
pub(crate) struct Doctor {
    /// Prints JSON: `passed`, and `checks` with `name`, `status` (passed, warning, failed, skipped), `detail` and `advice`.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    options: Options,
}

impl Doctor {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let config = self.options.config()?;
        let mut report = Report::new(self.json);
        let manager = credentials::examine(&mut report, &self.options, &config)?;
        let reached = way::examine(&mut report, &self.options, &config)?;
        session::examine(&mut report, manager.as_ref().filter(|_| reached))?;
        report.end()
    }
}
