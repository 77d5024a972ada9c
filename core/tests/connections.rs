//! Connections that idle, that are shared, and that never come to be: through the engine, at real nginx.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "host/yardstick.rs"]
mod yardstick;

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pay88::ffi::prepare_request;
use pay88::{Config, ErrorCode, Outcome, Request, TokenManager};
use pay88_sandbox::{Sandbox, TEST_KEY, TEST_MERCHANT};
use serde_json::json;
use yardstick::in_time;

fn charge() -> Request {
    Request::post("/api/transactions/charges").json(&json!({
        "flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"
    }))
}

/// The status of a call without a body.
fn echo(manager: &TokenManager) -> u16 {
    let answer = manager.make_request(Request::get("/api/echo"));
    answer.unwrap().status()
}

fn manager(base_url: &str, authority: &str, options: &[(&str, &str)]) -> TokenManager {
    let mut config = Config::without_environment()
        .with("api_key", TEST_KEY)
        .and_then(|config| config.with("merchant_id", TEST_MERCHANT))
        .and_then(|config| config.with("base_url", base_url))
        .and_then(|config| config.with("share", "process"))
        .and_then(|config| config.with("ca_bundle", authority))
        .unwrap();
    for (name, value) in options {
        config.set(name, value).unwrap();
    }
    TokenManager::new(config).unwrap()
}

/// Fails the test when `work` takes longer.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(limit)
        .expect("it hangs, or a thread panicked")
}

/// nginx with TLS 1.3 before a sandbox.
struct Nginx {
    process: Child,
    folder: PathBuf,
    port: u16,
    sandbox: Sandbox,
}

impl Nginx {
    /// `keeping` says how long it keeps a connection.
    fn start(keeping: &str) -> Nginx {
        // Another test may take the port between the look and the start.
        (0..5)
            .find_map(|_| Nginx::at_a_free_port(keeping))
            .expect("nginx does not start")
    }

    fn at_a_free_port(keeping: &str) -> Option<Nginx> {
        let sandbox = Sandbox::start(pay88_sandbox::Config {
            tls: false,
            control: None,
            ..pay88_sandbox::Config::default()
        })
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder =
            std::env::temp_dir().join(format!("pay88-nginx-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), certified.cert.pem()).unwrap();
        std::fs::write(
            folder.join("key.pem"),
            certified.signing_key.serialize_pem(),
        )
        .unwrap();
        let shown = folder.display();
        let upstream = sandbox.base_url();
        let configuration = format!(
            "daemon off; worker_processes 1; pid {shown}/pid; error_log {shown}/error.log;
             events {{ worker_connections 256; }}
             http {{
               log_format one '$connection $request_method $status'; access_log {shown}/access.log one;
               client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
               fastcgi_temp_path {shown}/f; uwsgi_temp_path {shown}/u; scgi_temp_path {shown}/s;
               server {{
                 listen 127.0.0.1:{port} ssl http2; server_name localhost; {keeping};
                 ssl_certificate {shown}/cert.pem; ssl_certificate_key {shown}/key.pem; ssl_protocols TLSv1.3;
                 location / {{ proxy_pass {upstream}; }}
               }}
             }}"
        );
        std::fs::write(folder.join("nginx.conf"), configuration).unwrap();
        let mut process = Command::new("nginx")
            .args(["-e", "stderr", "-c"])
            .arg(folder.join("nginx.conf"))
            .env(
                "PATH",
                format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
            )
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is needed: install Debian's nginx-light");
        let begun = Instant::now();
        // It writes the number of its process when it has the port.
        while !folder.join("pid").exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "nginx does not answer"
            );
            if process.try_wait().unwrap().is_some() {
                let _ = std::fs::remove_dir_all(&folder);
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Nginx {
            process,
            folder,
            port,
            sandbox,
        })
    }

    fn manager(&self) -> TokenManager {
        self.manager_with(&[])
    }

    fn manager_with(&self, options: &[(&str, &str)]) -> TokenManager {
        let authority = self.folder.join("cert.pem");
        manager(
            &format!("https://localhost:{}", self.port),
            authority.to_str().unwrap(),
            options,
        )
    }

    /// The connections that charges came by, in nginx's numbers.
    fn charges(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.join("access.log")).unwrap();
        let posts = log.lines().filter(|line| line.contains(" POST "));
        posts
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, not KILL: the workers go with their master.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ten charges 2.5 s apart; `send` sends one and gives its status.
fn ten_charges(send: impl Fn(&TokenManager) -> u16 + Send + 'static) {
    within(Duration::from_secs(90), move || {
        let nginx = Nginx::start("keepalive_timeout 1");
        let manager = nginx.manager();
        for number in 0..10 {
            if number > 0 {
                std::thread::sleep(Duration::from_millis(2500));
            }
            assert_eq!(send(&manager), 200, "charge {number}");
        }
        assert_eq!(nginx.sandbox.counters().charges_created, 10);
        assert_eq!(manager.stats().calls_repeated, 0);
        let mut seen = nginx.charges();
        for _ in 0..100 {
            // nginx writes its log when the answer is out.
            if seen.len() >= 11 {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            seen = nginx.charges();
        }
        assert_eq!(
            seen.len(),
            11,
            "ten charges and the token, none of them twice"
        );
        seen.dedup();
        assert!(
            seen.len() >= 10,
            "the connections were closed in between: {seen:?}"
        );
    });
}

#[test]
fn ten_blocking_charges_survive_a_server_that_closes_idle_connections() {
    ten_charges(|manager| manager.make_request(charge()).unwrap().status());
}

#[test]
fn ten_asynchronous_charges_survive_a_server_that_closes_idle_connections() {
    ten_charges(|manager| {
        let (sender, receiver) = mpsc::channel();
        let done = move |result: pay88::Result<pay88::Response>| {
            sender.send(result.map(|answer| answer.status())).unwrap()
        };
        prepare_request(manager, charge(), done).unwrap().start();
        receiver
            .recv_timeout(Duration::from_secs(40))
            .unwrap()
            .unwrap()
    });
}

/// So many charges at a time.
const AT_A_TIME: usize = 32;

/// Sends that many charges; gives what came of each.
type SendMany = fn(&TokenManager, usize) -> Vec<pay88::Result<u16>>;

fn by_threads(manager: &TokenManager, number: usize) -> Vec<pay88::Result<u16>> {
    let begun = AtomicUsize::new(0);
    let send = || {
        let mut results = Vec::new();
        while begun.fetch_add(1, Ordering::Relaxed) < number {
            let result = manager.make_request(charge());
            results.push(result.map(|answer| answer.status()));
        }
        results
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(send)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.flatten().collect()
    })
}

fn by_the_library(manager: &TokenManager, number: usize) -> Vec<pay88::Result<u16>> {
    let (sender, receiver) = mpsc::channel();
    let start = || {
        let sender = sender.clone();
        let done = move |result: pay88::Result<pay88::Response>| {
            sender.send(result.map(|answer| answer.status())).unwrap()
        };
        prepare_request(manager, charge(), done).unwrap().start();
    };
    (0..AT_A_TIME).for_each(|_| start());
    let mut results = Vec::new();
    while results.len() < number {
        results.push(receiver.recv_timeout(Duration::from_secs(400)).unwrap());
        if results.len() + AT_A_TIME <= number {
            start();
        }
    }
    results
}

fn by_a_runtime(manager: &TokenManager, number: usize) -> Vec<pay88::Result<u16>> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        let (mut begun, mut results) = (0, Vec::new());
        while results.len() < number {
            while begun < number && calls.len() < AT_A_TIME {
                let manager = manager.clone();
                calls.spawn(async move { manager.make_request_async(charge()).await });
                begun += 1;
            }
            let result = calls.join_next().await.unwrap().unwrap();
            results.push(result.map(|answer| answer.status()));
        }
        results
    })
}

