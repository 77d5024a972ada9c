//! What is measured against what, and what is aimed at. Plain data.

use crate::program::Program;

/// The threads of the crowded token reads.
pub(crate) const THREADS: u64 = 8;

/// Contenders that take turns.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) server: Port,
    pub(crate) contenders: &'static [Entry],
    pub(crate) comparisons: &'static [Comparison],
    /// The most that an operation may cost, in nanoseconds, by index into the contenders.
    pub(crate) limits: &'static [(usize, f64)],
}

/// Which of the server's ports the contenders of a group use.
#[derive(Clone, Copy)]
pub(crate) enum Port {
    Http1,
    /// Offers HTTP/2, and HTTP/1.1 to who does not know it.
    Http2,
    /// Tokens live 11 s.
    Brief,
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
const SCRIPT_READS: u64 = 500_000;
const FEW_CHARGES: u64 = 300;
const SCRIPT_ASYNC_CHARGES: u64 = 3_200;
const IMPORTS: u64 = 3;
/// At most as many as `learn` has managers.
const LEARNED: u64 = 100;

pub(crate) const GROUPS: &[Group] = &[
    Group {
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
    },
    Group {
        title: "Cached token, shared with other processes or not",
        server: Port::Http1,
        contenders: &[
            entry(Program::Rust, "token", "share=process", READS),
            entry(Program::Rust, "token-shared", "share=host", READS),
        ],
        comparisons: &[compare(1, 0, Aim::Both(1.05))],
        limits: &[],
    },
    Group {
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
    },
    Group {
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
    },
    Group {
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
    },
    Group {
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
    },
    Group {
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
    },
    Group {
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
    },
    Group {
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
    },
    Group {
        title: "32 asynchronous charges at a time, HTTP/2",
        server: Port::Http2,
        contenders: ASYNCHRONOUS,
        comparisons: AGAINST_REQWEST,
        limits: &[],
    },
    Group {
        title: "32 asynchronous charges at a time, HTTP/1.1",
        server: Port::Http1,
        contenders: ASYNCHRONOUS,
        comparisons: AGAINST_REQWEST,
        limits: &[],
    },
    Group {
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
    },
    Group {
        title: "Import, Python",
        server: Port::Http1,
        contenders: &[
            entry(
                Program::Python,
                "import-requests",
                "import requests",
                IMPORTS,
            ),
            entry(Program::Python, "import-pay88", "import pay88", IMPORTS),
        ],
        comparisons: &[compare(1, 0, Aim::Both(0.15))],
        limits: &[],
    },
    Group {
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
    },
    Group {
        title: "32 charges at a time, Python with uvloop, HTTP/1.1",
        server: Port::Http1,
        contenders: PYTHON_ASYNCHRONOUS,
        comparisons: AGAINST_AIOHTTP,
        limits: &[],
    },
    Group {
        title: "32 charges at a time, Python with uvloop, HTTP/2 where it is known",
        server: Port::Http2,
        contenders: PYTHON_ASYNCHRONOUS,
        comparisons: AGAINST_AIOHTTP,
        limits: &[],
    },
    Group {
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
    },
    Group {
        title: "32 charges at a time, Node, HTTP/1.1",
        server: Port::Http1,
        contenders: NODE_ASYNCHRONOUS,
        comparisons: AGAINST_FETCH_AND_UNDICI,
        limits: &[],
    },
    Group {
        title: "32 charges at a time, Node, HTTP/2 where it is known",
        server: Port::Http2,
        contenders: NODE_ASYNCHRONOUS,
        comparisons: AGAINST_FETCH_AND_UNDICI,
        limits: &[],
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
