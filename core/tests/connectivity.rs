//! What a diagnosis does: tries the way to 88Pay without credentials, and makes a call that is never repeated.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../src/test_support/ports.rs"]
mod ports;

use std::error::Error;
use std::path::PathBuf;

use pay88::{Config, ErrorCode, Request, TokenManager};
use pay88_sandbox::{Action, Fault, Match, Sandbox, TEST_KEY, TEST_MERCHANT};
use ports::nobody;

/// A sandbox and the file with its certificate authority, which is removed at the end.
struct Running {
    sandbox: Sandbox,
    ca: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.ca);
    }
}

impl Running {
    fn start(name: &str) -> Running {
        let sandbox = Sandbox::start(pay88_sandbox::Config::default()).unwrap();
        let ca =
            std::env::temp_dir().join(format!("pay88-connectivity-{}-{name}", std::process::id()));
        sandbox.write_ca(&ca).unwrap();
        Running { sandbox, ca }
    }

    fn way(&self) -> Config {
        Config::without_environment()
            .with("base_url", &self.sandbox.base_url())
            .and_then(|config| config.with("ca_bundle", self.ca.to_str().unwrap()))
            .unwrap()
    }

    fn manager(&self) -> TokenManager {
        let config = self.way().with("api_key", TEST_KEY).unwrap();
        let config = config.with("share", "process").unwrap();
        TokenManager::new(config.with("merchant_id", TEST_MERCHANT).unwrap()).unwrap()
    }
}

#[test]
fn a_probe_needs_and_sends_no_credentials() {
    let running = Running::start("probe");
    let answer = running.way().probe().unwrap();
    assert!(answer.header("date").is_some() && answer.body().is_empty());
    let log = running.sandbox.log();
    assert_eq!(
        (log.len(), log[0].method.as_str(), log[0].target.as_str()),
        (1, "HEAD", "/")
    );
    for name in &log[0].headers {
        let name = name.to_ascii_lowercase();
        assert!(!name.starts_with("x-") && name != "authorization", "{name}");
    }
    assert_eq!(running.sandbox.counters().tokens_requested, 0);
}

#[test]
fn a_probe_says_what_is_in_the_way() {
    let running = Running::start("in-the-way");
    let other = Running::start("other");
    let mistrusted = running.way().with("ca_bundle", other.ca.to_str().unwrap());
    let error = mistrusted.unwrap().probe().unwrap_err();
    assert_eq!(error.code(), ErrorCode::TlsFailed);
    let source = error.source().unwrap();
    assert!(source.source().is_none() && source.to_string().contains("certificate"));
    let nobody = nobody();
    let refused = running
        .way()
        .with("base_url", &format!("https://{}", nobody.address));
    let error = refused.unwrap().probe().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionFailed);
    assert_eq!(refusal(&error), Some(libc::ECONNREFUSED), "{error:?}");
    let missing = running.way().with("ca_bundle", "/nonexistent/ca.pem");
    let error = missing.unwrap().probe().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    assert_eq!(refusal(&error), Some(libc::ENOENT), "{error:?}");
}

/// The number by which the system refused something.
fn refusal(error: &pay88::Error) -> Option<i32> {
    let error = error.source()?.downcast_ref::<std::io::Error>()?;
    error.raw_os_error()
}

#[test]
fn a_call_that_is_sent_once_gives_each_answer_as_it_is() {
    let running = Running::start("once");
    let manager = running.manager();
    for status in [401, 429, 503] {
        running
            .sandbox
            .fault(Fault::once(Match::Calls, Action::status(status)));
        let answer = manager
            .make_request(Request::get("/api/echo").once())
            .unwrap();
        assert_eq!(answer.status(), status);
    }
    running
        .sandbox
        .fault(Fault::once(Match::Calls, Action::CutAfterRequest));
    let error = manager
        .make_request(Request::get("/api/echo").once())
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionFailed);
    let counters = running.sandbox.counters();
    assert_eq!((counters.calls, counters.tokens_issued), (4, 1));
    // Without the mark the same 401 costs a token and is not seen.
    running
        .sandbox
        .fault(Fault::once(Match::Calls, Action::status(401)));
    assert_eq!(
        manager
            .make_request(Request::get("/api/echo"))
            .unwrap()
            .status(),
        200
    );
    assert_eq!(running.sandbox.counters().tokens_issued, 2);
}
