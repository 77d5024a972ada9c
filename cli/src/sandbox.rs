//! `pay88 sandbox`: runs the stand-in for 88Pay until it is told to stop, or for as long as another command runs. Its own
//! commands speak to one that runs.
//!
//! It writes only to files that the user named, and to temporary files that are removed at the end.

mod control;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, ExitStatus};
use std::time::Duration;

use clap::Args;
use pay88::ffi::by_system;
use pay88::{ENVIRONMENT_PREFIX, Error};
use pay88_sandbox::{Clock, Config, Merchant, TEST_KEY, TEST_MERCHANT, VirtualClock, Windows};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::{NamedTempFile, TempDir};

use crate::output::{self, Result};

/// By this variable commands and tests find the control port.
const CONTROL_VARIABLE: &str = "PAY88_SANDBOX_CONTROL";

/// How often the sandbox checks whether the command beside it still runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const USE: &str = "\
Exit status: 0 after SIGINT or SIGTERM; 1 if it cannot start; 3 if its variables cannot be printed; with --exec that of the \
command, 128 and the signal's number if a signal ended it, 126 if it cannot be run, 127 if there is none.

Examples:
  pay88 sandbox --ca ca.pem --print-env > env.sh
  pay88 sandbox --exec -- pay88 doctor
  pay88 sandbox fault calls 503
  pay88 sandbox --listen 0.0.0.0 --port 8443 --name sandbox --ca /shared/ca.pem";

/// Run a stand-in for 88Pay on this machine.
///
/// It serves the token endpoint, charges and the balance, as 88Pay documents them, on loopback, over TLS with a
/// certificate authority of its own. The control port shows counters and the log, and causes faults. It ends with
/// SIGINT (Ctrl-C) or SIGTERM, with status 0.
///
/// All processes that use the variables it sets share one token. They do so in a directory that belongs to this
/// sandbox alone and is removed with it, so no test meets the token of an earlier sandbox. Clients that do not use
/// these variables, but a port and a key that stay the same, need EIGHTY_EIGHT_PAY_SHARE=process.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = USE, after_long_help = format!("{USE}\n\n{}", pay88_sandbox::control::help()))]
pub(crate) struct Sandbox {
    #[command(subcommand)]
    control: Option<control::Command>,

    /// The port for clients. The default is a free one.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    /// Listens for clients on this address instead of 127.0.0.1, for containers. 0.0.0.0 is every address of this
    /// machine.
    ///
    /// Whoever can reach it can use this sandbox and sees what others send to it, so never give it a real key. It
    /// needs TLS. The control port stays on 127.0.0.1.
    #[arg(long, value_name = "ADDR", conflicts_with = "http")]
    listen: Option<IpAddr>,

    /// A name or an address by which clients reach it, besides localhost; may be repeated. The certificate is for all
    /// of them. The base URL has the first one.
    #[arg(long = "name", value_name = "NAME", conflicts_with = "http")]
    names: Vec<String>,

    /// The port for counters, log, faults and switches, on 127.0.0.1. The default is a free one.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    control_port: u16,

    /// Writes the certificate authority to this file. The default is a temporary file, which is removed at the end.
    #[arg(long, value_name = "FILE", conflicts_with = "http")]
    ca: Option<PathBuf>,

    /// Serves plain http instead of TLS.
    #[arg(long)]
    http: bool,

    /// An API key that it accepts; may be repeated. Never give it a real key: other users of the machine can see it.
    #[arg(long = "key", value_name = "KEY", default_value = TEST_KEY)]
    keys: Vec<String>,

    /// The merchant ID that the keys belong to.
    #[arg(long, value_name = "ID", default_value = TEST_MERCHANT)]
    merchant: String,

    /// The `expires_in` of its tokens, as JSON of any type; `null` leaves it out.
    #[arg(long, value_name = "JSON", default_value = "60", value_parser = json_value)]
    expires_in: Value,

    /// A new token makes the earlier tokens of its key invalid.
    #[arg(long)]
    voids_old: bool,

    /// Counts requests by the minute and hour of the clock, instead of by the last 60 and 3600 seconds.
    #[arg(long)]
    fixed_windows: bool,

    /// A token request that is refused does not count against the limit.
    #[arg(long)]
    no_count_refused: bool,

