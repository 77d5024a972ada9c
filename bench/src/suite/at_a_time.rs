//! 32 charges at a time.

use super::group::{Aim, Comparison, Entry, Group, Port, compare, entry};
use crate::program::Program;

const ASYNC_CHARGES: u64 = 6_400;
const SCRIPT_ASYNC_CHARGES: u64 = 3_200;

pub(crate) const COMPILED_HTTP2: Group = Group {
    title: "32 asynchronous charges at a time, HTTP/2",
    server: Port::Http2,
    contenders: ASYNCHRONOUS,
    comparisons: AGAINST_REQWEST,
    limits: &[],
};

pub(crate) const COMPILED_HTTP1: Group = Group {
    title: "32 asynchronous charges at a time, HTTP/1.1",
    server: Port::Http1,
    contenders: ASYNCHRONOUS,
    comparisons: AGAINST_REQWEST,
    limits: &[],
};

pub(crate) const PYTHON_HTTP1: Group = Group {
    title: "32 charges at a time, Python with uvloop, HTTP/1.1",
    server: Port::Http1,
    contenders: PYTHON_ASYNCHRONOUS,
    comparisons: AGAINST_AIOHTTP,
    limits: &[],
};

pub(crate) const PYTHON_HTTP2: Group = Group {
    title: "32 charges at a time, Python with uvloop, HTTP/2 where it is known",
    server: Port::Http2,
    contenders: PYTHON_ASYNCHRONOUS,
    comparisons: AGAINST_AIOHTTP,
    limits: &[],
};

pub(crate) const NODE_HTTP1: Group = Group {
    title: "32 charges at a time, Node, HTTP/1.1",
    server: Port::Http1,
    contenders: NODE_ASYNCHRONOUS,
    comparisons: AGAINST_FETCH_AND_UNDICI,
    limits: &[],
};

pub(crate) const NODE_HTTP2: Group = Group {
    title: "32 charges at a time, Node, HTTP/2 where it is known",
    server: Port::Http2,
    contenders: NODE_ASYNCHRONOUS,
    comparisons: AGAINST_FETCH_AND_UNDICI,
    limits: &[],
};

const ASYNCHRONOUS: &[Entry] = &[
    entry(
        Program::Rust,
        "async-reqwest",
        "reqwest, 2 workers",
        ASYNC_CHARGES,
    ),
    entry(Program::Rust, "async", "pay88, Rust futures", ASYNC_CHARGES),
    entry(Program::C, "async", "pay88, C callbacks", ASYNC_CHARGES),
];

const AGAINST_REQWEST: &[Comparison] =
    &[compare(1, 0, Aim::Both(1.1)), compare(2, 0, Aim::Both(1.1))];

const PYTHON_ASYNCHRONOUS: &[Entry] = &[
    entry(
        Program::Python,
        "async-aiohttp",
        "aiohttp",
        SCRIPT_ASYNC_CHARGES,
    ),
    entry(Program::Python, "async", "pay88", SCRIPT_ASYNC_CHARGES),
];

const AGAINST_AIOHTTP: &[Comparison] = &[compare(1, 0, Aim::Both(0.4))];

const NODE_ASYNCHRONOUS: &[Entry] = &[
    entry(Program::Node, "async-fetch", "fetch", SCRIPT_ASYNC_CHARGES),
    entry(
        Program::Node,
        "async-undici",
        "undici.request, new Response",
        SCRIPT_ASYNC_CHARGES,
    ),
    entry(Program::Node, "async", "pay88", SCRIPT_ASYNC_CHARGES),
];

const AGAINST_FETCH_AND_UNDICI: &[Comparison] =
    &[compare(2, 0, Aim::Both(0.4)), compare(2, 1, Aim::Both(1.0))];
