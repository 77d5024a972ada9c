//! Runs the built command against a sandbox of this process, with an environment that holds nothing else, for a limited time.

// Each test file uses a part of it.
#![allow(dead_code)]

pub(crate) mod diagnosis;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pay88_sandbox::{Config, Sandbox, TEST_KEY, TEST_MERCHANT};
use serde_json::Value;
use tempfile::TempDir;

/// Whatever takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn error_json(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A command with no environment but what a system gives to every program.
pub(crate) fn pay88(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pay88"));
    command.args(arguments).env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs it to its end, with `input` on its standard input.
pub(crate) fn run_with(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = collect(child.stdout.take().unwrap());
    let err = collect(child.stderr.take().unwrap());
    // A command that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let status = wait(&mut child);
    Ended {
        status,
        out: out.join().unwrap(),
        err: err.join().unwrap(),
    }
}

pub(crate) fn run(command: Command) -> Ended {
    run_with(command, b"")
}

/// The exit status; a child that does not end in time is killed and fails the test.
pub(crate) fn wait(child: &mut Child) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().expect("ended by a signal");
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// A sandbox and a directory for its certificate authority and other files.
pub(crate) struct Stand {
    pub(crate) sandbox: Sandbox,
    pub(crate) directory: TempDir,
}

impl Stand {
    pub(crate) fn start() -> Stand {
        Stand::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Stand {
        let (sandbox, directory) = (Sandbox::start(config).unwrap(), TempDir::new().unwrap());
        sandbox.write_ca(directory.path().join("ca.pem")).unwrap();
        Stand { sandbox, directory }
    }

    /// A file of that name and content.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command with everything it needs to use the sandbox. What it asks for and keeps is its own: each run is a test.
    pub(crate) fn pay88(&self, arguments: &[&str]) -> Command {
        let mut command = pay88(arguments);
        command
            .env("EIGHTY_EIGHT_PAY_API_KEY", TEST_KEY)
            .env("EIGHTY_EIGHT_PAY_MERCHANT_ID", TEST_MERCHANT)
            .env("EIGHTY_EIGHT_PAY_BASE_URL", self.sandbox.base_url())
            .env("EIGHTY_EIGHT_PAY_SHARE", "process")
            .env(
                "EIGHTY_EIGHT_PAY_CA_BUNDLE",
                self.directory.path().join("ca.pem"),
            );
        command
    }

    /// Runs it; neither the key nor any token or session ID may be in what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        quiet(run(self.pay88(arguments)))
    }
}

/// Passes on what shows no secret of the sandbox.
pub(crate) fn quiet(ended: Ended) -> Ended {
    shows_nothing_of(&ended, TEST_KEY.trim_start_matches("sk_test_sandbox_"));
    for text in [&ended.out, &ended.err] {
        // How every JWT begins, and what follows the prefix of every session ID but a mask.
        assert!(!text.contains("eyJ"), "{ended:?}");
        let mut sessions = text.match_indices("sess_").map(|(at, _)| &text[at + 5..]);
        let bare = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        assert!(!sessions.any(bare), "{ended:?}");
    }
    ended
}

/// No piece of 12 characters of it is there.
pub(crate) fn shows_nothing_of(ended: &Ended, secret: &str) {
    let pieces: Vec<char> = secret.chars().collect();
    for piece in pieces.windows(12.min(pieces.len())) {
        let piece: String = piece.iter().collect();
        assert!(
            !ended.out.contains(&piece) && !ended.err.contains(&piece),
            "{ended:?}"
        );
    }
}
