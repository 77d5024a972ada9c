//! The programs that contenders live in, one for each language.
//!
//! `run.sh` builds them, or installs what they need, and says in the environment where.

use std::env;
use std::process;

use crate::job::Failure;

/// Where a contender lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// This program.
    Rust,
    /// The C program that uses libpay88.
    C,
    /// The C program that uses libcurl.
    Curl,
    /// The `pay88` command.
    Command,
    Python,
    Node,
    Php,
    /// The program in Go.
    Go,
}

/// Where the scripts lie.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// Whether this one is run by root.
pub(crate) fn is_root() -> bool {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::geteuid() == 0 }
}

impl Program {
    /// How it is started; the contender's name is to be added.
    pub(crate) fn command(self) -> Result<process::Command, Failure> {
        let mut command = self.bare()?;
        let script = match self {
            Program::Python => "python/contender.py",
            Program::Node => "node/contender.mjs",
            Program::Php => "php/contender.php",
            Program::Rust | Program::C | Program::Curl | Program::Command | Program::Go => {
                return Ok(command);
            }
        };
        command.arg(format!("{SOURCES}/{script}"));
        Ok(command)
    }

    /// What it says of its own version, or of that of the library that it uses.
    pub(crate) fn version(self) -> Result<process::Command, Failure> {
        let mut command = self.bare()?;
        command.arg("--version");
        Ok(command)
    }

    fn bare(self) -> Result<process::Command, Failure> {
        let told = match self {
            Program::Rust => return Ok(process::Command::new(env::current_exe()?)),
            Program::C => "BENCH_C",
            Program::Curl => "BENCH_CURL",
            Program::Command => "BENCH_COMMAND",
            Program::Python => "BENCH_PYTHON",
            Program::Node => "BENCH_NODE",
            Program::Php => "BENCH_PHP",
            Program::Go => "BENCH_GO",
        };
        let program = env::var(told).map_err(|_| format!("{told} is not set: use run.sh"))?;
        Ok(process::Command::new(program))
    }
}
