//! Threads of the library, which are detached, named, and get no signals; and threads of the host, which may be
//! canceled.
//!
//! The system never delivers a signal of the host program to a thread that is started here, because all signals are
//! blocked before its first instruction. Nothing here joins a thread, and nothing panics if the system has no thread
//! to give.

use std::ffi::c_int;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

/// Starts a detached thread with all signals blocked and a stack of `stack` bytes.
///
/// # Errors
/// What the system said when it refused the thread; `f` has not run then.
pub(crate) fn spawn_quiet(
    name: &str,
    stack: usize,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // A new thread inherits the signal mask of its creator. So blocking here leaves it no moment without the mask.
    let _blocked = AllSignalsBlocked::new()?;
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(f)
        .map(drop)
}

/// Turns cancellation of the calling thread off (`pthread_cancel`) until it is dropped.
///
/// A thread that is canceled in a system call is unwound through all of its frames, and Rust ends the process in the
/// first frame that catches panics. A thread that is canceled meanwhile ends at its next cancellation point after
/// this.
#[must_use = "cancellation is on again once it is dropped"]
pub struct Uncanceled {
    before: c_int,
    /// The state belongs to one thread.
    _not_send: PhantomData<*const ()>,
}

impl Uncanceled {
    /// Turns cancellation off. Costs about as much as reading a cached token.
    pub fn begin() -> Uncanceled {
        let mut before = 0;
        // SAFETY: the old state may be written to.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before) };
        Uncanceled {
            before,
            _not_send: PhantomData,
        }
    }
}

impl Drop for Uncanceled {
    fn drop(&mut self) {
        // SAFETY: the state is one that this thread had; a null old state is allowed.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}

/// From `pthread.h`; the crate `libc` lacks it.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

/// Blocks all signals of the calling thread, and restores its own mask when dropped.
struct AllSignalsBlocked {
    before: libc::sigset_t,
}

impl AllSignalsBlocked {
    fn new() -> io::Result<AllSignalsBlocked> {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are valid for writing; `all` is initialised by sigfillset before it is read.
        let code = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr())
        };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(AllSignalsBlocked {
            // SAFETY: pthread_sigmask succeeded and so has filled it in.
            before: unsafe { before.assume_init() },
        })
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the initialised mask this thread had; a null old set is allowed.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn blocked_signals() -> Vec<i32> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: a null new set only asks; the old set is valid for writing.
        let set = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), set.as_mut_ptr());
            set.assume_init()
        };
        // SAFETY: the set was filled in above and the numbers are valid signals.
        (1..32)
            .filter(|&n| unsafe { libc::sigismember(&set, n) } == 1)
            .collect()
    }

    #[test]
    fn a_quiet_thread_blocks_all_signals_and_leaves_its_creators_mask_alone() {
        let before = blocked_signals();
        let (tx, rx) = mpsc::channel();
        spawn_quiet("quiet", 128 * 1024, move || {
            tx.send(blocked_signals()).unwrap();
        })
        .unwrap();
        let inside = rx.recv_timeout(Duration::from_secs(5)).unwrap();
        for signal in [
            libc::SIGPIPE,
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGALRM,
            libc::SIGCHLD,
        ] {
            assert!(inside.contains(&signal), "signal {signal} is not blocked");
        }
        assert_eq!(before, blocked_signals());
    }
}
