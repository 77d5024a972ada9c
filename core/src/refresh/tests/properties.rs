//! What is so of every refresh, whatever stalls and whatever is answered: processes of one host, or of several with a store,
//! ask for tokens as fast as they may, while each step of each may take long. Cases that fail are made smaller.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::config::credentials::ApiKey;
use crate::config::endpoint::BaseUrl;
use crate::config::option::Opt;
use crate::manager::key_ring::Keys;
use crate::policy::rate_limit::Slot;
use crate::refresh::record::FleetRecord;

/// Less than an hour, so that no slot is forgotten; enough to ask for a hundred.
const RUN: u64 = 15 * 60_000;
const START: u64 = 100_000_000;

/// What the token endpoint does with a request that it has received.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    Grant,
    Status(Class),
    /// 503, or cut after it was received: worth another sending.
    Gateway,
    Garbage,
    /// The connection could not be had.
    Unsent,
}

/// How one step of one process goes.
#[derive(Clone, Copy)]
struct Course {
    /// Before it is done, in milliseconds.
    stall: u64,
    /// Until the request is received, and from then until it is answered.
    way: u64,
    answer: u64,
    verdict: Verdict,
    /// The answer says how many are left.
    tells: bool,
    /// The process is killed while its request is under way.
    killed: bool,
    /// Until the next refresh.
    gap: u64,
    jitter: f64,
}

impl fmt::Debug for Course {
    /// In a line, since a case has many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = (self.stall, self.way, self.answer, self.gap);
        write!(
            f,
            "{times:?} {:?} {} {} {:.2}",
            self.verdict, self.tells, self.killed, self.jitter
        )
    }
}

fn course(killed: impl Strategy<Value = bool>) -> impl Strategy<Value = Course> {
    let stall =
        prop_oneof![12 => Just(0), 4 => 0..1_500_u64, 2 => 0..5_000_u64, 1 => 0..40_000_u64];
    let time = || prop_oneof![6 => 1..400_u64, 2 => 1..3_000_u64, 1 => 1..12_000_u64];
    let verdict = prop_oneof![
        8 => Just(Verdict::Grant),
        1 => Just(Verdict::Status(Class::RateLimited)),
        1 => Just(Verdict::Status(Class::Unauthorized)),
        1 => Just(Verdict::Status(Class::Forbidden)),
        2 => Just(Verdict::Gateway),
        1 => Just(Verdict::Garbage),
        1 => Just(Verdict::Unsent),
    ];
    let rest = (any::<bool>(), killed, 0..15_000_u64, 0.0..1.0);
    (stall, time(), time(), verdict, rest).prop_map(
        |(stall, way, answer, verdict, (tells, killed, gap, jitter))| Course {
            stall,
            way,
            answer,
            verdict,
            tells,
            killed,
            gap,
            jitter,
        },
    )
}

/// The record of a host, and who has the lock of which term.
#[derive(Default)]
struct Directory {
    record: HostRecord,
    locks: BTreeMap<u64, usize>,
}

#[derive(Default)]
struct Store {
    record: Option<FleetRecord>,
    /// The host that has the lease, and until when.
    lease: Option<(usize, u64)>,
    marks: HashSet<usize>,
}

/// What a process does next.
enum Next {
    Begin,
    /// It is killed, and another one comes after so long.
    Die(u64),
    Do(Action),
    Tell(Box<Input>),
}

struct Process {
    host: usize,
    ledger: Ledger,
    refresh: Option<Refresh>,
    /// The term whose lock it has, and until when it may write.
    term: Option<(u64, u64)>,
    /// The record has a slot of it for which no request was received.
    unused: bool,
    newest: BootTime,
    /// When, and what.
    next: (u64, Next),
    /// When the step was decided that is to be done.
    decided: u64,
    began: u64,
    /// How long it has been stopped since.
    stopped: u64,
    late: u64,
}

struct World {
    courses: Vec<Course>,
    at: usize,
    fleet: bool,
    directories: Vec<Directory>,
    store: Store,
    processes: Vec<Process>,
    /// When requests were received.
    received: Vec<u64>,
    numbers: u64,
    /// Slots of processes that were stopped for so long that they could not give them back.
    lost: usize,
    /// Some host lost its lease.
    passed_over: bool,
    /// Refreshes that ended, and processes that were killed.
    ended: u64,
    killed: u64,
}

