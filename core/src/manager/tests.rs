//! What only shows at a moment that a test has to make: a process is at work while another thread changes something.

use std::io::Read;
#[cfg(feature = "test-hooks")]
use std::io::Write;
use std::net::TcpListener;
use std::pin::pin;
#[cfg(feature = "test-hooks")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;
#[cfg(feature = "test-hooks")]
use std::time::Instant;

use crate::config::credentials::ApiKey;
use crate::config::option::Opt;
use crate::config::settings::Settings;
use crate::config::share::Share;
use crate::error::{Error, ErrorCode};
use crate::manager::account::{Account, Job, Launch};
use crate::manager::manager::{Joined, Manager};
use crate::manager::refresh_driver::{Tier, carry_out, step, use_record};
use crate::manager::registry;
use crate::manager::shared_tier::{self, Peeked};
use crate::platform::clock::Clock;
#[cfg(feature = "test-hooks")]
use crate::platform::fault_injection::{RefreshStep, at_refresh_step};
use crate::platform::virtual_clock::VirtualClock;
use crate::policy::token_response::{Class, Grant, Rejection};
use crate::refresh::record::{Issue, Stamp};
use crate::refresh::{Action, Finish, Input, Key};
use crate::secret::Secret;
use crate::store::Store;
use crate::store::fleet::Fleet;
use crate::store::local::{LocalRecord, Medium};
use crate::store::memory::Memory;
use crate::test_support::config::config_with;
use crate::test_support::limits::{in_a_child, within};
use crate::time::BootTime;

fn settings(base_url: &str, share: &str) -> Settings {
    let config = config_with(&[
        ("api_key", "sk_test_sandbox_old"),
        ("merchant_id", "MCH-COL-TEST-1"),
        ("base_url", base_url),
        ("share", share),
    ]);
    config.settings().unwrap()
}

fn manager() -> Manager {
    Manager::new(&settings("http://127.0.0.1:9", "process"), Clock::System).unwrap()
}

fn new_key(account: &Account) -> ApiKey {
    ApiKey::parse(Opt::ApiKey, "sk_test_sandbox_new", &account.base_url).unwrap()
}

#[test]
fn what_was_spent_is_counted_for_a_new_key_that_somebody_is_asking_with_already() {
    let manager = manager();
    let account = &manager.account;
    let now = account.clock.boot();
    let new = new_key(account);
    account.state().ledger.budget.take(now, 7, false).unwrap();
    let record = account.store.record(&new);
    let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
    contents.done_by = Some(now.plus(Duration::from_secs(20)));
    record.write(&mut lease, &mut contents).unwrap();
    manager.rotate(&new, false, || Ok(())).unwrap();
    // Whoever was at work has written what it knew.
    contents.done_by = None;
    record.write(&mut lease, &mut contents).unwrap();
    drop(lease);
    let counted = record.read().unwrap().common.counts.taken;
    assert_eq!(counted.iter().map(|slot| slot.id).collect::<Vec<_>>(), [7]);
}

/// 88Pay may count by merchant, and as late as it reads the request.
#[test]
fn a_request_of_a_process_that_died_counts_for_the_other_key_too_from_its_latest_instant() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = Arc::new(VirtualClock::default());
    let (manager, _launched) = manager_at(&server, &clock);
    let account = &manager.account;
    let (old, new) = (account.keys().get(Key::Current).clone(), new_key(account));
    manager.rotate(&new, true, || Ok(())).unwrap();
    let begun = account.clock.boot();
    let record = account.store.record(&old);
    let (mut lease, mut contents) = record.try_lease(0).unwrap().unwrap();
    let mut ledger = account.settings.ledger();
    ledger.budget.take(begun, 7, false).unwrap();
    contents.common.counts = ledger.budget.counts().clone();
    contents.common.under_way = Some(7);
    record.write(&mut lease, &mut contents).unwrap();
    drop(lease);
    for (passed, counted_at) in [(1, 0), (7, 8), (55, 11)] {
        clock.advance(Duration::from_secs(passed));
        let spent = account.spent_on_other(&account.keys(), Key::Current);
        let at: Vec<_> = spent.taken.iter().map(|slot| slot.at).collect();
        assert_eq!(at, [begun.plus(Duration::from_secs(counted_at))]);
    }
}

