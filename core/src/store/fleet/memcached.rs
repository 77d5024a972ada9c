//! Memcached (1.6 or newer, by its meta commands): several steps where Redis has one, each of them fenced.
//!
//! A credential has the items `pay88:name:value`, `:lease`, `:clock` and, for each token, `:hosts:generation`. Every
//! write names the version that it replaces (CAS), so whoever wrote meanwhile wins, and only the holder of a lease
//! gives it back. Memcached tells no time, so a clock is made from the life that is left to the item `:clock` (see
//! `memcached_clock`). Its epoch stands before each value. A value of another epoch counts as none, because its
//! instants mean nothing any more. Times here are whole seconds, rounded so that nothing ends early.
//!
//! The protocol is written here. The crate `async-memcached`, which has the meta commands, needs a runtime, takes no
//! stream of ours, and connects by IPv4 alone. Passwords (`-Y`, SASL) are not supported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::connection::{Answers, Connection, protocol_error};
use super::memcached_clock::{Epoch, MemcachedClock};
use super::session::{
    Found, Generation, Owner, Session, check_length, deadline, first_lease, is_missing,
    next_generation,
};
use crate::platform::clock::Clock;
use crate::platform::random;

/// About the length of a value, in bytes. Memcached gives out memory by length.
const USUAL_VALUE: usize = 2048;

/// How long an epoch is, in seconds. Memcached takes more than 30 days for an instant.
const EPOCH: u64 = 30 * 24 * 3600 - 1;

pub(super) struct Memcached {
    connection: Connection,
    name: String,
    owner: Owner,
    clock: Arc<MemcachedClock>,
    epoch: Epoch,
    /// The version of our lease.
    lease: Option<u64>,
    /// The version of the value that was read or written last.
    value: Option<u64>,
    /// The token of that value, and for how many seconds it still lives.
    token: Option<(Generation, u64)>,
}

/// The answers that our questions can have.
enum Reply {
    /// HD or VA.
    Done(Item),
    /// EN or NF: there is no such item.
    Missing,
    /// NS or EX: there is one already, or it has another version.
    Conflict,
    /// The server could not do it; the reason to report.
    Refusal(&'static str),
}

/// What was read of an item.
#[derive(Default)]
struct Item {
    data: Option<Zeroizing<Vec<u8>>>,
    version: Option<u64>,
    seconds_left: Option<u64>,
}

impl Memcached {
    pub(super) fn new(
        connection: Connection,
        name: &str,
        owner: Owner,
        clock: Arc<MemcachedClock>,
    ) -> Memcached {
        Memcached {
            connection,
            name: name.to_owned(),
            owner,
            clock,
            epoch: Epoch::default(),
            lease: None,
            value: None,
            token: None,
        }
    }

    /// Asks everything at once. The replies come in the same order.
    fn ask<const N: usize>(
        &mut self,
        commands: [Vec<u8>; N],
        deadline: Instant,
    ) -> Result<[Reply; N], String> {
        let question = Zeroizing::new(commands.concat());
        let replies = self.connection.ask(&question, deadline, |answers| {
            (0..N)
                .map(|_| reply(answers))
                .collect::<Result<Vec<_>, _>>()
        })?;
        for reply in &replies {
            if let Reply::Refusal(why) = reply {
                return Err((*why).to_owned());
            }
        }
        replies.try_into().map_err(|_| protocol_error())
    }

    /// A command for one of the credential's items.
    fn command(&self, verb: &str, what: &str, rest: &str) -> Vec<u8> {
        format!("{verb} pay88:{}:{what} {rest}\r\n", self.name).into_bytes()
    }

    /// The command that stores `data`.
    fn set(&self, what: &str, data: &[u8], flags: &str) -> Vec<u8> {
        let mut command = self.command("ms", what, &format!("{} c {flags}", data.len()));
        command.extend_from_slice(data);
        command.extend_from_slice(b"\r\n");
        command
    }

    /// Clock, value and lease. Starts a clock if there is none.
    fn items(&mut self, deadline: Instant) -> Result<(Item, Reply, Reply), String> {
        for _ in 0..2 {
            let commands = [
                self.command("mg", "clock", "t v"),
                self.command("mg", "value", "c t v"),
                self.command("mg", "lease", "t v"),
            ];
            match self.ask(commands, deadline)? {
                [Reply::Done(clock), value, lease] => return Ok((clock, value, lease)),
                [Reply::Missing, ..] => {
                    let epoch: Epoch =
                        random::bytes().ok_or("the system gives no random numbers")?;
                    let begin = self.set("clock", &epoch, &format!("ME T{EPOCH}"));
                    // Another host may have started one meanwhile, which is as good.
                    self.ask([begin], deadline)?;
                }
                _ => return Err(protocol_error()),
            }
        }
        Err("it forgets at once what it is given: it has too little memory".to_owned())
    }

