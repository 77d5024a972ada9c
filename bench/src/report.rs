//! What a program sees of a group.

use serde_json::{Value, json};

use crate::measured::{Measured, cpu, wall};

/// Costs in nanoseconds.
pub(crate) fn json(measured: &Measured) -> Value {
    let contenders: Vec<_> = (0..measured.group.contenders.len())
        .map(|index| {
            json!({
                "name": measured.name(index),
                "wall": measured.cost(index, wall).json(),
                "cpu": measured.cost(index, cpu).json(),
            })
        })
        .collect();
    let comparisons: Vec<_> = measured
        .group
        .comparisons
        .iter()
        .map(|comparison| {
            json!({
                "of": measured.name(comparison.of),
                "against": measured.name(comparison.against),
                "wall": measured.ratio(comparison, wall).json(),
                "cpu": measured.ratio(comparison, cpu).json(),
                "verdict": measured.verdict(comparison),
            })
        })
        .collect();
    let limits: Vec<_> = measured
        .group
        .limits
        .iter()
        .map(|&(contender, limit)| json!({"of": measured.name(contender), "verdict": measured.within(contender, limit)}))
        .collect();
    json!({
        "title": measured.group.title,
        "rounds": measured.rounds.len(),
        "contenders": contenders,
        "comparisons": comparisons,
        "limits": limits,
    })
}
