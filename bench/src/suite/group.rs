//! What a group is: contenders, how they are compared, and what is aimed at. Plain data.

use crate::program::Program;

/// Contenders that take turns.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) server: Port,
    pub(crate) contenders: &'static [Entry],
    pub(crate) comparisons: &'static [Comparison],
    /// The most that an operation may cost, in nanoseconds, by index into the contenders.
    pub(crate) limits: &'static [(usize, f64)],
}

/// Which of the server's ports the contenders of a group use.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    Http1,
    /// Offers HTTP/2, and HTTP/1.1 to who does not know it.
    Http2,
    /// Tokens live 11 s.
    Brief,
}

/// One contender.
pub(crate) struct Entry {
    /// The program, and what it is asked to be.
    pub(crate) program: Program,
    pub(crate) name: &'static str,
    /// What the table says.
    pub(crate) shown: &'static str,
    /// Operations in one round.
    pub(crate) operations: u64,
}

/// `of` as a multiple of `against`, both by index into the group's contenders.
pub(crate) struct Comparison {
    pub(crate) of: usize,
    pub(crate) against: usize,
    /// Which of the two costs the aim is for.
    pub(crate) aim: Aim,
}

pub(crate) enum Aim {
    /// For time passed and processor time.
    Both(f64),
    Cpu(f64),
    /// For the reader only.
    None,
}

pub(crate) const fn entry(
    program: Program,
    name: &'static str,
    shown: &'static str,
    operations: u64,
) -> Entry {
    Entry {
        program,
        name,
        shown,
        operations,
    }
}

pub(crate) const fn compare(of: usize, against: usize, aim: Aim) -> Comparison {
    Comparison { of, against, aim }
}