    fn read_all(&mut self, deadline: Instant) -> Result<Found, String> {
        let asked = Clock::System.boot();
        let (clock, value, lease) = self.items(deadline)?;
        self.epoch = clock
            .data()?
            .as_slice()
            .try_into()
            .map_err(|_| protocol_error())?;
        let left = clock.seconds_left.filter(|left| *left <= EPOCH);
        // Far from zero, because there are instants before an epoch.
        let seconds = 2 * EPOCH - left.ok_or_else(protocol_error)?;
        let leased = match &lease {
            Reply::Done(lease) if lease.data()?.as_slice() != self.owner => Some(
                Duration::from_secs(lease.seconds_left.ok_or_else(protocol_error)?),
            ),
            _ => None,
        };
        let mut found_value = None;
        (self.value, self.token) = (None, None);
        if let Reply::Done(item) = value {
            self.value = Some(item.version()?);
            let left = item.seconds_left.ok_or_else(protocol_error)?;
            let of_this_epoch = item.data()?.strip_prefix(&self.epoch);
            if let Some((generation, value)) =
                of_this_epoch.and_then(|rest| rest.split_first_chunk())
            {
                self.token = Some((*generation, left));
                found_value = Some(Zeroizing::new(value.to_vec()));
            }
        }
        Ok(Found {
            value: found_value,
            leased,
            now: self
                .clock
                .read(self.epoch, seconds, asked, Clock::System.boot()),
        })
    }

    /// The command that makes our lease last that long from now, if it is still ours.
    fn extend(&self, mine: u64, lease: Duration) -> Vec<u8> {
        let flags = format!("C{mine} T{}", seconds(lease));
        self.set("lease", &self.owner, &flags)
    }

    /// Whether our lease was extended.
    fn extended(&mut self, reply: Reply) -> Result<Option<u64>, String> {
        self.lease = match reply {
            Reply::Done(item) => Some(item.version()?),
            _ => None,
        };
        Ok(self.lease)
    }
}

impl Session for Memcached {
    fn read(&mut self, within: Duration) -> Result<Found, String> {
        self.read_all(deadline(within))
    }

    fn take_lease(&mut self, lease: Duration, within: Duration) -> Result<(bool, Found), String> {
        let deadline = deadline(within);
        let first = seconds(first_lease(lease, within));
        let take = self.set("lease", &self.owner, &format!("ME T{first}"));
        let mut led = false;
        let again = self.command("mg", "lease", "c v");
        let [taken, there] = self.ask([take, again], deadline)?;
        let mine = match (taken, there) {
            (Reply::Done(item), _) => Some(item),
            // It belongs to an earlier session, whose process has ended.
            (_, Reply::Done(item)) => {
                Some(item).filter(|item| item.data().is_ok_and(|data| **data == self.owner))
            }
            _ => None,
        };
        if let Some(item) = mine {
            let [held] = self.ask([self.extend(item.version()?, lease)], deadline)?;
            led = self.extended(held)?.is_some();
        }
        Ok((led, self.read_all(deadline)?))
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
        let deadline = deadline(within);
        let Some(mine) = self.lease else {
            return Ok(false);
        };
        let same = self.token.filter(|_| fresh.is_none());
        let generation = next_generation(same.map(|(generation, _)| generation))?;
        let keep = seconds(keep);

        let commands = [
            self.extend(mine, first_lease(lease.unwrap_or(within), within)),
            self.command("mg", "value", "c"),
        ];
        let [held, there] = self.ask(commands, deadline)?;
        let Some(held) = self.extended(held)? else {
            return Ok(false);
        };
        let flags = match (there, self.value) {
            (Reply::Done(_), Some(known)) => format!("C{known}"),
            // There was none, or it has ended since.
            _ => "ME".to_owned(),
        };

        let stored = Zeroizing::new([&self.epoch[..], &generation, value].concat());
        let store = self.set("value", &stored, &format!("{flags} T{keep}"));
        // Before the value: a host that sees the value adds a mark, which would be overwritten.
        let marks = match fresh {
            Some(mark) => self.set(&hosts(&generation), mark, &format!("T{keep}")),
            None => self.command("mg", &hosts(&generation), &format!("T{keep}")),
        };
        let stored = match lease {
            Some(_) => {
                let [_, stored] = self.ask([marks, store], deadline)?;
                stored
            }
            None => {
                let give_back = self.command("md", "lease", &format!("C{held}"));
                self.lease = None;
                let [_, stored, _] = self.ask([marks, store, give_back], deadline)?;
                stored
            }
        };
        let Reply::Done(item) = stored else {
            return Ok(false);
        };
        self.value = Some(item.version()?);
        self.token = Some((generation, keep));
        let Some(lease) = lease else {
            return Ok(true);
        };
        let [held] = self.ask([self.extend(held, lease)], deadline)?;
        Ok(self.extended(held)?.is_some())
    }

