//! The second driver of the refresh: hours of virtual time in seconds, against the rules of the sandbox without a network.
//!
//! Managers, machine, cache, budget, back-offs, records and their sealing are the real ones. Faked are the threads
//! (`world`), the network and 88Pay (`provider`), the stores (`fake_store`) and the host's files (`store::memory`). A run
//! is the same for the same seed.

mod fake_store;
mod fleet;
mod greed;
mod operations;
mod process;
mod provider;
mod report;
mod scenario;
mod setup;
mod world;
