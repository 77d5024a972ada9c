//! Redis (6 or newer) and Valkey: each operation is one script, so nothing happens between its steps.
//!
//! The keys of a credential, `pay88:{name}:value`, `:lease` and `:hosts`, share a hash tag, so a cluster keeps them
//! together. Before the value stands the generation of its token. A user of an access control list needs `~pay88:*
//! +eval +time +get +getrange +set +del +pttl +pexpire` (and `+select` for a database).
//!
//! The protocol (RESP 2) is written here. The crate `redis` sets no time limit for a whole operation on a blocking
//! connection. Its parser descends as deep as an answer says: 120 nested arrays overflow a stack of 128 KiB (512 KiB
//! in a debug build), which is the end of the process.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::connection::{Answers, Connection, protocol_error};
use super::session::{
    Found, Generation, LONGEST_MARKS, Owner, Session, StoreTime, check_length, deadline,
    first_lease, next_generation,
};
use crate::config::store_url::Login;

/// Ends each script that reports what there is. KEYS of all scripts are the value, the lease, and the marks. ARGV:
/// owner.
const FOUND: &str = "
local time = redis.call('TIME')
local lease = redis.call('GET', KEYS[2]) == ARGV[1] and -2 or redis.call('PTTL', KEYS[2])
return {led, time[1] * 1000 + math.floor(time[2] / 1000), lease, redis.call('GET', KEYS[1])}";

const READ: &str = "local led = 0";

/// ARGV: owner, milliseconds of the lease.
const TAKE_LEASE: &str = "
local led = redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
if led == 0 and redis.call('GET', KEYS[2]) == ARGV[1] then
    led = redis.call('PEXPIRE', KEYS[2], ARGV[2])
end";

/// ARGV: owner, milliseconds of the lease.
const EXTEND: &str = "
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])";

/// ARGV: owner; value with its generation; milliseconds to keep it; milliseconds of the lease, or 0; the mark for a
/// new token, or nothing.
const WRITE: &str = "
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[5], 'PX', ARGV[3])
else redis.call('PEXPIRE', KEYS[3], ARGV[3]) end
if ARGV[4] == '0' then redis.call('DEL', KEYS[2])
else redis.call('PEXPIRE', KEYS[2], ARGV[4]) end
return 1";

/// ARGV: owner.
const RELEASE: &str = "
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1";

/// ARGV: generation; mark, or nothing; how long all marks together may be.
const MARKS: &str = "
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return '' end
local marks = redis.call('GETRANGE', KEYS[3], 0, ARGV[3] - 1)
if ARGV[2] ~= '' and #marks + #ARGV[2] <= tonumber(ARGV[3]) and not string.find(marks, ARGV[2], 1, true) then
    marks = marks .. ARGV[2]
    redis.call('SET', KEYS[3], marks, 'PX', math.max(redis.call('PTTL', KEYS[1]), 1))
end
return marks";

/// How Redis 7 reports a forbidden command in a script. It has no code.
const NO_RIGHT_IN_SCRIPT: &str = "The user executing the script can't";

const NO_RIGHT: &str = "NOPERM: its user may not do that: it needs ~pay88:* +eval +time +get +getrange +set +del +pttl +pexpire";

const NO_SELECT: &str =
    "NOPERM: its user may not choose a database: it needs +select, or a URL with database 0";

/// KEYS: one that nobody has. Runs every command that writes, and leaves nothing.
const WRITABLE: &str = "
redis.call('SET', KEYS[1], '', 'XX', 'PX', 1)
redis.call('PEXPIRE', KEYS[1], 1)
redis.call('GETRANGE', KEYS[1], 0, 0)
redis.call('DEL', KEYS[1])
return 1";

/// What the codes of Redis's errors mean for a user.
const REFUSALS: &[(&str, &str)] = &[
    (
        "NOAUTH",
        "NOAUTH: it wants a password: write it into the store's URL",
    ),
    (
        "WRONGPASS",
        "WRONGPASS: it does not take the user or the password of the store's URL",
    ),
    ("NOPERM", NO_RIGHT),
    (
        "DENIED",
        "DENIED: it is in protected mode, in which it answers its own host alone",
    ),
    (
        "READONLY",
        "READONLY: it is a replica, on which nothing can be written: name the primary in the store's URL",
    ),
    (
        "OOM",
        "OOM: its memory is full: raise its maxmemory, or choose a policy that evicts keys",
    ),
    (
        "LOADING",
        "LOADING: it has just started and is still loading its data",
    ),
    (
        "MOVED",
        "MOVED: it is a node of a cluster, and another node has these keys: name that one in the store's URL",
    ),
    (
        "ASK",
        "ASK: it is a node of a cluster that is handing these keys to another node",
    ),
    ("CLUSTERDOWN", "CLUSTERDOWN: its cluster is not complete"),
    (
        "MASTERDOWN",
        "MASTERDOWN: it is a replica that has lost its primary",
    ),
    (
        "MISCONF",
        "MISCONF: it could not save its data and takes no writes: see its log",
    ),
    (
        "NOREPLICAS",
        "NOREPLICAS: it has fewer replicas than it must have to take writes",
    ),
    ("BUSY", "BUSY: it is busy with somebody's script"),
];

