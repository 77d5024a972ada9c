//! Rounds, in which the contenders of a group take turns.

use crate::contender::Contender;
use crate::cost::Cost;
use crate::far::Far;
use crate::job::{Failure, Job};
use crate::measured::Measured;
use crate::servers::Servers;
use crate::suite::{Entry, Group, Life};

/// One contender of a group, under way.
struct Running<'a> {
    entry: &'static Entry,
    operations: u64,
    job: Job,
    /// The way to a far server.
    far: Option<&'a Far>,
    /// The process, if one does all operations.
    kept: Option<Contender>,
    /// Connections that fresh processes have opened, as far as they can be watched.
    opened: u64,
}

impl<'a> Running<'a> {
    fn start(
        group: &Group,
        entry: &'static Entry,
        servers: &'a Servers,
    ) -> Result<Running<'a>, Failure> {
        let (job, far) = servers.job(group.server, entry.on_host)?;
        let start = || Contender::start(entry.program, entry.name, &job);
        let kept = match group.life {
            Life::Kept => Some(placed(far, start)?),
            Life::Fresh => None,
        };
        Ok(Running {
            entry,
            operations: entry.operations(group.operations),
            job,
            far,
            kept,
            opened: 0,
        })
    }

    /// The cost of one operation.
    fn round(&mut self) -> Result<Cost, Failure> {
        if let Some(contender) = &mut self.kept {
            return contender.run(self.operations);
        }
        let before = self.far.map_or(0, Far::opened);
        let mut all = Cost::default();
        for _ in 0..self.operations {
            let once = || Contender::once(self.entry.program, self.entry.name, &self.job);
            all = all + placed(self.far, once)?;
        }
        self.opened += self.far.map_or(0, Far::opened) - before;
        Ok(all.of_one(self.operations))
    }

    /// The connections that a kept process has open, or that a fresh one opens, after so many rounds.
    fn connections(&self, rounds: u64) -> Result<Option<f64>, Failure> {
        Ok(match (&self.kept, self.far) {
            (Some(contender), _) => Some(contender.connections()? as f64),
            (None, Some(_)) => Some(self.opened as f64 / (self.operations * rounds) as f64),
            (None, None) => None,
        })
    }
}

/// Starts a process where it has that way to its server.
fn placed<T>(far: Option<&Far>, start: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    match far {
        Some(far) => far.among_clients(start)?,
        None => start(),
    }
}

/// Measures a group. The first round is not counted: it connects and fills caches.
pub(crate) fn measure(
    group: &'static Group,
    servers: &Servers,
    rounds: usize,
) -> Result<Measured, Failure> {
    let mut all = Vec::new();
    for entry in group.contenders {
        all.push(Running::start(group, entry, servers)?);
    }
    let mut costs = Vec::new();
    for _ in 0..=rounds {
        let round: Result<Vec<_>, _> = all.iter_mut().map(Running::round).collect();
        costs.push(round?);
    }
    let of_all = costs.len() as u64;
    let connections: Result<Vec<_>, _> = all.iter().map(|one| one.connections(of_all)).collect();
    costs.remove(0);
    Ok(Measured {
        group,
        rounds: costs,
        connections: connections?,
    })
}
