//! Scenario steps through the crate `pay88`, on threads where several are at once; with the argument `async` tokens and calls
//! are awaited there. See ../README.md.

use std::io::{BufRead, Write};
use std::sync::Barrier;
use std::time::Duration;

use pay88::ffi::prepare_token;
use pay88::{Config, Control, Error, Events, Request, Response, Token, TokenManager};
use serde_json::{Map, Value, json};

/// The fields of a step.
struct Step(Vec<(String, String)>);

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Step {
    fn read(line: &str) -> Step {
        Step(
            url::form_urlencoded::parse(line.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> Result<&str, Failure> {
        Ok(self
            .get(name)
            .ok_or_else(|| format!("the step has no {name}"))?)
    }

    /// What is named below a prefix: `option.timeout`.
    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let stripped = move |(name, value): &'a (String, String)| {
            name.strip_prefix(prefix).map(|rest| (rest, value.as_str()))
        };
        self.0.iter().filter_map(stripped)
    }

    fn timeout(&self) -> Result<Option<Duration>, Failure> {
        let seconds = self.get("timeout").map(str::parse).transpose()?;
        Ok(seconds.map(Duration::from_secs_f64))
    }

    fn request(&self) -> Result<Request, Failure> {
        let mut request = Request::new(self.text("method")?, self.text("endpoint")?)
            .safe_to_repeat(self.get("safe_to_repeat") == Some("true"));
        if let Some(body) = self.get("body") {
            request = request.body(body.to_owned());
        }
        for (name, value) in self.below("header.") {
            request = request.header(name, value);
        }
        for (name, value) in self.below("param.") {
            request = request.param(name, value);
        }
        if let Some(timeout) = self.timeout()? {
            request = request.timeout(timeout);
        }
        Ok(request)
    }
}

fn error(error: &Error) -> Value {
    json!({
        "code": error.code().name(),
        "message": error.message(),
        "hint": error.hint(),
        "outcome": error.outcome().name(),
        "http_status": error.http_status(),
        "retry_after": error.retry_after().map(|after| after.as_secs_f64()),
        "retryable": error.retryable(),
        "attempt": error.attempt(),
    })
}

fn token(token: &Token) -> Value {
    json!({
        "access_token": token.access_token(),
        "session_id": token.session_id(),
        "expires_in": token.expires_in(),
        "valid_for": token.valid_for().as_secs_f64(),
    })
}

fn response(response: &Response) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<String, Value> = response
        .headers()
        .map(|(name, value)| (name.to_owned(), text(value).into()))
        .collect();
    json!({"status": response.status(), "headers": headers, "body": response.text()})
}

fn manager(step: &Step) -> pay88::Result<TokenManager> {
    let mut config = Config::new();
    for (name, value) in step.below("option.") {
        config.set(name, value)?;
    }
    TokenManager::new(config)
}

/// How tokens and calls are waited for.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Blocking,
    Async,
}

fn await_here<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// There is no `get_token_async` with a timeout of its own: the bindings have it from here.
fn token_in_time(
    manager: &TokenManager,
    timeout: Duration,
) -> Result<pay88::Result<Token>, Failure> {
    let (tx, rx) = std::sync::mpsc::channel();
    match prepare_token(manager, Some(timeout), move |got| drop(tx.send(got))) {
        Ok(task) => task.start(),
        Err(failure) => return Ok(Err(failure)),
    }
    Ok(rx.recv()?)
}

/// A step of a manager.
fn done(manager: &TokenManager, step: &Step, way: Way) -> Result<pay88::Result<Value>, Failure> {
    Ok(match step.text("do")? {
        "get_token" if way == Way::Async => {
            let got = match step.timeout()? {
                Some(timeout) => token_in_time(manager, timeout)?,
                None => await_here(manager.get_token_async())?,
            };
            got.map(|got| token(&got))
        }
        "request" if way == Way::Async => {
            await_here(manager.make_request_async(step.request()?))?.map(|answer| response(&answer))
        }
        "get_token" => {
            let timeout = step.timeout()?;
            let control = Control {
                timeout,
                ..Control::default()
            };
            manager.get_token_with(control).map(|got| token(&got))
        }
        "peek_token" => manager
            .peek_token()
            .map(|peeked| peeked.as_ref().map_or(Value::Null, token)),
        "request" => manager
            .make_request(step.request()?)
            .map(|answer| response(&answer)),
        "invalidate" => manager.invalidate().map(Value::from),
        "rotate" => {
            let keep_old = step.text("keep_old")? == "true";
            manager
                .rotate(step.text("api_key")?, keep_old)
                .map(|()| Value::Null)
        }
        "close" => {
            manager.close();
            Ok(Value::Null)
        }
        "stats" => Ok(manager.stats().to_json()),
        other => return Err(format!("there is no step {other}").into()),
    })
}

/// A step of a manager, so many times at the same moment.
fn at_once(
    manager: &TokenManager,
    step: &Step,
    way: Way,
) -> Result<Vec<pay88::Result<Value>>, Failure> {
    let times = step.text("at_once")?.parse()?;
    let barrier = Barrier::new(times);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..times)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    done(manager, step, way)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked")?)
            .collect()
    })
}

fn main() -> Result<(), Failure> {
    let way = match std::env::args().nth(1).as_deref() {
        None => Way::Blocking,
        Some("async") => Way::Async,
        Some(other) => return Err(format!("there is no way {other}").into()),
    };
    let queue = Events::subscribe(10_000);
    let mut events = Vec::new();
    let mut managers = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let step = Step::read(&line?);
        let results = match step.text("do")? {
            "new" => vec![manager(&step).map(|built| {
                managers.push(built.clone());
                built.id().into()
            })],
            "events" => {
                while let Some(event) = queue.next(Duration::ZERO) {
                    events.push(event.to_json());
                }
                vec![Ok(events.clone().into())]
            }
            _ => {
                let number: usize = step.text("manager")?.parse()?;
                let manager = managers.get(number).ok_or("there is no such manager")?;
                at_once(manager, &step, way)?
            }
        };
        let told: Vec<Value> = results
            .into_iter()
            .map(|result| match result {
                Ok(value) => json!({"ok": value}),
                Err(failure) => json!({"error": error(&failure)}),
            })
            .collect();
        writeln!(std::io::stdout(), "{}", Value::from(told))?;
    }
    Ok(())
}