pub(super) struct Redis {
    connection: Connection,
    owner: Owner,
    keys: [String; 3],
    /// The generation of the value that was read or written last.
    generation: Option<Generation>,
}

/// The answers that our questions can have.
#[derive(Debug, PartialEq)]
enum Reply {
    Status(String),
    Number(i64),
    Bytes(Option<Zeroizing<Vec<u8>>>),
    List(Vec<Reply>),
    /// The server refused; what it said.
    Refusal(String),
}

impl Redis {
    pub(super) fn new(connection: Connection, name: &str, owner: Owner) -> Redis {
        Redis {
            connection,
            owner,
            keys: ["value", "lease", "hosts"].map(|what| format!("pay88:{{{name}}}:{what}")),
            generation: None,
        }
    }

    /// Logs in, and selects the database.
    pub(super) fn log_in(
        &mut self,
        login: Option<&Login>,
        database: u32,
        deadline: Instant,
    ) -> Result<(), String> {
        if let Some(Login { user, password }) = login {
            let mut words: Vec<&[u8]> = vec![b"AUTH"];
            words.extend(user.as_ref().map(|user| user.as_bytes()));
            words.push(password.expose().as_bytes());
            self.expect_ok(
                &command(&words),
                deadline,
                "it does not take the password of the store's URL: it may have none, or no users",
            )?;
        }
        if database != 0 {
            let selected = self.expect_ok(
                &command(&[b"SELECT", database.to_string().as_bytes()]),
                deadline,
                "it does not have the database of the store's URL",
            );
            selected.map_err(|why| {
                if why == NO_RIGHT {
                    NO_SELECT.to_owned()
                } else {
                    why
                }
            })?;
        }
        Ok(())
    }

    fn expect_ok(
        &mut self,
        question: &[u8],
        deadline: Instant,
        otherwise: &str,
    ) -> Result<(), String> {
        match self.ask(question, deadline, otherwise)? {
            Reply::Status(status) if status == "OK" => Ok(()),
            _ => Err(protocol_error()),
        }
    }

    /// The answer, unless it is a refusal. `otherwise` is the reason to report for a refusal without a code of its
    /// own.
    fn ask(
        &mut self,
        question: &[u8],
        deadline: Instant,
        otherwise: &str,
    ) -> Result<Reply, String> {
        let reply = self
            .connection
            .ask(question, deadline, |answers| reply(answers, true))?;
        match reply {
            Reply::Refusal(text) => Err(refusal(&text).unwrap_or(otherwise).to_owned()),
            reply => Ok(reply),
        }
    }

    fn run(&mut self, script: &str, argv: &[&[u8]], deadline: Instant) -> Result<Reply, String> {
        let mut words: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), b"3"];
        words.extend(self.keys.iter().map(|key| key.as_bytes()));
        words.extend(argv);
        let question = command(&words);
        self.run_script(&question, deadline)
    }

    fn run_script(&mut self, question: &[u8], deadline: Instant) -> Result<Reply, String> {
        self.ask(
            question,
            deadline,
            "it refuses to run a script: is it Redis 6 or newer, and does it allow EVAL?",
        )
    }

    /// Makes the lease last that long from now. Returns whether it was still this session's.
    fn extend(&mut self, lease: Duration, end: Instant) -> Result<bool, String> {
        let owner = self.owner;
        match self.run(EXTEND, &[&owner, millis(lease).as_bytes()], end)? {
            Reply::Number(held) => Ok(held == 1),
            _ => Err(protocol_error()),
        }
    }

    /// Runs a script that sets `led`. Returns that, and what there is.
    fn run_found(
        &mut self,
        script: &str,
        argv: &[&[u8]],
        deadline: Instant,
    ) -> Result<(bool, Found), String> {
        let asked = Instant::now();
        let reply = self.run(&format!("{script}{FOUND}"), argv, deadline)?;
        let took = asked.elapsed().as_millis() as u64;
        let Reply::List(list) = reply else {
            return Err(protocol_error());
        };
        let Ok(
            [
                Reply::Number(led),
                Reply::Number(now),
                Reply::Number(lease),
                Reply::Bytes(stored),
            ],
        ) = <[Reply; 4]>::try_from(list)
        else {
            return Err(protocol_error());
        };
        let led = led == 1;
        let leased = match lease {
            _ if led => None,
            -2 => None,
            // Also -1, a lease without an end, which none of us gives.
            left => Some(Duration::from_millis(
                u64::try_from(left).map_err(|_| protocol_error())?,
            )),
        };
        let split = stored
            .as_ref()
            .and_then(|stored| stored.split_first_chunk());
        let value = split.map(|(_, value)| Zeroizing::new(value.to_vec()));
        self.generation = split.map(|(generation, _)| *generation);
        let earliest = u64::try_from(now).map_err(|_| protocol_error())?;
        let found = Found {
            value,
            leased,
            now: StoreTime {
                earliest,
                // The server reads its clock at some moment in between, and cuts it to milliseconds.
                latest: earliest + took + 2,
            },
        };
        Ok((led, found))
    }
}

