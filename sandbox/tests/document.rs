//! docs/sandbox.md and `GET /` tell of every path and every fault, of no others, and each of their examples runs.

#![allow(clippy::unwrap_used, reason = "test code")]

mod client;

use std::collections::BTreeSet;

use client::*;
use pay88_sandbox::{Answer, Clock, Config, Fault, Sandbox, VirtualClock};

const DOCUMENT: &str = include_str!("../../docs/sandbox.md");

struct Control {
    _sandbox: Sandbox,
    client: Client,
}

impl Control {
    fn new() -> Control {
        let clock = Clock::Virtual(VirtualClock::default());
        let sandbox = Sandbox::start(Config {
            clock,
            ..Config::default()
        })
        .unwrap();
        let url = sandbox.control_url().unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Control {
            client: Client::plain(address),
            _sandbox: sandbox,
        }
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        self.client.ask(request(method, path, "", body))
    }

    fn help(&mut self) -> String {
        let answer = self.ask("GET", "/", "");
        assert_eq!(answer.status, 200);
        String::from_utf8(answer.body).unwrap()
    }
}

/// `METHOD /path` at the beginning of a line, and the JSON behind it.
fn line_of_request(line: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = line.trim().split_once(' ')?;
    let method = ["GET", "POST", "DELETE"]
        .into_iter()
        .find(|m| *m == method)?;
    let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((method, path, rest.trim()))
}

/// The cells of the first column of tables, without their quotes.
fn first_cells() -> Vec<&'static str> {
    DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell)
        .collect()
}

fn action_of(json: &str) -> Result<String, String> {
    let fault = format!(r#"{{"on":"any","action":{json}}}"#);
    let fault: Fault = serde_json::from_str(&fault).map_err(|error| error.to_string())?;
    let action = serde_json::to_value(fault.action).unwrap();
    let name = action
        .as_str()
        .or_else(|| action.as_object()?.keys().next().map(String::as_str));
    Ok(name.unwrap().to_owned())
}

#[test]
fn every_path_is_told_of_by_both_and_no_other_is() {
    let help = Control::new().help();
    let here: BTreeSet<_> = help
        .lines()
        .filter_map(line_of_request)
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let documented: BTreeSet<_> = first_cells()
        .into_iter()
        .filter(|cell| cell.contains(" /") && !cell.starts_with('{'))
        .map(str::to_owned)
        .collect();
    assert!(here.len() >= 15, "{here:?}");
    assert_eq!(documented, here);
    let mut control = Control::new();
    for one in &here {
        let (method, path) = one.split_once(' ').unwrap();
        assert_ne!(control.ask(method, path, "").status, 404, "{one}");
    }
}

#[test]
fn every_fault_is_told_of_by_both_and_every_example_of_one_can_be_played() {
    let help = Control::new().help();
    // The names come from the code itself, which tells them to who names another one.
    let error = action_of("\"?\"").unwrap_err();
    let (_, listed) = error.split_once("expected one of ").unwrap();
    let known: BTreeSet<String> = listed
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(known.len() >= 22, "{known:?}");

    let documented = first_cells()
        .into_iter()
        .filter(|cell| cell.starts_with('"') || (cell.starts_with('{') && !is_piece(cell)));
    let documented: BTreeSet<String> = documented.map(|cell| action_of(cell).unwrap()).collect();
    assert_eq!(documented, known);
    let told: BTreeSet<String> = help
        .lines()
        .map(str::trim)
        .filter_map(|line| action_of(line).ok())
        .collect();
    assert_eq!(told, known);
}

fn is_piece(cell: &str) -> bool {
    action_of(&format!(r#"{{"wire":{{"pieces":[{cell}]}}}}"#)).is_ok()
}

#[test]
fn every_piece_of_the_wire_and_every_end_of_it_is_documented() {
    for (broken, wrong) in [
        (r#"{"wire":{"pieces":[{"?":1}]}}"#, "pieces"),
        (r#"{"wire":{"pieces":[],"then":"?"}}"#, "ends"),
    ] {
        let error = action_of(broken).unwrap_err();
        let (_, listed) = error.split_once("expected one of ").unwrap();
        let names: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert!(names.len() >= 4, "{wrong}: {error}");
        for name in names {
            let form = match wrong {
                "pieces" => format!("| `{{\"{name}\": "),
                _ => format!("`\"{name}\"`"),
            };
            assert!(DOCUMENT.contains(&form), "{wrong}: {name}");
        }
    }
}

#[test]
fn every_example_of_a_request_is_taken() {
    let mut control = Control::new();
    let help = control.help();
    let mut run = 0;
    let mut taken = |method: &str, path: &str, body: &str| {
        let answer = control.ask(method, path, body);
        assert_eq!(
            answer.status,
            200,
            "{method} {path} {body}: {}",
            answer.json()
        );
        run += 1;
    };
    // In the document on one line, in `GET /` on the next.
    for (method, path, body) in DOCUMENT.lines().filter_map(line_of_request) {
        taken(method, path, body);
    }
    let lines: Vec<&str> = help.lines().collect();
    for pair in lines.windows(2) {
        if let (Some((method, path, _)), true) =
            (line_of_request(pair[0]), pair[1].trim().starts_with('{'))
        {
            taken(method, path, pair[1].trim());
        }
    }
    assert!(run >= 14, "{run} examples");
}
