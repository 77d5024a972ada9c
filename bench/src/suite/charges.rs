//! One charge at a time.

use super::group::{Aim, GROUP, Group, compare, entry};
use crate::program::Program::{C, Curl, Go, Node, Php, Python, Rust};

pub(crate) const BLOCKING: Group = Group {
    title: "Blocking charge, HTTP/1.1",
    contenders: &[
        entry(Curl, "charge", "libcurl easy, kept handle"),
        entry(Rust, "charge", "pay88, Rust"),
        entry(C, "charge", "pay88, C"),
        entry(Rust, "charge-ureq", "ureq"),
        entry(Rust, "charge-reqwest", "reqwest::blocking"),
        entry(Rust, "charge-reqwest-inline", "reqwest, one thread"),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(0.70)),
        compare(2, 0, Aim::Both(0.75)),
        compare(1, 3, Aim::None),
        compare(1, 4, Aim::None),
        compare(1, 5, Aim::None),
    ],
    ..GROUP
};

pub(crate) const PYTHON: Group = Group {
    title: "Charge, Python",
    contenders: &[
        entry(Python, "charge-pycurl", "pycurl, kept handle"),
        entry(Python, "charge", "pay88"),
        entry(Python, "charge-httpx", "httpx.Client").slow(),
        entry(Python, "charge-requests", "requests.Session").slow(),
        entry(Python, "charge-documented", "documented class").slow(),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(0.8)),
        compare(1, 2, Aim::None),
        compare(1, 3, Aim::None),
        compare(1, 4, Aim::None),
    ],
    ..GROUP
};

pub(crate) const NODE: Group = Group {
    title: "Charge, Node",
    contenders: &[
        entry(Node, "charge-fetch", "fetch"),
        entry(Node, "charge-undici", "undici.request, new Response"),
        entry(Node, "charge", "pay88"),
        entry(Node, "charge-documented", "documented class"),
    ],
    comparisons: &[
        compare(2, 0, Aim::Both(0.35)),
        compare(2, 1, Aim::Both(0.8)),
        compare(2, 3, Aim::None),
    ],
    ..GROUP
};

pub(crate) const PHP: Group = Group {
    title: "Charge, PHP",
    contenders: &[
        entry(Php, "charge-curl", "curl, kept handle"),
        entry(Php, "charge", "pay88"),
        entry(Php, "charge-guzzle", "Guzzle").slow(),
        entry(Php, "charge-handler", "Guzzle, pay88's handler").slow(),
        // Both encode the charge and decode the answer.
        entry(Php, "charge-documented", "documented class").slow(),
        entry(Php, "charge-decoded", "pay88, makeRequest").slow(),
    ],
    comparisons: &[
        compare(1, 0, Aim::Both(1.0)),
        compare(1, 2, Aim::None),
        compare(3, 2, Aim::None),
        compare(5, 4, Aim::None),
    ],
    ..GROUP
};

pub(crate) const GO: Group = Group {
    title: "Charge, Go",
    contenders: &[
        entry(Go, "charge-nethttp", "net/http"),
        entry(Go, "charge", "pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Both(0.75))],
    ..GROUP
};

/// All processors of the program compute meanwhile, so their time says nothing of a charge.
pub(crate) const GO_BUSY: Group = Group {
    title: "Charge, Go, beside goroutines that compute",
    operations: 200,
    contenders: &[
        entry(Go, "spinning-nethttp", "net/http"),
        entry(Go, "spinning", "pay88"),
    ],
    comparisons: &[compare(1, 0, Aim::Wall(0.2))],
    ..GROUP
};
