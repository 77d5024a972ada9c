//! What a process counts and remembers of the token endpoint: the budget and the back-offs.

use crate::error::Error;
use crate::policy::backoff::Backoffs;
use crate::policy::errors::over_budget;
use crate::policy::rate_limit::Budget;
use crate::refresh::record::{Common, HostRecord};
use crate::time::BootTime;

/// The budget and the back-offs of one account.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) budget: Budget,
    pub(crate) backoffs: Backoffs,
}

impl Ledger {
    pub(crate) fn new(per_minute: u32, per_hour: u32) -> Ledger {
        Ledger {
            budget: Budget::new(per_minute, per_hour),
            backoffs: Backoffs::default(),
        }
    }

    /// Why no request may be sent now: a remembered failure, or the budget. `None` if one may be sent.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Error> {
        let backoff = self.backoffs.check(now);
        backoff.or_else(|| {
            let refusal = self.budget.refusal(now)?;
            Some(over_budget(&self.budget, now, refusal))
        })
    }

    /// Takes over what the record of the host says. `waiting`: since when this process has been waiting for the leader.
    pub(crate) fn learn(&mut self, host: &HostRecord, now: BootTime, waiting: Option<BootTime>) {
        self.learn_common(&host.common, waiting);
        self.budget.divide(host.budget_shares(now), host.host);
    }

    /// Takes over what the records of host and fleet have in common.
    pub(crate) fn learn_common(&mut self, common: &Common, waiting: Option<BootTime>) {
        self.budget.set_counts(common.counts.clone());
        self.backoffs.learn(common.backoff.as_ref(), waiting);
        self.backoffs.learn_outage(common.outage.as_ref());
    }
}
