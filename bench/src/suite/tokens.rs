//! Reads of a cached token, and of one that another process has renewed.

use super::group::{Aim, GROUP, Group, Port, compare, entry};
use crate::program::Program::{C as InC, Go, Node, Php, Python, Rust};

const READS: u64 = 2_000_000;
const SCRIPT_READS: u64 = 500_000;
/// At most as many as `learn` has managers.
const LEARNED: u64 = 100;

/// Against reads of the clock, on one thread and on several.
macro_rules! against_clock {
    ($title:literal, $program:expr, $aim:literal) => {
        Group {
            title: $title,
            operations: READS,
            contenders: &[
                entry($program, "clock", "one clock read"),
                entry($program, "token", "cached token"),
                entry($program, "clock-threads", "clock, 8 threads"),
                entry($program, "token-threads", "token, 8 threads"),
            ],
            comparisons: &[
                compare(1, 0, Aim::Both($aim)),
                compare(3, 1, Aim::Cpu(1.1)),
                compare(2, 0, Aim::None),
            ],
            ..GROUP
        }
    };
}

/// Against the class of 88Pay's documentation.
macro_rules! against_documented {
    ($title:literal, $program:expr, $documented:literal, $name:literal, $shown:literal, $aim:literal) => {
        Group {
            title: $title,
            operations: SCRIPT_READS,
            contenders: &[
                entry($program, $documented, "documented class"),
                entry($program, $name, $shown),
            ],
            comparisons: &[compare(1, 0, Aim::Both($aim))],
            ..GROUP
        }
    };
}

pub(crate) const RUST: Group = against_clock!("Cached token, Rust", Rust, 1.0);

pub(crate) const C: Group = against_clock!("Cached token, C", InC, 1.3);

pub(crate) const SHARED: Group = Group {
    title: "Cached token, shared with other processes or not",
    operations: READS,
    contenders: &[
        entry(Rust, "token", "share=process"),
        entry(Rust, "token", "share=host").on_host(),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.05))],
    ..GROUP
};

pub(crate) const PYTHON: Group = against_documented!(
    "Cached token, Python",
    Python,
    "token-documented",
    "token",
    "get_token",
    0.6
);

pub(crate) const NODE: Group = against_documented!(
    "Cached token, Node",
    Node,
    "token-documented",
    "token",
    "await getToken",
    0.8
);

pub(crate) const PHP: Group = against_documented!(
    "Cached token, PHP",
    Php,
    "token-documented",
    "token",
    "getToken",
    1.0
);

pub(crate) const PHP_JIT: Group = against_documented!(
    "Cached token, PHP with JIT",
    Php,
    "token-documented-jit",
    "token-jit",
    "getToken",
    1.0
);

/// It fails where a read allocates.
pub(crate) const GO: Group = Group {
    operations: READS,
    ..against_documented!(
        "Cached token, Go",
        Go,
        "token-documented",
        "token",
        "Token",
        1.0
    )
};

pub(crate) const LEARNED_TOKEN: Group = Group {
    title: "A renewed token, learned from another process",
    server: Port::Brief,
    operations: LEARNED,
    contenders: &[entry(Rust, "learn", "get_token that learns")],
    limits: &[(0, 100_000.0)],
    ..GROUP
};
