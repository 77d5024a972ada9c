//! What is counted and remembered of the token endpoint: the budget, and the back-offs.

use crate::error::Error;
use crate::policy::backoff::Backoffs;
use crate::policy::errors::over_budget;
use crate::policy::rate_limit::Budget;
use crate::refresh::record::{Common, HostRecord};
use crate::time::BootTime;

/// What is counted and remembered of the token endpoint.
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

    /// Why no request may be sent now, if that is so: a failure that is remembered, or the budget.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Error> {
        let backoff = self.backoffs.check(now);
        backoff.or_else(|| {
            let refusal = self.budget.refusal(now)?;
            Some(over_budget(&self.budget, now, refusal))
        })
    }

    /// Goes on from what the host's processes share. `waiting` says since when their leader was waited for.
    pub(crate) fn learn(&mut self, host: &HostRecord, now: BootTime, waiting: Option<BootTime>) {
        self.learn_common(&host.common, waiting);
        self.budget.divide(host.budget_shares(now), host.host);
    }

    /// The same from what either record has.
    pub(crate) fn learn_common(&mut self, common: &Common, waiting: Option<BootTime>) {
        self.budget.set_counts(common.counts.clone());
        self.backoffs.learn(common.backoff.as_ref(), waiting);
        self.backoffs.learn_outage(common.outage.as_ref());
    }
}
