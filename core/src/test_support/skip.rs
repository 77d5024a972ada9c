//! Tests that cannot run everywhere: where one is left out, it says so, and the gate (`.ci/run`) takes none of that.

/// Set where every test has to run.
const NOTHING_LEFT_OUT: &str = "PAY88_TEST_NOTHING_SKIPPED";

/// Says that the test that calls this is left out.
pub(crate) fn leave_out(reason: &str) {
    assert!(
        std::env::var_os(NOTHING_LEFT_OUT).is_none(),
        "left out, where nothing may be: {reason}"
    );
    eprintln!("left out: {reason}");
}

/// Whether this process may become another user, and mount; if not, the test is left out.
#[allow(dead_code, reason = "not all who leave tests out do it for that")]
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        leave_out("it needs root");
    }
    root
}
