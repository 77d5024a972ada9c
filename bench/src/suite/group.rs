//! What a group is: contenders, how they are compared, and what is aimed at. Plain data.

use crate::program::Program;

/// Contenders that take turns.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) server: Port,
    pub(crate) life: Life,
    /// Of each contender in one round, unless its entry says that it does fewer.
    pub(crate) operations: u64,
    pub(crate) contenders: &'static [Entry],
    pub(crate) comparisons: &'static [Comparison],
    /// The most time that an operation may take, in nanoseconds, by index into the contenders.
    pub(crate) limits: &'static [(usize, f64)],
}

/// What most groups have.
pub(crate) const GROUP: Group = Group {
    title: "",
    server: Port::Http1,
    life: Life::Kept,
    operations: 2_000,
    contenders: &[],
    comparisons: &[],
    limits: &[],
};

/// Which of the server's ports the contenders of a group use.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    Http1,
    /// Offers HTTP/2, and HTTP/1.1 to who does not know it.
    Http2,
    /// Tokens live 11 s.
    Brief,
    /// HTTP/1.1, a round trip of 80 ms away.
    Far,
}

/// How long the process of a contender lives.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Life {
    /// It does the operations of all rounds.
    Kept,
    /// Each operation is a process of its own, timed from its start to the answer. Processor time is that of the whole process.
    Fresh,
}

/// One contender.
pub(crate) struct Entry {
    /// The program, and what it is asked to be.
    pub(crate) program: Program,
    pub(crate) name: &'static str,
    /// What the table says.
    pub(crate) shown: &'static str,
    pub(crate) slow: bool,
    /// Whether pay88 shares its token with the host's processes; otherwise each process has its own.
    pub(crate) on_host: bool,
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
    Wall(f64),
    Cpu(f64),
    /// For the reader only.
    None,
}

pub(crate) const fn entry(program: Program, name: &'static str, shown: &'static str) -> Entry {
    Entry {
        program,
        name,
        shown,
        slow: false,
        on_host: false,
    }
}

impl Entry {
    /// It takes many times as long as the others, so it does fewer operations.
    pub(crate) const fn slow(self) -> Entry {
        Entry { slow: true, ..self }
    }

    /// It shares its token on the host.
    pub(crate) const fn on_host(self) -> Entry {
        Entry {
            on_host: true,
            ..self
        }
    }

    /// In one round of a group whose contenders do so many.
    pub(crate) fn operations(&self, all: u64) -> u64 {
        if self.slow { (all / 8).max(1) } else { all }
    }
}

pub(crate) const fn compare(of: usize, against: usize, aim: Aim) -> Comparison {
    Comparison { of, against, aim }
}
