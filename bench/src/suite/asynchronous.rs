//! Asynchronous charges, 32 at a time and, in Python, one at a time. (Node has no other than asynchronous ones, Go has goroutines.)

use super::group::{Aim, Comparison, Entry, GROUP, Group, Port, compare, entry};
use crate::program::Program::{C, Go, Node, Python, Rust};

const CHARGES: u64 = 6_400;
const SCRIPT_CHARGES: u64 = 3_200;

const COMPILED: &[Entry] = &[
    entry(Rust, "async-reqwest", "reqwest, 2 workers"),
    entry(Rust, "async", "pay88, Rust futures"),
    entry(C, "async", "pay88, C callbacks"),
    entry(C, "queued", "pay88, C completion queue"),
];

const AGAINST_REQWEST: &[Comparison] = &[
    compare(1, 0, Aim::Both(0.95)),
    compare(2, 0, Aim::Both(0.95)),
    compare(3, 0, Aim::Both(0.95)),
];

pub(crate) const COMPILED_HTTP1: Group = Group {
    title: "32 asynchronous charges at a time, HTTP/1.1",
    operations: CHARGES,
    contenders: COMPILED,
    comparisons: AGAINST_REQWEST,
    ..GROUP
};

/// reqwest speaks HTTP/2 here, pay88 does not.
pub(crate) const COMPILED_HTTP2: Group = Group {
    title: "32 asynchronous charges at a time, HTTP/2 offered",
    server: Port::Http2,
    ..COMPILED_HTTP1
};

pub(crate) const PYTHON_ONE: Group = Group {
    title: "One asynchronous charge at a time, Python with uvloop",
    contenders: &[
        entry(Python, "async1-aiohttp", "aiohttp"),
        entry(Python, "async1", "pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.4))],
    ..GROUP
};

pub(crate) const PYTHON: Group = Group {
    title: "32 charges at a time, Python with uvloop",
    operations: SCRIPT_CHARGES,
    contenders: &[
        entry(Python, "async-aiohttp", "aiohttp"),
        entry(Python, "async", "pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.3))],
    ..GROUP
};

pub(crate) const NODE: Group = Group {
    title: "32 charges at a time, Node",
    operations: SCRIPT_CHARGES,
    contenders: &[
        entry(Node, "async-fetch", "fetch"),
        entry(Node, "async-undici", "undici.request, new Response"),
        entry(Node, "async", "pay88"),
    ],
    comparisons: &[
        compare(2, 0, Aim::Both(0.16)),
        compare(2, 1, Aim::Both(0.55)),
    ],
    ..GROUP
};

pub(crate) const GO: Group = Group {
    title: "32 charges at a time, Go",
    operations: SCRIPT_CHARGES,
    contenders: &[
        entry(Go, "async-nethttp", "net/http"),
        entry(Go, "async", "pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Wall(0.7)), compare(1, 0, Aim::Cpu(0.95))],
    ..GROUP
};
