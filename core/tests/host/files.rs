//! What befalls the files while they are in use.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::left_out::is_root;
use crate::stage::Stage;

/// Tokens last a second here: after the deed both go on, and with one token again.
#[test]
fn a_record_that_is_removed_or_replaced_while_in_use_stops_nobody() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed); 6] = [
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("a pipe", |path| {
            fs::remove_file(path).unwrap();
            let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            // SAFETY: a text that ends with a zero byte.
            assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o660) }, 0);
        }),
        ("a link", |path| {
            fs::remove_file(path).unwrap();
            symlink("/etc/hostname", path).unwrap();
        }),
        ("a hard link", |path| {
            fs::hard_link(path, path.with_extension("x.lock")).unwrap()
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("all gone", |path| {
            for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }),
    ];
    for (name, deed) in deeds {
        let stage = Stage::hurried();
        let (mut one, mut other) = (stage.player(), stage.player());
        assert_eq!(
            (one.ask("call"), other.ask("call")),
            (200.into(), 200.into())
        );
        let before = stage.tokens();
        deed(&stage.record());
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(1200));
            assert_eq!(one.ask("call"), 200, "{name}");
            assert_eq!(one.ask("token"), other.ask("token"), "{name}");
            assert_eq!(other.ask("call"), 200, "{name}");
        }
        assert_eq!(stage.tokens(), before + 3, "{name}");
        assert_eq!(one.ask("stats")["share_degraded"], serde_json::Value::Null);
    }
}

#[test]
fn a_cut_record_is_replaced_and_its_minute_counts_as_spent() {
    for length in [0, 10, 100] {
        let stage = Stage::new();
        let mut one = stage.player();
        let token = one.ask("token");
        let file = File::options().write(true).open(stage.record()).unwrap();
        file.set_len(length).unwrap();
        let mut newcomer = stage.player();
        let answer = newcomer.ask("token");
        assert_eq!(answer["error"], "rate_limited", "{answer}");
        assert!(answer["retry_after"].as_f64().unwrap() <= 62.0);
        // Whoever has the token uses it on.
        assert_eq!(one.ask("token"), token);
        assert_eq!(one.ask("call"), 200);
        assert_eq!(stage.tokens(), 1);
    }
}

#[test]
fn a_directory_on_a_disk_is_not_used_and_the_reason_is_told_once() {
    let mut stage = Stage::new();
    let disk = std::env::current_exe().unwrap();
    let disk = disk.parent().unwrap().to_owned();
    stage.set("share", &format!("host:{}", disk.display()));
    let events = pay88::Events::subscribe(1000);
    let manager = stage.manager();
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
    let stage = Stage::new();
    let mut player = stage.player();
    assert_eq!(
        player.ask(&format!("hide {} 32k", stage.dir.display())),
        true
    );
    assert_eq!(player.ask("call"), 200);
    let stats = player.ask("stats");
    let reason = stats["share_degraded"].as_str().unwrap();
    assert!(reason.contains("No space"), "{reason}");
    assert_eq!(stats["budget_left_minute"], 9);
}

#[test]
fn tokens_asked_for_while_the_record_could_not_be_had_are_told_as_soon_as_it_can_be() {
    let stage = Stage::hurried();
    let (mut one, mut other) = (stage.player(), stage.player());
    assert_eq!(one.ask("call"), 200);
    let aside = stage.dir.with_extension("aside");
    fs::rename(&stage.dir, &aside).unwrap();
    let steady = one.ask("steady 3 50");
    assert_eq!(steady["failed"].as_array().unwrap().len(), 0, "{steady}");
    let alone = stage.tokens();
    assert!(alone >= 3, "{alone} tokens");
    fs::rename(&aside, &stage.dir).unwrap();
    // With its next renewal, or when it looks for one.
    thread::sleep(Duration::from_millis(1_100));
    assert_eq!(one.ask("call"), 200);
    assert_eq!(other.ask("call"), 200);
    let left = other.ask("stats")["budget_left_hour"].as_u64().unwrap();
    assert_eq!(left, 10_000 - stage.tokens());
}
