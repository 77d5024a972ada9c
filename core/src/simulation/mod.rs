//! The second driver of the refresh: hours of virtual time in seconds, against the rules of the sandbox without a network.
//!
//! Managers, machine, cache, budget, holds, records and their sealing are the real ones; played are the threads
//! (`world`), the network and 88Pay (`provider`), the stores (`fake_store`) and the host's files
//! (`store::host::memory`). A run is the same for the same seed. `one_process` is the older, smaller world of one process
//! that shares nothing.

mod fake_store;
mod fleet;
mod one_process;
mod operations;
mod provider;
mod report;
mod scenario;
mod setup;
mod world;
