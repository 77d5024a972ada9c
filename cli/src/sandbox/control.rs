//! The commands that speak to a running sandbox, by its control port: one request each.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use pay88::{ENVIRONMENT_PREFIX, Error, ErrorCode};
use pay88_sandbox::{Action, Fault, Match};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use url::Url;

use super::{CONTROL_VARIABLE, exports};
use crate::output::{self, Result};

/// A sandbox is on this machine and answers at once.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Subcommand)]
pub(crate) enum Command {
    Fault(AddFault),
    Log(Log),
    Reset(Reset),
    Advance(Advance),
    Keys(Keys),
}

/// Let coming requests to a running sandbox meet a fault.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 done, 1 no sandbox answers or it refuses, 2 the command line is wrong.

Examples:
  pay88 sandbox fault calls 503 --times 2
  pay88 sandbox fault /api/transactions/charges cut_before_answer
  pay88 sandbox fault any '{\"delay\": {\"seconds\": 0.5}}' --always
  pay88 sandbox fault --clear")]
pub(crate) struct AddFault {
    /// Which requests: `token`, `calls`, `any`, or a path such as /api/balance.
    #[arg(value_parser = on, required_unless_present = "clear")]
    on: Option<Match>,

    /// What happens: an HTTP status, or an action by its name or as JSON. `pay88 sandbox --help` lists them.
    #[arg(value_parser = action, required_unless_present = "clear")]
    action: Option<Action>,

    /// How many requests meet it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,

    /// Every such request meets it, until the faults are cleared.
    #[arg(long, conflicts_with = "times")]
    always: bool,

    /// Removes the faults that have not happened yet.
    #[arg(long, conflicts_with_all = ["on", "action", "times", "always"])]
    clear: bool,

    #[command(flatten)]
    merchant: OfMerchant,

    #[command(flatten)]
    port: Port,
}

/// Show the requests that a running sandbox has seen.
///
/// A line has the time by the sandbox's clock (UTC), the status (`-` if a fault left the request without an answer), the
/// request, the merchant and the key, which is masked.
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 done, 1 no sandbox answers, 2 the command line is wrong, 3 it cannot be printed."
)]
pub(crate) struct Log {
    #[command(flatten)]
    merchant: OfMerchant,

    #[command(flatten)]
    port: Port,
}

/// Let a running sandbox forget tokens, limits used, charges, faults, counters and its log.
///
/// It also forgets the tokens that clients hold: their next call is answered 401, and they ask for another token. For a
/// fresh start without that, `pay88 sandbox keys --new` gives a merchant and a key that nobody has used.
#[derive(Args)]
#[command(after_help = "Exit status: 0 done, 1 no sandbox answers, 2 the command line is wrong.")]
pub(crate) struct Reset {
    #[command(flatten)]
    port: Port,
}

/// Move the clock of a running sandbox forward: its tokens expire, its limits are free again.
///
/// Clients have clocks of their own, so they use a token on until the sandbox refuses it. Without --merchant the sandbox
/// must have been started with --virtual-clock.
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 done, 1 no sandbox answers or it refuses, 2 the command line is wrong."
)]
pub(crate) struct Advance {
    /// By how many seconds.
    #[arg(value_parser = super::seconds)]
    seconds: Duration,

    #[command(flatten)]
    merchant: OfMerchant,

    #[command(flatten)]
    port: Port,
}

/// Show the merchants and keys of a running sandbox, or add and remove keys.
#[derive(Args)]
#[command(after_help = "\
Exit status: 0 done, 1 no sandbox answers or it refuses, 2 the command line is wrong, 3 it cannot be printed.

Examples:
  eval \"$(pay88 sandbox keys --new)\"
  pay88 sandbox keys --add sk_test_sandbox_second --merchant MCH-COL-TEST-12345")]
pub(crate) struct Keys {
    /// Adds a key that nobody has used, and prints the lines for a shell that set it and its merchant. The merchant is
    /// new as well, unless --merchant names one.
    #[arg(long)]
    new: bool,

    /// Accepts this key. Never give it a real key: other users of the machine can see it.
    #[arg(
        long,
        value_name = "KEY",
        requires = "merchant",
        conflicts_with = "new"
    )]
    add: Option<String>,

    /// Refuses this key from now on. Its tokens stay valid.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["new", "add", "merchant"])]
    remove: Option<String>,

    #[command(flatten)]
    merchant: OfMerchant,

    #[command(flatten)]
    port: Port,
}

#[derive(Args)]
struct OfMerchant {
    /// For this merchant alone.
    #[arg(long, value_name = "ID")]
    merchant: Option<String>,
}

