//! What is counted and remembered of the token endpoint: the budget, and the failures that hold.

use crate::error::Error;
use crate::policy::backoff::Holds;
use crate::policy::rate_limit::{Budget, over_budget};
use crate::refresh::record::Record;
use crate::time::BootTime;

/// What is counted and remembered of the token endpoint.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) budget: Budget,
    pub(crate) holds: Holds,
}

impl Ledger {
    /// Why no request may be sent now, if that is so: a failure that is remembered, or the budget.
    pub(crate) fn refusal(&mut self, now: BootTime) -> Option<Error> {
        let held = self.holds.check(now);
        held.or_else(|| {
            let refusal = self.budget.refusal(now)?;
            Some(over_budget(&self.budget, now, refusal))
        })
    }

    /// Goes on from what is shared. `waiting` says since when its leader was waited for.
    pub(crate) fn learn(&mut self, record: &Record, now: BootTime, waiting: Option<BootTime>) {
        self.budget.set_counts(record.counts.clone());
        self.budget.split(record.split(now), record.host);
        self.holds.learn(record.hold.as_ref(), waiting);
        self.holds.learn_outage(record.outage.as_ref());
    }
}
