//! Rounds, in which the contenders of a group take turns.

use crate::contender::Contender;
use crate::job::Failure;
use crate::measured::Measured;
use crate::server::Server;
use crate::suite::{Group, Port};

/// Measures a group. The first round is not counted: it connects and fills caches.
pub(crate) fn measure(
    group: &'static Group,
    server: &Server,
    rounds: usize,
) -> Result<Measured, Failure> {
    let job = match group.server {
        Port::Http1 => &server.http1,
        Port::Http2 => &server.http2,
        Port::Brief => &server.brief,
    };
    let mut contenders = Vec::new();
    for entry in group.contenders {
        contenders.push(Contender::start(entry.program, entry.name, job)?);
    }
    let mut costs = Vec::new();
    for _ in 0..=rounds {
        let mut round = Vec::new();
        for (contender, entry) in contenders.iter_mut().zip(group.contenders) {
            round.push(contender.run(entry.operations)?);
        }
        costs.push(round);
    }
    costs.remove(0);
    Ok(Measured {
        group,
        rounds: costs,
    })
}
