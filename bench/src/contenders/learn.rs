//! The contender that learns a renewed token from another process, through what the processes of a host share.
//!
//! Its tokens end within a second. A second process renews them all; then each read here finds its own ended and the
//! other's in the shared record. Many managers, each with a key of its own, since a token can be learned only once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use pay88::{Config, TokenManager};

use crate::cost::Cost;
use crate::job::{Failure, Job, MERCHANT_ID};

/// As many as the orders ask for at most.
const MANAGERS: usize = 100;

/// The name by which the second process is started.
pub(crate) const LEADER: &str = "learn-leader";

/// Of the tokens' 11 s one is left for use, with a budget that allows it.
fn managers(job: &Job) -> Result<Vec<TokenManager>, Failure> {
    (0..MANAGERS)
        .map(|number| {
            let config = Config::without_environment()
                .with("api_key", &format!("{}{number:03}", job.api_key))?
                .with("merchant_id", MERCHANT_ID)?
                .with("base_url", &job.base_url)?
                .with("ca_bundle", &job.ca)?
                .with("share", "host")?
                .with("safety_margin", "10")?
                .with("tokens_per_minute", "1000")?
                .with("tokens_per_hour", "10000")?;
            Ok(TokenManager::new(config)?)
        })
        .collect()
}

/// The second process: a line of input has it renew all tokens, then it answers.
pub(crate) fn lead(job: &Job) -> Result<(), Failure> {
    let managers = managers(job)?;
    for line in std::io::stdin().lines() {
        let times: usize = line?.trim().parse()?;
        for manager in &managers[..times] {
            manager.get_token()?;
        }
        println!("renewed");
    }
    Ok(())
}

/// The contender: as many tokens as each order says are learned, and nothing else is measured.
pub(crate) fn learn(job: &Job) -> Result<(), Failure> {
    let managers = managers(job)?;
    let mut leader = Command::new(std::env::current_exe()?)
        .arg(LEADER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut orders = leader.stdin.take().ok_or("the leader has no input")?;
    let mut answers = BufReader::new(leader.stdout.take().ok_or("the leader has no output")?);
    for (generation, line) in (1..).zip(std::io::stdin().lines()) {
        let times: usize = line?.trim().parse()?;
        // The tokens of the last time end, here and there.
        thread::sleep(Duration::from_millis(1100));
        writeln!(orders, "{times}")?;
        answers.read_line(&mut String::new())?;
        let before = Cost::now();
        for manager in &managers[..times] {
            if manager.get_token()?.generation() != generation {
                return Err("a token was not learned when the other process had it".into());
            }
        }
        before.tell_since();
        if managers.iter().any(|m| m.stats().tokens_issued > 0) {
            return Err("a token was asked for that another process had".into());
        }
    }
    drop(orders);
    leader.wait()?;
    Ok(())
}
