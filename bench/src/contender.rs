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

use crate::job::{Failure, Job};
use crate::program::Program;

/// Longer than any round; a contender that hangs fails the benchmark.
const PATIENCE: Duration = Duration::from_secs(120);

/// What some operations cost, in nanoseconds: as time passed, and as processor time of all threads of the process.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Cost {
    pub(crate) fn now() -> Cost {
        Cost {
            wall: read(libc::CLOCK_MONOTONIC),
            cpu: read(libc::CLOCK_PROCESS_CPUTIME_ID),
        }
    }

    /// Answers an order with what was spent since this reading.
    pub(crate) fn tell_since(self) {
        let now = Cost::now();
        println!("{} {}", now.wall - self.wall, now.cpu - self.cpu);
    }
}

fn read(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for one timespec.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The contender's side: does `work` until its input ends. A tenth is done before each measurement, so that what
/// idled is awake.
pub(crate) fn serve(mut work: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Failure> {
    for line in std::io::stdin().lines() {
        let operations: u64 = line?.trim().parse()?;
        work(operations / 10)?;
        let before = Cost::now();
        work(operations)?;
        before.tell_since();
    }
    Ok(())
}

/// The benchmark's side of a contender.
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
        job.tell(&mut command);
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
        let line = self.costs.recv_timeout(PATIENCE);
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
