//! pay88 measured against its peers, in rounds in which all take turns.
//!
//! `pay88-bench [--rounds N] [--minutes N] [--results DIRECTORY] [--only TEXT]` prints one table, and writes a file
//! and a chart for each group. The programs in other languages are found by the environment: `run.sh` builds and names
//! them.

#![deny(missing_docs)]

mod chart;
mod contender;
mod contenders;
mod cost;
mod far;
mod hourly;
mod job;
mod measured;
mod memory;
mod options;
mod program;
mod report;
mod results;
mod rounds;
mod server;
mod servers;
mod spread;
mod suite;
mod table;

use std::process::ExitCode;

use job::Failure;
use options::Options;
use results::{Report, Setting};
use servers::Servers;
use suite::{GROUPS, Port};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first() {
        Some(name) if !name.starts_with("--") => contenders::contend(name),
        _ => Options::parse(&arguments).and_then(|options| measure(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pay88-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Failure> {
    let servers = Servers::start()?;
    let setting = Setting::look(&servers.near.version)?;
    println!("{} rounds; {}", options.rounds, setting.lines().join("\n"));
    let keep = |mut report: Report| match &options.results {
        Some(directory) => results::write(directory, &setting, &mut report),
        None => Ok(()),
    };
    let wanted = |title: &str| title.contains(&options.only);
    for group in GROUPS.iter().copied().filter(|group| wanted(group.title)) {
        if matches!(group.server, Port::Far) && !program::is_root() {
            println!("\n{}\n  left out: it needs root", group.title);
            continue;
        }
        let measured = rounds::measure(group, &servers, options.rounds)?;
        table::print(&measured);
        keep(report::of(&measured))?;
    }
    if wanted(memory::TITLE) {
        keep(memory::measure(&servers.near.http1, options.rounds)?)?;
    }
    if wanted(hourly::TITLE) && options.minutes > 0 {
        keep(hourly::measure(&servers.near, options.minutes)?)?;
    }
    println!("\nload {:.1} at the end", results::load()?);
    Ok(())
}
