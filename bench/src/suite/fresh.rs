//! Processes that live for one charge, from their start to the answer; the start of the command; and an import.
//!
//! pay88's token is one that the host's processes share, and its rivals are given one: so each asks the server once. The
//! documented class has to ask for a token first, and so has the pay88 that is compared with it.

use super::group::{Aim, GROUP, Group, Life, compare, entry};
use crate::program::Program::{C, Command, Curl, Node, Php, Python, Rust};

const PROCESSES: u64 = 5;

const FRESH: Group = Group {
    life: Life::Fresh,
    operations: PROCESSES,
    ..GROUP
};

pub(crate) const COMMAND: Group = Group {
    title: "Fresh process, the command",
    contenders: &[
        entry(Command, "--version", "pay88 --version"),
        entry(Command, "token", "pay88 token, which the host has").on_host(),
    ],
    limits: &[(0, 5e6), (1, 5e6)],
    ..FRESH
};

pub(crate) const COMPILED: Group = Group {
    title: "Fresh process, a charge, Rust and C",
    contenders: &[
        entry(Curl, "charge", "libcurl easy"),
        entry(C, "charge", "pay88, C").on_host(),
        entry(Rust, "charge-ureq", "ureq"),
        entry(Rust, "charge-reqwest", "reqwest::blocking"),
        entry(Rust, "charge", "pay88, Rust").on_host(),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(1.0)),
        compare(4, 2, Aim::Both(1.0)),
        compare(4, 3, Aim::Both(1.0)),
    ],
    ..FRESH
};

pub(crate) const PYTHON: Group = Group {
    title: "Fresh process, a charge, Python",
    contenders: &[
        entry(Python, "charge-pycurl", "pycurl"),
        entry(Python, "charge-httpx", "httpx.Client"),
        entry(Python, "charge-requests", "requests.Session"),
        entry(Python, "charge", "pay88").on_host(),
        entry(Python, "charge-documented", "documented class"),
        entry(Python, "charge", "pay88, asks for a token"),
    ],
    comparisons: &[
        compare(3, 0, Aim::Both(1.0)),
        compare(3, 1, Aim::Both(1.0)),
        compare(3, 2, Aim::Both(1.0)),
        compare(5, 4, Aim::Both(1.0)),
    ],
    ..FRESH
};

pub(crate) const NODE: Group = Group {
    title: "Fresh process, a charge, Node",
    contenders: &[
        entry(Node, "charge-fetch", "fetch"),
        entry(Node, "charge-undici", "undici.request, new Response"),
        entry(Node, "charge", "pay88").on_host(),
        entry(Node, "charge-documented", "documented class"),
        entry(Node, "charge", "pay88, asks for a token"),
    ],
    comparisons: &[
        compare(2, 0, Aim::Both(1.0)),
        compare(2, 1, Aim::Both(1.0)),
        compare(4, 3, Aim::Both(1.0)),
    ],
    ..FRESH
};

pub(crate) const PHP: Group = Group {
    title: "Fresh process, a charge, PHP",
    contenders: &[
        entry(Php, "charge-curl", "curl"),
        entry(Php, "charge-guzzle", "Guzzle"),
        entry(Php, "charge", "pay88").on_host(),
        entry(Php, "charge-documented", "documented class"),
        entry(Php, "charge-decoded", "pay88, asks for a token"),
    ],
    comparisons: &[
        compare(2, 0, Aim::Both(1.0)),
        compare(2, 1, Aim::Both(1.0)),
        compare(4, 3, Aim::Both(1.0)),
    ],
    ..FRESH
};

/// Timed inside of an interpreter that was started just for it.
pub(crate) const IMPORT: Group = Group {
    title: "Import, Python",
    operations: 3,
    contenders: &[
        entry(Python, "import-requests", "import requests"),
        entry(Python, "import-pay88", "import pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.12))],
    ..GROUP
};
