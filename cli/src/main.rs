//! The `pay88` command: reads the command line, runs one command, turns its end into an exit status.
//!
//! Secrets are taken from the environment or from files, never from the command line, which other users of the machine
//! can see; they are shown masked, unless `pay88 token --show` is asked for.

mod output;
mod sandbox;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The client for the payment provider 88Pay.
#[derive(Parser)]
#[command(
    name = "pay88",
    version = pay88::VERSION,
    after_help = "Exit status: 0 done, 1 failed, 2 the command line is wrong; see each command's help for more."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sandbox(sandbox::Sandbox),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let result = match command_line.command {
        Command::Sandbox(command) => command.run(),
    };
    result.unwrap_or_else(|error| {
        output::report(&error, false);
        ExitCode::FAILURE
    })
}
