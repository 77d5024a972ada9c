//! pay88 measured against its peers, in rounds in which all take turns.
//!
//! `pay88-bench [--rounds N] [--minutes N] [--json FILE] [--only TEXT]` prints one table. The programs in other languages
//! are found by the environment: `run.sh` builds and names them.

#![deny(missing_docs)]

mod contender;
mod contenders;
mod cost;
mod hourly;
mod job;
mod measured;
mod memory;
mod options;
mod program;
mod report;
mod rounds;
mod server;
mod spread;
mod suite;
mod table;

use std::process::ExitCode;

use job::Failure;
use options::Options;
use server::Server;
use suite::GROUPS;

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
    let server = Server::start()?;
    println!(
        "{} rounds; {} processors; {}; load {}",
        options.rounds,
        std::thread::available_parallelism()?,
        server.version,
        load()?
    );
    let mut all = Vec::new();
    let wanted = |title: &str| title.contains(&options.only);
    for group in GROUPS.iter().copied().filter(|group| wanted(group.title)) {
        let measured = rounds::measure(group, &server, options.rounds)?;
        table::print(&measured);
        all.push(report::json(&measured));
    }
    if wanted(memory::TITLE) {
        all.push(memory::measure(&server.http1, options.rounds)?);
    }
    if wanted(hourly::TITLE) && options.minutes > 0 {
        all.push(hourly::measure(&server, options.minutes)?);
    }
    println!("\nload {} at the end", load()?);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    Ok(())
}

/// How busy the machine was in the last minute.
fn load() -> Result<String, Failure> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
