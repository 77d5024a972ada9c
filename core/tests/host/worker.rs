//! Other processes for the tests: the test binary starts itself again, and such a worker does what it is told line by line.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use pay88::ffi::prepare_request;
use pay88::hooks::RefreshStep;
use pay88::{Config, Request, TokenManager};
use serde_json::{Map, Value, json};

/// Of the sandbox's token endpoint, where forks are to fall into refreshes.
pub(crate) const TOKEN_DELAY: Duration = Duration::from_millis(300);

const ROLE: &str = "PAY88_TEST_WORKER";

/// No answer may take longer; most are there at once.
const LIMIT: Duration = Duration::from_secs(40);

/// A process with a manager.
pub(crate) struct Worker {
    process: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    /// Starts a process; its manager is built by the first order that needs it.
    pub(crate) fn start(options: &Map<String, Value>) -> Worker {
        Worker::start_by(Command::new(std::env::current_exe().unwrap()), options)
    }

    /// A process as in a container: in mount and process namespaces of its own, with nothing in `/dev/shm`, and with
    /// `directory` at the path `at`.
    pub(crate) fn contained(options: &Map<String, Value>, directory: &Path, at: &Path) -> Worker {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-ec"])
            .arg("mount --bind \"$1\" \"$2\"; mount -t tmpfs none /dev/shm; shift 2; exec \"$@\"")
            .arg("sh")
            .args([directory, at])
            .arg(std::env::current_exe().unwrap());
        Worker::start_by(command, options)
    }