/// 5,000 charges at a server that ends connections in order: it says so in the last answer of each, or closes one
/// that idled. After a stall of that machine it closes all of them at the moment when their next charges are sent.
fn no_charge_is_in_doubt(send: SendMany) {
    in_time(|| each_charge_is_answered(send));
}

fn each_charge_is_answered(send: SendMany) {
    const NUMBER: usize = 5_000;
    within(Duration::from_secs(600), move || {
        let nginx = Nginx::start("keepalive_requests 20; keepalive_timeout 1");
        // A busy machine takes long for some. Nothing here is to be cut.
        let manager = nginx.manager_with(&[("timeout", "300"), ("connect_timeout", "300")]);
        for result in send(&manager, NUMBER) {
            assert_eq!(result.unwrap(), 200);
        }
        assert_eq!(nginx.sandbox.counters().charges_created, NUMBER as u64);
        let mut connections = nginx.charges();
        connections.sort_unstable();
        connections.dedup();
        let number = connections.len();
        println!("{number} connections");
        // Where the machine is busy some idle for nearly a second, and end: then each charge has one of its own.
        assert!(number >= NUMBER / 20, "{number}");
    });
}

#[test]
fn a_server_that_ends_connections_in_order_leaves_no_blocking_charge_in_doubt() {
    no_charge_is_in_doubt(by_threads);
}

#[test]
fn a_server_that_ends_connections_in_order_leaves_no_asynchronous_charge_in_doubt() {
    no_charge_is_in_doubt(by_the_library);
}

#[test]
fn a_server_that_ends_connections_in_order_leaves_no_charge_of_a_runtime_in_doubt() {
    no_charge_is_in_doubt(by_a_runtime);
}

fn at_a_sandbox(work: impl FnOnce(&Sandbox, TokenManager) + Send + 'static) {
    within(Duration::from_secs(120), move || {
        let sandbox = Sandbox::start(pay88_sandbox::Config {
            control: None,
            ..pay88_sandbox::Config::default()
        })
        .unwrap();
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let authority = std::env::temp_dir().join(format!(
            "pay88-connections-{}-{number}.pem",
            std::process::id()
        ));
        sandbox.write_ca(&authority).unwrap();
        let manager = manager(&sandbox.base_url(), authority.to_str().unwrap(), &[]);
        work(&sandbox, manager);
        let _ = std::fs::remove_file(authority);
    });
}

