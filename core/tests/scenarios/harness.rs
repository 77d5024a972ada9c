//! A sandbox, and managers that trust it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Once, mpsc};
use std::time::Duration;

use pay88::ffi::prepare_request;
use pay88::{Config, Error, Events, Request, Response, TokenManager};
use pay88_sandbox::{Merchant, Sandbox, TEST_KEY};
use serde_json::{Value, json};

/// A running sandbox, the file with its authority and the directory where its clients share, which go with it.
///
/// Its merchant is its own, and so are its managers and what they share: the port may be one that an earlier sandbox had.
pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    pub(crate) merchant: String,
    authority: PathBuf,
    shared: PathBuf,
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::with(pay88_sandbox::Config::default())
    }

    pub(crate) fn with(config: pay88_sandbox::Config) -> Harness {
        print_all_events();
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let merchant = format!("MCH-COL-TEST-{number}");
        let sandbox = Sandbox::start(pay88_sandbox::Config {
            control: None,
            merchants: vec![Merchant::new(merchant.as_str(), TEST_KEY)],
            ..config
        })
        .unwrap();
        let authority = std::env::temp_dir().join(format!(
            "pay88-scenario-{}-{number}.pem",
            std::process::id()
        ));
        sandbox.write_ca(&authority).unwrap();
        let shared = PathBuf::from(format!(
            "/dev/shm/pay88-scenario-{}-{number}",
            std::process::id()
        ));
        std::fs::create_dir(&shared).unwrap();
        Harness {
            sandbox,
            merchant,
            authority,
            shared,
        }
    }

    /// Credentials, address and authority, and nothing of the environment.
    pub(crate) fn config(&self, more: &[(&str, &str)]) -> Config {
        let mut config = Config::without_environment();
        let authority = self.authority.to_str().unwrap();
        let base_url = self.sandbox.base_url();
        let share = format!("host:{}", self.shared.display());
        for (name, value) in [
            ("api_key", TEST_KEY),
            ("merchant_id", self.merchant.as_str()),
            ("base_url", base_url.as_str()),
            ("ca_bundle", authority),
            ("share", share.as_str()),
        ]
        .iter()
        .chain(more)
        {
            config.set(name, value).unwrap();
        }
        config
    }

    pub(crate) fn manager(&self) -> TokenManager {
        self.manager_with(&[])
    }

    pub(crate) fn manager_with(&self, more: &[(&str, &str)]) -> TokenManager {
        TokenManager::new(self.config(more)).unwrap()
    }

    /// Token requests that arrived.
    pub(crate) fn tokens_requested(&self) -> u64 {
        self.sandbox.counters().tokens_requested
    }

    /// How often a path was asked for.
    pub(crate) fn seen(&self, path: &str) -> usize {
        let log = self.sandbox.log();
        log.iter()
            .filter(|entry| entry.target.split('?').next() == Some(path))
            .count()
    }
}

/// The clocks of a manager and of its sandbox, which pass together unless a test wants it otherwise.
#[cfg(feature = "test-hooks")]
pub(crate) struct Time {
    pub(crate) server: pay88_sandbox::VirtualClock,
    pub(crate) client: std::sync::Arc<pay88::hooks::VirtualClock>,
}

#[cfg(feature = "test-hooks")]
impl Time {
    pub(crate) fn pass(&self, seconds: f64) {
        let by = std::time::Duration::from_secs_f64(seconds);
        self.server.advance(by);
        self.client.advance(by);
    }
}

#[cfg(feature = "test-hooks")]
impl Harness {
    /// A harness under virtual time, over plain HTTP. It begins at the full hour.
    pub(crate) fn timed() -> (Harness, Time) {
        let time = Time {
            server: Default::default(),
            client: Default::default(),
        };
        let harness = Harness::with(pay88_sandbox::Config {
            tls: false,
            clock: pay88_sandbox::Clock::Virtual(time.server.clone()),
            ..Default::default()
        });
        (harness, time)
    }

    pub(crate) fn manager_in(&self, time: &Time, more: &[(&str, &str)]) -> TokenManager {
        pay88::hooks::manager_with_clock(self.config(more), time.client.clone()).unwrap()
    }
}

/// Waits, in real time, until no refresh is under way.
#[cfg(feature = "test-hooks")]
pub(crate) fn settle(manager: &TokenManager) {
    let started = std::time::Instant::now();
    loop {
        let stats = manager.stats();
        if stats.refreshes == stats.tokens_issued + stats.refreshes_failed {
            return;
        }
        assert!(
            started.elapsed().as_secs() < 30,
            "a refresh does not end: {stats:?}"
        );
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// Every event of every scenario goes to the output of the suite, which is searched for secrets as a whole.
fn print_all_events() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let events = Events::subscribe(65_536);
        std::thread::spawn(move || {
            loop {
                if let Some(event) = events.next(Duration::from_secs(60)) {
                    eprintln!("{event:?} {}", event.to_json());
                }
            }
        });
    });
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.authority);
        let _ = std::fs::remove_dir_all(&self.shared);
    }
}

pub(crate) const CHARGES: &str = "/api/transactions/charges";

/// A charge that the sandbox takes.
pub(crate) fn charge() -> Request {
    let body: Value = json!({
        "flow": "PAYIN", "method_code": "NEQUI", "method_category": "WALLET", "amount": 50000, "currency": "COP",
        "country": "COL", "description": "Order 7", "customer_id": "c-7", "notification_url": "https://shop.example/hook",
    });
    Request::post(CHARGES).json(&body)
}

/// The three ways to make a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Blocking,
    /// On the library's thread.
    Asynchronous,
    /// On a tokio runtime of the caller.
    Runtime,
}

pub(crate) const EACH_WAY: [Way; 3] = [Way::Blocking, Way::Asynchronous, Way::Runtime];

impl Way {
    pub(crate) fn call(self, manager: &TokenManager, request: Request) -> Result<Response, Error> {
        match self {
            Way::Blocking => manager.make_request(request),
            Way::Asynchronous => {
                let (done, result) = mpsc::channel();
                let end = move |result| done.send(result).unwrap();
                prepare_request(manager, request, end)?.start();
                result.recv_timeout(Duration::from_secs(60)).unwrap()
            }
            Way::Runtime => block_on(manager.make_request_async(request)),
        }
    }
}

/// Waits for a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Code, message and attempt: what all who waited for one refresh are told alike.
pub(crate) fn told(error: &Error) -> (&'static str, String, Option<u64>) {
    (
        error.code().name(),
        error.message().to_owned(),
        error.attempt(),
    )
}