    /// How many tokens a key gets in a minute; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 10)]
    tokens_per_minute: u32,

    /// How many tokens a key gets in an hour; 0 for no limit.
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens_per_hour: u32,

    /// How many calls a merchant may make in a minute; the balance is counted separately. 0 for no limit. 88Pay
    /// documents 60.
    #[arg(long, value_name = "N", default_value_t = 0)]
    calls_per_minute: u32,

    /// How many calls a merchant may make in an hour; the balance is counted separately. 0 for no limit. 88Pay
    /// documents 1000.
    #[arg(long, value_name = "N", default_value_t = 0)]
    calls_per_hour: u32,

    /// How long each answer to a token request is delayed.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    token_delay: Duration,

    /// How long each answer to a call is delayed.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    call_delay: Duration,

    /// Has a clock of its own, which only the control port moves (`POST /clock/advance`). It starts at 2026-01-01.
    #[arg(long)]
    virtual_clock: bool,

    /// Prints only lines for a shell to evaluate: `export EIGHTY_EIGHT_PAY_…='…'`.
    #[arg(long)]
    print_env: bool,

    /// Writes the same lines to this file once the sandbox is ready. The file appears complete, so a script can wait
    /// for it.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// Runs the command after `--` with these variables set, then ends with its status. Passes SIGTERM on to it.
    #[arg(long, requires = "command", conflicts_with = "print_env")]
    exec: bool,

    /// The command of --exec and its arguments.
    #[arg(last = true, value_name = "COMMAND", requires = "exec")]
    command: Vec<String>,
}

impl Sandbox {
    /// Whether errors are told as JSON.
    pub(crate) fn json(&self) -> bool {
        self.control.as_ref().is_some_and(control::Command::json)
    }

    pub(crate) fn run(&self) -> Result<ExitCode> {
        match &self.control {
            Some(command) => command.run(),
            None => self.serve(),
        }
    }

    fn serve(&self) -> Result<ExitCode> {
        // Before anybody can know that it runs, so that a signal always ends it properly.
        let mut signals = Signals::new([SIGINT, SIGTERM])
            .map_err(|error| by_system("Signals cannot be received", &error))?;
        if let Some(path) = &self.ready_file {
            // A file of an earlier run would be taken for this run's.
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(not_written(path, &error).into());
                }
                _ => {}
            }
        }
        let sandbox = pay88_sandbox::Sandbox::start(self.config()).map_err(|error| {
            Error::invalid(
                format!("The sandbox cannot start: {error}."),
                "Choose other ports, or none to take free ones; --listen and --name take addresses of this machine and its names.",
            )
        })?;
        if let Some(address) = self.listen.filter(|address| !address.is_loopback()) {
            // Nobody may be there to read it.
            let _ = writeln!(
                io::stderr(),
                "Warning: everybody who reaches {address} can use this sandbox and sees what is sent to it. Never give it a real key."
            );
        }
        let mut temporary = None;
        let ca = match &self.ca {
            _ if self.http => None,
            Some(path) => {
                sandbox
                    .write_ca(path)
                    .map_err(|error| not_written(path, &error))?;
                Some(absolute(path))
            }
            None => {
                let file = temporary_file(sandbox.ca_pem())
                    .map_err(|error| not_written(&std::env::temp_dir(), &error))?;
                Some(temporary.insert(file).path().to_owned())
            }
        };
        let shared = shared_directory();
        let variables = self.variables(&sandbox, ca.as_deref(), shared.as_ref());
        let exports = exports(&variables);
        if let Some(path) = &self.ready_file {
            write_whole(path, &exports).map_err(|error| not_written(path, &error))?;
        }
        if self.exec {
            return run_beside(&self.command, &variables, &mut signals);
        }
        output::print_report(if self.print_env {
            exports
        } else {
            format!(
                "# The sandbox serves {}; Ctrl-C ends it. For a shell:\n{exports}",
                sandbox.base_url()
            )
        })?;
        signals.forever().next();
        Ok(ExitCode::SUCCESS)
    }

    fn config(&self) -> Config {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mut names = self.names.clone();
        // An address of this machine is a name as well. The address that stands for all interfaces is not.
        let own = self
            .listen
            .filter(|address| !address.is_loopback() && !address.is_unspecified());
        names.extend(own.map(|address| address.to_string()));
        Config {
            tls: !self.http,
            listen: SocketAddr::from((self.listen.unwrap_or(loopback), self.port)),
            names,
            control: Some(SocketAddr::from((loopback, self.control_port))),
            merchants: vec![Merchant {
                id: self.merchant.clone(),
                keys: self.keys.clone(),
                suspended: false,
            }],
            clock: match self.virtual_clock {
                true => Clock::Virtual(VirtualClock::default()),
                false => Clock::System,
            },
            new_token_voids_old: self.voids_old,
            refused_requests_count: !self.no_count_refused,
            windows: match self.fixed_windows {
                true => Windows::Fixed,
                false => Windows::Sliding,
            },
            tokens_per_minute: self.tokens_per_minute,
            tokens_per_hour: self.tokens_per_hour,
            calls_per_minute: self.calls_per_minute,
            calls_per_hour: self.calls_per_hour,
            expires_in: self.expires_in.clone(),
            token_delay: self.token_delay,
            call_delay: self.call_delay,
        }
    }

    /// The variables that a client on this machine needs.
    fn variables(
        &self,
        sandbox: &pay88_sandbox::Sandbox,
        ca: Option<&Path>,
        shared: Option<&TempDir>,
    ) -> Vec<(String, String)> {
        let share = match shared {
            Some(directory) => format!("host:{}", directory.path().display()),
            None => "process".to_owned(),
        };
        let option = |name: &str, value: String| (format!("{ENVIRONMENT_PREFIX}{name}"), value);
        let mut variables = vec![
            option("API_KEY", self.keys[0].clone()),
            option("MERCHANT_ID", self.merchant.clone()),
            option("BASE_URL", sandbox.base_url()),
            option("SHARE", share),
        ];
        if let Some(path) = ca {
            variables.push(option("CA_BUNDLE", path.display().to_string()));
        }
        if let Some(url) = sandbox.control_url() {
            variables.push((CONTROL_VARIABLE.to_owned(), url));
        }
        variables
    }
}

