//! Tests the connection to 88Pay, without credentials: name, connection, certificate, clock.
//!
//! One request of the library tests everything. A separate look-up says whether only the name is at fault.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pay88::{Config, ErrorCode, OPTIONS, Response};
use url::{Host, Url};

use super::report::{Check, Report};
use crate::options::Options;
use crate::output::Result;

/// How long the look-up of a name may take. The system's resolver has no limit of its own.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// A clock that differs by less is good, apart from what `Date` cannot tell and the time that the answer takes.
const CLOCK_GOOD: Duration = Duration::from_secs(5);

/// A clock that is wrong by a token's whole life is a failure.
const CLOCK_WRONG: Duration = Duration::from_secs(60);

const CHECKS: [&str; 4] = ["dns", "connection", "tls", "clock"];

/// Returns whether 88Pay was reached.
pub(super) fn examine(report: &mut Report, options: &Options, config: &Config) -> Result<bool> {
    // If key and host do not fit, the host may be the wrong one.
    if !report.passed("base_url") || !report.passed("options") || report.failed("environment") {
        for name in CHECKS {
            report.add(Check::skipped(name, "base_url, options and environment"))?;
        }
        return Ok(false);
    }
    let Some(base_url) = base_url(options)? else {
        return Ok(false);
    };
    let looked_up = look_up(&base_url);
    let begun = Instant::now();
    let probe = config.probe();
    let took = begun.elapsed();
    let code = probe.as_ref().err().map(|error| error.code());
    // A proxy looks the name up itself. So the look-up matters only if there is no connection.
    let connected = matches!(
        code,
        None | Some(ErrorCode::TlsFailed | ErrorCode::BadResponse)
    );

    let found = match looked_up {
        Ok(detail) => Check::passed("dns", detail),
        Err(why) if connected => Check::passed("dns", format!("{why}, but the proxy can reach it")),
        Err(why) => Check::failed(
            "dns",
            why,
            "Check the spelling of the host in base_url, the network, and this machine's name servers (/etc/resolv.conf).",
        ),
    };
    report.add(found)?;
    if !report.passed("dns") {
        for name in &CHECKS[1..] {
            report.add(Check::skipped(name, "dns"))?;
        }
        return Ok(false);
    }

    match &probe {
        Err(error) if code != Some(ErrorCode::TlsFailed) => {
            report.add(Check::error("connection", error))?;
            report.add(Check::skipped("tls", "connection"))?;
            report.add(Check::skipped("clock", "connection"))?;
            return Ok(false);
        }
        Err(error) => {
            report.add(Check::passed("connection", "a connection was made"))?;
            report.add(Check::error("tls", error))?;
            report.add(Check::skipped("clock", "tls"))?;
            return Ok(false);
        }
        Ok(answer) => {
            let detail = format!("answered in {} ms", took.as_millis());
            report.add(Check::passed("connection", detail))?;
            report.add(tls(&base_url, config))?;
            report.add(clock(answer, took))?;
        }
    }
    Ok(true)
}

/// The base URL as the user set it. It was checked before.
fn base_url(options: &Options) -> Result<Option<Url>> {
    let Some(option) = OPTIONS.iter().find(|option| option.name == "base_url") else {
        return Ok(None);
    };
    let raw = options.raw(option)?;
    let text = raw
        .as_ref()
        .map(|raw| raw.text.trim())
        .filter(|text| !text.is_empty());
    Ok(Url::parse(text.unwrap_or(option.default)).ok())
}

/// The addresses of the host, for people.
fn look_up(base_url: &Url) -> std::result::Result<String, String> {
    let name = match base_url.host() {
        Some(Host::Domain(name)) if name != "localhost" => name.to_owned(),
        Some(host) => return Ok(format!("{host} needs no look-up")),
        None => return Err("there is no host".to_owned()),
    };
    let (answer, answers) = mpsc::channel();
    let asked = name.clone();
    let started = thread::Builder::new().spawn(move || {
        let found = (asked.as_str(), 443).to_socket_addrs();
        // Nobody listens any more if it took too long.
        let _ = answer.send(found.map(|all| all.map(|one| one.ip()).collect::<Vec<IpAddr>>()));
    });
    started.map_err(|error| format!("no thread for a look-up: {error}"))?;
    match answers.recv_timeout(LOOK_UP_TIME) {
        Ok(Ok(addresses)) => {
            let shown: Vec<String> = addresses.iter().take(3).map(IpAddr::to_string).collect();
            Ok(format!("{name} is {}", shown.join(", ")))
        }
        Ok(Err(error)) => Err(format!("{name} cannot be resolved: {error}")),
        Err(_) => {
            let seconds = LOOK_UP_TIME.as_secs();
            Err(format!("{name} was not resolved within {seconds} s"))
        }
    }
}

/// The result for TLS, after an answer came.
fn tls(base_url: &Url, config: &Config) -> Check {
    if base_url.scheme() == "http" {
        return Check::warning(
            "tls",
            "not used: base_url is http",
            "That is for a stand-in on this machine only; 88Pay itself is reached over https.",
        );
    }
    let roots = match config.is_set("ca_bundle") {
        true => "the authorities in ca_bundle",
        false => "the system's authorities",
    };
    Check::passed("tls", format!("the certificate is accepted by {roots}"))
}

/// Compares this machine's clock with the `Date` of an answer.
fn clock(answer: &Response, took: Duration) -> Check {
    let now = SystemTime::now();
    let date = answer
        .header("date")
        .and_then(|date| httpdate::parse_http_date(std::str::from_utf8(date).ok()?).ok());
    let Some(date) = date else {
        return Check::warning(
            "clock",
            "the answer has no usable Date",
            "Compare this machine's clock by other means, such as `timedatectl`.",
        );
    };
    let (off, direction) = match now.duration_since(date) {
        Ok(off) => (off, "ahead of"),
        Err(error) => (error.duration(), "behind"),
    };
    // `Date` has whole seconds, and was written at some time during the exchange.
    let allowed = CLOCK_GOOD + Duration::from_secs(1) + took;
    if off <= allowed {
        return Check::passed("clock", "agrees with the server's");
    }
    let detail = format!("{} s {direction} the server's", off.as_secs());
    let advice = "Synchronise it with NTP (`timedatectl set-ntp true`): certificates and logs depend on it, and so do programs that count a token's life by it.";
    if off < CLOCK_WRONG {
        Check::warning("clock", detail, advice)
    } else {
        Check::failed("clock", detail, advice)
    }
}