impl Session for Redis {
    fn read(&mut self, within: Duration) -> Result<Found, String> {
        let owner = self.owner;
        Ok(self.run_found(READ, &[&owner], deadline(within))?.1)
    }

    fn take_lease(&mut self, lease: Duration, within: Duration) -> Result<(bool, Found), String> {
        let (owner, end) = (self.owner, deadline(within));
        let first = millis(first_lease(lease, within));
        let (led, found) = self.run_found(TAKE_LEASE, &[&owner, first.as_bytes()], end)?;
        Ok((led && self.extend(lease, end)?, found))
    }

    fn write(
        &mut self,
        value: &[u8],
        keep: Duration,
        lease: Option<Duration>,
        fresh: Option<&[u8]>,
        within: Duration,
    ) -> Result<bool, String> {
        check_length(value)?;
        let generation = next_generation(self.generation.filter(|_| fresh.is_none()))?;
        let stored = [&generation, value].concat();
        let first = lease.map_or("0".to_owned(), |lease| millis(first_lease(lease, within)));
        let keep = millis(keep);
        let (owner, end) = (self.owner, deadline(within));
        let argv: [&[u8]; 5] = [
            &owner,
            &stored,
            keep.as_bytes(),
            first.as_bytes(),
            fresh.unwrap_or_default(),
        ];
        match self.run(WRITE, &argv, end)? {
            Reply::Number(1) => {
                self.generation = Some(generation);
                lease.map_or(Ok(true), |lease| self.extend(lease, end))
            }
            Reply::Number(0) => Ok(false),
            _ => Err(protocol_error()),
        }
    }

    fn release(&mut self, within: Duration) -> Result<(), String> {
        let owner = self.owner;
        match self.run(RELEASE, &[&owner], deadline(within))? {
            Reply::Number(_) => Ok(()),
            _ => Err(protocol_error()),
        }
    }

    fn writable(&mut self, within: Duration) -> Result<(), String> {
        let key = self.keys[0].replace(":value", ":probe");
        let question = command(&[b"EVAL", WRITABLE.as_bytes(), b"1", key.as_bytes()]);
        match self.run_script(&question, deadline(within))? {
            Reply::Number(_) => Ok(()),
            _ => Err(protocol_error()),
        }
    }

    fn marks(&mut self, mine: &[u8], within: Duration) -> Result<Vec<u8>, String> {
        let Some(generation) = self.generation else {
            return Ok(Vec::new());
        };
        let longest = LONGEST_MARKS.to_string();
        let argv: [&[u8]; 3] = [&generation, mine, longest.as_bytes()];
        match self.run(MARKS, &argv, deadline(within))? {
            Reply::Bytes(Some(marks)) => Ok(marks.to_vec()),
            _ => Err(protocol_error()),
        }
    }
}

/// Redis counts in milliseconds, and takes no zero.
fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}

/// The reason to report for a refusal, if its code says what it means. Its text is not shown, because it repeats what
/// was sent.
fn refusal(text: &str) -> Option<&'static str> {
    if text.contains(NO_RIGHT_IN_SCRIPT) {
        return Some(NO_RIGHT);
    }
    let known = REFUSALS.iter().find(|(code, _)| {
        let own = text.split(' ').next() == Some(code);
        // Redis 6 wraps the error of a command in a script into an error of its own.
        own || text.contains(&format!(" -{code} "))
    });
    known.map(|(_, meaning)| *meaning)
}

/// A command as RESP has it. It may hold a password, so it is zeroed.
fn command(words: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = words.iter().map(|word| word.len() + 32).sum();
    // As large as it becomes, from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(32 + length));
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads an answer. It may be a list only if it is not inside one.
fn reply(answers: &mut Answers<'_>, outermost: bool) -> Result<Reply, String> {
    let line = answers.line()?;
    let number = |text: &str| text.parse::<i64>().map_err(|_| protocol_error());
    Ok(match line.split_at_checked(1) {
        Some(("+", status)) => Reply::Status(status.to_owned()),
        Some(("-", text)) => Reply::Refusal(text.to_owned()),
        Some((":", text)) => Reply::Number(number(text)?),
        Some(("$", "-1")) => Reply::Bytes(None),
        Some(("$", length)) => {
            let length = usize::try_from(number(length)?).map_err(|_| protocol_error())?;
            Reply::Bytes(Some(answers.bytes(length)?))
        }
        Some(("*", length)) if outermost => {
            let length = number(length)?;
            if !(0..=8).contains(&length) {
                return Err(protocol_error());
            }
            let replies = (0..length).map(|_| reply(answers, false));
            Reply::List(replies.collect::<Result<_, _>>()?)
        }
        _ => return Err(protocol_error()),
    })
}
