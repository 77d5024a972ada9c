//! The table of a simulation.

use std::collections::BTreeMap;
use std::fmt;

use super::scenario::{Scenario, UNDISTURBED};
use super::setup::{At, Counts, HOUR, SECOND, Setup};
use super::world::World;

/// What came of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) hosts: usize,
    pub(super) tokens: usize,
    pub(super) most_in_an_hour: usize,
    hours: f64,
    /// 429s for a limit of 88Pay's that was overrun.
    pub(super) over_limit: u64,
    pub(super) counts: Counts,
    /// How often callers were told what.
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) operations: (f64, u64),
    /// How many callers waited at the end, and how long the first of them had.
    pub(super) waiting: (u64, At),
}

impl Row {
    pub(super) fn of(name: &'static str, setup: Setup) -> Row {
        let (hosts, hours) = (setup.hosts, setup.lasts as f64 / HOUR as f64);
        let mut world = World::new(setup);
        world.run();
        Row::so_far(name, hosts, hours, &world)
    }

    pub(super) fn so_far(name: &'static str, hosts: usize, hours: f64, world: &World) -> Row {
        Row {
            name,
            hosts,
            tokens: world.provider.granted.len(),
            most_in_an_hour: world.provider.most_in_an_hour(),
            hours,
            over_limit: world.provider.over_limit(),
            counts: world.counts(),
            reasons: world.reasons.clone(),
            operations: world.operations(),
            waiting: world.waiting(),
        }
    }

    fn share(&self, calls: u64) -> f64 {
        100.0 * calls as f64 / self.counts.calls.max(1) as f64
    }
}

/// The scenarios with a number of hosts, in their order.
pub(super) fn rows(seed: u64, hosts: usize, scenarios: &[Scenario]) -> Vec<Row> {
    let fit = |scenario: &&Scenario| hosts > 1 || !scenario.one_of_several;
    let run = |scenario: &Scenario| Row::of(scenario.name, scenario.setup(seed, hosts));
    scenarios.iter().filter(fit).map(run).collect()
}

pub(super) struct Table(pub(super) Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| hosts | scenario | tokens/h, most | mean | 429 | calls | waited % | refused % | longest wait, s | \
             store ops/s | most | cost: tokens | waited % | refused % |"
        )?;
        writeln!(
            f,
            "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for row in &self.0 {
            let counts = &row.counts;
            let refused = |row: &Row| row.share(row.counts.calls - row.counts.served);
            let waited = |row: &Row| row.share(row.counts.waited);
            write!(
                f,
                "| {} | {} | {} | {:.1} | {} | {} | {:.4} | {:.4} | {:.2} | {:.1} | {} |",
                row.hosts,
                row.name,
                row.most_in_an_hour,
                row.tokens as f64 / row.hours,
                row.over_limit,
                counts.calls,
                waited(row),
                refused(row),
                counts.longest as f64 / SECOND as f64,
                row.operations.0,
                row.operations.1,
            )?;
            let mut all = self.0.iter();
            match all.find(|other| other.hosts == row.hosts && other.name == UNDISTURBED.name) {
                Some(other) if other.name != row.name => writeln!(
                    f,
                    " {:+} | {:+.4} | {:+.4} |",
                    row.tokens as i64 - other.tokens as i64,
                    waited(row) - waited(other),
                    refused(row) - refused(other),
                )?,
                _ => writeln!(f, " | | |")?,
            }
        }
        Ok(())
    }
}