    fn start_by(mut command: Command, options: &Map<String, Value>) -> Worker {
        let mut process = command
            .args([
                "--exact",
                "worker::work",
                "--nocapture",
                "--ignored",
                "--test-threads=1",
            ])
            .env(ROLE, Value::Object(options.clone()).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (said, answers) = channel();
        let out = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            for line in out.lines() {
                let Ok(line) = line else { return };
                // What the test harness prints is no answer.
                if let Some(answer) = line.strip_prefix('@')
                    && said.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Worker {
            orders: process.stdin.take().unwrap(),
            process,
            answers,
        }
    }

    pub(crate) fn tell(&mut self, order: &str) {
        // A worker may have been killed.
        let _ = writeln!(self.orders, "{order}");
    }

    /// The next answer; `None` if the process has ended.
    pub(crate) fn hear(&mut self) -> Option<Value> {
        self.hear_in(LIMIT)
    }

    /// The next answer of an order that takes longer than most.
    pub(crate) fn hear_within(&mut self, limit: Duration) -> Value {
        self.hear_in(limit).unwrap()
    }

    fn hear_in(&mut self, limit: Duration) -> Option<Value> {
        let end = Instant::now() + limit;
        loop {
            match self.answers.recv_timeout(Duration::from_millis(20)) {
                Ok(answer) => return Some(serde_json::from_str(&answer).unwrap()),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(_) => assert!(Instant::now() < end, "no answer within {limit:?}"),
            }
        }
    }

    pub(crate) fn ask(&mut self, order: &str) -> Value {
        self.tell(order);
        self.hear()
            .unwrap_or_else(|| panic!("{order}: the worker has ended"))
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: the process is a child of this one that was not waited for.
        unsafe { libc::kill(self.process.id() as i32, signal) };
    }

    /// Waits until the process is stopped or dead.
    pub(crate) fn wait_for_state(&self, states: &[char]) {
        let path = format!("/proc/{}/stat", self.process.id());
        let end = Instant::now() + LIMIT;
        loop {
            let stat = std::fs::read_to_string(&path).unwrap();
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            if states.contains(&state.unwrap()) {
                return;
            }
            assert!(Instant::now() < end, "never in {states:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Not a test: what a worker does. It ends with its input.
#[test]
#[ignore = "the other side of Worker"]
fn work() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    // The harness has begun a line.
    println!();
    let options: Map<String, Value> = serde_json::from_str(&role).unwrap();
    let mut manager: Option<TokenManager> = None;
    let mut many = Vec::new();
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let answer = match words[0] {
            "become" => become_user(number(1) as u32, number(2) as u32),
            "hide" => hide(words[1], words[2]),
            "fill" => fill(words[1]),
            "many" => {
                many = (0..number(1))
                    .map(|number| with_number(&options, number))
                    .collect();
                many.iter()
                    .filter(|manager| is_token(manager))
                    .count()
                    .into()
            }
            "again" => many
                .iter()
                .filter(|manager| is_token(manager))
                .count()
                .into(),
            "release" => {
                many.clear();
                Value::Null
            }
            "asynchronous" => asynchronous(build(&options)),
            "descriptors" => descriptors().into(),
            "limit" => limit_files(number(2)),
            // SAFETY: nothing of this process holds that descriptor but the stream itself.
            "close" => json!(unsafe { libc::close(2) } == 0),
            "complaints" => json!(COMPLAINTS.load(Ordering::Relaxed)),
            "open" => open(words[1]),
            "at" => {
                act_at(words[1], words[2..].join(" "));
                Value::Null
            }
            "do" => {
                act(&words[1..].join(" "));
                Value::Null
            }
            "shorten" => {
                pay88::hooks::shorten_refresh(Duration::from_millis(number(1)));
                Value::Null
            }
            order => {
                let manager = manager.get_or_insert_with(|| build(&options));
                match order {
                    "token" => token(manager, digest),
                    "pair" => token(manager, str::to_owned),
                    // Its answer comes when it is there; orders are taken meanwhile.
                    "begin" => {
                        let manager = manager.clone();
                        thread::spawn(move || println!("@{}", token(&manager, digest)));
                        Value::Null
                    }
                    "call" => call(manager),
                    "stats" => manager.stats().to_json(),
                    "invalidate" => match manager.invalidate() {
                        Ok(dropped) => json!(dropped),
                        Err(error) => json!(error.code().name()),
                    },
                    "steady" => steady(manager, Duration::from_secs(number(1)), number(2)),
                    "random" => random(manager, number(1), number(2)),
                    "forks" => forks(manager, number(1)),
                    other => panic!("unknown order {other}"),
                }
            }
        };
        println!("@{answer}");
    }
}

/// Tells one secret from another. A test that fails prints what it compared, and no secret may be in that.
pub(crate) fn digest(secret: &str) -> String {
    let mut hasher = DefaultHasher::new();
    secret.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn token(manager: &TokenManager, shown: impl Fn(&str) -> String) -> Value {
    match manager.get_token() {
        Ok(token) => {
            json!({"token": shown(token.access_token()), "session": shown(token.session_id())})
        }
        Err(error) => json!({
            "error": error.code().name(), "message": error.message(),
            "retry_after": error.retry_after().map(|after| after.as_secs_f64()),
        }),
    }
}

fn call(manager: &TokenManager) -> Value {
    match manager.make_request(Request::get("/api/echo")) {
        Ok(answer) => json!(answer.status()),
        Err(error) => json!(format!("{error}")),
    }
}

/// An asynchronous call, whose callback has the last handle, and how many descriptors are open then.
fn asynchronous(manager: TokenManager) -> Value {
    let (tell, told) = channel();
    let last = manager.clone();
    let done = move |answer: pay88::Result<pay88::Response>| {
        drop(last);
        let status = answer.map(|answer| answer.status());
        tell.send((status, descriptors())).unwrap();
    };
    let task = prepare_request(&manager, Request::get("/api/echo"), done);
    let task = task.unwrap();
    drop(manager);
    task.start();
    match told.recv().unwrap() {
        (Ok(200), descriptors) => json!(descriptors),
        (other, _) => json!(format!("{other:?}")),
    }
}

/// Calls every so many milliseconds: how many calls, which were not answered 200, how many waited for a token, how long
/// the slowest took, and for how many seconds from the beginning this process said now and then that its store is away.
fn steady(manager: &TokenManager, time: Duration, millis: u64) -> Value {
    let start = Instant::now();
    let before = manager.stats().waits;
    let (mut calls, mut failed, mut slowest) = (0, Vec::new(), Duration::ZERO);
    let mut away = None;
    while start.elapsed() < time {
        let begun = Instant::now();
        let answer = call(manager);
        slowest = slowest.max(begun.elapsed());
        calls += 1;
        if answer != 200 {
            failed.push(answer);
        }
        if manager.stats().store_degraded.is_some() {
            away = Some(start.elapsed().as_secs_f64());
        }
        thread::sleep(Duration::from_millis(millis));
    }
    json!({
        "calls": calls, "failed": failed, "waits": manager.stats().waits - before,
        "slowest": slowest.as_secs_f64(), "away": away,
    })
}

/// So many random operations; says each time when ten are done, so that little is lost with the process.
fn random(manager: &TokenManager, seed: u64, operations: u64) -> Value {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut failed = Vec::new();
    for done in 1..=operations {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 20 {
            0 => drop(manager.stats()),
            1 => drop(manager.invalidate()),
            2..=11 => {
                if let Some(error) = token(manager, digest).get("message") {
                    failed.push(error.clone());
                }
            }
            _ => {
                let status = call(manager);
                if status != 200 {
                    failed.push(status);
                }
            }
        }
        thread::sleep(Duration::from_millis((state >> 32) % 25));
        if done % 10 == 0 {
            println!(
                "@{}",
                json!({"done": 10, "failed": std::mem::take(&mut failed)})
            );
        }
    }
    json!("over")
}

/// Forks so many times while four threads call; each child makes two calls and ends. Says how many forks fell into a
/// refresh, whose answer takes at least `TOKEN_DELAY`, and how many descriptors are open in the end.
fn forks(manager: &TokenManager, times: u64) -> Value {
    // When this process last asked for a token, also from one order to the next. Set up before the first call, which asks.
    static ASKED: Mutex<Option<Instant>> = Mutex::new(None);
    pay88::hooks::at_refresh_step(RefreshStep::Announced, || {
        *ASKED.lock().unwrap() = Some(Instant::now());
    });
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (manager, over) = (manager.clone(), over.clone());
            thread::spawn(move || {
                let mut failed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let status = call(&manager);
                    if status != 200 {
                        failed.push(status);
                    }
                }
                failed
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let mut in_refreshes = 0;
    let mut failed = Vec::new();
    let mut children = 0;
    for number in 0..times {
        // Falls into every phase of a token's second.
        thread::sleep(Duration::from_millis(number * 37 % 120));
        let last = *ASKED.lock().unwrap();
        in_refreshes += u64::from(last.is_some_and(|last| last.elapsed() < TOKEN_DELAY));
        // SAFETY: the child calls into the library, which is what is tested, and ends without any destructor.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the child hangs no longer than that.
            unsafe { libc::alarm(20) };
            let good = call(manager) == 200 && call(manager) == 200;
            // SAFETY: ends the child.
            unsafe { libc::_exit(if good { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made, which its alarm ends.
        unsafe { libc::waitpid(child, &mut status, 0) };
        if status != 0 {
            failed.push(json!(format!("child {number}: status {status:#x}")));
        }
        children += 1;
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        failed.extend(thread.join().unwrap());
    }
    json!({
        "children": children, "failed": failed, "in_refreshes": in_refreshes,
        "descriptors": descriptors(),
    })
}

/// When a refresh gets to that step; with `:2` behind it, when it gets there for the second time.
fn act_at(step: &str, deed: String) {
    let (step, time) = step.split_once(':').unwrap_or((step, "1"));
    let mut left: u32 = time.parse().unwrap();
    let step = match step {
        "locked" => RefreshStep::Locked,
        "announced" => RefreshStep::Announced,
        "answered" => RefreshStep::Answered,
        _ => RefreshStep::Published,
    };
    pay88::hooks::at_refresh_step(step, move || {
        left = left.wrapping_sub(1);
        if left == 0 {
            act(&deed);
        }
    });
}

/// Comes to grief: is stopped, is killed, forks a child that lives on and is killed, or has its directory taken away.
fn act(deed: &str) {
    let words: Vec<&str> = deed.split(' ').collect();
    let signal = match words[0] {
        "move" => return std::fs::rename(words[1], words[2]).unwrap(),
        "complain" => return complain(),
        "stop" => libc::SIGSTOP,
        _ => libc::SIGKILL,
    };
    // SAFETY: the forked child only sleeps and ends; a signal to this process needs no memory.
    unsafe {
        if deed == "fork" && libc::fork() == 0 {
            libc::sleep(20);
            libc::_exit(0);
        }
        libc::kill(libc::getpid(), signal);
    }
    // A signal to one's own process may take a moment.
    thread::sleep(Duration::from_millis(50));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn build(options: &Map<String, Value>) -> TokenManager {
    let mut config = Config::without_environment();
    for (name, value) in options {
        config.set(name, value.as_str().unwrap()).unwrap();
    }
    TokenManager::new(config).unwrap()
}

/// A manager of another merchant.
fn with_number(options: &Map<String, Value>, number: u64) -> TokenManager {
    let mut options = options.clone();
    for name in ["api_key", "merchant_id"] {
        let value = format!("{}_{number}", options[name].as_str().unwrap());
        options[name] = value.into();
    }
    build(&options)
}

fn is_token(manager: &TokenManager) -> bool {
    manager.get_token().is_ok()
}

/// How often it was written to a standard error that is closed.
static COMPLAINTS: AtomicU32 = AtomicU32::new(0);

fn complain() {
    let text = b"complaint\n";
    // SAFETY: a text that lives until the call returns; the descriptor may be anybody's, which is what is tested.
    if unsafe { libc::write(2, text.as_ptr().cast(), text.len()) } < 0 {
        COMPLAINTS.fetch_add(1, Ordering::Relaxed);
    }
}

/// No file may become longer in this process.
fn limit_files(bytes: u64) -> Value {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: a valid limit that lives until the call returns.
    json!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) } == 0)
}

/// Writes into that file all that its file system has room for.
fn fill(path: &str) -> Value {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[0x88; 4096]).is_ok() {}
    json!(true)
}

/// Whether this user may read and write that file; else the number of the error.
fn open(path: &str) -> Value {
    let opened = File::options().read(true).write(true).open(path);
    match opened {
        Ok(_) => json!(true),
        Err(error) => json!(error.raw_os_error()),
    }
}

/// Gives up root for good, with one further group.
fn become_user(uid: u32, group: u32) -> Value {
    // SAFETY: plain system calls; `group` lives while it is read.
    let done = unsafe {
        libc::setgroups(1, &group) == 0
            && libc::setresgid(uid, uid, uid) == 0
            && libc::setresuid(uid, uid, uid) == 0
    };
    json!(done)
}

/// Puts an empty tmpfs of that size there, for this process alone.
fn hide(path: &str, size: &str) -> Value {
    let text = |text: &str| std::ffi::CString::new(text).unwrap();
    let (path, kind, size) = (
        text(path),
        text("tmpfs"),
        text(&format!("size={size},mode=770")),
    );
    // SAFETY: texts that end with zero bytes and live until the calls return.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                kind.as_ptr(),
                path.as_ptr(),
                kind.as_ptr(),
                0,
                size.as_ptr().cast(),
            ) == 0
    };
    json!(done)
}
