//! What this program can be: the contenders that are written in Rust, by name. None parses an answer; each reads it as a
//! whole.

mod charge;
mod in_tasks;
mod learn;
mod merchants;
mod reqwest;
mod tls;
mod token;
mod ureq;

use std::env;
use std::sync::Arc;

use crate::cost::Cost;
use crate::job::{Failure, Job};

/// Is the contender of this name until its input ends.
pub(crate) fn contend(name: &str) -> Result<(), Failure> {
    let job = Job::from_environment()?;
    match name {
        "clock" => serve(|times| token::read_clock(1, times)),
        "clock-threads" => serve(|times| token::read_clock(token::THREADS, times / token::THREADS)),
        "token" => {
            let manager = token::manager(&job)?;
            serve(|times| token::read_token(&manager, 1, times))
        }
        "learn" => learn::learn(&job),
        learn::LEADER => learn::lead(&job),
        "token-threads" => {
            let manager = token::manager(&job)?;
            serve(|times| token::read_token(&manager, token::THREADS, times / token::THREADS))
        }
        "charge" => {
            let manager = token::manager(&job)?;
            serve(|times| charge::pay88(&job, &manager, times))
        }
        _ if name.starts_with(merchants::NAME) => serve(merchants::charges(&job, name)?),
        "charge-ureq" => serve(ureq::blocking(&job)?),
        "charge-reqwest" => serve(reqwest::blocking(&job)?),
        "charge-reqwest-inline" => serve(reqwest::inline(&job)?),
        "async" => {
            let manager = token::manager(&job)?;
            let runtime = in_tasks::runtime()?;
            let job = Arc::new(job);
            serve(|times| charge::pay88_in_tasks(&runtime, &job, &manager, times))
        }
        "async-reqwest" => {
            let client = reqwest::Client::new(&job, &[b"h2", b"http/1.1"])?;
            let runtime = in_tasks::runtime()?;
            serve(|times| reqwest::in_tasks(&runtime, &client, times))
        }
        _ => Err(format!("there is no contender `{name}`").into()),
    }
}

/// Does `work` until its input ends. A tenth is done before each measurement, so that what idled is awake.
fn serve(mut work: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    if env::var_os("BENCH_ONCE").is_some() {
        work(1)?;
        println!("answered");
        return Ok(());
    }
    for line in std::io::stdin().lines() {
        let operations: u64 = line?.trim().parse()?;
        work(operations / 10)?;
        let before = Cost::now();
        work(operations)?;
        before.tell_since();
    }
    Ok(())
}