impl World {
    fn new(courses: Vec<Course>, hosts: usize, each: usize) -> World {
        let processes = (0..hosts * each).map(|number| Process {
            host: number % hosts,
            ledger: ledger(),
            refresh: None,
            term: None,
            unused: false,
            newest: BootTime(0),
            next: (START + number as u64, Next::Begin),
            decided: 0,
            began: 0,
            stopped: 0,
            late: 0,
        });
        World {
            courses,
            at: 0,
            fleet: hosts > 1,
            directories: (0..hosts).map(|_| Directory::default()).collect(),
            store: Store::default(),
            processes: processes.collect(),
            received: Vec::new(),
            numbers: 0,
            lost: 0,
            passed_over: false,
            ended: 0,
            killed: 0,
        }
    }

    fn course(&mut self, now: u64) -> Course {
        self.at = (self.at + 1) % self.courses.len();
        let mut course = self.courses[self.at];
        if now >= START + RUN {
            // What has begun comes to its end.
            course.stall = 0;
        }
        course
    }

    /// Runs to the end. Each refresh that began has ended.
    fn run(&mut self) -> Result<(), TestCaseError> {
        loop {
            let due = self.processes.iter().enumerate();
            let due = due.min_by_key(|(_, process)| process.next.0);
            let (number, now) = due
                .map(|(number, process)| (number, process.next.0))
                .unwrap();
            let next = std::mem::replace(&mut self.processes[number].next.1, Next::Begin);
            match next {
                Next::Begin if now >= START + RUN => {
                    // The others have yet to end.
                    self.processes[number].next.0 = u64::MAX;
                    if now == u64::MAX {
                        return Ok(());
                    }
                }
                Next::Begin => self.begin(number, now),
                Next::Die(gap) => {
                    self.unlock(number);
                    self.killed += 1;
                    let process = &mut self.processes[number];
                    (process.refresh, process.ledger) = (None, ledger());
                    process.next = (now + 1 + gap, Next::Begin);
                }
                Next::Do(action) => self.carry_out(number, now, action),
                Next::Tell(input) => self.step(number, now, *input)?,
            }
        }
    }

    fn begin(&mut self, number: usize, now: u64) {
        self.numbers += 1;
        let context = Context {
            id: self.numbers * 1_000,
            newest: self.processes[number].newest,
            dropped: None,
            kept: None,
            safety_margin: Duration::from_secs(10),
            tokens_per_hour: 100,
            fleet: self.fleet,
            limit: REFRESH_TIME,
        };
        let process = &mut self.processes[number];
        let refresh = Refresh::new(1, BootTime(now), Key::Current, false, context);
        process.refresh = Some(refresh);
        (process.began, process.stopped, process.late) = (now, 0, 0);
        process.next = (now, Next::Tell(Box::new(Input::Start)));
    }

    fn step(&mut self, number: usize, now: u64, input: Input) -> Result<(), TestCaseError> {
        let course = self.course(now);
        let process = &mut self.processes[number];
        let refresh = process.refresh.as_mut().unwrap();
        let action = refresh.step(&mut process.ledger, BootTime(now), course.jitter, input);
        process.decided = now;
        let Action::Finish(finish) = action else {
            // A stop would count as the store's, which then counts as unreachable: what that means is not tested here.
            let stall = if matches!(action, Action::Ask { .. }) {
                0
            } else {
                course.stall
            };
            process.stopped += stall;
            process.next = (now + stall, Next::Do(action));
            return Ok(());
        };
        // Its own stops aside nobody waits longer than for others and then for a refresh of its own.
        let waited = now - process.began - process.stopped;
        let most = 65_000 + 22_000 * process.late;
        prop_assert!(waited <= most, "{} ms, late {} times", waited, process.late);
        if let Finish::Granted { issue, .. } | Finish::Shared { issue, .. } = &finish {
            prop_assert!(issue.stamp.asked_at > process.newest);
            process.newest = issue.stamp.asked_at;
        }
        if let Finish::Failed { error, .. } = &finish {
            prop_assert_eq!(error.outcome(), crate::error::Outcome::NotSent);
        }
        process.refresh = None;
        process.next = (now + 1 + course.gap, Next::Begin);
        self.unlock(number);
        self.ended += 1;
        Ok(())
    }

    fn unlock(&mut self, number: usize) {
        let process = &mut self.processes[number];
        if let Some((term, _)) = process.term.take() {
            self.directories[process.host].locks.remove(&term);
        }
    }

