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

use std::cell::RefCell;

use crate::manager::refresh_driver::Job;

/// What stands in for the system on a thread that simulates.
struct System {
    random: Random,
    /// The refresh for which a thread was wanted.
    launched: Option<Job>,
}

thread_local!(static SYSTEM: RefCell<Option<System>> = const { RefCell::new(None) });

/// Random bytes of the simulation, where this thread runs one.
pub(crate) fn random_bytes<const N: usize>() -> Option<[u8; N]> {
    SYSTEM.with_borrow_mut(|system| {
        let random = &mut system.as_mut()?.random;
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
        }
        Some(bytes)
    })
}

/// Takes the work of a refresh over, where this thread runs a simulation; else gives it back.
pub(crate) fn take(job: Job) -> Option<Job> {
    SYSTEM.with_borrow_mut(|system| match system {
        Some(system) => {
            assert!(system.launched.is_none(), "two refreshes at once");
            system.launched = Some(job);
            None
        }
        None => Some(job),
    })
}

/// SplitMix64: the same numbers for the same seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// From 0 to 1, without 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.fraction() * end as f64) as u64
    }

    fn between(&mut self, (from, to): (u64, u64)) -> u64 {
        from + self.below(to - from + 1)
    }
}

fn mixed(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
