//! From the costs of all rounds to medians, ratios and verdicts.

use crate::cost::Cost;
use crate::spread::Spread;
use crate::suite::{Aim, Comparison, Group};

/// The costs of each contender of a group, round by round.
pub(crate) struct Measured {
    pub(crate) group: &'static Group,
    pub(crate) rounds: Vec<Vec<Cost>>,
    /// Of each contender: the connections that its process has open at the end, or that each of its processes opens. None
    /// where that was not watched.
    pub(crate) connections: Vec<Option<f64>>,
}

/// The unit in which costs are shown.
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) nanoseconds: f64,
}

impl Measured {
    /// One in which the longest time has few digits.
    pub(crate) fn unit(&self) -> Unit {
        let largest = (0..self.group.contenders.len())
            .map(|contender| self.cost(contender, wall).median)
            .fold(0.0, f64::max);
        let (name, nanoseconds) = match largest {
            _ if largest < 10e3 => ("ns", 1.0),
            _ if largest < 10e6 => ("us", 1e3),
            _ => ("ms", 1e6),
        };
        Unit { name, nanoseconds }
    }

    /// Of one operation.
    pub(crate) fn cost(&self, contender: usize, of: fn(&Cost) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(|round| of(&round[contender])))
    }

    /// The two costs of each round divided before the median is taken: what slows a round slows both.
    pub(crate) fn ratio(&self, comparison: &Comparison, of: fn(&Cost) -> f64) -> Spread {
        Spread::of(
            self.rounds
                .iter()
                .map(|round| of(&round[comparison.of]) / of(&round[comparison.against])),
        )
    }

    /// As a reader sees it.
    pub(crate) fn name(&self, contender: usize) -> &'static str {
        self.group.contenders[contender].shown
    }

    /// Whether an operation of the contender takes no more time than that.
    pub(crate) fn within(&self, contender: usize, limit: f64) -> String {
        let met = self.cost(contender, wall).median <= limit;
        let word = if met { "met" } else { "MISSED" };
        format!("aim <= {} us: {word}", limit / 1000.0)
    }

    /// Whether the comparison's aim is met.
    pub(crate) fn verdict(&self, comparison: &Comparison) -> String {
        let met = |of, aim| self.ratio(comparison, of).median <= aim;
        let (aim, kind, met) = match comparison.aim {
            Aim::Both(aim) => (aim, "", met(wall, aim) && met(cpu, aim)),
            Aim::Wall(aim) => (aim, " wall", met(wall, aim)),
            Aim::Cpu(aim) => (aim, " CPU", met(cpu, aim)),
            Aim::None => return String::new(),
        };
        let word = if met { "met" } else { "MISSED" };
        format!("aim{kind} <= {aim:.2}: {word}")
    }
}

pub(crate) fn wall(cost: &Cost) -> f64 {
    cost.wall
}

pub(crate) fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}
