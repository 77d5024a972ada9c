//! Ends for tests that may hang.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::time::Duration;

/// What a forked child takes longer for hangs.
const CHILD_SECONDS: u32 = 20;

/// Runs a test that may hang, with an end.
pub(crate) fn within(limit: Duration, test: impl FnOnce() + Send + 'static) {
    let (tx, rx) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = tx.send(());
    });
    match rx.recv_timeout(limit) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done within {limit:?}"),
        _ => thread.join().unwrap(),
    }
}

/// Runs that in a forked child, which leaves by `_exit`: its exit status (101 after a panic), or minus the signal that
/// ended it.
pub(crate) fn in_a_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child does what the test says that it can do, and never leaves this function.
    let process = unsafe { libc::fork() };
    assert!(process >= 0);
    if process == 0 {
        // SAFETY: plain system calls. The first process of a namespace ignores its alarm; it ends with its parent, which
        // does not.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::alarm(CHILD_SECONDS);
        }
        let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
        // SAFETY: leaves the child without running the parent's handlers.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: waits for the child started above.
    let waited = unsafe { libc::waitpid(process, &mut status, 0) };
    assert_eq!(waited, process);
    match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => -libc::WTERMSIG(status),
    }
}

#[test]
fn a_child_that_panics_or_is_killed_is_told_from_one_that_ends_well() {
    assert_eq!(in_a_child(|| 0), 0);
    // Without its message, for which another thread may have held a lock at the fork.
    assert_eq!(in_a_child(|| resume_unwind(Box::new(()))), 101);
    let killed = in_a_child(|| {
        // SAFETY: a signal to this process needs no memory.
        unsafe { libc::raise(libc::SIGKILL) }
    });
    assert_eq!(killed, -libc::SIGKILL);
}