    fn carry_out(&mut self, number: usize, now: u64, action: Action) {
        let host = self.processes[number].host;
        let tell = match action {
            Action::Read { .. } => {
                self.unlock(number);
                (now, Input::Read(self.directories[host].record.clone()))
            }
            Action::Lock { term } => {
                let directory = &mut self.directories[host];
                let free = !directory.locks.contains_key(&term);
                if free {
                    directory.locks.insert(term, number);
                    self.processes[number].term = Some((term, now + 500));
                }
                (
                    now,
                    Input::Locked(free.then(|| self.directories[host].record.clone())),
                )
            }
            // What it would take from there on nobody else can know of, so its caller gives up here.
            Action::GoAlone => (now, Input::Abandoned { unsent: true }),
            Action::Write(mut record) => {
                let (directory, process) =
                    (&mut self.directories[host], &mut self.processes[number]);
                let (term, until) = process.term.unwrap();
                if directory.record.term > term || now >= until {
                    self.lost += usize::from(std::mem::take(&mut process.unused));
                    process.late += 1;
                    (now, Input::Late)
                } else {
                    // As the host's record does it, see `store::host`.
                    if directory.record.sequence != record.sequence {
                        record.recall(&directory.record);
                    }
                    record.sequence += 1;
                    let until = record.done_by.map_or(until, |until| until.0);
                    (process.term, process.unused) =
                        (Some((term, until)), record.done_by.is_some());
                    directory.record = *record.clone();
                    (now, Input::Written(record))
                }
            }
            Action::Ask { what, .. } => (now + 1, self.ask(host, now, what)),
            Action::Send {
                within,
                connect_within,
                ..
            } => match self.send(number, now, within, connect_within) {
                Some(told) => told,
                None => return,
            },
            Action::Pause(pause) => (now + pause.as_millis() as u64, Input::PauseOver),
            Action::Finish(_) => unreachable!("it was dealt with"),
        };
        self.processes[number].next = (tell.0, Next::Tell(Box::new(tell.1)));
    }

    fn send(
        &mut self,
        number: usize,
        now: u64,
        within: Duration,
        connect_within: Duration,
    ) -> Option<(u64, Input)> {
        let course = self.course(now);
        let end = self.processes[number].decided + within.as_millis() as u64;
        let connected = now + course.way;
        let late = connected >= end.min(now + connect_within.as_millis() as u64);
        if late || matches!(course.verdict, Verdict::Unsent) {
            let told = connected.min(end).max(now);
            return Some((told, rejected(Class::Temporary, !late, true)));
        }
        self.received.push(connected);
        self.processes[number].unused = false;
        if course.killed && now < START + RUN {
            self.processes[number].next = (connected, Next::Die(course.gap));
            return None;
        }
        let answered = connected + course.answer;
        if answered >= end {
            return Some((end, rejected(Class::Temporary, false, false)));
        }
        let minute = self
            .received
            .iter()
            .filter(|at| **at + 60_000 > connected)
            .count();
        let told = course.tells.then(|| RateLimit {
            limit: Some(10),
            remaining: 10_u32.saturating_sub(minute as u32),
            reset_in: Duration::from_secs(60),
        });
        let input = match course.verdict {
            Verdict::Grant => Input::Answer(Ok(grant()), told),
            Verdict::Status(class) => rejected(class, false, false),
            Verdict::Gateway => rejected(Class::Temporary, true, false),
            Verdict::Garbage | Verdict::Unsent => rejected(Class::Temporary, false, false),
        };
        Some((answered, input))
    }

    fn ask(&mut self, host: usize, now: u64, what: Ask) -> Input {
        let store = &mut self.store;
        store.lease = store.lease.filter(|(_, until)| now < *until);
        let mine = store.lease.is_some_and(|(by, _)| by == host);
        let until = |lease: Duration| now + lease.as_millis() as u64;
        match what {
            Ask::Count => {
                store.marks.insert(host);
                return Input::Counted(store.marks.len() as u32);
            }
            Ask::Release => {
                store.lease = store.lease.filter(|_| !mine);
                return Input::Stored(true);
            }
            Ask::Write { .. } if !mine => {
                self.passed_over = true;
                return Input::Stored(false);
            }
            Ask::Write {
                record,
                lease,
                fresh,
            } => {
                store.record = Some(record.for_all_hosts());
                store.lease = lease.map(|lease| (host, until(lease)));
                if fresh {
                    store.marks = HashSet::from([host]);
                }
                return Input::Stored(true);
            }
            Ask::Lease { lease } if store.lease.is_none() || mine => {
                store.lease = Some((host, until(lease)));
            }
            Ask::Lease { .. } | Ask::Read => {}
        }
        let leads =
            matches!(what, Ask::Lease { .. }) && store.lease.is_some_and(|(by, _)| by == host);
        Input::Found(Box::new(Found {
            record: store.record.clone(),
            leads,
            leased: store.lease.is_some_and(|(by, _)| by != host),
            hosts: if leads { store.marks.len() as u32 } else { 0 },
        }))
    }

