//! The limits of 88Pay, on a virtual clock and without a network.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::time::Duration;

use pay88_sandbox::{
    Answer, Clock, Config, Request, Service, TEST_KEY, TEST_MERCHANT, TOKEN_PATH, VirtualClock,
    Windows,
};
use serde_json::json;

struct World {
    clock: VirtualClock,
    service: Service,
}

impl World {
    fn new(config: Config) -> World {
        let clock = VirtualClock::default();
        let service = Service::new(&Config {
            clock: Clock::Virtual(clock.clone()),
            ..config
        })
        .unwrap();
        World { clock, service }
    }

    fn after(&self, seconds: f64) -> &World {
        self.clock.advance(Duration::from_secs_f64(seconds));
        self
    }

    fn token(&self) -> Answer {
        self.token_with(TEST_KEY)
    }

    fn token_with(&self, key: &str) -> Answer {
        self.service.handle(&Request {
            method: "POST".into(),
            target: TOKEN_PATH.into(),
            headers: vec![
                ("x-api-key".into(), key.into()),
                ("x-merchant-id".into(), TEST_MERCHANT.into()),
            ],
            body: Vec::new(),
        })
    }

    fn call(&self, target: &str, token: &Answer) -> Answer {
        let data = &token.json()["data"];
        let bearer = format!("Bearer {}", data["access_token"].as_str().unwrap());
        self.service.handle(&Request {
            method: "POST".into(),
            target: target.into(),
            headers: vec![
                ("Authorization".into(), bearer.into()),
                (
                    "x-session-id".into(),
                    data["session_id"].as_str().unwrap().into(),
                ),
            ],
            body: Vec::new(),
        })
    }
}

fn wait(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429);
    let told: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
    let body = json!({
        "status": "Error",
        "code": 429,
        "message": "Rate limit exceeded. Please try again later.",
        "retry_after": told,
    });
    assert_eq!(answer.json(), body);
    assert_eq!(answer.header("X-RateLimit-Remaining"), Some("0"));
    told
}

fn forgiving() -> Config {
    Config {
        refused_requests_count: false,
        ..Config::default()
    }
}

#[test]
fn the_eleventh_token_in_a_minute_is_refused_until_the_first_is_a_minute_old() {
    let world = World::new(forgiving());
    for second in 0..10 {
        assert_eq!(world.token().status, 200, "at {second}");
        world.after(1.0);
    }
    assert_eq!(wait(&world.token()), 50);
    assert_eq!(wait(&world.after(49.5).token()), 1);
    assert_eq!(world.after(0.5).token().status, 200);
    assert_eq!(wait(&world.token()), 1);
}

#[test]
fn the_hundred_and_first_token_in_an_hour_is_refused_until_the_first_is_an_hour_old() {
    let world = World::new(forgiving());
    for _ in 0..100 {
        assert_eq!(world.token().status, 200);
        world.after(10.0);
    }
    assert_eq!(wait(&world.token()), 2600);
    assert_eq!(wait(&world.after(2599.0).token()), 1);
    assert_eq!(world.after(1.0).token().status, 200);
}

#[test]
fn a_refused_token_request_uses_the_limit_up_as_well() {
    let world = World::new(Config::default());
    for _ in 0..10 {
        world.token();
    }
    world.after(30.0);
    assert_eq!(wait(&world.token()), 30);
    // At 60 s the ten are gone; the refused one of 30 s leaves nine.
    world.after(30.0);
    for _ in 0..9 {
        assert_eq!(world.token().status, 200);
    }
    assert_eq!(wait(&world.token()), 60);
}

#[test]
fn a_client_that_never_waits_never_gets_in_again() {
    let world = World::new(Config::default());
    for _ in 0..10 {
        world.token();
    }
    for _ in 0..100 {
        assert_eq!(world.after(5.0).token().status, 429);
    }
}

#[test]
fn fixed_windows_begin_anew_with_the_minute_of_the_clock() {
    let world = World::new(Config {
        windows: Windows::Fixed,
        ..forgiving()
    });
    world.after(59.0);
    for _ in 0..10 {
        assert_eq!(world.token().status, 200);
    }
    assert_eq!(wait(&world.token()), 1);
    world.after(1.0);
    for _ in 0..10 {
        assert_eq!(world.token().status, 200);
    }
    assert_eq!(wait(&world.token()), 60);
}

#[test]
fn fixed_windows_begin_anew_with_the_hour_of_the_clock() {
    let world = World::new(Config {
        windows: Windows::Fixed,
        tokens_per_minute: 0,
        ..forgiving()
    });
    world.after(3599.0);
    for _ in 0..100 {
        assert_eq!(world.token().status, 200);
    }
    assert_eq!(wait(&world.token()), 1);
    assert_eq!(world.after(1.0).token().status, 200);
}

#[test]
fn the_limit_is_per_key() {
    let world = World::new(Config::default());
    world
        .service
        .add_key(TEST_MERCHANT, "sk_test_sandbox_second_key_1234");
    for _ in 0..11 {
        world.token();
    }
    assert_eq!(world.token().status, 429);
    assert_eq!(
        world.token_with("sk_test_sandbox_second_key_1234").status,
        200
    );
}

#[test]
fn no_limit_is_kept_where_none_is_set() {
    let world = World::new(Config {
        tokens_per_minute: 0,
        tokens_per_hour: 0,
        ..Config::default()
    });
    for _ in 0..300 {
        let answer = world.token();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("X-RateLimit-Limit"), None);
    }
}

#[test]
fn calls_are_limited_as_switched_and_balance_apart() {
    let world = World::new(Config {
        calls_per_minute: 3,
        calls_per_hour: 1000,
        ..Config::default()
    });
    let token = world.token();
    for left in ["2", "1", "0"] {
        let answer = world.call("/api/echo", &token);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("X-RateLimit-Remaining"), Some(left));
    }
    assert_eq!(wait(&world.call("/api/echo", &token)), 60);
    let balance = format!("/api/balance?id={TEST_MERCHANT}");
    assert_eq!(world.call(&balance, &token).status, 200);
}

#[test]
fn a_reset_gives_the_limits_back_and_voids_tokens() {
    let world = World::new(Config::default());
    let token = world.token();
    for _ in 0..10 {
        world.token();
    }
    world.service.reset();
    assert_eq!(world.call("/api/echo", &token).status, 401);
    assert_eq!(world.token().status, 200);
    assert_eq!(world.service.counters().tokens_requested, 1);
}

#[test]
fn two_separate_holders_exceed_the_hour_as_the_documentation_warns() {
    let world = World::new(forgiving());
    let mut refused = 0;
    for _ in 0..72 {
        refused += usize::from(world.token().status == 429);
        refused += usize::from(world.token().status == 429);
        world.after(50.0);
    }
    assert_eq!(refused, 44);
}
