//! The `pay88` command: reads the command line, runs one command, and turns its result into an exit status.
//!
//! Secrets come from the environment or from files, never from the command line, which other users of the machine can
//! see. They are shown masked, except by `pay88 token --show`.

mod doctor;
mod options;
mod output;
mod request;
mod sandbox;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The client for the payment provider 88Pay.
#[derive(Parser)]
#[command(
    name = "pay88",
    version = pay88::VERSION,
    after_help = "Exit status: 0 done, 1 failed, 2 the command line is wrong, 3 done and its result cannot be printed; see each command's help for more."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Token(token::Token),
    Request(request::Request),
    Doctor(doctor::Doctor),
    Sandbox(Box<sandbox::Sandbox>),
}

fn main() -> ExitCode {
    // If the system refuses this, everything else works all the same.
    let _ = output::survive_the_limit_of_files();
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) if error.use_stderr() => error.exit(),
        // The user asked for help or for the version.
        Err(text) => {
            return match output::print_report(text.render().to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.report(false),
            };
        }
    };
    let (result, as_json) = match command {
        Command::Token(command) => (command.run(), command.json),
        Command::Request(command) => (command.run(), command.json),
        Command::Doctor(command) => (command.run(), command.json),
        Command::Sandbox(command) => (command.run(), command.json()),
    };
    result.unwrap_or_else(|failure| failure.report(as_json))
}