/// A refresh that a test carries out itself.
type Launched = Arc<Mutex<Option<Job>>>;

fn manager_at(server: &TcpListener, clock: &Arc<VirtualClock>) -> (Manager, Launched) {
    let launched = Launched::default();
    let wanted = launched.clone();
    let launch = Box::new(move |_: &Arc<Account>, job| {
        *wanted.lock().unwrap() = Some(job);
        Ok(())
    });
    (manager_with(server, clock, launch), launched)
}

fn manager_with(server: &TcpListener, clock: &Arc<VirtualClock>, launch: Launch) -> Manager {
    let base_url = format!("http://{}", server.local_addr().unwrap());
    let settings = settings(&base_url, "process");
    let clock = Clock::Virtual(clock.clone());
    let store = Store::new(&settings, clock.clone());
    Manager::of(Account::new(&settings, clock, store, launch).unwrap())
}

/// Where the system has no thread to give, a caller asks 88Pay itself. It gives up just as that answer has come. What it is
/// told, and its manager.
#[cfg(feature = "test-hooks")]
fn gives_up_at_an_answer(keys: usize, answer: &'static str) -> (Error, Manager) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = Arc::new(VirtualClock::default());
    let manager = manager_with(&server, &clock, Box::new(|_, job| Err(job)));
    if keys == 2 {
        let new = new_key(&manager.account);
        manager.rotate(&new, true, || Ok(())).unwrap();
    }
    let gave_up = Arc::new(AtomicBool::new(false));
    let (gives_up, caller) = (gave_up.clone(), thread::current().id());
    at_refresh_step(RefreshStep::Answered, move || {
        // Other tests have refreshes, too.
        if thread::current().id() == caller {
            gives_up.store(true, Ordering::SeqCst);
        }
    });
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            let (mut connection, _) = server.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            connection.write_all(answer.as_bytes()).unwrap();
        });
        let stop = || gave_up.load(Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(60);
        manager.token(deadline, &stop).unwrap_err()
    });
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "88Pay is asked once more");
    (error, manager)
}

#[cfg(feature = "test-hooks")]
#[test]
fn what_88pay_has_answered_counts_for_all_although_the_caller_that_asked_gives_up() {
    for (answer, code, pause) in [
        (
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n",
            ErrorCode::RateLimited,
            30,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
            ErrorCode::CredentialsRejected,
            5,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
            ErrorCode::AccessDenied,
            5,
        ),
    ] {
        let (error, manager) = gives_up_at_an_answer(1, answer);
        assert_eq!(error.code(), ErrorCode::Canceled, "{answer}");
        let Err(error) = manager.join() else {
            panic!("88Pay would be asked again after {answer}")
        };
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(pause)));
    }
    // A key that 88Pay does not know yet.
    let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let (error, manager) = gives_up_at_an_answer(2, answer);
    assert_eq!(error.code(), ErrorCode::Canceled);
    let account = &manager.account;
    let record = account.store.record(account.keys().get(Key::Current));
    let record = record.read().unwrap();
    assert!(record.previous_until.is_some(), "{record:?}");
    assert_eq!(record.common.counts.taken.len(), 1);
    assert!(matches!(manager.join(), Ok(Joined::Leading(_))));
}

