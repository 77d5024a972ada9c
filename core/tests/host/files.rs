//! What befalls the files while they are in use.

use std::fs::{self, File, FileType};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Harness, lock_of};
use crate::skip::is_root;
use crate::worker::Worker;
use crate::yardstick::in_time;

/// Replaces a file; the second path is free, for what it may need elsewhere.
type Deed = fn(&Path, &Path);

const DEEDS: [(&str, Deed); 6] = [
    ("nothing", |path, _| fs::remove_file(path).unwrap()),
    ("a pipe", |path, _| {
        fs::remove_file(path).unwrap();
        let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: a text that ends with a zero byte.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o660) }, 0);
    }),
    // Who followed it would find what was there before.
    ("a link", |path, elsewhere| {
        fs::rename(path, elsewhere).unwrap();
        symlink(elsewhere, path).unwrap();
    }),
    ("a hard link", |path, elsewhere| {
        fs::hard_link(path, elsewhere).unwrap();
    }),
    ("a directory", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    // Its rights are not those of a file that is made here.
    ("a file of others", |path, _| {
        fs::remove_file(path).unwrap();
        fs::write(path, b"not ours").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o664)).unwrap();
    }),
];

/// What is there, byte for byte; a pipe is not opened.
fn found(path: &Path) -> Option<(FileType, u64, Vec<u8>)> {
    let found = fs::symlink_metadata(path).ok()?;
    let kind = found.file_type();
    let content = match kind {
        _ if kind.is_file() => fs::read(path).unwrap(),
        _ if kind.is_dir() => vec![fs::read_dir(path).unwrap().count() as u8],
        _ if kind.is_symlink() => fs::read_link(path).unwrap().into_os_string().into_vec(),
        _ => Vec::new(),
    };
    Some((kind, found.ino(), content))
}

/// Does it to one of the two files while two processes use them. Tokens last a second here: both go on, with one token
/// again, and what has come there is left alone.
fn nobody_minds(name: &str, deed: Deed, of: fn(&Path) -> PathBuf) {
    in_time(|| {
        let harness = Harness::hurried();
        let (mut one, mut other) = (harness.worker(), harness.worker());
        assert_eq!(
            (one.ask("call"), other.ask("call")),
            (200.into(), 200.into())
        );
        let tokens = harness.tokens();
        let record = harness.record();
        let (path, elsewhere) = (of(&record), harness.dir.join("elsewhere.lock"));
        deed(&path, &elsewhere);
        let before = [found(&path), found(&elsewhere)];
        for round in 1..=3 {
            thread::sleep(Duration::from_millis(1200));
            assert_eq!(one.ask("call"), 200, "{name}");
            assert_eq!(one.ask("token"), other.ask("token"), "{name}");
            assert_eq!(other.ask("call"), 200, "{name}");
            assert_eq!(harness.tokens(), tokens + round, "{name}");
        }
        let next = match before[0] {
            Some(_) => format!("{}.1", record.display()),
            None => record.display().to_string(),
        };
        for worker in [&mut one, &mut other] {
            let stats = worker.ask("stats");
            assert_eq!(stats["share_degraded"], Value::Null, "{name}");
            assert_eq!(stats["share_path"], next, "{name}");
        }
        if before[0].is_some() {
            assert!(before == [found(&path), found(&elsewhere)], "{name}");
        }
    });
}

#[test]
fn a_record_that_is_removed_or_replaced_while_in_use_stops_nobody_and_what_came_there_is_left_alone()
 {
    for (name, deed) in DEEDS {
        nobody_minds(name, deed, Path::to_owned);
    }
}

#[test]
fn a_lock_that_is_removed_or_replaced_while_in_use_stops_nobody_and_what_came_there_is_left_alone()
{
    for (name, deed) in DEEDS {
        nobody_minds(name, deed, lock_of);
    }
}

#[test]
fn a_record_of_a_format_that_is_not_known_and_both_files_at_once_are_no_different() {
    nobody_minds(
        "another format",
        |path, elsewhere| {
            fs::copy(path, elsewhere).unwrap();
            // The number of the format is behind eight bytes that are the same in all of them.
            let file = File::options().write(true).open(elsewhere).unwrap();
            file.write_all_at(&[1], 8).unwrap();
            fs::rename(elsewhere, path).unwrap();
        },
        Path::to_owned,
    );
    nobody_minds(
        "all gone",
        |path, _| {
            for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        },
        Path::to_owned,
    );
}