    fn release(&mut self, within: Duration) -> Result<(), String> {
        let Some(mine) = self.lease.take() else {
            return Ok(());
        };
        // Whatever the reply: a lease that is missing or another's is not ours.
        let give_back = self.command("md", "lease", &format!("C{mine}"));
        self.ask([give_back], deadline(within)).map(drop)
    }

    fn writable(&mut self, within: Duration) -> Result<(), String> {
        // Replaces an item that nobody has: memory is taken for it first, and then it is not stored.
        let probe = self.set("probe", &[0; USUAL_VALUE], "MR T1");
        let clock = self.command("mg", "clock", "c");
        match self.ask([probe, clock], deadline(within))? {
            [Reply::Conflict | Reply::Missing, Reply::Done(clock)] => clock.version().map(drop),
            _ => Err(protocol_error()),
        }
    }

    fn marks(&mut self, mine: &[u8], within: Duration) -> Result<Vec<u8>, String> {
        let Some((generation, left)) = self.token else {
            return Ok(Vec::new());
        };
        let (deadline, hosts) = (deadline(within), hosts(&generation));
        let marks = |reply: &Reply| match reply {
            Reply::Done(item) => item.data().map(|marks| marks.to_vec()),
            _ => Ok(Vec::new()),
        };
        let read = self.command("mg", &hosts, "v");
        let [there] = self.ask([read.clone()], deadline)?;
        let known = marks(&there)?;
        if !is_missing(mine, &known) {
            return Ok(known);
        }
        if matches!(there, Reply::Missing) {
            // They were evicted to make room. Another host may start them meanwhile.
            let begin = self.set(&hosts, mine, &format!("ME T{left}"));
            if let [Reply::Done(_)] = self.ask([begin], deadline)? {
                return Ok(mine.to_vec());
            }
        }
        // Together with those that other hosts add meanwhile.
        let add = self.set(&hosts, mine, "MA");
        let [_, there] = self.ask([add, read], deadline)?;
        marks(&there)
    }
}

impl Item {
    fn data(&self) -> Result<&Vec<u8>, String> {
        self.data.as_deref().ok_or_else(protocol_error)
    }

    fn version(&self) -> Result<u64, String> {
        match self.version {
            Some(0) => Err("it counts no versions: start it without -C".to_owned()),
            Some(version) => Ok(version),
            None => Err("it is too old: Memcached 1.6 or newer is needed".to_owned()),
        }
    }
}

/// The item with the marks of the hosts that have that token.
fn hosts(generation: &Generation) -> String {
    format!("hosts:{:016x}", u64::from_be_bytes(*generation))
}

/// Whole seconds, and never too few: the first one may be over as soon as it has begun.
fn seconds(duration: Duration) -> u64 {
    let whole = duration.as_millis().div_ceil(1000) as u64 + 1;
    whole.min(EPOCH)
}

fn reply(answers: &mut Answers<'_>) -> Result<Reply, String> {
    let line = answers.line()?;
    let mut words = line.split(' ');
    let mut item = Item::default();
    match words.next().unwrap_or_default() {
        "HD" => {}
        "VA" => {
            let length = words.next().and_then(|length| length.parse().ok());
            item.data = Some(answers.bytes(length.ok_or_else(protocol_error)?)?);
        }
        "EN" | "NF" => return Ok(Reply::Missing),
        "NS" | "EX" => return Ok(Reply::Conflict),
        "SERVER_ERROR" => {
            return Ok(Reply::Refusal(match line.contains("out of memory") {
                true => "its memory is full: give it more (-m)",
                false => "it met an error of its own: see its log",
            }));
        }
        "CLIENT_ERROR" if line.contains("unauthenticated") => {
            return Err("it wants a password, which is not supported for Memcached".to_owned());
        }
        "ERROR" => {
            return Err(
                "it does not know the meta commands: Memcached 1.6 or newer is needed".to_owned(),
            );
        }
        _ => return Err(protocol_error()),
    }
    for word in words {
        let number = |text: &str| text.parse().map(Some).map_err(|_| protocol_error());
        match word.split_at_checked(1) {
            Some(("c", text)) => item.version = number(text)?,
            Some(("t", text)) => item.seconds_left = number(text)?,
            // Whether it was read before, and the like.
            _ => {}
        }
    }
    Ok(Reply::Done(item))
}
