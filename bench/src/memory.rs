//! How much memory a process has more of for pay88: what is resident after a manager was built and a charge made (or, where
//! it says so, a token had), less what was before. And how much more it has while it makes a call with a long body, at most.
//!
//! The token is shared on the host, as it is by default; each process has a directory of its own for it, so that each asks
//! for a token and none finds another's.

use std::fs;

use serde_json::json;

use crate::chart::Chart;
use crate::contender::Contender;
use crate::job::{Failure, Job};
use crate::program::Program::{self, C, Node, Python};
use crate::results::Report;
use crate::spread::Spread;

pub(crate) const TITLE: &str = "Memory of a process";

struct Row {
    program: Program,
    name: &'static str,
    shown: &'static str,
    /// In MB.
    aim: Option<f64>,
}

const fn row(program: Program, name: &'static str, shown: &'static str, aim: Option<f64>) -> Row {
    Row {
        program,
        name,
        shown,
        aim,
    }
}

const ROWS: &[Row] = &[
    row(C, "memory", "C: pay88", Some(3.2)),
    row(Python, "memory", "Python: pay88", Some(4.8)),
    row(
        Python,
        "memory-documented",
        "Python: documented class",
        None,
    ),
    row(Node, "memory-token", "Node: pay88, a token", Some(5.5)),
    // Node loads its fetch for the first `Response`.
    row(Node, "memory-pay88", "Node: pay88", Some(13.0)),
    row(Node, "memory-documented", "Node: documented class", None),
    // At its peak, by a further call.
    row(C, "memory-send-10000000", "C: pay88, 10 MB sent", None),
    row(C, "memory-fetch-10000000", "C: pay88, 10 MB answered", None),
];

/// Each round is a process of its own, which answers with the bytes.
pub(crate) fn measure(job: &Job, rounds: usize) -> Result<Report, Failure> {
    println!("\n{TITLE}\n  MB added: median");
    let mut figures = Vec::new();
    let mut chart = Chart {
        title: TITLE.to_owned(),
        unit: "MB added; medians with quartiles".to_owned(),
        rows: Vec::new(),
        notes: Vec::new(),
    };
    for row in ROWS {
        let mut added = Vec::new();
        for _ in 0..rounds {
            added.push(one(row, job)? / 1e6);
        }
        let added = Spread::of(added.into_iter());
        let verdict = match row.aim {
            Some(aim) if added.median <= aim => format!("aim <= {aim:.1}: met"),
            Some(aim) => format!("aim <= {aim:.1}: MISSED"),
            None => String::new(),
        };
        println!("  {:<34}{:>24.1}  {verdict}", row.shown, added.median);
        figures.push(json!({"name": row.shown, "megabytes": added.json(), "verdict": verdict}));
        chart.add(row.shown, added, &verdict);
    }
    Ok(Report {
        title: TITLE,
        figures: json!({"rounds": rounds, "rows": figures}),
        chart,
    })
}

/// The bytes that one process has more of.
fn one(row: &Row, job: &Job) -> Result<f64, Failure> {
    // pay88 shares in memory only.
    let shared = tempfile::Builder::new()
        .prefix("pay88-bench-")
        .tempdir_in("/dev/shm")?;
    let job = job.sharing(&format!("host:{}", shared.path().display()));
    let process = Contender::start(row.program, row.name, &job)?;
    let added = process.answer()?.trim().parse()?;
    let of_pay88 = !row.name.ends_with("-documented");
    if of_pay88 && fs::read_dir(shared.path())?.next().is_none() {
        return Err(format!("{}: it shared nothing", row.shown).into());
    }
    Ok(added)
}