/// 88Pay may count a request as late as it is read.
#[test]
fn a_request_that_a_rotation_ends_counts_for_the_new_key_from_its_end() {
    for keep_old in [true, false] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let clock = Arc::new(VirtualClock::default());
        let (manager, launched) = manager_at(&server, &clock);
        let account = &manager.account;
        let (old, new) = (account.keys().get(Key::Current).clone(), new_key(account));
        let begun = account.clock.boot();
        assert!(matches!(manager.join(), Ok(Joined::Following(_))));
        let job = launched.lock().unwrap().take().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut connection, _) = server.accept().unwrap();
                connection
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                connection.read_exact(&mut [0]).unwrap();
                clock.advance(Duration::from_secs(8));
                manager.rotate(&new, keep_old, || Ok(())).unwrap();
                // It is never answered.
                connection.read_to_end(&mut Vec::new()).unwrap();
            });
            carry_out(account, job, None);
        });
        let counted = account.store.record(&new).read().unwrap().common.counts;
        let at: Vec<_> = counted.taken.iter().map(|slot| slot.at).collect();
        assert_eq!(at, [begun.plus(Duration::from_secs(8))], "{keep_old}");
        if keep_old {
            // Nobody waits there for what comes of it.
            let record = account.store.record(&old).read().unwrap();
            assert_eq!(record.common.counts.taken.len(), 1);
            assert_eq!(record.common.counts.taken[0].at, at[0]);
            assert_eq!(record.done_by, None);
        }
    }
}

#[test]
fn a_key_that_was_dropped_is_not_kept_again_for_a_refresh_that_was_begun_with_it() {
    let manager = manager();
    let account = &manager.account;
    let (old, new) = (account.keys().get(Key::Current).clone(), new_key(account));
    let is_kept = |key| Arc::ptr_eq(&account.store.record(key), &account.store.record(key));
    assert!(is_kept(&old));
    manager.rotate(&new, true, || Ok(())).unwrap();
    assert!(is_kept(&old) && is_kept(&new));
    let last = ApiKey::parse(Opt::ApiKey, "sk_test_sandbox_last", &account.base_url).unwrap();
    manager.rotate(&last, false, || Ok(())).unwrap();
    assert!(!is_kept(&old) && !is_kept(&new) && is_kept(&last));
}

fn issue(id: u64, asked_at: BootTime) -> Issue {
    Issue {
        stamp: Stamp { id, asked_at },
        grant: Grant {
            access_token: Secret::new("a".into()),
            session_id: Secret::new("s".into()),
            expires_in: 60,
        },
        budget_shares: 0,
    }
}

/// The clock of a store is known as exactly as its answers are fast.
#[test]
fn a_token_that_was_dropped_is_not_taken_over_again_where_it_seems_to_be_younger() {
    for drops_first in [true, false] {
        let manager = manager();
        let account = &manager.account;
        let asked_at = account.clock.boot();
        let reading = account.clock.reading();
        let token = {
            let _state = account.state();
            account
                .publish(&issue(7, asked_at), Key::Current, reading)
                .unwrap()
        };
        let again = || {
            let record = account.store.record(account.keys().get(Key::Current));
            let mut seen = record.read().unwrap();
            let (mut lease, _) = record.try_lease(seen.term).unwrap().unwrap();
            seen.common.issue = Some(issue(7, asked_at.plus(Duration::from_millis(3))));
            record.write(&mut lease, &mut seen).unwrap();
        };
        let drop_it = || {
            assert!(
                manager
                    .invalidate(token.generation(), "invalidate")
                    .unwrap()
            )
        };
        // So that it is not from the future.
        while account.clock.boot() < asked_at.plus(Duration::from_millis(10)) {
            thread::sleep(Duration::from_millis(1));
        }
        if drops_first {
            drop_it();
            again();
        } else {
            again();
            drop_it();
            let record = account.store.record(account.keys().get(Key::Current));
            // Nor do others.
            assert_eq!(record.read().unwrap().common.rejected, Some(7));
        }
        assert!(
            matches!(shared_tier::peek(account), Peeked::Open),
            "{drops_first}"
        );
        assert!(manager.peek().is_none());
    }
}