impl OfMerchant {
    /// The path, limited to the merchant.
    fn narrowed(&self, path: &str) -> String {
        match &self.merchant {
            Some(id) => {
                let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
                format!("{path}?merchant_id={id}")
            }
            None => path.to_owned(),
        }
    }
}

/// How the sandbox is reached, and how results are told.
#[derive(Args)]
struct Port {
    /// The address of its control port. [environment: PAY88_SANDBOX_CONTROL, which the sandbox prints]
    #[arg(long, value_name = "URL")]
    control: Option<String>,

    /// Prints the control port's answer, as JSON. Errors are JSON as well, on standard error.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(crate) fn json(&self) -> bool {
        self.port().json
    }

    fn port(&self) -> &Port {
        match self {
            Command::Fault(command) => &command.port,
            Command::Log(command) => &command.port,
            Command::Reset(command) => &command.port,
            Command::Advance(command) => &command.port,
            Command::Keys(command) => &command.port,
        }
    }

    pub(crate) fn run(&self) -> Result<ExitCode> {
        let (answer, text) = match self {
            Command::Fault(command) => command.run()?,
            Command::Log(command) => command.run()?,
            Command::Reset(command) => (command.port.ask("POST", "/reset", None)?, String::new()),
            Command::Advance(command) => command.run()?,
            Command::Keys(command) => command.run()?,
        };
        output::print_report(match self.json() {
            true => format!("{answer}\n"),
            false => text,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What the control port has answered, and the same for people, who are told nothing where there is nothing to tell.
type Told = (Value, String);

impl AddFault {
    fn run(&self) -> Result<Told> {
        let merchant = &self.merchant;
        let (Some(on), Some(action)) = (&self.on, &self.action) else {
            let path = merchant.narrowed("/faults");
            return Ok((self.port.ask("DELETE", &path, None)?, String::new()));
        };
        let fault = json!(Fault {
            on: on.clone(),
            times: (!self.always).then_some(self.times),
            merchant_id: merchant.merchant.clone(),
            action: action.clone(),
        });
        Ok((
            self.port.ask("POST", "/faults", Some(&fault))?,
            String::new(),
        ))
    }
}

impl Log {
    fn run(&self) -> Result<Told> {
        let entries = self
            .port
            .ask("GET", &self.merchant.narrowed("/log"), None)?;
        let lines = entries.as_array().into_iter().flatten().map(line).collect();
        Ok((entries, lines))
    }
}

impl Advance {
    fn run(&self) -> Result<Told> {
        let mut body = json!({"seconds": self.seconds.as_secs_f64()});
        if let Some(merchant) = &self.merchant.merchant {
            body["merchant_id"] = json!(merchant);
        }
        let answer = self.port.ask("POST", "/clock/advance", Some(&body))?;
        Ok((answer, String::new()))
    }
}

impl Keys {
    fn run(&self) -> Result<Told> {
        let mut body = json!({});
        if let Some(merchant) = &self.merchant.merchant {
            body["merchant_id"] = json!(merchant);
        }
        if self.new {
            let made = self.port.ask("POST", "/keys", Some(&body))?;
            let variable =
                |name: &str, value: &Value| (format!("{ENVIRONMENT_PREFIX}{name}"), plain(value));
            let lines = exports(&[
                variable("API_KEY", &made["key"]),
                variable("MERCHANT_ID", &made["merchant_id"]),
            ]);
            return Ok((made, lines));
        }
        if let Some(key) = &self.add {
            body["key"] = json!(key);
            return Ok((self.port.ask("POST", "/keys", Some(&body))?, String::new()));
        }
        if let Some(key) = &self.remove {
            let answer = self
                .port
                .ask("DELETE", "/keys", Some(&json!({"key": key})))?;
            return Ok((answer, String::new()));
        }
        let merchants = self.port.ask("GET", "/keys", None)?;
        let is_shown = |merchant: &&Value| {
            let id = &merchant["merchant_id"];
            self.merchant
                .merchant
                .as_ref()
                .is_none_or(|wanted| id == wanted)
        };
        let merchants: Value = merchants
            .as_array()
            .into_iter()
            .flatten()
            .filter(is_shown)
            .cloned()
            .collect();
        let lines = merchants.as_array().into_iter().flatten().map(|merchant| {
            let keys: Vec<String> = merchant["keys"]
                .as_array()
                .into_iter()
                .flatten()
                .map(plain)
                .collect();
            let suspended = match merchant["suspended"] == json!(true) {
                true => "  suspended",
                false => "",
            };
            format!(
                "{}  {}{suspended}\n",
                plain(&merchant["merchant_id"]),
                keys.join(" ")
            )
        });
        let lines = lines.collect();
        Ok((merchants, lines))
    }
}

/// A line of the log.
fn line(entry: &Value) -> String {
    let milliseconds = (entry["time"].as_f64().unwrap_or_default() * 1000.0) as u64;
    let (seconds, milliseconds) = (milliseconds / 1000 % 86_400, milliseconds % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let status = entry["status"].as_u64().map(|status| status.to_string());
    format!(
        "{hours:02}:{minutes:02}:{:02}.{milliseconds:03}  {:<3}  {} {}  {} {}\n",
        seconds % 60,
        status.as_deref().unwrap_or("-"),
        plain(&entry["method"]),
        plain(&entry["target"]),
        plain(&entry["merchant_id"]),
        plain(&entry["key"]),
    )
}

/// A text that was sent by others, without what moves the cursor of a terminal.
fn plain(value: &Value) -> String {
    let text = value.as_str().unwrap_or("-");
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl Port {
    /// Asks the control port.
    ///
    /// # Errors
    /// `config_invalid` if no sandbox is named, or if it refuses the request, `connection_failed` if none is there.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = self.url()?;
        let (status, answer) = exchange(&url, method, path, body).map_err(|error| {
            Error::new(
                ErrorCode::ConnectionFailed,
                format!("No sandbox answers at {url}: {error}."),
                "It may have ended. Start one, and use the variables that it prints: `pay88 sandbox --print-env`.",
            )
        })?;
        if status == 200 {
            return Ok(answer);
        }
        let said = answer["message"].as_str().unwrap_or("no reason was given");
        let hint = match status {
            404 => "`pay88 sandbox keys` shows the merchants that it has.",
            409 => "Name a merchant with --merchant, or start the sandbox with --virtual-clock.",
            _ => "`pay88 sandbox --help` lists what it takes.",
        };
        let refused = Error::invalid(format!("The sandbox refuses this: {said}."), hint);
        Err(refused.with_status(status).into())
    }

    fn url(&self) -> Result<Url> {
        let (text, source) = match (&self.control, std::env::var(CONTROL_VARIABLE)) {
            (Some(text), _) => (text.clone(), "--control"),
            (None, Ok(text)) if !text.is_empty() => (text, CONTROL_VARIABLE),
            _ => {
                return Err(Error::invalid(
                    format!("No sandbox is named: neither --control nor {CONTROL_VARIABLE} is set."),
                    "Start one with `pay88 sandbox --ready-file env.sh`, and set its variables with `. ./env.sh`; or run the command under `pay88 sandbox --exec --`.",
                )
                .into());
            }
        };
        let url = Url::parse(&text).ok();
        let url = url.filter(|url| url.scheme() == "http" && url.has_host());
        Ok(url.ok_or_else(|| {
            Error::invalid(
                format!("{source} is no address of a control port: {text}."),
                "It looks like http://127.0.0.1:40000; the sandbox prints it.",
            )
        })?)
    }
}

/// One request and its answer: the status, and the JSON that came.
fn exchange(url: &Url, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
    // A name may stand for ::1 first, where the sandbox does not listen.
    let mut connected = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in url.socket_addrs(|| None)? {
        connected = TcpStream::connect_timeout(&address, PATIENCE);
        if connected.is_ok() {
            break;
        }
    }
    let mut stream = connected?;
    let address = stream.peer_addr()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let body = body.map_or_else(String::new, Value::to_string);
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let unknown = || io::Error::other("what answers there is no sandbox");
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(unknown)?;
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let status = status
        .and_then(|status| status.parse().ok())
        .ok_or_else(unknown)?;
    let body = serde_json::from_str(body).map_err(|_| unknown())?;
    Ok((status, body))
}

fn on(text: &str) -> std::result::Result<Match, String> {
    match text {
        "token" => Ok(Match::Token),
        "calls" => Ok(Match::Calls),
        "any" => Ok(Match::Any),
        path if path.starts_with('/') => Ok(Match::Path(path.to_owned())),
        _ => Err("it is none of token, calls, any, and no path that begins with /".to_owned()),
    }
}

fn action(text: &str) -> std::result::Result<Action, String> {
    if let Ok(status) = text.parse() {
        return match status {
            200..=599 => Ok(Action::status(status)),
            _ => Err("a status is 200 to 599".to_owned()),
        };
    }
    let parsed = match text.starts_with('{') {
        true => serde_json::from_str(text),
        false => serde_json::from_value(json!(text)),
    };
    parsed.map_err(|error| error.to_string())
}
