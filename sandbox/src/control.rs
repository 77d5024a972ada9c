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
use crate::fault::{EXAMPLES, Fault};
use crate::http::{Connection, Trouble, has_body, head_of};
use crate::message::{Answer, Request, percent_decoded};
use crate::server::Socket;
use crate::service::Service;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddKey {
    merchant_id: Option<String>,
    key: Option<String>,
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
    merchant_id: Option<String>,
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
    /// The merchant that the request is limited to.
    merchant: Option<String>,
}

/// A request that the control port knows.
struct Route {
    method: &'static str,
    path: &'static str,
    does: &'static str,
    /// A body that it takes; empty where it takes none.
    example: &'static str,
    /// Whether the query `merchant_id=` limits it to one merchant.
    of_merchant: bool,
    run: fn(&Access<'_>, &Request) -> Result<Answer, Answer>,
}

const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/",
        does: "lists the requests and faults",
        example: "",
        of_merchant: false,
        run: |_, _| Ok(text("text/plain; charset=utf-8", &help())),
    },
    Route {
        method: "GET",
        path: "/counters",
        does: "shows what happened so far, in numbers",
        example: "",
        of_merchant: true,
        run: |access, _| match &access.merchant {
            Some(merchant) => shown(access.service.counters_of(merchant)),
            None => shown(access.service.counters()),
        },
    },
    Route {
        method: "GET",
        path: "/log",
        does: "shows each request, with secrets masked",
        example: "",
        of_merchant: true,
        run: |access, _| match &access.merchant {
            Some(merchant) => shown(access.service.log_of(merchant)),
            None => shown(access.service.log()),
        },
    },
    Route {
        method: "GET",
        path: "/charges",
        does: "shows the charges that were created",
        example: "",
        of_merchant: true,
        run: |access, _| match &access.merchant {
            Some(merchant) => shown(access.service.charges_of(merchant)),
            None => shown(access.service.charges()),
        },
    },
    Route {
        method: "GET",
        path: "/ca.pem",
        does: "shows the certificate authority to trust",
        example: "",
        of_merchant: false,
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
        of_merchant: false,
        run: |access, _| shown(access.service.switches()),
    },
    Route {
        method: "POST",
        path: "/switches",
        does: "changes the settings that are named",
        example: r#"{"expires_in": 30, "token_delay": 0.5}"#,
        of_merchant: false,
        run: |access, request| {
            let changed = switched(&access.service.switches(), body(request)?)?;
            access.service.set(|switches| *switches = changed);
            shown(access.service.switches())
        },
    },
    Route {
        method: "GET",
        path: "/keys",
        does: "shows the merchants, with their keys masked",
        example: "",
        of_merchant: false,
        run: |access, _| shown(access.service.merchants()),
    },
    Route {
        method: "POST",
        path: "/keys",
        does: "accepts an API key for a merchant, which may be new; what is left out is made up, and the answer names both",
        example: r#"{"merchant_id": "MCH-COL-TEST-2", "key": "sk_test_sandbox_of_one_test"}"#,
        of_merchant: false,
        run: |access, request| {
            let AddKey { merchant_id, key } = body(request)?;
            let made_up = |prefix: &str| access.service.made_up(prefix);
            let merchant_id = merchant_id.map_or_else(|| made_up("MCH-COL-TEST-"), Ok)?;
            let key = key.map_or_else(|| made_up("sk_test_sandbox_"), Ok)?;
            access.service.add_key(&merchant_id, &key);
            shown(json!({"merchant_id": merchant_id, "key": key}))
        },
    },
    Route {
        method: "DELETE",
        path: "/keys",
        does: "refuses a key from now on; its tokens stay valid",
        example: r#"{"key": "sk_test_sandbox_of_one_test"}"#,
        of_merchant: false,
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
        of_merchant: false,
        run: |access, request| {
            let Suspend {
                merchant_id,
                suspended,
            } = body(request)?;
            known(access.service, &merchant_id)?;
            access.service.suspend(&merchant_id, suspended);
            done()
        },
    },
    Route {
        method: "POST",
        path: "/revoke",
        does: "makes every token so far invalid",
        example: "",
        of_merchant: true,
        run: |access, _| {
            match &access.merchant {
                Some(merchant) => access.service.revoke_all_of(merchant),
                None => access.service.revoke_all(),
            }
            done()
        },
    },
    Route {
        method: "POST",
        path: "/faults",
        does: "adds a fault, which coming requests meet",
        example: r#"{"on": "calls", "times": 1, "action": "cut_before_answer"}"#,
        of_merchant: false,
        run: |access, request| {
            let fault: Fault = body(request)?;
            if let Some(merchant) = &fault.merchant_id {
                known(access.service, merchant)?;
                if fault.action.is_of_connection() {
                    let message = "A connection belongs to no merchant, so leave merchant_id out";
                    return Err(Answer::error(400, message));
                }
            }
            access.service.fault(fault);
            done()
        },
    },
    Route {
        method: "DELETE",
        path: "/faults",
        does: "removes the faults that have not happened yet",
        example: "",
        of_merchant: true,
        run: |access, _| {
            match &access.merchant {
                Some(merchant) => access.service.clear_faults_of(merchant),
                None => access.service.clear_faults(),
            }
            done()
        },
    },
    Route {
        method: "POST",
        path: "/clock/advance",
        does: "moves the clock forward: that of one merchant, or of all, which needs --virtual-clock",
        example: r#"{"seconds": 47, "merchant_id": "MCH-COL-TEST-12345"}"#,
        of_merchant: false,
        run: |access, request| {
            let Advance {
                seconds,
                merchant_id,
            } = body(request)?;
            match (merchant_id, access.service.clock()) {
                (Some(merchant), _) => {
                    known(access.service, &merchant)?;
                    access.service.advance_for(&merchant, seconds);
                }
                (None, Clock::Virtual(clock)) => clock.advance(seconds),
                (None, Clock::System) => {
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
        of_merchant: false,
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
    let narrowed = ROUTES.iter().filter(|route| route.of_merchant);
    let narrowed: Vec<_> = narrowed
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    text.push_str(&format!(
        "\nWith ?merchant_id=ID these are about one merchant alone: {}.\n",
        narrowed.join(", ")
    ));
    text.push_str(
        "\nFaults: \"on\" is \"token\", \"calls\", \"any\" or {\"path\": \"/api/balance\"}; \"times\" is 1 unless given, and null \
         for every request; with \"merchant_id\" it is for the requests of this merchant alone; \"action\" is one of these:\n",
    );
    for (_, example) in EXAMPLES {
        text.push_str(&format!("  {example}\n"));
    }
    text.push_str("\ndocs/sandbox.md says what each does.\n");
    text
}

fn answer(service: &Service, ca_pem: &str, request: &Request) -> Result<Answer, Answer> {
    let known = |route: &&Route| route.method == request.method && route.path == request.path();
    let route = ROUTES.iter().find(known).ok_or_else(|| unknown(request))?;
    let access = Access {
        service,
        ca_pem,
        merchant: merchant_asked(service, route, request)?,
    };
    (route.run)(&access, request)
}

/// The merchant that the query names. Whatever else is in a query is refused: what was to be limited to one merchant must
/// never reach all.
fn merchant_asked(
    service: &Service,
    route: &Route,
    request: &Request,
) -> Result<Option<String>, Answer> {
    let Some(query) = request.query() else {
        return Ok(None);
    };
    let id = query
        .strip_prefix("merchant_id=")
        .filter(|id| route.of_merchant && !id.contains('&'))
        .ok_or_else(|| Answer::error(400, &format!("The query ?{query} is not taken here")))?;
    let id = String::from_utf8_lossy(&percent_decoded(id)).into_owned();
    known(service, &id)?;
    Ok(Some(id))
}

fn known(service: &Service, merchant_id: &str) -> Result<(), Answer> {
    match service.knows(merchant_id) {
        true => Ok(()),
        false => Err(Answer::error(404, "No such merchant")),
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