/// The files of a host, which others use meanwhile.
fn manager_with_timed_memory(clock: &Arc<VirtualClock>) -> Manager {
    let (settings, clock) = (
        settings("http://127.0.0.1:9", "process"),
        Clock::Virtual(clock.clone()),
    );
    let mut memory = Memory::default();
    memory.is_timed = true;
    let (memory, boot) = (Arc::new(memory), clock.clone());
    let record =
        move |_: &ApiKey| LocalRecord::new(Medium::Memory(memory.clone()), 10, boot.clone());
    let store = Store::of(settings.share.clone(), Box::new(record), None);
    let launch = Box::new(|_: &Arc<Account>, job| Err(job));
    Manager::of(Account::new(&settings, clock, store, launch).unwrap())
}

#[test]
fn a_change_that_comes_too_late_to_be_written_is_told_as_soon_as_it_can_be() {
    let clock = Arc::new(VirtualClock::default());
    let manager = manager_with_timed_memory(&clock);
    let account = &manager.account;
    let changed = shared_tier::change(account, |record, state| {
        let now = account.clock.boot();
        state.ledger.budget.force(now, 7).unwrap();
        record.common.issue = Some(issue(7, now));
        record.common.rejected = Some(7);
        // It is stopped for a second.
        clock.advance(Duration::from_secs(1));
        Ok(())
    });
    assert_eq!(changed.unwrap(), Some(()));
    // As others read it, once this process has read it again.
    let record = account.store.record(account.keys().get(Key::Current));
    record.read().unwrap();
    let (_, seen) = record.try_lease(0).unwrap().unwrap();
    assert_eq!(seen.common.rejected, Some(7));
    assert_eq!(seen.common.counts.forced.len(), 1);
}

/// Two processes ask with one key each: 88Pay may count by merchant.
#[test]
fn a_slot_that_is_taken_for_the_other_key_at_the_same_time_is_seen_before_anything_is_sent() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let (manager, launched) = manager_at(&server, &Arc::new(VirtualClock::default()));
    let account = &manager.account;
    let old = account.store.record(account.keys().get(Key::Current));
    manager.rotate(&new_key(account), true, || Ok(())).unwrap();
    assert!(matches!(manager.join(), Ok(Joined::Following(_))));
    let mut job = launched.lock().unwrap().take().unwrap();
    let (mut tier, mut input) = (Tier::default(), Input::Start);
    let now = account.clock.boot();
    let finish = loop {
        let action = job
            .refresh
            .step(&mut account.state().ledger, now, 0.5, input);
        let locks = matches!(action, Action::Lock { .. });
        input = match action {
            Action::Finish(finish) => break finish,
            Action::Send { .. } => panic!("an eleventh is asked for"),
            action => use_record(account, &mut tier, &job.keys, action),
        };
        if locks {
            // This one has read what was spent; the other process takes the last of the minute.
            let mut seen = old.read().unwrap();
            seen.common.counts.spend_minute(now, 10);
            old.remember(&seen);
        }
    };
    let Finish::Failed { error, .. } = finish else {
        panic!("{finish:?}");
    };
    assert_eq!(error.code(), ErrorCode::RateLimited);
    let record = account.store.record(account.keys().get(Key::Current));
    assert_eq!(record.read().unwrap().common.counts.taken.len(), 10);
}