/// The directory in which the clients of this sandbox share their token. So none meets a token, a count or a failure
/// that an earlier sandbox with the same port and key has left. `None` if this machine has no such directory.
fn shared_directory() -> Option<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("pay88-sandbox-").tempdir_in("/dev/shm").ok()
}

/// Lines that a POSIX shell can evaluate.
fn exports(variables: &[(String, String)]) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
        .collect()
}

/// A path that is also valid in another directory.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn temporary_file(text: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("pay88-sandbox-")
        .suffix(".pem")
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Writes a file that appears only when it is complete.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let path = absolute(path);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(&path)?;
    Ok(())
}

fn not_written(path: &Path, error: &io::Error) -> Error {
    Error::invalid(
        format!("{} cannot be written: {error}.", path.display()),
        "Name a file in a directory that you may write to.",
    )
}

/// Runs a command to its end. Returns how it ended, as shells do.
fn run_beside(
    command: &[String],
    variables: &[(String, String)],
    signals: &mut Signals,
) -> Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Error::invalid("--exec has no command.", "Give it after `--`.").into());
    };
    let started = std::process::Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            output::report(
                &Error::invalid(
                    format!("The command {program} cannot be run: {error}."),
                    "Check its name and that it can be executed.",
                ),
                false,
            );
            let missing = error.kind() == io::ErrorKind::NotFound;
            return Ok(ExitCode::from(if missing { 127 } else { 126 }));
        }
    };
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| by_system("The command cannot be waited for", &error))?;
        if let Some(status) = ended {
            return Ok(exit_code(status));
        }
        // A terminal sends SIGINT to the command by itself.
        if signals.pending().any(|signal| signal == SIGTERM) {
            terminate(&child);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn terminate(child: &Child) {
    let Ok(pid) = libc::pid_t::try_from(child.id()) else {
        return;
    };
    // SAFETY: no memory is passed. The child was not waited for yet, so the number is still its own.
    unsafe { libc::kill(pid, libc::SIGTERM) };
}

fn json_value(text: &str) -> std::result::Result<Value, String> {
    serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
