//! Several users, groups and mount namespaces. Only root can play them.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::left_out::is_root;
use crate::stage::Stage;

const GROUP: u32 = 60_123;

/// Removes what a user has left in the common memory directory.
struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        let lock = format!("{}.lock", self.0.display());
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(lock);
        // Only if it is empty.
        let _ = std::fs::remove_dir(self.0.parent().unwrap());
    }
}

fn path(stats: &serde_json::Value) -> Left {
    Left(PathBuf::from(stats["share_path"].as_str().unwrap()))
}

#[test]
fn two_users_are_separate_and_two_processes_of_one_are_not() {
    if !is_root() {
        return;
    }
    let mut stage = Stage::new();
    stage.set("share", "host");
    let mut players = [61_001, 61_002, 61_001].map(|uid| {
        let mut player = stage.player();
        assert_eq!(player.ask(&format!("become {uid} {uid}")), true);
        player
    });
    let tokens = players.each_mut().map(|player| player.ask("token"));
    let left = players.each_mut().map(|player| path(&player.ask("stats")));
    assert!(tokens[0]["token"].is_string() && tokens[0] == tokens[2] && tokens[0] != tokens[1]);
    assert_eq!(
        left[0].0.parent().unwrap(),
        PathBuf::from("/dev/shm/pay88-61001")
    );
    assert_eq!(stage.tokens(), 2);
}

#[test]
fn a_directory_that_somebody_else_made_first_is_neither_used_nor_in_the_way() {
    if !is_root() {
        return;
    }
    let taken = PathBuf::from("/dev/shm/pay88-61003");
    std::fs::create_dir(&taken).unwrap();
    chown(&taken, Some(61_004), None).unwrap();
    let mut stage = Stage::new();
    stage.set("share", "host");
    let mut player = stage.player();
    assert_eq!(player.ask("become 61003 61003"), true);
    assert!(player.ask("token")["token"].is_string());
    let left = path(&player.ask("stats"));
    std::fs::remove_dir(&taken).unwrap();
    assert_eq!(
        left.0.parent().unwrap(),
        PathBuf::from("/dev/shm/pay88-61003.1")
    );
}

#[test]
fn users_of_one_group_share_through_its_directory_and_others_are_told_why_not() {
    if !is_root() {
        return;
    }
    let stage = Stage::new();
    chown(&stage.dir, None, Some(GROUP)).unwrap();
    let mut players = [(61_011, GROUP), (61_012, GROUP), (61_013, 61_013)].map(|(uid, group)| {
        let mut player = stage.player();
        assert_eq!(player.ask(&format!("become {uid} {group}")), true);
        player
    });
    let tokens = players.each_mut().map(|player| player.ask("token"));
    assert!(tokens[0]["token"].is_string() && tokens[0] == tokens[1] && tokens[0] != tokens[2]);
    assert_eq!(stage.tokens(), 2);
    let reason = players[2].ask("stats")["share_degraded"].to_string();
    assert!(reason.contains("denied"), "{reason}");
}

#[test]
fn two_mount_namespaces_are_two_hosts() {
    if !is_root() {
        return;
    }
    let mut stage = Stage::new();
    stage.set("share", "host");
    let (mut inside, mut outside) = (stage.player(), stage.player());
    assert_eq!(inside.ask("hide /dev/shm 1m"), true);
    let (one, other) = (inside.ask("token"), outside.ask("token"));
    let _left = path(&outside.ask("stats"));
    assert!(one["token"].is_string() && other["token"].is_string() && one != other);
    assert_eq!(stage.tokens(), 2);
}

#[test]
fn a_manager_that_was_used_before_its_process_gave_up_root_goes_on() {
    if !is_root() {
        return;
    }
    let mut stage = Stage::hurried();
    stage.set("share", "host");
    let mut player = stage.player();
    assert_eq!(player.ask("call"), 200);
    let before = path(&player.ask("stats"));
    assert_eq!(player.ask("become 61021 61021"), true);
    thread::sleep(Duration::from_millis(1200));
    assert_eq!(player.ask("call"), 200);
    let stats = player.ask("stats");
    let after = path(&stats);
    assert_eq!(stats["share_degraded"], serde_json::Value::Null);
    assert_ne!(before.0, after.0);
    assert!(after.0.starts_with("/dev/shm/pay88-61021"));
    // What was spent as root counts on.
    assert_eq!(stats["budget_left_minute"], 98);
}
