//! The programs that contenders live in, one for each language.
//!
//! `run.sh` builds them, or installs what they need, and says in the environment where.

use std::env;
use std::process::Command;

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
    Python,
    Node,
    Php,
}

/// Where the scripts lie.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

impl Program {
    /// How it is started; the contender's name is to be added.
    pub(crate) fn command(self) -> Result<Command, Failure> {
        let (program, script) = match self {
            Program::Rust => return Ok(Command::new(env::current_exe()?)),
            Program::C => ("BENCH_C", None),
            Program::Curl => ("BENCH_CURL", None),
            Program::Python => ("BENCH_PYTHON", Some("python/contender.py")),
            Program::Node => ("BENCH_NODE", Some("node/contender.mjs")),
            Program::Php => ("BENCH_PHP", Some("php/contender.php")),
        };
        let told = env::var(program).map_err(|_| format!("{program} is not set: use run.sh"))?;
        let mut command = Command::new(told);
        command.args(script.map(|script| format!("{SOURCES}/{script}")));
        Ok(command)
    }
}