    /// The most that were received within so many milliseconds.
    fn fullest(&mut self, window: u64) -> usize {
        self.received.sort_unstable();
        let received = &self.received;
        let from = received.iter().enumerate();
        let within = from.map(|(first, from)| {
            received[first..]
                .iter()
                .take_while(|at| **at < from + window)
                .count()
        });
        within.max().unwrap_or(0)
    }

    /// The slots that are spent, by whoever shares them.
    fn spent(&self) -> usize {
        match &self.store.record {
            Some(record) => record.common.counts.taken.len(),
            None => self.directories[0].record.common.counts.taken.len(),
        }
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::with_cases(cases)
    }
}

/// What holds of a run, however it went.
fn holds(courses: Vec<Course>, hosts: usize, each: usize) -> Result<(), TestCaseError> {
    let mut world = World::new(courses, hosts, each);
    world.run()?;
    let (minute, hour) = (world.fullest(60_000), world.fullest(3_600_000));
    prop_assert!(
        minute <= 10 && hour <= 100,
        "{} in a minute, {} in an hour",
        minute,
        hour
    );
    let (spent, written) = (world.spent(), world.received.len());
    prop_assert!(spent >= written, "{} spent, {} written", spent, written);
    if hosts == 1 {
        prop_assert_eq!(spent, written + world.lost);
    } else if !world.passed_over && world.lost == 0 {
        prop_assert_eq!(spent, written);
    }
    // It may be that each is killed.
    prop_assert!(world.ended + world.killed > 0);
    Ok(())
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn processes_of_a_host_spend_a_slot_for_each_request_and_never_too_many(
        courses in vec(course(proptest::bool::weighted(0.2)), 1..200),
        each in 1..4_usize,
    ) {
        holds(courses, 1, each)?;
    }

    #[test]
    fn hosts_of_a_fleet_spend_a_slot_for_each_request_and_never_too_many(
        courses in vec(course(proptest::bool::weighted(0.2)), 1..200),
        hosts in 2..4_usize,
    ) {
        holds(courses, hosts, 1)?;
    }
}

/// What becomes of the keys.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The user sets a key.
    Rotate(usize),
    /// 88Pay accepts a key by now.
    Accept(usize),
    /// A token is wanted.
    Refresh,
    /// So many minutes pass.
    Pass(u64),
}

fn key(number: usize) -> ApiKey {
    let base_url = BaseUrl::parse("https://pay.example").unwrap();
    let text = format!("sk_test_sandbox_{number}");
    ApiKey::parse(Opt::ApiKey, &text, &base_url).unwrap()
}

/// The key by which a refresh is granted a token, where 88Pay accepts these.
fn granted(keys: &Keys, accepted: &HashSet<usize>, now: BootTime) -> Option<Key> {
    let (first, other) = keys.begin_with(now);
    let mut refresh = Refresh::new(1, now, first, other, context());
    let (mut ledger, mut record, mut input) = (ledger(), HostRecord::default(), Input::Start);
    loop {
        input = match run(&mut refresh, &mut ledger, &mut record, now, input) {
            Action::Send { key: with, .. } => {
                let accepted = accepted
                    .iter()
                    .any(|number| *keys.get(with) == key(*number));
                match accepted {
                    true => Input::Answer(Ok(grant()), None),
                    false => rejected(Class::Unauthorized, false, false),
                }
            }
            Action::Finish(Finish::Granted { key, .. }) => return Some(key),
            Action::Finish(_) => return None,
            other => panic!("{other:?}"),
        };
    }
}