#[test]
fn a_record_that_has_lost_one_of_its_two_slots_is_made_whole_and_stops_nobody() {
    // The file of a short record is 64 bytes and two slots.
    const SLOT: u64 = (4096 - 64) / 2;
    type Damage = fn(&File);
    let damages: [(&str, Damage); 3] = [
        ("second cut", |file| {
            file.set_len(64 + SLOT + 100).unwrap();
        }),
        ("first changed", |file| {
            file.write_all_at(&[0x88; 300], 64 + 40).unwrap();
        }),
        ("second changed", |file| {
            file.write_all_at(&[0x88; 300], 64 + SLOT + 40).unwrap();
        }),
    ];
    for (name, damage) in damages {
        in_time(|| {
            let harness = Harness::hurried();
            let (mut one, mut other) = (harness.worker(), harness.worker());
            for worker in [&mut one, &mut other] {
                assert_eq!(worker.ask("call"), 200);
            }
            let record = harness.record();
            damage(&File::options().write(true).open(&record).unwrap());
            for round in 2..=4 {
                thread::sleep(Duration::from_millis(1200));
                assert_eq!(one.ask("call"), 200, "{name}");
                assert_eq!(one.ask("token"), other.ask("token"), "{name}");
                assert_eq!(harness.tokens(), round, "{name}");
                assert_eq!(fs::metadata(&record).unwrap().len(), 4096, "{name}");
            }
            // Somebody who was not there, and knows what the file says and no more.
            let left = harness.worker().ask("stats")["budget_left_hour"].clone();
            assert_eq!(left, 10_000 - harness.tokens(), "{name}");
        });
    }
}

#[test]
fn a_cut_record_is_replaced_and_its_minute_counts_as_spent() {
    for length in [0, 10, 100] {
        let harness = Harness::new();
        let mut one = harness.worker();
        let token = one.ask("token");
        let file = File::options().write(true).open(harness.record()).unwrap();
        file.set_len(length).unwrap();
        let mut newcomer = harness.worker();
        let answer = newcomer.ask("token");
        assert_eq!(answer["error"], "rate_limited", "{answer}");
        assert!(answer["retry_after"].as_f64().unwrap() <= 62.0);
        // Whoever has the token uses it on.
        assert_eq!(one.ask("token"), token);
        assert_eq!(one.ask("call"), 200);
        assert_eq!(harness.tokens(), 1);
    }
}

/// Takes a minute.
#[test]
fn after_the_minute_of_a_cut_record_renewals_go_on_with_one_token_for_all() {
    in_time(|| {
        let harness = Harness::hurried();
        let (mut one, mut other) = (harness.worker(), harness.worker());
        for worker in [&mut one, &mut other] {
            assert_eq!(worker.ask("call"), 200);
        }
        let record = harness.record();
        let file = File::options().write(true).open(&record).unwrap();
        file.set_len(10).unwrap();
        thread::sleep(Duration::from_millis(1200));
        // The first that looks makes it anew, and the others find there what it remembers.
        let refused = one.ask("token");
        assert_eq!(refused["error"], "rate_limited", "{refused}");
        assert_eq!(fs::metadata(&record).unwrap().len(), 4096);
        assert_eq!(other.ask("token")["error"], "rate_limited");
        let left = harness.worker().ask("stats")["budget_left_hour"].clone();
        assert_eq!(left, 10_000 - 1 - 100);
        let pause = refused["retry_after"].as_f64().unwrap();
        assert!((55.0..=62.0).contains(&pause), "{pause} s");
        thread::sleep(Duration::from_secs_f64(pause) + Duration::from_millis(100));
        for round in 2..=4 {
            assert_eq!(one.ask("call"), 200);
            assert_eq!(one.ask("token"), other.ask("token"));
            assert_eq!(other.ask("call"), 200);
            assert_eq!(harness.tokens(), round);
            thread::sleep(Duration::from_millis(1200));
        }
    });
}

