//! pay88 measured against its peers, in rounds in which all take turns.
//!
//! `pay88-bench [--rounds N] [--minutes N] [--json FILE] [--only TEXT]` prints one table. The programs in other languages
//! are found by the environment: `run.sh` builds and names them.

#![deny(missing_docs)]

mod asynchronous;
mod blocking;
mod contender;
mod footprint;
mod hourly;
mod job;
mod learn;
mod program;
mod server;
mod suite;
mod table;
mod token;

use std::process::ExitCode;
use std::sync::Arc;

use contender::{Contender, serve};
use job::{Failure, Job};
use server::Server;
use suite::{GROUPS, Group, Port, THREADS};
use table::Measured;

const ROUNDS: usize = 15;
const FEWEST_ROUNDS: usize = 9;

/// How long processes are watched that ask for tokens.
const MINUTES: u64 = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first() {
        Some(name) if !name.starts_with("--") => contend(name),
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

/// Is the contender of this name until its input ends.
fn contend(name: &str) -> Result<(), Failure> {
    let job = Job::told()?;
    match name {
        "clock" => serve(|times| token::read_clock(1, times)),
        "clock-threads" => serve(|times| token::read_clock(THREADS, times / THREADS)),
        "token" => {
            let manager = token::manager(&job)?;
            serve(|times| token::read_token(&manager, 1, times))
        }
        "token-shared" => {
            let manager = token::manager(&job.sharing("host"))?;
            serve(|times| token::read_token(&manager, 1, times))
        }
        "learn" => learn::learn(&job),
        learn::LEADER => learn::lead(&job),
        "token-threads" => {
            let manager = token::manager(&job)?;
            serve(|times| token::read_token(&manager, THREADS, times / THREADS))
        }
        "charge" => {
            let manager = token::manager(&job)?;
            serve(|times| blocking::pay88(&job, &manager, times))
        }
        "charge-ureq" => serve(blocking::ureq(&job)?),
        "charge-reqwest" => serve(blocking::reqwest_blocking(&job)?),
        "charge-reqwest-inline" => serve(blocking::reqwest_inline(&job)?),
        "async" => {
            let manager = token::manager(&job)?;
            let runtime = asynchronous::runtime()?;
            let job = Arc::new(job);
            serve(|times| asynchronous::pay88(&runtime, &job, &manager, times))
        }
        "async-reqwest" => {
            let peer = asynchronous::Peer::new(&job, &[b"h2", b"http/1.1"])?;
            let runtime = asynchronous::runtime()?;
            serve(|times| asynchronous::reqwest(&runtime, &peer, times))
        }
        _ => Err(format!("there is no contender `{name}`").into()),
    }
}

struct Options {
    rounds: usize,
    minutes: u64,
    json: Option<String>,
    only: String,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Failure> {
        let mut options = Options {
            rounds: ROUNDS,
            minutes: MINUTES,
            json: None,
            only: String::new(),
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0]).into());
            };
            match name.as_str() {
                "--rounds" => options.rounds = value.parse()?,
                "--minutes" => options.minutes = value.parse()?,
                "--json" => options.json = Some(value.clone()),
                "--only" => options.only = value.clone(),
                _ => return Err(format!("there is no option {name}").into()),
            }
        }
        if options.rounds < FEWEST_ROUNDS {
            return Err(format!("at least {FEWEST_ROUNDS} rounds are needed").into());
        }
        Ok(options)
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
    for group in GROUPS.iter().filter(|group| wanted(group.title)) {
        let measured = run(group, &server, options.rounds)?;
        measured.print();
        all.push(measured.json());
    }
    if wanted(footprint::TITLE) {
        all.push(footprint::measure(&server.http1, options.rounds)?);
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

/// Has the contenders of a group take turns. The first round is not counted: it connects and fills caches.
fn run(group: &'static Group, server: &Server, rounds: usize) -> Result<Measured, Failure> {
    let job = match group.server {
        Port::Http1 => &server.http1,
        Port::Http2 => &server.http2,
        Port::Brief => &server.brief,
    };
    let mut contenders = Vec::new();
    for entry in group.contenders {
        contenders.push(Contender::start(entry.program, entry.name, job)?);
    }
    let mut costs = Vec::new();
    for _ in 0..=rounds {
        let mut round = Vec::new();
        for (contender, entry) in contenders.iter_mut().zip(group.contenders) {
            round.push(contender.run(entry.operations)?);
        }
        costs.push(round);
    }
    costs.remove(0);
    Ok(Measured {
        group,
        rounds: costs,
    })
}

/// How busy the machine was in the last minute.
fn load() -> Result<String, Failure> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