proptest! {
    #![proptest_config(config(512))]

    /// 88Pay goes on to accept what it has accepted; keys are tried for a day after they were replaced.
    #[test]
    fn the_key_that_was_accepted_last_stays_in_reach(changes in vec(prop_oneof![
        3 => (0..6_usize).prop_map(Change::Rotate),
        1 => (0..6_usize).prop_map(Change::Accept),
        3 => Just(Change::Refresh),
        1 => (1..600_u64).prop_map(Change::Pass),
    ], 1..40)) {
        let mut now = BootTime(START);
        let mut keys = Keys::new(key(0), None, now);
        let mut accepted = HashSet::from([0]);
        // When the key that was accepted last was replaced.
        let mut replaced = None;
        for change in changes {
            match change {
                Change::Rotate(number) => {
                    if let Some(next) = keys.rotated(key(number), true, now) {
                        replaced = Some(now);
                        keys = next;
                    }
                }
                Change::Accept(number) => drop(accepted.insert(number)),
                Change::Pass(minutes) => now = now.plus(Duration::from_secs(60 * minutes)),
                Change::Refresh => {
                    let key = granted(&keys, &accepted, now);
                    let within_a_day = replaced.is_none_or(|at| now < at.plus(Duration::from_secs(24 * 3600)));
                    prop_assert!(key.is_some() || !within_a_day, "{:?}", keys);
                    if let Some(key) = key && let Some(next) = keys.accepted(key, now) {
                        keys = next;
                    }
                }
            }
        }
    }
}

/// Slots that all hosts know of, of the hour before.
fn common() -> impl Strategy<Value = VecDeque<Slot>> {
    vec(0..3_600_000_u64, 0..100).prop_map(|mut ages| {
        ages.sort_unstable_by(|one, other| other.cmp(one));
        let slot = |(id, age)| Slot {
            at: BootTime(START - age),
            id: id as u32 + 1,
            partitioned: false,
            pending: false,
        };
        ages.into_iter().enumerate().map(slot).collect()
    })
}

/// As many of them as 88Pay allows, and when they were taken.
fn spent(common: VecDeque<Slot>) -> (Budget, Vec<u64>) {
    let (mut before, mut taken) = (Budget::new(10, 100), Vec::new());
    for slot in common {
        if before.take(slot.at, slot.id, false).is_ok() {
            taken.push(slot.at.0);
        }
    }
    (before, taken)
}

fn within_the_whole(taken: &[u64]) -> Result<(), TestCaseError> {
    for (window, most) in [(60_000, 10), (3_600_000, 100)] {
        for (first, from) in taken.iter().enumerate() {
            let later = taken[first..].iter();
            let within = later.take_while(|at| **at < from + window).count();
            prop_assert!(within <= most, "{} of {}", within, most);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(128))]

    /// Hosts that knew the same when they were parted, and ask whenever they want from then on.
    #[test]
    fn parts_of_a_budget_never_come_to_more_than_the_whole(
        common in common(),
        hosts in 1..=10_u32,
        asks in vec((0..10_usize, 0..90_000_u64), 1..300),
    ) {
        let (before, mut taken) = spent(common);
        let mut fleet: Vec<Budget> = (0..hosts).map(|host| {
            let mut budget = Budget::new(10, 100);
            budget.set_counts(before.counts().clone());
            budget.divide(hosts, u64::from(host));
            budget
        }).collect();
        let mut now = START;
        for (id, (host, pause)) in asks.into_iter().enumerate() {
            now += pause / 10;
            let budget = &mut fleet[host % hosts as usize];
            if budget.take(BootTime(now), 1_000 + id as u32, true).is_ok() {
                taken.push(now);
            }
        }
        within_the_whole(&taken)?;
    }

    /// More of them than a minute has slots: they take turns, each by a random number of its own, and all ask at once.
    #[test]
    fn turns_of_many_hosts_never_come_to_more_than_the_whole(
        common in common(),
        hosts in vec(any::<u64>(), 11..=200),
        pauses in vec(0..120_000_u64, 1..100),
    ) {
        let (before, mut taken) = spent(common);
        let split = hosts.len() as u32;
        let parted = |host| {
            let mut budget = Budget::new(10, 100);
            budget.set_counts(before.counts().clone());
            budget.divide(split, host);
            (budget, None)
        };
        let mut fleet: Vec<(Budget, Option<u64>)> = hosts.into_iter().map(parted).collect();
        let mut now = START;
        for (id, pause) in pauses.into_iter().enumerate() {
            now += pause;
            for (budget, last) in &mut fleet {
                if budget.take(BootTime(now), 1_000 + id as u32, true).is_ok() {
                    taken.push(now);
                    // A turn is a minute long, and all of them have one before it is this host's again.
                    let since = last.replace(now).map_or(u64::MAX, |last| now - last);
                    prop_assert!(since >= u64::from(split) * 144_000 - 62_000, "{}", since);
                }
            }
        }
        within_the_whole(&taken)?;
    }
}
