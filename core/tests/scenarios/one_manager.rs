//! Promise 1: one manager per process and credentials, and handles that can be closed by themselves.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pay88::{Config, ErrorCode, Outcome, Request, TokenManager};
use pay88_sandbox::{Action, Fault, Match, TEST_KEY, TEST_MERCHANT};

use crate::harness::{EACH_WAY, Harness, Way, charge};

fn elsewhere(host: &str, more: &[(&str, &str)]) -> Result<TokenManager, pay88::Error> {
    let mut config = Config::without_environment();
    config.set("api_key", TEST_KEY)?;
    config.set("merchant_id", TEST_MERCHANT)?;
    config.set("base_url", host)?;
    for (name, value) in more {
        config.set(name, value)?;
    }
    TokenManager::new(config)
}

#[test]
fn the_same_credentials_are_the_same_manager_however_they_are_written() {
    let first = elsewhere("https://one.example", &[]).unwrap();
    for host in [
        "https://ONE.example",
        "https://one.example:443",
        "https://one.example/",
        " https://one.example// ",
    ] {
        assert_eq!(elsewhere(host, &[]).unwrap().id(), first.id(), "{host}");
    }
    for host in [
        "https://one.example:444",
        "https://one.example/v2",
        "https://two.example",
        "https://www.one.example",
    ] {
        assert_ne!(elsewhere(host, &[]).unwrap().id(), first.id(), "{host}");
    }
    for (name, value) in [
        ("merchant_id", "MCH-COL-OTHER"),
        ("api_key", "sk_test_another_key_1234"),
    ] {
        assert_ne!(
            elsewhere("https://one.example", &[(name, value)])
                .unwrap()
                .id(),
            first.id()
        );
    }
}

