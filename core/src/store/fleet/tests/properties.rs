//! Any bytes as answers of a store: each operation ends, in time, with an answer or a reason.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TIME: Duration = Duration::from_millis(200);
/// What the machine may be late.
const LATE: Duration = Duration::from_millis(1500);

/// What the peer answers to the questions of one connection, in their order; then it closes.
type Script = Vec<Vec<u8>>;

/// A server whose connections follow the scripts that are sent to it.
fn scripted() -> (u16, Sender<Script>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, scripts) = channel::<Script>();
    let serve = |mut stream: TcpStream, script: Script| {
        stream.set_read_timeout(Some(10 * SECOND)).unwrap();
        let mut asked = [0; 4096];
        for answer in script {
            if !matches!(stream.read(&mut asked), Ok(1..)) || stream.write_all(&answer).is_err() {
                break;
            }
        }
    };
    std::thread::spawn(move || {
        for (stream, script) in listener.incoming().flatten().zip(scripts) {
            serve(stream, script);
        }
    });
    (port, sender)
}

/// A piece of an answer of either protocol, or of none.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        (-3..9_i64).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u128>().prop_map(|number| number.to_string()),
        Just("1700000000000".to_owned()),
        Just("65536".to_owned()),
    ];
    let number = number.boxed();
    let line = |before: &'static str| {
        number
            .clone()
            .prop_map(move |number| format!("{before}{number}\r\n").into_bytes())
    };
    let data = (number.clone(), vec(any::<u8>(), 0..30))
        .prop_map(|(length, data)| [format!("${length}\r\n").as_bytes(), &data, b"\r\n"].concat());
    let value = (
        0..40_usize,
        number.clone(),
        number.clone(),
        vec(any::<u8>(), 40),
    )
        .prop_map(|(length, version, left, data)| {
            let head = format!("VA {length} c{version} t{left}\r\n");
            [head.as_bytes(), &data[..length], b"\r\n"].concat()
        });
    prop_oneof![
        line(":"),
        line("*"),
        line("$"),
        line("HD c"),
        line("VA "),
        data,
        value,
        Just(b"*4\r\n:1\r\n:1700000000000\r\n:-2\r\n$-1\r\n".to_vec()),
        Just(b"+OK\r\n".to_vec()),
        Just(b"-ERR\r\n".to_vec()),
        Just(b"HD\r\n".to_vec()),
        Just(b"EN\r\n".to_vec()),
        Just(b"NS\r\n".to_vec()),
        Just(b"SERVER_ERROR x\r\n".to_vec()),
        vec(any::<u8>(), 0..20),
        ".{0,12}".prop_map(String::into_bytes),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    vec(vec(piece(), 0..6).prop_map(|pieces| pieces.concat()), 0..8)
}

/// What a refresh asks of a store, in any order.
fn ask(session: &mut dyn Session, what: u8) -> Result<(), String> {
    match what {
        0 => session.read(TIME).map(drop),
        1 => session.take_lease(SECOND, TIME).map(drop),
        2 => session
            .write(b"value", SECOND, Some(SECOND), Some(MINE), TIME)
            .map(drop),
        3 => session.write(b"value", SECOND, None, None, TIME).map(drop),
        4 => session.marks(MINE, TIME).map(drop),
        5 => session.marks(&[], TIME).map(drop),
        _ => session.release(TIME),
    }
}

fn survives(scheme: &str, questions: &[u8], port: u16) -> Result<(), TestCaseError> {
    let server = server(&format!("{scheme}://127.0.0.1:{port}"));
    let opened = server.open(NAME, owner(), AMPLE);
    let Ok(mut session) = opened else {
        return Err(TestCaseError::fail("nobody listens"));
    };
    for what in questions {
        let asked = Instant::now();
        if let Err(reason) = ask(&mut *session, *what) {
            prop_assert!(reason.len() > 10, "{}", reason);
        }
        prop_assert!(asked.elapsed() < TIME + LATE, "{:?}", asked.elapsed());
    }
    Ok(())
}

/// The same by way of a refresh's questions: a record that is made of it, or a reason.
fn is_read(
    port: u16,
    sender: &Sender<Script>,
    value: &[u8],
    marks: &[u8],
) -> Result<(), TestCaseError> {
    let found = format!(
        "*4\r\n:1\r\n:1700000000000\r\n:-2\r\n${}\r\n",
        8 + value.len()
    );
    let found = [found.as_bytes(), b"generate", value, b"\r\n"].concat();
    let marks = [format!("${}\r\n", marks.len()).as_bytes(), marks, b"\r\n"].concat();
    sender.send(vec![found, b":1\r\n".to_vec(), marks]).unwrap();
    let stores = [StoreUrl::parse(&format!("redis://127.0.0.1:{port}")).unwrap()];
    let fleet = Fleet::new(&stores, "https://pay.example", "MCH-COL-1", Clock::System);
    let key = record::api_key("sk_test_sandbox_0123456789abcdef");
    let mut client = Arc::new(fleet).client(&key).unwrap();
    let lead = Ask::Lease { lease: SECOND };
    match client.ask(lead, AMPLE) {
        Ok(Answer::Found(found)) => {
            // Nobody else has the key.
            prop_assert!(found.record.is_none());
            prop_assert_eq!(found.hosts, 0);
            Ok(())
        }
        Ok(_) => Err(TestCaseError::fail("not found")),
        Err(reason) => Err(TestCaseError::fail(reason)),
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    }
}

#[test]
fn any_answers_are_survived_within_their_time() {
    within(120 * SECOND, || {
        let (port, sender) = scripted();
        proptest!(config(), |(script in script(), questions in vec(0..7_u8, 1..5), redis in any::<bool>())| {
            sender.send(script).unwrap();
            survives(if redis { "redis" } else { "memcached" }, &questions, port)?;
        });
    });
}

#[test]
fn any_value_and_any_marks_are_read_as_none() {
    within(120 * SECOND, || {
        let (port, sender) = scripted();
        proptest!(config(), |(value in vec(any::<u8>(), 0..200), marks in vec(any::<u8>(), 0..200))| {
            is_read(port, &sender, &value, &marks)?;
        });
    });
}
