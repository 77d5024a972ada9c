//! What a reader sees of a group.

use crate::measured::{Measured, cpu, wall};
use crate::spread::Spread;

/// Prints the group's part of the table.
pub(crate) fn print(measured: &Measured) {
    let unit = measured.unit();
    let costs = format!("{} an operation: median (q1-q3)", unit.name);
    println!("\n{}", measured.group.title);
    println!("  {:<34}{:>24}{:>24}  connections", costs, "wall", "CPU");
    for (index, entry) in measured.group.contenders.iter().enumerate() {
        let cell = |spread: Spread| {
            let spread = spread.divided_by(unit.nanoseconds);
            format!(
                "{:.1} ({:.1}-{:.1})",
                spread.median, spread.low, spread.high
            )
        };
        let connections = measured.connections[index].map_or(String::new(), |n| format!("{n}"));
        println!(
            "  {:<34}{:>24}{:>24}  {connections}",
            entry.shown,
            cell(measured.cost(index, wall)),
            cell(measured.cost(index, cpu))
        );
    }
    for &(contender, limit) in measured.group.limits {
        println!(
            "  {:<82}  {}",
            measured.name(contender),
            measured.within(contender, limit)
        );
    }
    for comparison in measured.group.comparisons {
        let cell = |of| {
            let ratio = measured.ratio(comparison, of);
            format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high)
        };
        println!(
            "  {:<34}{:>24}{:>24}  {}",
            format!("{}", measured.name(comparison.of)),
            cell(wall),
            cell(cpu),
            measured.verdict(comparison)
        );
        println!("    x {}", measured.name(comparison.against));
    }
}
