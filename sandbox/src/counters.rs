//! What happened so far, in numbers. They are raised before an answer is sent, so a client that has the answer finds
//! it counted.

use std::collections::BTreeMap;

use serde::Serialize;

/// Numbers since the start or the last reset. Requests count as soon as they were read, whatever a fault then did to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests to the token endpoint.
    pub tokens_requested: u64,
    /// Tokens issued, whether or not the answer arrived.
    pub tokens_issued: u64,
    /// Token requests answered with anything but 200, by status.
    pub tokens_refused: BTreeMap<u16, u64>,
    /// Requests to any other path.
    pub calls: u64,
    /// Calls by the status they were answered with; those that a fault left without an answer are missing.
    pub calls_by_status: BTreeMap<u16, u64>,
    /// Calls answered 401.
    pub unauthorized: u64,
    /// Charges created, whether or not the answer arrived.
    pub charges_created: u64,
    /// Requests that were no valid HTTP or beyond the size limits.
    pub malformed: u64,
    /// Faults played.
    pub faults_played: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections open now. A reset does not change it.
    pub connections_open: u64,
    /// The most that were open at once.
    pub connections_peak: u64,
    /// TLS handshakes completed.
    pub tls_handshakes: u64,
}
