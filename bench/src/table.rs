//! From the costs of all rounds to medians, and to what a reader sees.

use serde_json::{Value, json};

use crate::contender::Cost;
use crate::suite::{Aim, Comparison, Group};

/// The costs of each contender of a group, round by round.
pub(crate) struct Measured {
    pub(crate) group: &'static Group,
    pub(crate) rounds: Vec<Vec<Cost>>,
}

/// First quartile, median and third quartile.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    low: f64,
    pub(crate) median: f64,
    high: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (below, above) = (
                sorted[place.floor() as usize],
                sorted[place.ceil() as usize],
            );
            below + (above - below) * place.fract()
        };
        Spread {
            low: at(0.25),
            median: at(0.5),
            high: at(0.75),
        }
    }

    pub(crate) fn json(self) -> Value {
        json!({"q1": self.low, "median": self.median, "q3": self.high})
    }
}

impl Measured {
    fn cost(&self, contender: usize, of: fn(&Cost) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(|round| of(&round[contender])))
    }

    /// The two costs of each round divided before the median is taken: what slows a round slows both.
    fn ratio(&self, comparison: &Comparison, of: fn(&Cost) -> f64) -> Spread {
        Spread::of(
            self.rounds
                .iter()
                .map(|round| of(&round[comparison.of]) / of(&round[comparison.against])),
        )
    }

    fn name(&self, contender: usize) -> &'static str {
        self.group.contenders[contender].shown
    }

    /// Prints the group's part of the table.
    pub(crate) fn print(&self) {
        let largest = (0..self.group.contenders.len())
            .map(|contender| self.cost(contender, wall).median)
            .fold(0.0, f64::max);
        let (unit, scale) = if largest < 10_000.0 {
            ("ns", 1.0)
        } else {
            ("us", 1000.0)
        };
        let costs = format!("{unit} an operation: median (q1-q3)");
        println!("\n{}", self.group.title);
        println!("  {:<34}{:>24}{:>24}", costs, "wall", "CPU");
        for (index, entry) in self.group.contenders.iter().enumerate() {
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
                cell(self.cost(index, wall)),
                cell(self.cost(index, cpu))
            );
        }
        for &(contender, limit) in self.group.limits {
            println!(
                "  {:<82}  {}",
                self.name(contender),
                self.within(contender, limit)
            );
        }
        for comparison in self.group.comparisons {
            let cell = |of| {
                let ratio = self.ratio(comparison, of);
                format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.low, ratio.high)
            };
            println!(
                "  {:<34}{:>24}{:>24}  {}",
                format!("{}", self.name(comparison.of)),
                cell(wall),
                cell(cpu),
                self.verdict(comparison)
            );
            println!("    x {}", self.name(comparison.against));
        }
    }

    fn within(&self, contender: usize, limit: f64) -> String {
        let met = [wall, cpu].map(|of| self.cost(contender, of).median <= limit);
        let word = if met == [true; 2] { "met" } else { "MISSED" };
        format!("aim <= {} us: {word}", limit / 1000.0)
    }

    fn verdict(&self, comparison: &Comparison) -> String {
        let met = |of, aim| self.ratio(comparison, of).median <= aim;
        let (aim, kind, met) = match comparison.aim {
            Aim::Both(aim) => (aim, "", met(wall, aim) && met(cpu, aim)),
            Aim::Cpu(aim) => (aim, " CPU", met(cpu, aim)),
            Aim::None => return String::new(),
        };
        let word = if met { "met" } else { "MISSED" };
        format!("aim{kind} <= {aim:.2}: {word}")
    }

    /// The same for programs, in nanoseconds.
    pub(crate) fn json(&self) -> Value {
        let contenders: Vec<_> = (0..self.group.contenders.len())
            .map(|index| {
                json!({
                    "name": self.name(index),
                    "wall": self.cost(index, wall).json(),
                    "cpu": self.cost(index, cpu).json(),
                })
            })
            .collect();
        let comparisons: Vec<_> = self
            .group
            .comparisons
            .iter()
            .map(|comparison| {
                json!({
                    "of": self.name(comparison.of),
                    "against": self.name(comparison.against),
                    "wall": self.ratio(comparison, wall).json(),
                    "cpu": self.ratio(comparison, cpu).json(),
                    "verdict": self.verdict(comparison),
                })
            })
            .collect();
        let limits: Vec<_> = self
            .group
            .limits
            .iter()
            .map(|&(contender, limit)| json!({"of": self.name(contender), "verdict": self.within(contender, limit)}))
            .collect();
        json!({
            "title": self.group.title,
            "rounds": self.rounds.len(),
            "contenders": contenders,
            "comparisons": comparisons,
            "limits": limits,
        })
    }
}

fn wall(cost: &Cost) -> f64 {
    cost.wall
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_the_values_around_them() {
        let spread = Spread::of([5.0, 1.0, 2.0, 4.0, 3.0].into_iter());
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
        assert_eq!(Spread::of([1.0, 2.0].into_iter()).median, 1.5);
        assert_eq!(Spread::of([7.0].into_iter()).high, 7.0);
    }
}
