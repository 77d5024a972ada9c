//! A contender: a process of its own that does as many operations as a line of its input says, and answers with what
//! they cost.
//!
//! The programs in other languages speak the same two lines: `<operations>` in, `<nanoseconds wall> <nanoseconds CPU>`
//! out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::cost::Cost;
use crate::job::{Failure, Job};
use crate::program::Program;

/// Longer than any round; a contender that hangs fails the benchmark.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A contender, as the benchmark sees it.
pub(crate) struct Contender {
    name: String,
    process: Child,
    orders: Option<ChildStdin>,
    costs: Receiver<std::io::Result<String>>,
}

impl Contender {
    /// Starts a program of this language, to be that one of its contenders.
    pub(crate) fn start(program: Program, name: &str, job: &Job) -> Result<Contender, Failure> {
        let mut command = program.command()?;
        command
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        job.to_environment(&mut command);
        let mut process = command
            .spawn()
            .map_err(|e| format!("{program:?} cannot be started: {e}"))?;
        let orders = process.stdin.take();
        let output = process.stdout.take().ok_or("a contender has no output")?;
        let (sender, costs) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Contender {
            name: name.to_owned(),
            process,
            orders,
            costs,
        })
    }

    /// The next line of its output.
    pub(crate) fn answer(&self) -> Result<String, Failure> {
        let line = self.costs.recv_timeout(TIMEOUT);
        Ok(line.map_err(|_| format!("{} gave no answer", self.name))??)
    }

    /// Has it do so many operations; gives the cost of one.
    pub(crate) fn run(&mut self, operations: u64) -> Result<Cost, Failure> {
        let orders = self.orders.as_mut().ok_or("a contender has no input")?;
        writeln!(orders, "{operations}")?;
        let line = self.answer()?;
        let mut numbers = line.split(' ').map(|number| number.parse::<f64>());
        match (numbers.next(), numbers.next()) {
            (Some(Ok(wall)), Some(Ok(cpu))) => Ok(Cost {
                wall: wall / operations as f64,
                cpu: cpu / operations as f64,
            }),
            _ => Err(format!("{} answered `{line}`", self.name).into()),
        }
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        // The end of its input ends it; one that hangs is killed.
        self.orders = None;
        for _ in 0..200 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
