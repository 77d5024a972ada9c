//! A server that is a round trip of 80 ms away.
//!
//! A first charge takes four round trips: for TCP, TLS 1.3, the token and the charge, on one connection. Between token and
//! charge pay88 waits 50 ms, to see whether the server keeps connections; one that is closed at that moment would leave the
//! charge in doubt. Each later charge takes one round trip. The limits allow a quarter of one more for what is computed.

use super::group::{Entry, GROUP, Group, Life, Port, entry};
use crate::far::ROUND_TRIP;
use crate::program::Program::{C, Curl, Node, Python, Rust};

const TRIP: f64 = ROUND_TRIP.as_millis() as f64 * 1e6;
const ONE: f64 = 1.25 * TRIP;
const KEEPS_CONNECTIONS: f64 = 50e6;
const FOUR: f64 = 4.25 * TRIP + KEEPS_CONNECTIONS;

const CONTENDERS: &[Entry] = &[
    entry(Rust, "charge", "pay88, Rust"),
    entry(C, "charge", "pay88, C"),
    entry(Python, "charge", "pay88, Python"),
    entry(Node, "charge", "pay88, Node"),
    entry(Python, "charge-documented", "documented class, Python"),
    entry(Node, "charge-documented", "documented class, Node"),
    entry(Curl, "charge", "libcurl easy, kept handle"),
];

pub(crate) const WARM: Group = Group {
    title: "80 ms away, a further charge",
    server: Port::Far,
    operations: 5,
    contenders: CONTENDERS,
    limits: &[(0, ONE), (1, ONE), (2, ONE), (3, ONE)],
    ..GROUP
};

/// Processes that start and have to ask for a token; libcurl is given one, and left out. The start of the interpreter is part of
/// it, so only compiled ones have a limit.
pub(crate) const COLD: Group = Group {
    title: "80 ms away, token and charge of a fresh process",
    life: Life::Fresh,
    operations: 1,
    contenders: CONTENDERS.split_at(6).0,
    limits: &[(0, FOUR), (1, FOUR)],
    ..WARM
};
