//! One charge at a time.

use super::group::{Aim, Group, Port, compare, entry};
use crate::program::Program;

const CHARGES: u64 = 2_000;
const FEW_CHARGES: u64 = 300;

pub(crate) const BLOCKING: Group = Group {
    title: "Blocking charge, HTTP/1.1",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Curl,
            "charge",
            "libcurl easy, kept handle",
            CHARGES,
        ),
        entry(Program::Rust, "charge", "pay88, Rust", CHARGES),
        entry(Program::C, "charge", "pay88, C", CHARGES),
        entry(Program::Rust, "charge-ureq", "ureq", CHARGES),
        entry(
            Program::Rust,
            "charge-reqwest",
            "reqwest::blocking",
            CHARGES,
        ),
        entry(
            Program::Rust,
            "charge-reqwest-inline",
            "reqwest, current-thread runtime",
            CHARGES,
        ),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(0.85)),
        compare(2, 0, Aim::Both(0.85)),
        compare(1, 3, Aim::None),
        compare(1, 4, Aim::None),
        compare(1, 5, Aim::None),
    ],
    limits: &[],
};

pub(crate) const PHP: Group = Group {
    title: "Charge, PHP",
    server: Port::Http1,
    contenders: &[
        entry(Program::Php, "charge-curl", "curl, kept handle", CHARGES),
        entry(Program::Php, "charge", "pay88", CHARGES),
        entry(Program::Php, "charge-guzzle", "Guzzle", FEW_CHARGES),
        entry(
            Program::Php,
            "charge-handler",
            "Guzzle, pay88's handler",
            FEW_CHARGES,
        ),
        // Both encode the charge and decode the answer.
        entry(
            Program::Php,
            "charge-documented",
            "documented class",
            FEW_CHARGES,
        ),
        entry(
            Program::Php,
            "charge-decoded",
            "pay88, makeRequest",
            FEW_CHARGES,
        ),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(1.0)),
        compare(1, 2, Aim::None),
        compare(3, 2, Aim::None),
        compare(5, 4, Aim::None),
    ],
    limits: &[],
};

pub(crate) const PYTHON: Group = Group {
    title: "Charge, Python",
    server: Port::Http1,
    contenders: &[
        entry(
            Program::Python,
            "charge-pycurl",
            "pycurl, kept handle",
            CHARGES,
        ),
        entry(Program::Python, "charge", "pay88", CHARGES),
        entry(Program::Python, "charge-httpx", "httpx.Client", FEW_CHARGES),
        entry(
            Program::Python,
            "charge-requests",
            "requests.Session",
            FEW_CHARGES,
        ),
        entry(
            Program::Python,
            "charge-documented",
            "documented class",
            FEW_CHARGES,
        ),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(1.0)),
        compare(1, 2, Aim::None),
        compare(1, 3, Aim::None),
        compare(1, 4, Aim::None),
    ],
    limits: &[],
};

pub(crate) const NODE: Group = Group {
    title: "Charge, Node",
    server: Port::Http1,
    contenders: &[
        entry(Program::Node, "charge-fetch", "fetch", CHARGES),
        entry(
            Program::Node,
            "charge-undici",
            "undici.request, new Response",
            CHARGES,
        ),
        entry(Program::Node, "charge", "pay88", CHARGES),
        entry(
            Program::Node,
            "charge-documented",
            "documented class",
            CHARGES,
        ),
    ],
    comparisons: &[
        compare(2, 0, Aim::Both(0.35)),
        compare(2, 1, Aim::Both(1.1)),
        compare(2, 3, Aim::None),
    ],
    limits: &[],
};
