//! `pay88 doctor`: walks the documentation's testing checklist and troubleshooting, and says what to do for each failure.
//!
//! It costs one token at most, and nothing is made for the report alone. What depends on something that failed is skipped. Secrets are shown masked.

mod credentials;
mod report;
mod session;
mod sharing;
mod way;

use std::process::ExitCode;

use crate::options::Options;
use crate::output::Result;
use clap::Args;
use report::Report;

/// Check credentials, settings, the way to 88Pay, a token, a call, and who shares the token.
///
/// Walks the testing checklist and the troubleshooting of 88Pay's documentation, and says for each failure what to do.
/// Where no token is shared it costs one of the 10 a minute and 100 an hour that 88Pay grants to a key (a connection that
/// is cut just before the answer can cost a second one). It makes one call that only reads: the balance.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 all checks passed (warnings allowed), 1 a check failed, 2 the command line is wrong, 3 the report cannot be printed.
Colour is used on a terminal only, and never if NO_COLOR is set.")]
pub(crate) struct Doctor {
    /// Prints JSON: `passed`; `checks` with `name`, `status` (passed, warning, failed, skipped), `detail` and `advice`; and
    /// `tiers`, what is in each tier of the option share, times in seconds.
    #[arg(long)]
    pub(crate) json: bool,

    /// Forgets the failures of the token endpoint that are remembered on the host and in the store (429, 401), so that the
    /// next call asks again, and does no more than that. The tokens that were counted stay counted; what a running program
    /// remembers of its own way to 88Pay (403, 5xx, network) ends by itself.
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
        let reached = way::examine(&mut report, &self.options, &config)?;
        session::examine(&mut report, manager.as_ref().filter(|_| reached))?;
        sharing::examine(&mut report, manager.as_ref())?;
        report.end()
    }
}
