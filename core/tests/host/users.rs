//! Several users, groups and mount namespaces. Only root can become them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Harness, lock_of, until};
use crate::skip::is_root;
use crate::worker::Worker;
use crate::yardstick::in_time;

const GROUP: u32 = 60_123;

/// Nobody of the tests: whose files and directories are in the way.
const STRANGER: u32 = 61_004;

/// Removes what a user has left in the common memory directory.
struct Left(PathBuf);

impl Left {
    fn directory(&self) -> &Path {
        self.0.parent().unwrap()
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let name = self.0.file_name().unwrap().to_str().unwrap();
        let hidden = name.split('.').next().unwrap();
        for entry in fs::read_dir(self.directory())
            .into_iter()
            .flatten()
            .flatten()
        {
            // The record and its lock, under this name and the further ones.
            if entry.file_name().to_str().unwrap().starts_with(hidden) {
                let _ = fs::remove_file(entry.path());
            }
        }
        // Only if it is empty.
        let _ = fs::remove_dir(self.directory());
    }
}

/// An empty directory that goes with the test.
struct Empty(PathBuf);

impl Empty {
    fn new(path: PathBuf) -> Empty {
        fs::create_dir(&path).unwrap();
        Empty(path)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// A name in the common memory directory that somebody else has taken.
fn taken(name: &str) -> Empty {
    let taken = Empty::new(Path::new("/dev/shm").join(name));
    chown(&taken.0, Some(STRANGER), None).unwrap();
    taken
}

/// Whose it is, and the rights of its user, group and others.
fn rights(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.mode() & 0o7777)
}

fn path(stats: &Value) -> Left {
    Left(PathBuf::from(stats["share_path"].as_str().unwrap()))
}

#[test]
fn two_users_are_separate_and_two_processes_of_one_are_not() {
    if !is_root() {
        return;
    }
    let mut harness = Harness::new();
    harness.set("share", "host");
    let mut workers = [61_001, 61_002, 61_001].map(|uid| {
        let mut worker = harness.worker();
        assert_eq!(worker.ask(&format!("become {uid} {uid}")), true);
        worker
    });
    let tokens = workers.each_mut().map(|worker| worker.ask("token"));
    let left = workers.each_mut().map(|worker| path(&worker.ask("stats")));
    assert!(tokens[0]["token"].is_string() && tokens[0] == tokens[2] && tokens[0] != tokens[1]);
    assert_eq!(left[0].directory(), Path::new("/dev/shm/pay88-61001"));
    assert_eq!(harness.tokens(), 2);

    for (left, uid) in left.iter().zip([61_001, 61_002]) {
        assert_eq!(rights(left.directory()), (uid, 0o700));
        assert_eq!(rights(&left.0), (uid, 0o600));
        assert_eq!(rights(&lock_of(&left.0)), (uid, 0o600));
    }
    // Who cannot open the lock's file cannot take the lock. Without the directory's rights those of the files do.
    let files = [left[0].0.clone(), lock_of(&left[0].0)];
    for mode in [0o700, 0o755] {
        fs::set_permissions(left[0].directory(), fs::Permissions::from_mode(mode)).unwrap();
        for file in &files {
            let order = format!("open {}", file.display());
            assert_eq!(workers[1].ask(&order), libc::EACCES, "{mode:o} {order}");
            assert_eq!(workers[2].ask(&order), true, "{mode:o} {order}");
        }
    }
}

#[test]
fn a_user_who_is_in_the_middle_of_a_refresh_keeps_no_other_user_waiting() {
    if !is_root() {
        return;
    }
    let mut harness = Harness::new();
    harness.set("share", "host");
    let mut workers = [61_006, 61_007].map(|uid| {
        let mut worker = harness.worker();
        assert_eq!(worker.ask(&format!("become {uid} {uid}")), true);
        worker
    });
    let _left = workers.each_mut().map(|worker| {
        worker.ask("token");
        let left = path(&worker.ask("stats"));
        assert_eq!(worker.ask("invalidate"), true);
        left
    });
    let [one, other] = &mut workers;
    one.ask("at announced stop");
    one.tell("token");
    one.wait_for_state(&['T']);
    let begun = Instant::now();
    assert!(other.ask("token")["token"].is_string());
    // Who has to wait for a leader that is stopped waits for 20 s.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("a token beside another user who is stopped: {took:?}");
}

#[test]
fn files_that_belong_to_somebody_else_are_left_alone_and_the_next_name_is_taken() {
    if !is_root() {
        return;
    }
    // Nothing keeps root from opening the files of others.
    for uid in [0, 61_008] {
        for of_lock in [false, true] {
            in_time(|| {
                let mut harness = Harness::hurried();
                harness.set("share", "host");
                let (mut one, mut other) = (harness.worker(), harness.worker());
                for worker in [&mut one, &mut other] {
                    assert_eq!(worker.ask(&format!("become {uid} {uid}")), true);
                    assert_eq!(worker.ask("call"), 200);
                }
                let left = path(&one.ask("stats"));
                let taken = match of_lock {
                    true => lock_of(&left.0),
                    false => left.0.clone(),
                };
                chown(&taken, Some(STRANGER), None).unwrap();
                let before = fs::read(&taken).unwrap();
                let next = PathBuf::from(format!("{}.1", left.0.display()));
                for (name, gone) in [(&next, false), (&left.0, true)] {
                    if gone {
                        fs::remove_file(&taken).unwrap();
                    }
                    thread::sleep(Duration::from_millis(1200));
                    assert_eq!(one.ask("call"), 200);
                    assert_eq!(one.ask("token"), other.ask("token"), "{uid} {taken:?}");
                    for worker in [&mut one, &mut other] {
                        let stats = worker.ask("stats");
                        assert_eq!(stats["share_path"], name.to_str().unwrap());
                        assert_eq!(stats["share_degraded"], Value::Null);
                    }
                    if !gone {
                        assert_eq!(rights(&taken), (STRANGER, 0o600));
                        assert!(fs::read(&taken).unwrap() == before, "{uid} {taken:?}");
                    }
                }
            });
        }
    }
}

/// Its own directory has another name than others can know beforehand.
fn has_hidden_name(directory: &Path) -> bool {
    let name = directory.file_name().unwrap().to_str().unwrap();
    let hidden = name.strip_prefix("pay88-").unwrap();
    directory.parent() == Some(Path::new("/dev/shm"))
        && hidden.len() == 32
        && hidden.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[test]
fn directories_that_somebody_else_made_first_are_neither_used_nor_in_the_way() {
    if !is_root() {
        return;
    }
    // All that can be known beforehand.
    let taken = ["", ".1", ".2", ".3"].map(|end| taken(&format!("pay88-61005{end}")));
    let mut harness = Harness::with(|config| config.token_delay = Duration::from_millis(100));
    harness.set("share", "host");
    let mut workers: Vec<_> = (0..12).map(|_| harness.worker()).collect();
    for worker in &mut workers {
        assert_eq!(worker.ask("become 61005 61005"), true);
    }
    for worker in &mut workers {
        worker.tell("call");
    }
    for worker in &mut workers {
        assert_eq!(worker.hear().unwrap(), 200);
    }
    let counters = harness.sandbox.counters();
    assert_eq!((counters.tokens_requested, counters.tokens_issued), (1, 1));
    let left = path(&workers[0].ask("stats"));
    assert!(has_hidden_name(left.directory()), "{:?}", left.0);
    assert_eq!(rights(left.directory()), (61_005, 0o700));
    for worker in &mut workers {
        assert_eq!(worker.ask("stats")["share_path"], left.0.to_str().unwrap());
    }
    for directory in &taken {
        assert_eq!(rights(&directory.0), (STRANGER, 0o755));
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 0);
    }
}

#[test]
fn who_shares_under_a_hidden_name_comes_back_once_the_first_is_free() {
    if !is_root() {
        return;
    }
    in_time(|| {
        // An attempt that failed may have left it.
        let _ = fs::remove_dir_all("/dev/shm/pay88-61003");
        let taken = taken("pay88-61003");
        let mut harness = Harness::hurried();
        harness.set("share", "host");
        let mut workers = [harness.worker(), harness.worker()];
        for worker in &mut workers {
            assert_eq!(worker.ask("become 61003 61003"), true);
            worker.ask("stats");
        }
        for worker in &mut workers {
            assert_eq!(worker.ask("call"), 200);
        }
        let before = path(&workers[0].ask("stats"));
        assert!(has_hidden_name(before.directory()));
        drop(taken);
        thread::sleep(Duration::from_millis(1200));
        for worker in &mut workers {
            assert_eq!(worker.ask("call"), 200);
        }
        let after = path(&workers[0].ask("stats"));
        assert_eq!(after.directory(), Path::new("/dev/shm/pay88-61003"));
        assert_eq!(
            workers[1].ask("stats")["share_path"],
            after.0.to_str().unwrap()
        );
        assert_eq!(workers[0].ask("token"), workers[1].ask("token"));
        assert_eq!(harness.tokens(), 2);
        assert_eq!(workers[1].ask("stats")["budget_left_hour"], 9_998);
    });
}

#[test]
fn users_of_one_group_share_through_its_directory_and_others_are_told_why_not() {
    if !is_root() {
        return;
    }
    let harness = Harness::new();
    chown(&harness.dir, None, Some(GROUP)).unwrap();
    let mut workers = [(61_011, GROUP), (61_012, GROUP), (61_013, 61_013)].map(|(uid, group)| {
        let mut worker = harness.worker();
        assert_eq!(worker.ask(&format!("become {uid} {group}")), true);
        worker
    });
    let tokens = workers.each_mut().map(|worker| worker.ask("token"));
    assert!(tokens[0]["token"].is_string() && tokens[0] == tokens[1] && tokens[0] != tokens[2]);
    assert_eq!(harness.tokens(), 2);
    let reason = workers[2].ask("stats")["share_degraded"].to_string();
    assert!(reason.contains("denied"), "{reason}");
}

#[test]
fn two_mount_namespaces_are_two_hosts() {
    if !is_root() {
        return;
    }
    let mut harness = Harness::new();
    harness.set("share", "host");
    let (mut inside, mut outside) = (harness.worker(), harness.worker());
    assert_eq!(inside.ask("hide /dev/shm 1m"), true);
    let (one, other) = (inside.ask("token"), outside.ask("token"));
    let _left = path(&outside.ask("stats"));
    assert!(one["token"].is_string() && other["token"].is_string() && one != other);
    assert_eq!(harness.tokens(), 2);
}

#[test]
fn containers_with_a_common_directory_have_one_token_and_lead_for_each_other() {
    if !is_root() {
        return;
    }
    in_time(|| {
        let harness = Harness::hurried();
        let mut outside = harness.worker();
        let mut contained = ["one", "two"].map(|name| {
            let dir = harness.dir.file_name().unwrap().to_str().unwrap();
            let name = format!("{dir}-{name}");
            let at = Empty::new(std::env::temp_dir().join(name));
            let mut options = harness.options.clone();
            options["share"] = format!("host:{}", at.0.display()).into();
            (Worker::contained(&options, &harness.dir, &at.0), at)
        });
        // All are up before there is a token, which lasts a second.
        outside.ask("stats");
        for (worker, _) in &mut contained {
            worker.ask("stats");
        }
        for round in 1..=3 {
            let token = outside.ask("token");
            for (worker, _) in &mut contained {
                assert_eq!(worker.ask("token"), token);
                let stats = worker.ask("stats");
                assert_eq!(stats["share_degraded"], Value::Null);
                assert_eq!(stats["budget_left_hour"], 10_000 - round);
            }
            assert_eq!(harness.tokens(), round);
            thread::sleep(Duration::from_millis(1200));
        }
        // One dies with the lock held, and all its namespaces with it.
        let [(leader, _), (follower, _)] = &mut contained;
        let delay = |delay| harness.sandbox.set(|switches| switches.token_delay = delay);
        delay(Duration::from_secs(2));
        leader.ask("begin");
        let asked = || harness.sandbox.counters().tokens_requested;
        until(Duration::from_secs(5), "it asks", || asked() == 4);
        follower.tell("token");
        thread::sleep(Duration::from_millis(100));
        assert_eq!(asked(), 4, "it waits for the leader");
        delay(Duration::ZERO);
        leader.signal(libc::SIGKILL);
        let died = Instant::now();
        let token = follower.hear().unwrap();
        let took = died.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        println!("a successor in another container after {took:?}");
        assert!(token["token"].is_string() && outside.ask("token") == token);
        assert_eq!(asked(), 5);
    });
}

#[test]
fn a_manager_that_was_used_before_its_process_gave_up_root_goes_on() {
    if !is_root() {
        return;
    }
    in_time(|| {
        let mut harness = Harness::hurried();
        harness.set("share", "host");
        let mut worker = harness.worker();
        assert_eq!(worker.ask("call"), 200);
        let before = path(&worker.ask("stats"));
        assert_eq!(worker.ask("become 61021 61021"), true);
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(worker.ask("call"), 200);
        let stats = worker.ask("stats");
        let after = path(&stats);
        assert_eq!(stats["share_degraded"], Value::Null);
        assert_ne!(before.0, after.0);
        assert!(after.0.starts_with("/dev/shm/pay88-61021"));
        // What was spent as root counts on.
        assert_eq!(stats["budget_left_minute"], 98);
    });
}