/// It would go on to ask 88Pay. What it counts for the new key nobody gives back.
#[test]
fn a_superseded_refresh_that_has_sent_nothing_counts_no_slot_for_the_new_key() {
    let settings = settings("http://127.0.0.1:9", "redis://127.0.0.1:9");
    let Share::Host { stores, .. } = settings.share.clone() else {
        panic!("no store")
    };
    let clock = Clock::Virtual(Arc::new(VirtualClock::default()));
    let fleet = Fleet::new(
        &stores,
        "http://127.0.0.1:9",
        "MCH-COL-TEST-1",
        clock.clone(),
    );
    let boot = clock.clone();
    let record = move |_: &ApiKey| LocalRecord::new(Medium::default(), 10, boot.clone());
    let store = Store::of(
        settings.share.clone(),
        Box::new(record),
        Some(Arc::new(fleet)),
    );
    let launched = Launched::default();
    let wanted = launched.clone();
    let launch = Box::new(move |_: &Arc<Account>, job| {
        *wanted.lock().unwrap() = Some(job);
        Ok(())
    });
    let manager = Manager::of(Account::new(&settings, clock, store, launch).unwrap());
    let account = &manager.account;
    let new = new_key(account);
    assert!(matches!(manager.join(), Ok(Joined::Following(_))));
    let mut job = launched.lock().unwrap().take().unwrap();
    let (mut tier, mut aside, mut input) = (Tier::default(), None, Input::Start);
    let mut sends = 0;
    while let Some((_, action)) = step(account, &mut job, &mut aside, input) {
        input = match action {
            Action::Ask { .. } => {
                manager.rotate(&new, true, || Ok(())).unwrap();
                Input::Unreachable
            }
            Action::Send { .. } => {
                sends += 1;
                Input::Answer(Err(unsent()), None)
            }
            Action::Finish(finish) => {
                assert!(matches!(finish, Finish::Abandoned), "{finish:?}");
                break;
            }
            action => use_record(account, &mut tier, &job.keys, action),
        };
    }
    assert_eq!(sends, 1, "the driver interrupts it");
    let record = account.store.record(&new).read().unwrap();
    assert_eq!(record.common.counts.taken.len(), 0);
}

fn unsent() -> Rejection {
    Rejection {
        error: Error::new(ErrorCode::ConnectionFailed, "m", "h"),
        class: Class::Temporary,
        resend: false,
        unsent: true,
        capped: false,
    }
}

/// A waker is the program's code: it may build managers, and wait for another thread that does.
#[test]
fn whoever_is_woken_by_a_rotation_may_use_the_registry() {
    struct Builds(Mutex<Vec<u64>>);
    impl Wake for Builds {
        fn wake(self: Arc<Self>) {
            let build = || {
                let settings = settings("http://127.0.0.1:9", "process");
                registry::attach(&settings, Clock::System)
                    .unwrap()
                    .account
                    .id
            };
            let built = thread::spawn(build).join().unwrap();
            self.0.lock().unwrap().push(built);
        }
    }
    within(Duration::from_secs(60), || {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let (manager, _launched) = manager_at(&server, &Arc::new(VirtualClock::default()));
        let (account, manager) = (manager.account.clone(), Arc::new(manager));
        let Ok(Joined::Following(flight)) = manager.join() else {
            panic!("nobody asks")
        };
        let builds = Arc::new(Builds(Mutex::default()));
        let waker = Waker::from(builds.clone());
        let mut completion = pin!(flight.completion());
        let polled = completion.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        registry::rotate(&manager, new_key(&account), true).unwrap();
        assert_eq!(builds.0.lock().unwrap().len(), 1);
    });
}

/// A child that is forked while its parent renews has the token, and nobody at work.
#[test]
fn a_child_that_is_forked_during_a_renewal_renews_by_itself() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = Arc::new(VirtualClock::default());
    let (manager, launched) = manager_at(&server, &clock);
    let account = &manager.account;
    let (asked_at, reading) = (account.clock.boot(), account.clock.reading());
    let issue = issue(7, asked_at);
    account.publish(&issue, Key::Current, reading).unwrap();
    clock.advance(account.lifetime(&issue).renew);
    let renews = || {
        assert!(manager.cached().is_some());
        launched.lock().unwrap().take().is_some()
    };
    assert!(renews());
    let status = in_a_child(|| {
        let at_once = renews();
        clock.advance(Duration::from_secs(1));
        i32::from(at_once || !renews())
    });
    assert_eq!(status, 0);
    // The parent is at it.
    clock.advance(Duration::from_secs(1));
    assert!(!renews());
}
