//! How the cost of a call grows with the number of merchants in a process, and with the length of bodies.

use super::group::{Aim, GROUP, Group, compare, entry};
use crate::program::Program::{C, Curl, Rust};

/// Calls go round among the merchants, each with a manager and a token of its own.
pub(crate) const MERCHANTS: Group = Group {
    title: "A charge by the number of merchants",
    contenders: &[
        entry(Rust, "merchants-1", "1 merchant"),
        entry(Rust, "merchants-100", "100 merchants"),
        entry(Rust, "merchants-10000", "10,000 merchants"),
    ],
    comparisons: &[compare(1, 0, Aim::Both(1.1)), compare(2, 0, Aim::Both(1.1))],
    ..GROUP
};

/// In proportion to the length, with a tenth more for what does not fit into the caches.
macro_rules! lengths {
    ($title:literal, $kilobyte:literal, $hundred:literal, $ten_megabytes:literal) => {
        Group {
            title: $title,
            operations: 24,
            contenders: &[
                entry(C, $kilobyte, "pay88, 1 KB"),
                entry(C, $hundred, "pay88, 100 KB"),
                entry(C, $ten_megabytes, "pay88, 10 MB").slow(),
                entry(Curl, $kilobyte, "libcurl, 1 KB"),
                entry(Curl, $hundred, "libcurl, 100 KB"),
                entry(Curl, $ten_megabytes, "libcurl, 10 MB").slow(),
            ],
            comparisons: &[
                compare(2, 1, Aim::Both(110.0)),
                compare(0, 3, Aim::None),
                compare(1, 4, Aim::None),
                compare(2, 5, Aim::None),
            ],
            ..GROUP
        }
    };
}

pub(crate) const SENT: Group = lengths!(
    "A call by the length of its body",
    "send-1000",
    "send-100000",
    "send-10000000"
);

pub(crate) const ANSWERED: Group = lengths!(
    "A call by the length of the answer",
    "fetch-1000",
    "fetch-100000",
    "fetch-10000000"
);
