//! Programs that keep reqwest, at a sandbox.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pay88::adapters::reqwest::{Client, Error};
use pay88::{Config, ErrorCode, TokenManager};
use pay88_sandbox::{Action, Fault, Match, Sandbox, TEST_KEY, TEST_MERCHANT};
use reqwest::{Body, Request};

const ECHO: &str = "/api/echo";

/// A sandbox, a manager of it, and a client.
fn harness() -> (Sandbox, TokenManager, Client) {
    let sandbox = Sandbox::start(pay88_sandbox::Config {
        tls: false,
        control: None,
        ..pay88_sandbox::Config::default()
    })
    .unwrap();
    let base_url = sandbox.base_url();
    let mut config = Config::without_environment();
    for (name, value) in [
        ("api_key", TEST_KEY),
        ("merchant_id", TEST_MERCHANT),
        ("base_url", base_url.as_str()),
        ("share", "process"),
    ] {
        config.set(name, value).unwrap();
    }
    let manager = TokenManager::new(config).unwrap();
    let client = Client::new(reqwest::Client::builder(), manager.clone()).unwrap();
    (sandbox, manager, client)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

fn echo(client: &Client, base_url: &str) -> Request {
    client
        .inner()
        .post(format!("{base_url}{ECHO}"))
        .build()
        .unwrap()
}

#[test]
fn a_request_carries_the_pair_and_a_revoked_token_is_renewed_once() {
    let (sandbox, manager, client) = harness();
    run(async {
        let send = || client.execute(echo(&client, manager.base_url()));
        assert_eq!(send().await.unwrap().status(), 200);
        sandbox.revoke_all();
        assert_eq!(send().await.unwrap().status(), 200);
    });
    let counters = sandbox.counters();
    assert_eq!((counters.tokens_issued, counters.unauthorized), (2, 1));
}

#[test]
fn a_path_that_always_answers_401_is_asked_twice_at_most() {
    let (sandbox, manager, client) = harness();
    sandbox.fault(Fault::always(Match::Path(ECHO.into()), Action::status(401)));
    run(async {
        for _ in 0..3 {
            let answer = client.execute(echo(&client, manager.base_url())).await;
            assert_eq!(answer.unwrap().status(), 401);
        }
    });
    let asked = sandbox
        .log()
        .iter()
        .filter(|entry| entry.target == ECHO)
        .count();
    // Twice by the first call. Then tokens were dropped too often.
    assert_eq!((asked, sandbox.counters().tokens_issued), (4, 2));
}

#[test]
fn a_body_that_cannot_be_sent_again_is_sent_once() {
    let (sandbox, manager, client) = harness();
    run(async {
        let once = http_body_util::Full::new(bytes::Bytes::from_static(b"{}"));
        let mut request = echo(&client, manager.base_url());
        *request.body_mut() = Some(Body::wrap(once));
        manager.get_token_async().await.unwrap();
        sandbox.revoke_all();
        assert_eq!(client.execute(request).await.unwrap().status(), 401);
    });
    assert_eq!(sandbox.counters().tokens_issued, 1);
}

#[test]
fn no_redirect_is_followed_whatever_the_program_asked_for() {
    let (sandbox, manager, _) = harness();
    let target = format!("{}/api/elsewhere", sandbox.base_url());
    sandbox.fault(Fault::always(
        Match::Path(ECHO.into()),
        Action::redirect(307, &target),
    ));
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(5));
    let client = Client::new(builder, manager.clone()).unwrap();
    let answer = run(client.execute(echo(&client, manager.base_url()))).unwrap();
    assert_eq!(answer.status(), 307);
    assert!(
        sandbox
            .log()
            .iter()
            .all(|entry| entry.target != "/api/elsewhere")
    );
}

#[test]
fn what_is_not_for_88pay_is_refused_and_costs_no_token() {
    let (sandbox, manager, client) = harness();
    let base = manager.base_url().to_owned();
    run(async {
        for url in [
            "http://127.0.0.1:9/api/balance".to_owned(),
            "https://api.88pay.io.evil.example/api/balance".to_owned(),
            format!("{base}/api/auth/token"),
            format!("{base}/API/auth//token/"),
            format!("{base}/api/%61uth/token"),
            base.replace("http:", "https:") + ECHO,
        ] {
            let request = client.inner().post(&url).build().unwrap();
            let Err(Error::Pay88(error)) = client.execute(request).await else {
                panic!("{url} was sent");
            };
            assert_eq!(error.code(), ErrorCode::Refused, "{url}");
        }
    });
    assert_eq!(sandbox.counters().tokens_requested, 0);
}
