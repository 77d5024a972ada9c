//! What a group's file and chart say.

use serde_json::{Value, json};

use crate::chart::{Chart, Row};
use crate::measured::{Measured, cpu, wall};
use crate::results::Report;

/// Costs in nanoseconds.
pub(crate) fn of(measured: &Measured) -> Report {
    Report {
        title: measured.group.title,
        figures: figures(measured),
        chart: chart(measured),
    }
}

fn figures(measured: &Measured) -> Value {
    let contenders: Vec<_> = (0..measured.group.contenders.len())
        .map(|index| {
            json!({
                "name": measured.name(index),
                "wall": measured.cost(index, wall).json(),
                "cpu": measured.cost(index, cpu).json(),
                "connections": measured.connections[index],
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
        "rounds": measured.rounds.len(),
        "contenders": contenders,
        "comparisons": comparisons,
        "limits": limits,
    })
}

fn chart(measured: &Measured) -> Chart {
    let unit = measured.unit();
    let rows = (0..measured.group.contenders.len())
        .map(|index| Row {
            label: measured.name(index).to_owned(),
            bars: [wall, cpu]
                .map(|of| measured.cost(index, of).divided_by(unit.nanoseconds))
                .to_vec(),
        })
        .collect();
    let limits = measured.group.limits.iter().map(|&(contender, limit)| {
        let verdict = measured.within(contender, limit);
        format!("{}: {verdict}", measured.name(contender))
    });
    let ratios = measured.group.comparisons.iter().map(|comparison| {
        let ratio = |of| measured.ratio(comparison, of).median;
        let verdict = measured.verdict(comparison);
        format!(
            "{}: {:.2} of {} by time, {:.2} by CPU{}{verdict}",
            measured.name(comparison.of),
            ratio(wall),
            measured.name(comparison.against),
            ratio(cpu),
            if verdict.is_empty() { "" } else { "; " },
        )
    });
    Chart {
        title: measured.group.title.to_owned(),
        unit: format!(
            "{} an operation: time, and below it processor time of all threads; medians with quartiles",
            unit.name
        ),
        rows,
        notes: limits.chain(ratios).collect(),
    }
}
