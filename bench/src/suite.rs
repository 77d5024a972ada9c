//! What is measured against what, and what is aimed at. Plain data.

/// The threads of the crowded token reads.
pub(crate) const THREADS: u64 = 8;

/// Contenders that take turns.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) server: Protocol,
    pub(crate) contenders: &'static [Entry],
    pub(crate) comparisons: &'static [Comparison],
}

/// What the server of a group offers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
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

/// Where a contender lives.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    /// This program.
    Rust,
    /// The C program that uses libpay88.
    C,
    /// The C program that uses libcurl.
    Curl,
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

const fn entry(
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

const fn compare(of: usize, against: usize, aim: Aim) -> Comparison {
    Comparison { of, against, aim }
}

const READS: u64 = 2_000_000;
const CHARGES: u64 = 2_000;
const ASYNC_CHARGES: u64 = 6_400;

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "Cached token, Rust",
        server: Protocol::Http1,
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
    },
    Group {
        title: "Cached token, C",
        server: Protocol::Http1,
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
    },
    Group {
        title: "Blocking charge, HTTP/1.1",
        server: Protocol::Http1,
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
    },
    Group {
        title: "32 asynchronous charges at a time, HTTP/2",
        server: Protocol::Http2,
        contenders: ASYNCHRONOUS,
        comparisons: AGAINST_REQWEST,
    },
    Group {
        title: "32 asynchronous charges at a time, HTTP/1.1",
        server: Protocol::Http1,
        contenders: ASYNCHRONOUS,
        comparisons: AGAINST_REQWEST,
    },
];

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
