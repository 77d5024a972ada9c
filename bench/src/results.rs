//! What is written into the directory of results: for each group the figures as JSON, and a chart.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::chart::Chart;
use crate::job::Failure;
use crate::program::Program;

/// What was measured of one group.
pub(crate) struct Report {
    pub(crate) title: &'static str,
    /// An object.
    pub(crate) figures: Value,
    pub(crate) chart: Chart,
}

/// Where, when and with what it is measured.
pub(crate) struct Setting {
    date: String,
    machine: Value,
    versions: Value,
    /// How busy the machine was before anything was measured.
    load: f64,
    processors: usize,
}

/// More than that is done by others.
const FREE: f64 = 0.7;

impl Setting {
    pub(crate) fn look(nginx: &str) -> Result<Setting, Failure> {
        let processors = std::thread::available_parallelism()?.get();
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let system = fs::read_to_string("/etc/os-release")?;
        Ok(Setting {
            date: first_line(Command::new("date").args(["-u", "+%F"])),
            machine: json!({
                "processor": value(&cpu, "model name", ':'),
                "processors": processors,
                "system": value(&system, "PRETTY_NAME", '='),
                "linux": kernel(&fs::read_to_string("/proc/sys/kernel/osrelease")?),
            }),
            versions: json!({
                "pay88": pay88::VERSION,
                "nginx": nginx,
                "libcurl": of_program(Program::Curl),
                "python": of_program(Program::Python),
                "node": of_program(Program::Node),
                "php": of_program(Program::Php),
                "go": of_program(Program::Go),
                "reqwest": locked("reqwest"),
                "ureq": locked("ureq"),
            }),
            load: load()?,
            processors,
        })
    }

    /// In two lines.
    pub(crate) fn lines(&self) -> [String; 2] {
        let busy = if self.busy() {
            ". It did other work: read the ratios, not the times"
        } else {
            ""
        };
        [
            format!(
                "{}; {}, {} processors; {}; pay88 {}",
                self.date,
                self.machine["processor"].as_str().unwrap_or_default(),
                self.processors,
                self.machine["system"].as_str().unwrap_or_default(),
                pay88::VERSION,
            ),
            format!("The machine's load was {:.1} before{busy}", self.load),
        ]
    }

    fn busy(&self) -> bool {
        self.load > FREE
    }
}

/// Writes both files, named for the title.
pub(crate) fn write(
    directory: &str,
    setting: &Setting,
    report: &mut Report,
) -> Result<(), Failure> {
    let name = file_name(report.title);
    let path = |ending| PathBuf::from(directory).join(format!("{name}.{ending}"));
    report.figures["title"] = report.title.into();
    report.figures["date"] = setting.date.clone().into();
    report.figures["machine"] = setting.machine.clone();
    report.figures["versions"] = setting.versions.clone();
    report.figures["load_before"] = setting.load.into();
    report.figures["busy"] = setting.busy().into();
    report.chart.notes.extend(setting.lines());
    fs::create_dir_all(directory)?;
    let text = serde_json::to_string_pretty(&report.figures)?;
    fs::write(path("json"), text + "\n")?;
    fs::write(path("svg"), report.chart.svg())?;
    Ok(())
}

/// Letters and digits, with hyphens between.
fn file_name(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-").to_ascii_lowercase()
}

/// How busy the machine was in the last minute.
pub(crate) fn load() -> Result<f64, Failure> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// The value of a line `name: value`.
fn value(text: &str, name: &str, separator: char) -> String {
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    let mut values = pairs.filter(|(key, _)| key.trim() == name);
    values.next().map_or(String::new(), |(_, value)| {
        value.trim().trim_matches('"').to_owned()
    })
}

/// The first two numbers of a kernel's version: what follows is of one machine's image.
fn kernel(release: &str) -> String {
    let numbers: Vec<_> = release.trim().split('.').take(2).collect();
    numbers.join(".")
}

/// What a program says of its version; empty if it is not there.
fn of_program(program: Program) -> String {
    let command = program.version();
    command.map_or(String::new(), |mut command| first_line(&mut command))
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The version of a crate in the bench's own lock file.
fn locked(name: &str) -> String {
    let mut lines = include_str!("../Cargo.lock").lines();
    let wanted = format!("name = \"{name}\"");
    lines.find(|line| *line == wanted);
    lines
        .next()
        .map_or(String::new(), |line| value(line, "version", '='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_for_its_group() {
        assert_eq!(
            file_name("A renewed token, learned from another process"),
            "a-renewed-token-learned-from-another-process"
        );
        assert_eq!(
            file_name("32 charges at a time, HTTP/1.1"),
            "32-charges-at-a-time-http-1-1"
        );
    }

    #[test]
    fn groups_have_files_of_their_own() {
        let mut names: Vec<_> = crate::suite::GROUPS
            .iter()
            .map(|group| file_name(group.title))
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn a_kernel_has_two_numbers() {
        assert_eq!(kernel("6.1.0-18-amd64\n"), "6.1");
    }

    #[test]
    fn versions_are_found_in_the_lock_file() {
        assert!(locked("ureq").starts_with("3."));
        assert_eq!(locked("no-such-crate"), "");
    }

    #[test]
    fn a_value_is_taken_without_its_quotes() {
        assert_eq!(value("A=1\nNAME=\"Debian 12\"\n", "NAME", '='), "Debian 12");
        assert_eq!(value("model name\t: X\n", "model name", ':'), "X");
        assert_eq!(value("", "NAME", '='), "");
    }
}
