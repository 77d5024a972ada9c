//! The control port: plain HTTP with JSON on loopback, so that a test in any language can see and control the
//! sandbox. It causes no faults itself and asks for no credentials. `GET /`, `pay88 sandbox --help` and
//! `docs/sandbox.md` describe it.

use std::io::Write;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::{Switches, seconds};
use crate::fault::EXAMPLES;
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

/// What the control port can see and change.
struct Access<'a> {
    service: &'a Service,
    ca_pem: &'a str,
}

/// A request that the control port knows.
struct Route {
    method: &'static str,
    path: &'static str,
    does: &'static str,
    /// A body that it takes; empty where it takes none.
    example: &'static str,
    run: fn(&Access<'_>, &Request) -> Result<Answer, Answer>,
}

const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/",
        does: "lists the requests and faults",
        example: "",
        run: |_, _| Ok(text("text/plain; charset=utf-8", &help())),
    },
    Route {
        method: "GET",
        path: "/counters",
        does: "shows what happened so far, in numbers",
        example: "",
        run: |access, _| shown(access.service.counters()),
    },
    Route {
        method: "GET",
        path: "/log",
        does: "shows each request, with secrets masked",
        example: "",
        run: |access, _| shown(access.service.log()),
    },
    Route {
        method: "GET",
        path: "/charges",
        does: "shows the charges that were created",
        example: "",
        run: |access, _| shown(access.service.charges()),
    },
    Route {
        method: "GET",
        path: "/ca.pem",
        does: "shows the certificate authority to trust",
        example: "",
        run: |access, request| match access.ca_pem {
            "" => Err(unknown(request)),
            pem => Ok(text("application/x-pem-file", pem)),
        },
    },
    Route {
        method: "GET",
        path: "/switches",
        does: "shows the settings",
        example: "",
        run: |access, _| shown(access.service.switches()),
    },
    Route {
        method: "POST",
        path: "/switches",
        does: "changes the settings that are named",
        example: r#"{"expires_in": 30, "token_delay": 0.5}"#,
        run: |access, request| {
            let changed = switched(&access.service.switches(), body(request)?)?;
            access.service.set(|switches| *switches = changed);
            shown(access.service.switches())
        },
    },
    Route {
        method: "POST",
        path: "/keys",
        does: "accepts an API key for a merchant; the merchant may be new",
        example: r#"{"merchant_id": "MCH-COL-TEST-2", "key": "sk_test_sandbox_of_one_test"}"#,
        run: |access, request| {
            let AddKey { merchant_id, key } = body(request)?;
            access.service.add_key(&merchant_id, &key);
            done()
        },
    },
    Route {
        method: "DELETE",
        path: "/keys",
        does: "refuses a key from now on; its tokens stay valid",
        example: r#"{"key": "sk_test_sandbox_of_one_test"}"#,
        run: |access, request| {
            let RemoveKey { key } = body(request)?;
            access.service.remove_key(&key);
            done()
        },
    },
    Route {
        method: "POST",
        path: "/suspend",
        does: "suspends a merchant, or ends the suspension",
        example: r#"{"merchant_id": "MCH-COL-TEST-12345", "suspended": true}"#,
        run: |access, request| {
            let Suspend {
                merchant_id,
                suspended,
            } = body(request)?;
            if !access.service.suspend(&merchant_id, suspended) {
                return Err(Answer::error(404, "No such merchant"));
            }
            done()
        },
    },
    Route {
        method: "POST",
        path: "/revoke",
        does: "makes every token so far invalid",
        example: "",
        run: |access, _| {
            access.service.revoke_all();
            done()
        },
    },
    Route {
        method: "POST",
        path: "/faults",
        does: "adds a fault, which coming requests meet",
        example: r#"{"on": "calls", "times": 1, "action": "cut_before_answer"}"#,
        run: |access, request| {
            access.service.fault(body(request)?);
            done()
        },
    },
    Route {
        method: "DELETE",
        path: "/faults",
        does: "removes the faults that have not happened yet",
        example: "",
        run: |access, _| {
            access.service.clear_faults();
            done()
        },
    },
    Route {
        method: "POST",
        path: "/clock/advance",
        does: "moves the clock forward; only with --virtual-clock",
        example: r#"{"seconds": 47}"#,
        run: |access, request| {
            let Advance { seconds } = body(request)?;
            match access.service.clock() {
                Clock::Virtual(clock) => clock.advance(seconds),
                Clock::System => {
                    let message = "The clock is the system's, not a virtual one";
                    return Err(Answer::error(409, message));
                }
            }
            done()
        },
    },
    Route {
        method: "POST",
        path: "/reset",
        does: "forgets tokens (also those that clients hold), limits, charges, faults, counters and log",
        example: "",
        run: |access, _| {
            access.service.reset();
            done()
        },
    },
];

/// The requests and faults of the control port, for people.
pub fn help() -> String {
    let mut text = String::from("The control port takes and gives JSON:\n");
    for route in ROUTES {
        let request = format!("{} {}", route.method, route.path);
        text.push_str(&format!("  {request:<21} {}\n", route.does));
        if !route.example.is_empty() {
            text.push_str(&format!("  {:<21} {}\n", "", route.example));
        }
    }
    text.push_str(
        "\nFaults: \"on\" is \"token\", \"calls\", \"any\" or {\"path\": \"/api/balance\"}; \"times\" is 1 unless given, and null \
         for every request; \"action\" is one of these:\n",
    );
    for (_, example) in EXAMPLES {
        text.push_str(&format!("  {example}\n"));
    }
    text.push_str("\ndocs/sandbox.md says what each does.\n");
    text
}

fn answer(service: &Service, ca_pem: &str, request: &Request) -> Result<Answer, Answer> {
    let known = |route: &&Route| route.method == request.method && route.path == request.path();
    match ROUTES.iter().find(known) {
        Some(route) => (route.run)(&Access { service, ca_pem }, request),
        None => Err(unknown(request)),
    }
}

fn unknown(request: &Request) -> Answer {
    let (method, path) = (&request.method, request.path());
    Answer::error(404, &format!("The control port has no {method} {path}"))
}

fn text(kind: &str, body: &str) -> Answer {
    Answer {
        status: 200,
        headers: vec![("Content-Type".into(), kind.into())],
        body: body.into(),
    }
}

fn done() -> Result<Answer, Answer> {
    shown(json!({}))
}

fn shown(value: impl Serialize) -> Result<Answer, Answer> {
    Ok(Answer::with_json(200, &json!(value)))
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    serde_json::from_slice(&request.body).map_err(|error| Answer::error(400, &error.to_string()))
}

/// The switches with some of them changed.
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
