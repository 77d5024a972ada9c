//! The control port: plain HTTP with JSON on loopback, so that a test in any language can see and steer the sandbox. It plays
//! no faults and asks for no credentials.
//!
//! | request | does |
//! |---|---|
//! | `GET /counters`, `GET /log`, `GET /charges`, `GET /switches` | shows them |
//! | `GET /ca.pem` | the certificate authority to trust |
//! | `POST /switches` | sets the switches that the JSON object names, see [`Switches`] |
//! | `POST /faults`, `DELETE /faults` | adds one, see [`Fault`](crate::Fault); forgets all |
//! | `POST /revoke` | revokes every token |
//! | `POST /keys`, `DELETE /keys` | `{"merchant_id", "key"}`: accepts a key; `{"key"}`: refuses it |
//! | `POST /suspend` | `{"merchant_id", "suspended"}` |
//! | `POST /clock/advance` | `{"seconds"}`, a virtual clock only |
//! | `POST /reset` | forgets tokens, limits, charges, faults, counters and log |
//!
//! Faults are written as their Rust names are, in lower case with underscores:
//!
//! ```json
//! {"on": "token", "action": "cut_before_answer"}
//! {"on": "calls", "times": 2, "action": {"answer": {"status": 503, "headers": [["Retry-After", "5"]]}}}
//! {"on": {"path": "/api/echo"}, "times": null, "action": {"delay": {"seconds": 0.5}}}
//! ```

use std::io::Write;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::{Switches, seconds};
use crate::http::{Connection, Trouble, has_body, head_of};
use crate::message::{Answer, Request};
use crate::server::Socket;
use crate::service::Service;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddKey {
    merchant_id: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveKey {
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspend {
    merchant_id: String,
    suspended: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(with = "seconds")]
    seconds: Duration,
}

/// Serves one connection until it ends.
pub(crate) fn serve(service: &Service, ca_pem: &str, socket: Socket) {
    let mut connection = Connection::new(socket.clone());
    loop {
        let (keep_alive, bytes) = match read(&mut connection) {
            Ok((keep_alive, request)) => {
                let answer = answer(service, ca_pem, &request).unwrap_or_else(|refusal| refusal);
                let mut bytes = head_of(&answer, answer.body.len() as u64, !keep_alive);
                if has_body(&request.method, answer.status) {
                    bytes.extend(answer.body);
                }
                (keep_alive, bytes)
            }
            Err(Trouble::Gone) => return,
            Err(Trouble::Refused(status, message)) => {
                let answer = Answer::error(status, message);
                let head = head_of(&answer, answer.body.len() as u64, true);
                (false, [head, answer.body].concat())
            }
        };
        if connection.stream.write_all(&bytes).is_err() {
            return;
        }
        if !keep_alive {
            return socket.end_gently();
        }
    }
}

fn read(connection: &mut Connection<Socket>) -> Result<(bool, Request), Trouble> {
    let head = connection.read_head()?;
    if head.expects_continue {
        connection
            .stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    Ok((head.keep_alive, connection.read_body(head)?))
}

fn answer(service: &Service, ca_pem: &str, request: &Request) -> Result<Answer, Answer> {
    match (request.method.as_str(), request.path()) {
        ("GET", "/counters") => return shown(service.counters()),
        ("GET", "/log") => return shown(service.log()),
        ("GET", "/charges") => return shown(service.charges()),
        ("GET", "/switches") => return shown(service.switches()),
        ("GET", "/ca.pem") if !ca_pem.is_empty() => {
            return Ok(Answer {
                status: 200,
                headers: vec![("Content-Type".into(), "application/x-pem-file".into())],
                body: ca_pem.into(),
            });
        }
        ("POST", "/switches") => {
            let changed = switched(&service.switches(), body(request)?)?;
            service.set(|switches| *switches = changed);
            return shown(service.switches());
        }
        ("POST", "/faults") => service.fault(body(request)?),
        ("DELETE", "/faults") => service.clear_faults(),
        ("POST", "/revoke") => service.revoke_all(),
        ("POST", "/keys") => {
            let AddKey { merchant_id, key } = body(request)?;
            service.add_key(&merchant_id, &key);
        }
        ("DELETE", "/keys") => {
            let RemoveKey { key } = body(request)?;
            service.remove_key(&key);
        }
        ("POST", "/suspend") => {
            let Suspend {
                merchant_id,
                suspended,
            } = body(request)?;
            if !service.suspend(&merchant_id, suspended) {
                return Err(Answer::error(404, "No such merchant"));
            }
        }
        ("POST", "/clock/advance") => {
            let Advance { seconds } = body(request)?;
            match service.clock() {
                Clock::Virtual(clock) => clock.advance(seconds),
                Clock::System => {
                    return Err(Answer::error(
                        409,
                        "The clock is the system's, not a virtual one",
                    ));
                }
            }
        }
        ("POST", "/reset") => service.reset(),
        (method, path) => {
            let message = format!("The control port has no {method} {path}");
            return Err(Answer::error(404, &message));
        }
    }
    shown(json!({}))
}

fn shown(value: impl Serialize) -> Result<Answer, Answer> {
    Ok(Answer::with_json(200, &json!(value)))
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    serde_json::from_slice(&request.body).map_err(|error| Answer::error(400, &error.to_string()))
}

/// The switches with some of them set anew.
fn switched(old: &Switches, new: Value) -> Result<Switches, Answer> {
    let bad = |message: String| Answer::error(400, &message);
    let Value::Object(new) = new else {
        return Err(bad("Body must be a JSON object".into()));
    };
    let mut all = serde_json::to_value(old).map_err(|error| bad(error.to_string()))?;
    if let Value::Object(all) = &mut all {
        all.extend(new);
    }
    serde_json::from_value(all).map_err(|error| bad(error.to_string()))
}
