//! Reads of a cached token, and of one that another process has renewed.

use super::group::{Aim, Group, Port, compare, entry};
use crate::program::Program;

const READS: u64 = 2_000_000;
const SCRIPT_READS: u64 = 500_000;
/// At most as many as `learn` has managers.
const LEARNED: u64 = 100;

pub(crate) const RUST: Group = Group {
    title: "Cached token, Rust",
    server: Port::Http1,
    contenders: &[
        entry(Program::Rust, "clock", "one clock read", READS),
        entry(Program::Rust, "token", "get_token and drop", READS),
        entry(Program::Rust, "clock-threads", "clock, 8 threads", READS),
        entry(Program::Rust, "token-threads", "token, 8 threads", READS),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(0.8)),
        compare(3, 1, Aim::Cpu(1.1)),
        compare(2, 0, Aim::None),
    ],
    limits: &[],
};

pub(crate) const SHARED: Group = Group {
    title: "Cached token, shared with other processes or not",
    server: Port::Http1,
    contenders: &[
        entry(Program::Rust, "token", "share=process", READS),
        entry(Program::Rust, "token-shared", "share=host", READS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.05))],
    limits: &[],
};

pub(crate) const PYTHON: Group = Group {
    title: "Cached token, Python",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Python,
            "token-documented",
            "documented class",
            SCRIPT_READS,
        ),
        entry(Program::Python, "token", "get_token", SCRIPT_READS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.6))],
    limits: &[],
};

pub(crate) const PHP: Group = Group {
    title: "Cached token, PHP",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Php,
            "token-documented",
            "documented class",
            SCRIPT_READS,
        ),
        entry(Program::Php, "token", "getToken", SCRIPT_READS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.0))],
    limits: &[],
};

pub(crate) const PHP_JIT: Group = Group {
    title: "Cached token, PHP with JIT",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Php,
            "token-documented-jit",
            "documented class, JIT",
            SCRIPT_READS,
        ),
        entry(Program::Php, "token-jit", "getToken, JIT", SCRIPT_READS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.0))],
    limits: &[],
};

pub(crate) const NODE: Group = Group {
    title: "Cached token, Node",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Node,
            "token-documented",
            "documented class",
            SCRIPT_READS,
        ),
        entry(Program::Node, "token", "await getToken", SCRIPT_READS),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.1))],
    limits: &[],
};

pub(crate) const LEARNED_TOKEN: Group = Group {
    title: "A renewed token, learned from another process",
    server: Port::Brief,
    contenders: &[entry(
        Program::Rust,
        "learn",
        "get_token that learns",
        LEARNED,
    )],
    comparisons: &[],
    limits: &[(0, 100_000.0)],
};

pub(crate) const C: Group = Group {
    title: "Cached token, C",
    server: Port::Http1,
    contenders: &[
        entry(Program::C, "clock", "one clock read", READS),
        entry(Program::C, "token", "get_token and release", READS),
        entry(Program::C, "clock-threads", "clock, 8 threads", READS),
        entry(Program::C, "token-threads", "token, 8 threads", READS),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(1.0)),
        compare(3, 1, Aim::Cpu(1.1)),
        compare(2, 0, Aim::None),
    ],
    limits: &[],
};
