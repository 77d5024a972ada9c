//! The runtime of asynchronous calls: started by the first of them, never stopped.
//!
//! Its threads are named `pay88-io` and block all signals. It is never dropped, so nothing is joined
//! at exit; a forked child gets one of its own. No panic and no output when the system has no thread
//! to give: that is an error of the call that asked.

use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::thread::spawn_quiet;
use crate::transport::PerProcess;

const WORKERS: usize = 2;
const STACK: usize = 512 * 1024;
const NAME: &str = "pay88-io";

static RUNTIME: PerProcess<NeverStopped> = PerProcess::new();

/// The handle of this process's runtime, which the first call starts.
///
/// # Errors
/// Why no runtime can be had: the system gave no thread, or no event queue.
pub(crate) fn handle() -> Result<Handle, String> {
    RUNTIME
        .get_or_try_make(start)
        .map(|started| started.handle.clone())
}

/// Dropping a runtime joins its workers; one that lost the race to be the first must not.
struct NeverStopped {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for NeverStopped {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn start() -> Result<NeverStopped, String> {
    let none = |e: &dyn std::fmt::Display| format!("no thread for asynchronous calls: {e}");
    // Tokio panics when the system refuses it a worker, so ask for as many threads first.
    let mut held = Vec::new();
    for _ in 0..WORKERS {
        let (release, wait) = mpsc::channel::<()>();
        spawn_quiet(NAME, STACK, move || {
            let _ = wait.recv();
        })
        .map_err(|e| none(&e))?;
        held.push(release);
    }
    // Built by a quiet thread: workers inherit its blocked signals, and a panic stays in it.
    let (tx, rx) = mpsc::channel();
    spawn_quiet(NAME, STACK, move || {
        drop(held);
        let built = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(WORKERS)
            .thread_name(NAME)
            .thread_stack_size(STACK)
            .enable_all()
            .build();
        let _ = tx.send(built.map(|runtime| NeverStopped {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        }));
    })
    .map_err(|e| none(&e))?;
    match rx.recv() {
        Ok(Ok(started)) => Ok(started),
        Ok(Err(e)) => Err(none(&e)),
        Err(_) => Err(none(&"the system refused one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_call_gets_the_same_runtime_with_named_threads_that_block_all_signals() {
        let first = handle().unwrap();
        assert_eq!(first.id(), handle().unwrap().id());
        let (tx, rx) = mpsc::channel();
        let on_pool = tx.clone();
        let look = || {
            let name = std::thread::current().name().map(str::to_owned);
            (name, std::fs::read_to_string("/proc/thread-self/status"))
        };
        first.spawn(async move { tx.send(look()) });
        first.spawn(async move { tokio::task::spawn_blocking(move || on_pool.send(look())).await });
        for _ in 0..2 {
            let (name, status) = rx.recv_timeout(Duration::from_secs(5)).unwrap();
            assert_eq!(name.as_deref(), Some(NAME));
            let status = status.unwrap();
            let blocked = status
                .lines()
                .find_map(|l| l.strip_prefix("SigBlk:"))
                .unwrap();
            let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
            for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGALRM, libc::SIGCHLD] {
                assert_ne!(
                    blocked & (1 << (signal - 1)),
                    0,
                    "signal {signal} is not blocked"
                );
            }
        }
    }
}
