//! What a reader sees of a group.

use crate::measured::{Measured, cpu, wall};
use crate::spread::Spread;

/// Prints the group's part of the table.
pub(crate) fn print(measured: &Measured) {
    let largest = (0..measured.group.contenders.len())
        .map(|contender| measured.cost(contender, wall).median)
        .fold(0.0, f64::max);
    let (unit, scale) = if largest < 10_000.0 {
        ("ns", 1.0)
    } else {
        ("us", 1000.0)
    };
    let costs = format!("{unit} an operation: median (q1-q3)");
    println!("\n{}", measured.group.title);
    println!("  {:<34}{:>24}{:>24}", costs, "wall", "CPU");
    for (index, entry) in measured.group.contenders.iter().enumerate() {
        let cell = |spread: Spread| {
            format!(
                "{:.1} ({:.1}-{:.1})",
                spread.median / scale,
                spread.low / scale,
                spread.high / scale
            )
        };
        println!(
            "  {:<34}{:>24}{:>24}",
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