#[test]
fn a_directory_on_a_disk_is_not_used_and_the_reason_is_told_once() {
    let mut harness = Harness::new();
    let disk = std::env::current_exe().unwrap();
    let disk = disk.parent().unwrap().to_owned();
    harness.set("share", &format!("host:{}", disk.display()));
    let events = pay88::Events::subscribe(1000);
    let manager = harness.manager();
    manager.get_token().unwrap();
    manager.invalidate().unwrap();
    manager.get_token().unwrap();
    let stats = manager.stats();
    assert!(stats.share_degraded.unwrap().contains("tmpfs"));
    assert_eq!((stats.share, stats.share_path), ("host", None));
    let mut told = Vec::new();
    while let Some(event) = events.next(Duration::ZERO) {
        if event.manager_id == manager.id() && event.name.name() == "share_degraded" {
            told.push(event.fields["reason"].to_string());
        }
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_full_tmpfs_leaves_each_process_its_own_token() {
    if !is_root() {
        return;
    }
    let harness = Harness::new();
    let mut worker = harness.worker();
    assert_eq!(
        worker.ask(&format!("hide {} 32k", harness.dir.display())),
        true
    );
    assert_eq!(
        worker.ask(&format!("fill {}/full", harness.dir.display())),
        true
    );
    assert_eq!(worker.ask("call"), 200);
    let stats = worker.ask("stats");
    let reason = stats["share_degraded"].as_str().unwrap();
    assert!(reason.contains("No space"), "{reason}");
    assert_eq!(stats["budget_left_minute"], 9);
}

#[test]
fn tokens_asked_for_while_the_record_could_not_be_had_are_told_as_soon_as_it_can_be() {
    in_time(|| {
        let harness = Harness::hurried();
        let (mut one, mut other) = (harness.worker(), harness.worker());
        assert_eq!(one.ask("call"), 200);
        fs::rename(&harness.dir, harness.away()).unwrap();
        let steady = one.ask("steady 3 50");
        assert_eq!(steady["failed"].as_array().unwrap().len(), 0, "{steady}");
        let alone = harness.tokens();
        assert!(alone >= 3, "{alone} tokens");
        fs::rename(harness.away(), &harness.dir).unwrap();
        // With its next renewal, or when it looks for one.
        thread::sleep(Duration::from_millis(1_100));
        assert_eq!(one.ask("call"), 200);
        assert_eq!(other.ask("call"), 200);
        let left = other.ask("stats")["budget_left_hour"].as_u64().unwrap();
        assert_eq!(left, 10_000 - harness.tokens());
    });
}

#[test]
fn a_directory_that_vanishes_in_the_middle_of_a_refresh_is_no_burden_and_no_slot_is_forgotten() {
    let left = |worker: &mut Worker| worker.ask("stats")["budget_left_hour"].clone();
    for step in ["locked", "announced", "answered"] {
        in_time(|| {
            let harness = Harness::hurried();
            let (mut one, mut other) = (harness.worker(), harness.worker());
            assert_eq!(one.ask("call"), 200);
            thread::sleep(Duration::from_millis(1200));
            let (dir, away) = (harness.dir.display(), harness.away());
            one.ask(&format!("at {step} move {dir} {}", away.display()));
            assert_eq!(one.ask("call"), 200, "{step}");
            assert!(!harness.dir.exists(), "{step}");
            let reason = one.ask("stats")["share_degraded"].to_string();
            assert!(reason.contains("No such file"), "{step}: {reason}");
            assert_eq!((harness.tokens(), left(&mut one)), (2, 9_998.into()));

            fs::rename(away, &harness.dir).unwrap();
            // Whoever has something to tell does so when it looks.
            assert_eq!(one.ask("stats")["share_degraded"], Value::Null, "{step}");
            assert_eq!(left(&mut other), 9_998, "{step}");
            assert_eq!(harness.tokens(), 2, "{step}");
            // What was begun there is over for the others, too.
            thread::sleep(Duration::from_millis(1200));
            assert_eq!(other.ask("call"), 200, "{step}");
            assert_eq!(one.ask("token"), other.ask("token"), "{step}");
            assert_eq!((harness.tokens(), left(&mut one)), (3, 9_997.into()));
        });
    }
}

/// A limit for files, as a batch system sets one: a longer write would bring SIGXFSZ, whose default ends the process.
#[test]
fn a_limit_for_files_stops_no_process_and_each_goes_on_alone_where_it_is_too_low() {
    for (limit, shares) in [(0, false), (1000, false), (4096, true)] {
        let harness = Harness::hurried();
        let mut worker = harness.worker();
        assert_eq!(worker.ask("call"), 200);
        assert_eq!(worker.ask(&format!("limit files {limit}")), true);
        // By a thread of the library, which leads a refresh.
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(worker.ask("call"), 200);
        // By the caller's own: what was cut is made whole by who looks for it.
        let file = File::options().write(true).open(harness.record()).unwrap();
        file.set_len(100).unwrap();
        let degraded = worker.ask("stats")["share_degraded"].to_string();
        assert_eq!(degraded == "null", shares, "{limit}: {degraded}");
        assert!(shares || degraded.contains("File too large"), "{degraded}");
    }
}

#[test]
fn no_file_takes_the_place_of_a_standard_stream_that_is_closed() {
    let harness = Harness::hurried();
    let mut worker = harness.worker();
    assert_eq!(worker.ask("close standard error"), true);
    // Every file is opened anew for each use, and the one that has no number yet gets the lowest.
    for step in ["locked", "published"] {
        worker.ask(&format!("at {step} complain"));
        assert_eq!(worker.ask("call"), 200);
        thread::sleep(Duration::from_millis(1200));
    }
    assert_eq!(worker.ask("complaints"), 2);
    for entry in fs::read_dir(&harness.dir).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        let found = content.windows(9).any(|part| part == b"complaint");
        assert!(!found, "{}", path.display());
    }
}
