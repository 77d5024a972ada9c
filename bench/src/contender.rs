//! A contender: a process of its own that does as many operations as a line of its input says, and answers with what
//! they cost.
//!
//! The programs in other languages speak the same two lines: `<operations>` in, `<nanoseconds wall> <nanoseconds CPU>`
//! out. With `BENCH_ONCE` in its environment a contender reads nothing, does one operation, answers with a line and ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

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
        Contender::spawn(program, name, job, false)
    }

    /// The cost of a process that does one operation: the time to its answer, and the processor time to its end.
    pub(crate) fn once(program: Program, name: &str, job: &Job) -> Result<Cost, Failure> {
        let start = Instant::now();
        let mut process = Contender::spawn(program, name, job, true)?;
        process.answer()?;
        let wall = start.elapsed();
        let (status, cpu) = process.end()?;
        if !status.success() {
            return Err(format!("{program:?} {name}: {status}").into());
        }
        Ok(Cost {
            wall: wall.as_nanos() as f64,
            cpu: cpu.as_nanos() as f64,
        })
    }

    fn spawn(program: Program, name: &str, job: &Job, once: bool) -> Result<Contender, Failure> {
        let mut command = program.command()?;
        command
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        job.to_environment(&mut command);
        if once {
            command.env("BENCH_ONCE", "1");
        }
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
            (Some(Ok(wall)), Some(Ok(cpu))) => Ok(Cost { wall, cpu }.of_one(operations)),
            _ => Err(format!("{} answered `{line}`", self.name).into()),
        }
    }

    /// How many TCP connections it has open.
    pub(crate) fn connections(&self) -> Result<usize, Failure> {
        let process = format!("/proc/{}", self.process.id());
        let table = std::fs::read_to_string(format!("{process}/net/tcp"))?;
        let established = established(&table);
        let mut open = 0;
        for entry in std::fs::read_dir(format!("{process}/fd"))? {
            // A descriptor may be closed meanwhile.
            let Ok(target) = std::fs::read_link(entry?.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            let socket = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            open += usize::from(socket.is_some_and(|inode| established.contains(&inode)));
        }
        Ok(open)
    }

    /// Waits for the end of a process that ends by itself; gives the processor time of all that it was.
    fn end(&mut self) -> Result<(ExitStatus, Duration), Failure> {
        let end = Instant::now() + TIMEOUT;
        let mut status = 0;
        // SAFETY: all bytes zero are a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let id = self.process.id() as libc::pid_t;
        loop {
            // SAFETY: both places are valid, and the child has not been waited for.
            match unsafe { libc::wait4(id, &mut status, libc::WNOHANG, &mut usage) } {
                0 if Instant::now() < end => thread::sleep(Duration::from_millis(1)),
                0 => return Err(format!("{} does not end", self.name).into()),
                -1 => return Err(std::io::Error::last_os_error().into()),
                _ => break,
            }
        }
        let time = |of: libc::timeval| {
            Duration::from_secs(of.tv_sec as u64) + Duration::from_micros(of.tv_usec as u64)
        };
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        Ok((ExitStatus::from_raw(status), cpu))
    }
}

/// The inodes of the connections of a `/proc/net/tcp` that are established.
fn established(table: &str) -> Vec<&str> {
    let rows = table.lines().skip(1);
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(3) == Some(&"01"))
        .filter_map(|columns| columns.get(9).copied())
        .collect()
}

impl Drop for Contender {
    fn drop(&mut self) {
        // The end of its input ends it; one that hangs is killed. One that has ended already has no number any more.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_are_closing_or_listening_are_not_counted() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n   \
             1: 0100007F:A001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1\n   \
             2: 0100007F:A002 0100007F:1F90 08 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20 4 30 10 -1\n";
        assert_eq!(established(table), ["12"]);
    }
}