#[test]
fn many_threads_that_build_it_at_once_get_one_manager() {
    let threads: Vec<_> = (0..32)
        .map(|_| thread::spawn(|| elsewhere("https://at-once.example", &[]).unwrap().id()))
        .collect();
    let mut ids: Vec<u64> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn an_option_of_the_manager_that_contradicts_is_invalid_and_named() {
    let harness = Harness::new();
    let _kept = elsewhere("https://conflict.example", &[]).unwrap();
    for (name, value) in [
        ("proxy", "http://proxy.example:3128"),
        ("safety_margin", "5"),
        ("tokens_per_minute", "9"),
        ("tokens_per_hour", "99"),
    ] {
        let error = elsewhere("https://conflict.example", &[(name, value)]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(
            error.message().contains(&format!("option {name} ")),
            "{error}"
        );
    }
    let _kept = harness.manager();
    let file = std::env::temp_dir().join(format!("pay88-conflict-{}.pem", std::process::id()));
    harness.sandbox.write_ca(&file).unwrap();
    let config = harness.config(&[("ca_bundle", file.to_str().unwrap())]);
    let error = TokenManager::new(config).unwrap_err();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    assert!(error.message().contains("option ca_bundle "), "{error}");
}

#[test]
fn other_authorities_of_the_environment_are_named_as_what_they_are() {
    let build = |base_url: &str, options: &[(&str, &str)], variable: &str, path: &str| {
        let mut config = Config::without_environment();
        config.set_variable(variable, path);
        let own = [
            ("api_key", TEST_KEY),
            ("merchant_id", TEST_MERCHANT),
            ("base_url", base_url),
        ];
        for (name, value) in own.iter().chain(options) {
            config.set(name, value).unwrap();
        }
        TokenManager::new(config)
    };
    let harness = Harness::new();
    let file = std::env::temp_dir().join(format!("pay88-authorities-{}.pem", std::process::id()));
    harness.sandbox.write_ca(&file).unwrap();
    let authorities = file.to_str().unwrap();
    let bundle = ("ca_bundle", authorities);
    let store = ("share", "rediss://store.example:6379");
    for (number, options) in [
        [].as_slice(),
        &[store],
        // Then they are those of the store alone.
        &[store, bundle],
    ]
    .into_iter()
    .enumerate()
    {
        let base_url = format!("https://authorities-{number}.example");
        let _kept = build(&base_url, options, "SSL_CERT_FILE", authorities).unwrap();
        for (variable, path) in [
            ("SSL_CERT_FILE", "/nonexistent/ca.pem"),
            ("SSL_CERT_DIR", "/etc/ssl/certs"),
        ] {
            let error = build(&base_url, options, variable, path).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConfigInvalid);
            assert!(
                error.message().contains("SSL_CERT_FILE or SSL_CERT_DIR"),
                "{options:?}: {error}"
            );
            assert!(!error.message().contains("option"), "{options:?}: {error}");
            // An option that differs, too, is what is told first: it is the program's own.
            let other = ("safety_margin", "5");
            let error =
                build(&base_url, &[options, &[other]].concat(), variable, path).unwrap_err();
            assert!(error.message().contains("option safety_margin "), "{error}");
        }
    }
    // Where all have authorities of their own nobody goes by them.
    let trusting = format!("rediss://store.example:6379?ca={authorities}");
    for (base_url, options) in [
        ("https://bundle.example", [bundle].as_slice()),
        ("https://bundles.example", &[bundle, ("share", &trusting)]),
    ] {
        let _kept = build(base_url, options, "SSL_CERT_FILE", authorities).unwrap();
        let same = build(base_url, options, "SSL_CERT_FILE", "/nonexistent");
        assert!(same.is_ok(), "{options:?}: {same:?}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_manager_that_nobody_holds_gives_way_to_other_options() {
    let base_url = "https://unheld.example";
    let first = elsewhere(base_url, &[]).unwrap().id();
    assert_eq!(elsewhere(base_url, &[]).unwrap().id(), first);
    let other = elsewhere(base_url, &[("tokens_per_hour", "99")]).unwrap();
    assert_ne!(other.id(), first);
    assert!(elsewhere(base_url, &[]).is_err());
}

#[test]
fn a_closed_handle_holds_no_option_of_its_manager() {
    let base_url = "https://closed.example";
    let (first, second) = (
        elsewhere(base_url, &[]).unwrap(),
        elsewhere(base_url, &[]).unwrap(),
    );
    let other = [("share", "process")];
    first.close();
    first.close();
    // The second one is still open.
    let error = elsewhere(base_url, &other).unwrap_err();
    assert!(error.message().contains("option share "), "{error}");
    assert!(error.hint().contains("`close`"), "{error}");
    second.close();
    let third = elsewhere(base_url, &other).unwrap();
    assert_ne!(third.id(), first.id());
    // To drop what was closed changes nothing: the third one is still open.
    drop((first, second));
    assert!(elsewhere(base_url, &[]).is_err());
}

#[test]
fn time_outs_and_user_agent_belong_to_the_handle() {
    let harness = Harness::new();
    let manager = harness.manager();
    let hasty = harness.manager_with(&[("timeout", "3"), ("user_agent_suffix", "shop/2")]);
    assert_eq!(hasty.id(), manager.id());
    for (handle, agent) in [(&manager, ""), (&hasty, " shop/2")] {
        let echo = handle
            .make_request(Request::get("/api/echo"))
            .unwrap()
            .json()
            .unwrap();
        let expected = format!("pay88/{}{agent}", pay88::VERSION);
        assert_eq!(echo["data"]["headers"]["user-agent"], expected);
    }
    harness
        .sandbox
        .fault(Fault::once(Match::Calls, Action::Stall));
    let started = Instant::now();
    assert_eq!(
        hasty.make_request(charge()).unwrap_err().code(),
        ErrorCode::Timeout
    );
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn closing_a_handle_cancels_its_pending_calls_and_no_others() {
    let harness = Harness::new();
    let open = harness.manager();
    open.get_token().unwrap();
    harness
        .sandbox
        .set(|switches| switches.call_delay = Duration::from_secs(10));
    let closing = harness.manager();
    let (sender, receiver) = mpsc::channel();
    let each = |handle| EACH_WAY.map(|way| (handle, way));
    for (handle, way) in each(&closing).into_iter().chain(each(&open)) {
        let (handle, sender) = (handle.clone(), sender.clone());
        thread::spawn(move || sender.send(way.call(&handle, charge())).unwrap());
    }
    while harness.sandbox.counters().charges_created < 6 {
        thread::sleep(Duration::from_millis(10));
    }
    closing.close();
    for _ in EACH_WAY {
        let error = receiver
            .recv_timeout(Duration::from_secs(5))
            .unwrap()
            .unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (ErrorCode::Canceled, Outcome::Unknown)
        );
    }
    for _ in EACH_WAY {
        let answer = receiver
            .recv_timeout(Duration::from_secs(40))
            .unwrap()
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert!(closing.is_closed() && !open.is_closed());
    for error in [
        closing.get_token().unwrap_err(),
        closing.peek_token().unwrap_err(),
        closing.invalidate().unwrap_err(),
        closing.rotate(TEST_KEY, true).unwrap_err(),
        closing.make_request(charge()).unwrap_err(),
        Way::Asynchronous.call(&closing, charge()).unwrap_err(),
        Way::Runtime.call(&closing, charge()).unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
    }
    open.get_token().unwrap();
    // Building it again gives an open handle of the same manager.
    assert_eq!(harness.manager().id(), open.id());
    assert_eq!(harness.tokens_requested(), 1);
}

#[test]
fn a_token_is_dropped_on_request_once_in_ten_seconds() {
    let harness = Harness::new();
    let manager = harness.manager();
    assert!(!manager.invalidate().unwrap());
    let first = manager.get_token().unwrap();
    assert!(manager.invalidate_token(&first).unwrap());
    let second = manager.get_token().unwrap();
    // The generation that is gone already drops nothing.
    assert!(!manager.invalidate_token(&first).unwrap());
    let error = manager.invalidate().unwrap_err();
    assert_eq!(error.code(), ErrorCode::RateLimited);
    assert!(error.retry_after().unwrap() <= Duration::from_secs(10));
    assert!(manager.get_token().unwrap().same_as(&second));
}