#[test]
fn a_thousand_calls_each_on_a_new_thread_use_at_most_two_connections() {
    at_a_sandbox(|sandbox, manager| {
        for _ in 0..1000 {
            let manager = manager.clone();
            let status = std::thread::spawn(move || echo(&manager));
            assert_eq!(status.join().unwrap(), 200);
        }
        assert!(
            sandbox.counters().connections_accepted <= 2,
            "{:?}",
            sandbox.counters()
        );
    });
}

#[test]
fn two_threads_that_take_turns_never_wait_for_each_other() {
    let in_turns = || {
        at_a_sandbox(|sandbox, manager| {
            assert_eq!(echo(&manager), 200);
            let mut took = Vec::new();
            let (to_other, from_other) = (mpsc::channel::<()>(), mpsc::channel::<Duration>());
            let other = manager.clone();
            let thread = std::thread::spawn(move || {
                while to_other.1.recv().is_ok() {
                    let begun = Instant::now();
                    assert_eq!(echo(&other), 200);
                    from_other.0.send(begun.elapsed()).unwrap();
                }
            });
            for _ in 0..100 {
                let begun = Instant::now();
                assert_eq!(echo(&manager), 200);
                took.push(begun.elapsed());
                to_other.0.send(()).unwrap();
                took.push(from_other.1.recv_timeout(Duration::from_secs(30)).unwrap());
            }
            drop(to_other.0);
            thread.join().unwrap();
            took.sort();
            let (usual, longest) = (took[50], took[199]);
            println!(
                "200 calls in turns: a quarter took less than {usual:?}, the longest {longest:?}"
            );
            // Calls that waited for a slice of waiting would take 50 ms, one that waited for the other thread's next one for ever.
            assert!(usual < Duration::from_millis(50), "{took:?}");
            assert!(longest < Duration::from_millis(500), "{longest:?}");
            assert!(sandbox.counters().connections_accepted <= 2);
        })
    };
    in_time(in_turns);
}

/// Run in a network of its own where the name server takes questions and never answers.
const INSIDE: &str = "PAY88_TEST_WITHOUT_NAMES";

#[test]
fn a_name_that_never_resolves_ends_the_call_at_its_deadline() {
    if std::env::var_os(INSIDE).is_some() {
        return without_names();
    }
    let folder = std::env::temp_dir().join(format!("pay88-names-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut resolv = std::fs::File::create(folder.join("resolv.conf")).unwrap();
    writeln!(
        resolv,
        "nameserver 127.0.0.1\noptions timeout:30 attempts:1"
    )
    .unwrap();
    let script = "ip link set lo up && mount --bind \"$1\" \"$(readlink -f /etc/resolv.conf)\" && exec \"$2\" --exact a_name_that_never_resolves_ends_the_call_at_its_deadline --nocapture";
    // SAFETY: getuid has no preconditions.
    let root = unsafe { libc::getuid() } == 0;
    let output = Command::new("timeout")
        .args(["60", "unshare", "--mount", "--net"])
        .args((!root).then_some("--map-root-user"))
        .args(["sh", "-c", script, "sh"])
        .arg(folder.join("resolv.conf"))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output()
        .expect("unshare is needed: install Debian's util-linux and iproute2");
    std::fs::remove_dir_all(folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
}

fn without_names() {
    let server = std::net::UdpSocket::bind("127.0.0.1:53").unwrap();
    let manager = {
        let config = Config::without_environment()
            .with("api_key", "sk_test_sandbox_0123456789abcdef")
            .and_then(|config| config.with("merchant_id", TEST_MERCHANT))
            .and_then(|config| config.with("base_url", "https://pay.example"))
            .and_then(|config| config.with("share", "process"))
            .and_then(|config| config.with("connect_timeout", "30"));
        TokenManager::new(config.unwrap()).unwrap()
    };
    let begun = Instant::now();
    let error = manager
        .make_request(charge().timeout(Duration::from_millis(700)))
        .unwrap_err();
    let took = begun.elapsed();
    assert_eq!(
        (error.code(), error.outcome()),
        (ErrorCode::Timeout, Outcome::NotSent)
    );
    println!("a deadline of 700 ms ended the call after {took:?}");
    assert!(
        took >= Duration::from_millis(690) && took < Duration::from_secs(7),
        "{took:?}"
    );
    let (sender, receiver) = mpsc::channel();
    let begun = Instant::now();
    let request = charge().timeout(Duration::from_millis(700));
    prepare_request(&manager, request, move |result| {
        sender.send(result).unwrap()
    })
    .unwrap()
    .start();
    let error = receiver
        .recv_timeout(Duration::from_secs(30))
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (ErrorCode::Timeout, Outcome::NotSent)
    );
    assert!(begun.elapsed() < Duration::from_secs(7));
    server
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert!(
        server.recv(&mut [0; 512]).unwrap() > 12,
        "the name was asked for"
    );
}
