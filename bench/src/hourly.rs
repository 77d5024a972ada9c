//! How many tokens busy processes ask for: real processes, watched for some minutes at a server whose tokens live 60 s.
//!
//! They read the token 20 times a second. The server counts; what is asked for at the start is left out, so that a few
//! minutes tell what an hour takes.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::chart::Chart;
use crate::contender::Contender;
use crate::job::{API_KEY, Failure, Job};
use crate::program::Program;
use crate::results::Report;
use crate::server::Server;
use crate::spread::Spread;

pub(crate) const TITLE: &str = "Tokens an hour";

/// For pay88, however many processes there are.
const AIM: f64 = 77.0;

const SIZES: [usize; 4] = [1, 2, 8, 32];

/// What all processes have asked for by then belongs to the start.
const START: f64 = 15.0;

/// Processes of one kind that share an API key, by which the server's log tells them.
struct Processes {
    contender: &'static str,
    shown: &'static str,
    size: usize,
    aim: Option<f64>,
}

impl Processes {
    fn api_key(&self) -> String {
        format!("{API_KEY}{}{}", self.contender.replace('-', "_"), self.size)
    }

    fn start(&self, job: &Job) -> Result<Vec<Contender>, Failure> {
        let job = Job {
            api_key: self.api_key(),
            ..job.sharing("host")
        };
        (0..self.size)
            .map(|_| Contender::start(Program::Python, self.contender, &job))
            .collect()
    }

    /// What they would ask for in an hour, by the server's log.
    fn rate(&self, log: &str) -> Result<f64, Failure> {
        let key = self.api_key();
        let times = log.lines().filter_map(|line| line.split_once(' '));
        let times: Vec<f64> = times
            .filter(|(_, of)| *of == key)
            .map(|(time, _)| time.parse())
            .collect::<Result<_, _>>()?;
        rate(&times).ok_or_else(|| format!("{} asked for too few tokens", self.shown).into())
    }
}

/// Tokens after the start, by the time from the first of all to the last.
fn rate(times: &[f64]) -> Option<f64> {
    let (first, last) = (times.first()?, times.last()?);
    let later = times.iter().filter(|time| *time - first > START).count();
    (later > 0).then(|| later as f64 / (last - first) * 3600.0)
}

pub(crate) fn measure(server: &Server, minutes: u64) -> Result<Report, Failure> {
    let all_kinds: Vec<Processes> = [
        ("busy", "pay88", Some(AIM)),
        ("busy-documented", "documented class", None),
    ]
    .into_iter()
    .flat_map(|(contender, shown, aim)| {
        SIZES.map(|size| Processes {
            contender,
            shown,
            size,
            aim,
        })
    })
    .collect();
    let mut contenders = Vec::new();
    for kind in &all_kinds {
        contenders.push(kind.start(&server.minute)?);
    }
    thread::sleep(Duration::from_secs(60 * minutes));
    drop(contenders);

    let log = fs::read_to_string(&server.token_log)?;
    println!("\n{TITLE}\n  real processes, {minutes} minutes");
    let mut figures = Vec::new();
    let mut chart = Chart {
        title: TITLE.to_owned(),
        unit: format!(
            "tokens an hour, of real processes watched for {minutes} minutes; 88Pay grants 100"
        ),
        rows: Vec::new(),
        notes: Vec::new(),
    };
    for kind in &all_kinds {
        let rate = kind.rate(&log)?;
        let name = format!("{}, {} processes", kind.shown, kind.size);
        let verdict = match kind.aim {
            // The server's clock and the library's are not read at the same moment.
            Some(aim) if rate.round() <= aim => format!("aim <= {aim:.0}: met"),
            Some(aim) => format!("aim <= {aim:.0}: MISSED"),
            None => String::new(),
        };
        println!("  {name:<34}{rate:>24.1}  {verdict}");
        figures.push(json!({"name": name, "tokens_an_hour": rate, "verdict": verdict}));
        chart.add(&name, Spread::of([rate].into_iter()), &verdict);
    }
    Ok(Report {
        title: TITLE,
        figures: json!({"minutes": minutes, "rows": figures}),
        chart,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_ask_for_at_the_start_is_not_counted() {
        // Two processes, every 40 s.
        let times = [0.0, 0.1, 40.0, 40.1, 80.0, 80.0];
        assert_eq!(rate(&times), Some(180.0));
        assert_eq!(rate(&[0.0, 0.1]), None);
        assert_eq!(rate(&[]), None);
    }
}
