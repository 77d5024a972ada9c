//! The runtime of asynchronous calls: started by the first of them, never stopped.
//!
//! Its thread is named `pay88-io` and blocks all signals, as do those that look names up. It is never
//! stopped, so nothing is joined at exit; a forked child gets one of its own. No panic and no output
//! when the system has no thread to give: that is an error of the call that asked.
//!
//! One thread, since what a call costs is mostly waking threads: with several a call is handed from the
//! one that was woken to the one that waits for the network.

use std::sync::mpsc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::platform::above_stdio::StdioOccupied;
use crate::platform::process::PerProcess;
use crate::platform::thread::spawn_quiet;

/// Threads that look names up.
const BLOCKING: usize = 2;
const STACK: usize = 512 * 1024;
const NAME: &str = "pay88-io";

static RUNTIME: PerProcess<Started> = PerProcess::new();

/// The handle of this process's runtime, which the first call starts.
///
/// # Errors
/// Why no runtime can be had: the system gave no thread, or no event queue.
pub(crate) fn handle() -> Result<Handle, String> {
    RUNTIME
        .get_or_try_make(start)
        .map(|started| started.handle.clone())
}

struct Started {
    handle: Handle,
    /// The thread goes on until this is dropped: never, but for a runtime that lost the race to be the first.
    _go_on: oneshot::Sender<()>,
}

fn start() -> Result<Started, String> {
    let none = |e: &dyn std::fmt::Display| format!("no thread for asynchronous calls: {e}");
    let (started, wait) = mpsc::channel();
    let (go_on, ended) = oneshot::channel::<()>();
    // Built by the quiet thread that it runs on: those for names inherit its blocked signals.
    spawn_quiet(NAME, STACK, move || {
        let built = StdioOccupied::new().and_then(|_occupied| {
            Builder::new_current_thread()
                .max_blocking_threads(BLOCKING)
                .thread_name(NAME)
                .thread_stack_size(STACK)
                .enable_all()
                .build()
        });
        match built {
            Ok(runtime) => {
                let _ = started.send(Ok(runtime.handle().clone()));
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            }
            Err(e) => {
                let _ = started.send(Err(e));
            }
        }
    })
    .map_err(|e| none(&e))?;
    match wait.recv() {
        Ok(Ok(handle)) => Ok(Started {
            handle,
            _go_on: go_on,
        }),
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
