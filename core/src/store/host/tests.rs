//! One record and several who use it, each as a process would. What needs real processes is in `tests/host`.

mod any_bytes;

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::config::credentials::ApiKey;
use crate::config::endpoint::BaseUrl;
use crate::config::option::Opt;
use crate::platform::clock::Clock;
use crate::policy::rate_limit::Slot;
use crate::policy::token_response::Grant;
use crate::refresh::record::{Issue, Stamp};
use crate::secret::Secret;
use crate::store::local::{LocalRecord, Medium, WriteLease};
use crate::test_support::limits::within;

const KEY: &str = "sk_test_sandbox_host_0001";
const URL: &str = "https://pay.example";

/// A directory in memory that goes with the test.
struct Shelf(PathBuf);

impl Shelf {
    fn new() -> Shelf {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!(
            "/dev/shm/host-unit-{}-{number}",
            std::process::id()
        ));
        fs::create_dir(&path).unwrap();
        Shelf(path)
    }

    fn user(&self) -> LocalRecord {
        self.user_of(KEY, URL, "MCH-COL-1")
    }

    fn user_of(&self, key: &str, url: &str, merchant: &str) -> LocalRecord {
        let files = Box::new(self.files_of(key, url, merchant));
        LocalRecord::new(Medium::Files(files), 10, Clock::System)
    }

    fn files_of(&self, key: &str, url: &str, merchant: &str) -> HostFiles {
        let base_url = BaseUrl::parse(url).unwrap();
        let key = ApiKey::parse(Opt::ApiKey, key, &base_url).unwrap();
        let place = Directories::new(Some(self.0.clone()), None);
        HostFiles::new(&key, place, url, merchant).unwrap()
    }

    /// Where the record is or would be.
    fn record_path(&self, user: &LocalRecord) -> PathBuf {
        user.peek().unwrap().0
    }

    /// The record's file: the one without `.lock`.
    fn file(&self) -> PathBuf {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| !path.to_str().unwrap().contains(".lock"));
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths.remove(0)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> BootTime {
    Clock::System.boot()
}

fn issue(id: u64) -> Issue {
    Issue {
        stamp: Stamp {
            id,
            asked_at: BootTime(now().0 + id),
        },
        grant: Grant {
            access_token: Secret::new(format!("token-{id}")),
            session_id: Secret::new(format!("sess_{id}")),
            expires_in: 60,
        },
        budget_shares: 0,
    }
}

/// One whose token is that long.
fn long_issue(id: u64, length: usize) -> Issue {
    let mut issue = issue(id);
    issue.grant.access_token = Secret::new(format!("{id:x<length$}"));
    issue
}

/// Tries it again until something comes of it. Nothing is locked while another test of this process forks, and a lease ends
/// by itself on a busy machine.
fn at_last<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it is in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Leads, where nobody else does.
fn lead(user: &LocalRecord, term: u64) -> (WriteLease, HostRecord) {
    at_last(|| user.try_lease(term).unwrap())
}

/// Leads and writes what `change` makes of the record; what comes of it, if it is not too late.
fn change(
    user: &LocalRecord,
    term: u64,
    change: impl Fn(&mut HostRecord),
) -> Result<(WriteLease, HostRecord), Unwritten> {
    at_last(|| {
        let (mut lease, mut record) = lead(user, term);
        change(&mut record);
        match user.write(&mut lease, &mut record) {
            Err(Unwritten::Late) => None,
            written => Some(written.map(|()| (lease, record))),
        }
    })
}

/// The record once it is as `so` says: what has to be written first is written by who reads it.
fn read_until(user: &LocalRecord, so: impl Fn(&HostRecord) -> bool) -> HostRecord {
    at_last(|| Some(user.read().unwrap()).filter(&so))
}

/// Leads, counts one slot, and publishes that token.
fn publish(user: &LocalRecord, id: u64) {
    publish_issue(user, issue(id));
}

fn publish_long(user: &LocalRecord, id: u64, length: usize) {
    publish_issue(user, long_issue(id, length));
}

fn publish_issue(user: &LocalRecord, issue: Issue) {
    let term = user.read().unwrap().term;
    let published = change(user, term, |record| {
        record.common.counts.spend_minute(now(), 1);
        record.common.issue = Some(issue.clone());
    });
    published.unwrap();
}

fn token(user: &LocalRecord) -> Option<u64> {
    user.read()
        .unwrap()
        .common
        .issue
        .map(|issue| issue.stamp.id)
}

#[test]
fn what_one_writes_the_others_read() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.user(), shelf.user());
    assert_eq!(one.read().unwrap(), HostRecord::default());
    for id in 1..20 {
        publish(if id % 2 == 0 { &one } else { &other }, id);
        assert_eq!((token(&one), token(&other)), (Some(id), Some(id)));
    }
    assert_eq!(one.read().unwrap().common.counts.taken.len(), 19);
    let file = fs::symlink_metadata(shelf.file()).unwrap();
    assert_eq!((file.mode() & 0o7777, file.len()), (0o660, PAGE));
}

#[test]
fn what_could_not_be_written_is_told_before_anything_else_is_read() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.user(), shelf.user());
    fn take<const N: usize>(record: &mut HostRecord, ids: [u32; N]) {
        let slots = ids.map(|id| Slot {
            at: now(),
            id,
            partitioned: false,
            pending: false,
        });
        record.common.counts.taken.extend(slots);
    }
    let of_other = |record: &HostRecord| {
        let slots = record.common.counts.taken.iter();
        slots.filter(|slot| slot.id > 1000).count()
    };
    publish(&one, 1);
    let mut record = other.read().unwrap();
    take(&mut record, [1001, 1002]);
    other.remember(&record);
    // The others have gone on meanwhile, several times.
    for id in 2..5 {
        publish(&one, id);
    }
    let found = other.read().unwrap();
    assert_eq!(of_other(&found), 2);
    assert_eq!(found.common.issue.unwrap().stamp.id, 4);
    at_last(|| {
        other.read().unwrap();
        (of_other(&one.read().unwrap()) == 2).then_some(())
    });
    // While somebody leads it waits, and forgets nothing.
    let mut record = other.read().unwrap();
    take(&mut record, [1003]);
    other.remember(&record);
    let (lease, _) = lead(&one, 0);
    assert_eq!(of_other(&other.read().unwrap()), 3);
    assert_eq!(of_other(&one.read().unwrap()), 2);
    drop(lease);
    at_last(|| {
        other.read().unwrap();
        (of_other(&one.read().unwrap()) == 3).then_some(())
    });
}

#[test]
fn one_at_a_time_leads_and_the_lock_is_free_when_it_is_let_go() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.user(), shelf.user());
    let (lease, _) = lead(&one, 0);
    assert!(other.try_lease(0).unwrap().is_none());
    drop(lease);
    lead(&other, 0);
}

#[test]
fn nothing_sealed_for_another_key_host_or_merchant_is_read() {
    let shelf = Shelf::new();
    let mine = shelf.user();
    publish(&mine, 1);
    let bytes = fs::read(shelf.file()).unwrap();
    for other in [
        shelf.user_of("sk_test_sandbox_host_0002", URL, "MCH-COL-1"),
        shelf.user_of(KEY, "https://pay2.example", "MCH-COL-1"),
        shelf.user_of(KEY, URL, "MCH-COL-2"),
    ] {
        // Another name, so another file; and the bytes moved there are no record either.
        assert_eq!(other.read().unwrap(), HostRecord::default());
        publish(&other, 2);
        fs::write(other.path().unwrap(), &bytes).unwrap();
        let found = other.read().unwrap();
        assert_eq!(
            found.common.issue.unwrap().stamp.id,
            2,
            "from its own memory"
        );
    }
    assert_eq!(token(&mine), Some(1));
}

#[test]
fn a_later_release_of_the_format_and_this_one_share_a_record() {
    let shelf = Shelf::new();
    let (later, mine) = (shelf.user(), shelf.user());
    let written = change(&later, 0, |record| {
        record.common.others.insert("colour".into(), "blue".into());
        record.common.issue = Some(issue(1));
    });
    drop(written.unwrap());
    assert_eq!(token(&mine), Some(1));
    publish(&mine, 2);
    assert_eq!(shelf.user().read().unwrap().common.others["colour"], "blue");
}

#[test]
fn a_torn_write_leaves_the_record_before_it() {
    let shelf = Shelf::new();
    let user = shelf.user();
    publish(&user, 1);
    let before = fs::read(shelf.file()).unwrap();
    publish(&user, 2);
    let after = fs::read(shelf.file()).unwrap();
    let changed = (0..after.len()).filter(|at| before[*at] != after[*at]);
    let middle = changed.clone().nth(changed.count() / 2).unwrap();
    let mut torn = after.clone();
    torn[middle..].copy_from_slice(&before[middle..]);
    // A reader that remembers nothing.
    fs::write(shelf.file(), &torn).unwrap();
    let newcomer = shelf.user();
    let found = newcomer.read().unwrap();
    assert_eq!(
        (
            found.common.issue.unwrap().stamp.id,
            found.common.counts.taken.len()
        ),
        (1, 1)
    );
}

/// The memory that the record's file takes, in bytes.
fn memory(shelf: &Shelf) -> u64 {
    512 * fs::metadata(shelf.file()).unwrap().blocks()
}

#[test]
fn a_long_record_takes_more_memory_while_it_is_long_and_no_write_of_any_length_is_lost_when_it_is_torn()
 {
    let shelf = Shelf::new();
    let user = shelf.user();
    publish(&user, 1);
    assert_eq!(memory(&shelf), PAGE);
    // Where torn files are looked at.
    let desk = Shelf::new();
    publish(&desk.user(), 1);
    let (mut torn, mut last) = (0, 10);
    for (before, length) in [
        10, 1_000, 1_600, 2_500, 2_500, 100, 100, 2_500, 5_000, 32_000, 32_000, 32_000, 10, 10,
        31_000, 10, 10,
    ]
    .into_iter()
    .enumerate()
    {
        let (before, id) = (before as u64 + 1, before as u64 + 2);
        let earlier = fs::read(shelf.file()).unwrap();
        publish_long(&user, id, length);
        assert_eq!(token(&shelf.user()), Some(id), "{length}");
        let whole = fs::read(shelf.file()).unwrap();
        let at = |at: usize, of: &[u8]| of.get(at).copied().unwrap_or(0);
        let changed: Vec<_> = (0..whole.len())
            .filter(|place| at(*place, &earlier) != at(*place, &whole))
            .collect();
        for part in 0..8 {
            // The writing came as far as that.
            let until = changed[changed.len() * part / 8];
            let mut content = earlier.clone();
            content.resize(earlier.len().max(whole.len()), 0);
            content[..until].copy_from_slice(&whole[..until]);
            fs::write(desk.file(), &content).unwrap();
            let found = token(&desk.user());
            assert_eq!(found, Some(before), "{length}, torn at {until}");
            torn += 1;
        }
        let most = match length.max(std::mem::replace(&mut last, length)) {
            ..1_700 => PAGE,
            1_700..4_000 => 2 * PAGE,
            _ => FILE_SIZE + PAGE,
        };
        assert!(memory(&shelf) <= most, "{length}: {}", memory(&shelf));
    }
    assert_eq!(torn, 17 * 8);
    // What does not fit at all is not shared, and said so.
    let refused = change(&user, 0, |record| {
        record.common.issue = Some(long_issue(99, 40_000));
    });
    assert!(matches!(&refused, Err(Unwritten::Lost(reason)) if reason.contains("too long")));
}

#[test]
fn an_older_file_takes_nothing_from_those_who_know_better() {
    let shelf = Shelf::new();
    let user = shelf.user();
    publish(&user, 1);
    let older = fs::read(shelf.file()).unwrap();
    for id in 2..6 {
        publish(&user, id);
    }
    fs::write(shelf.file(), older).unwrap();
    let found = user.read().unwrap();
    assert_eq!(
        (token(&user), found.common.counts.taken.len()),
        (Some(5), 5)
    );
    // With the next writing all others know it too.
    publish(&user, 6);
    assert_eq!(shelf.user().read().unwrap().common.counts.taken.len(), 6);
}

#[test]
fn a_file_without_a_readable_record_counts_the_minute_as_spent_once() {
    type Damage = fn(&PathBuf);
    let damages: [Damage; 4] = [
        |path| fs::write(path, b"").unwrap(),
        |path| fs::write(path, vec![0x88; FILE_SIZE as usize]).unwrap(),
        |path| {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(100)
                .unwrap()
        },
        |path| fs::write(path, vec![0; 1000]).unwrap(),
    ];
    for damage in damages {
        let shelf = Shelf::new();
        publish(&shelf.user(), 1);
        damage(&shelf.file());
        let repaired = |_: &HostRecord| fs::metadata(shelf.file()).unwrap().len() == PAGE;
        let first = read_until(&shelf.user(), repaired);
        assert_eq!(
            (
                first.common.counts.taken.len(),
                first.common.issue.is_none()
            ),
            (10, true)
        );
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(
            shelf.user().read().unwrap(),
            first,
            "the time runs from the first look"
        );
    }
}

#[test]
fn a_removed_file_is_made_anew_from_what_is_remembered() {
    let shelf = Shelf::new();
    let user = shelf.user();
    publish(&user, 1);
    for entry in fs::read_dir(&shelf.0).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(token(&user), Some(1));
    publish(&user, 2);
    let found = shelf.user().read().unwrap();
    assert_eq!(
        (
            found.common.issue.unwrap().stamp.id,
            found.common.counts.taken.len()
        ),
        (2, 2)
    );
}

fn gid_of(path: &Path) -> u32 {
    fs::metadata(path.parent().unwrap()).unwrap().gid()
}

#[test]
fn what_is_no_file_of_ours_is_left_alone_and_the_next_name_is_taken_until_it_is_gone() {
    // Who opened the pipe as a file would wait for its other end.
    within(Duration::from_secs(60), || {
        type Replace = fn(&PathBuf);
        let foreign: [Replace; 5] = [
            |path| {
                let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
                // SAFETY: a valid text that ends with a zero byte.
                assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o660) }, 0);
            },
            |path| {
                // Who followed the link would find all in order.
                let target = path.with_file_name("target.lock");
                file::create(&target, directory::Owner::Group(gid_of(path)), b"x").unwrap();
                symlink(target, path).unwrap();
            },
            |path| fs::create_dir(path).unwrap(),
            |path| {
                // Rights that others have too.
                fs::write(path, b"x").unwrap();
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
                    .unwrap();
            },
            |path| {
                let mut header = header(now());
                // Of the release before.
                header[8] = 1;
                fs::write(path, header).unwrap();
                fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o660))
                    .unwrap();
            },
        ];
        for (number, replace) in foreign.iter().enumerate() {
            let shelf = Shelf::new();
            let (one, other) = (shelf.user(), shelf.user());
            publish(&one, 1);
            let path = shelf.file();
            fs::remove_file(&path).unwrap();
            replace(&path);
            let look = || {
                let found = fs::symlink_metadata(&path).unwrap();
                // Through the link to what it leads to; a pipe is not opened.
                let content =
                    (found.is_file() || found.is_symlink()).then(|| fs::read(&path).unwrap());
                (found.file_type(), found.ino(), content)
            };
            let before = look();
            publish(&one, 2);
            assert_eq!(token(&other), Some(2), "{number}");
            assert!(look() == before, "{number}");
            assert_eq!(
                one.path().unwrap(),
                PathBuf::from(format!("{}.1", path.display()))
            );
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir(&path);
            publish(&other, 3);
            assert_eq!((token(&one), one.path().unwrap()), (Some(3), path));
        }
    });
}

#[test]
fn a_second_link_to_the_file_ends_its_use() {
    let shelf = Shelf::new();
    let user = shelf.user();
    publish(&user, 1);
    let path = shelf.file();
    fs::hard_link(&path, shelf.0.join("pay88-second.lock")).unwrap();
    publish(&user, 2);
    assert_ne!(user.path().unwrap(), path);
    assert_eq!(token(&shelf.user()), Some(2));
}

#[test]
fn who_is_late_writes_nothing() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.user(), shelf.user());
    publish(&one, 1);
    let announced = change(&one, 0, |record| {
        record.done_by = Some(now().plus(Duration::from_millis(50)));
    });
    let (mut lease, mut record) = announced.unwrap();
    std::thread::sleep(Duration::from_millis(60));
    record.common.issue = Some(issue(2));
    let late = one.write(&mut lease, &mut record);
    assert!(matches!(late, Err(Unwritten::Late)), "{late:?}");
    assert_eq!(token(&other), Some(1));
}

#[test]
fn who_was_passed_over_writes_nothing_though_it_is_in_time() {
    let shelf = Shelf::new();
    let (one, other) = (shelf.user(), shelf.user());
    let (mut passed_over, mut record) = lead(&one, 0);
    let next = change(&other, 1, |record| record.term = 1);
    next.unwrap();
    record.common.issue = Some(issue(2));
    let late = one.write(&mut passed_over, &mut record);
    assert!(matches!(late, Err(Unwritten::Late)), "{late:?}");
    assert_eq!(token(&other), None);
}

/// Longer than any record is kept that nobody writes.
const HOURS: Duration = Duration::from_secs(4 * 3600);

/// The file was changed hours ago, as the wall clock has it.
fn date_back(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let hours_ago = std::time::SystemTime::now() - HOURS;
    file.set_modified(hours_ago).unwrap();
}

/// What the file says of its last writing.
fn say_written(user: &LocalRecord, at: BootTime) {
    let path = user.path().unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file::write(&file, &at.0.to_le_bytes(), file::WRITTEN_AT).unwrap();
}

#[test]
fn a_wall_clock_that_is_set_forward_removes_no_record_in_use() {
    let shelf = Shelf::new();
    let (mine, other) = (shelf.user(), shelf.user_of(KEY, URL, "MCH-COL-2"));
    publish(&mine, 1);
    // One was made hours ago, and is in use.
    publish(&other, 1);
    say_written(&other, BootTime(now().0 - HOURS.as_millis() as u64));
    publish(&other, 2);
    let entries = || {
        let entries = fs::read_dir(&shelf.0).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let before = entries();
    assert_eq!(before.len(), 4, "two records, two locks");
    before.iter().for_each(|path| date_back(path));
    file::sweep_now(&shelf.0, now());
    assert_eq!(entries(), before);
    // Three hours later they are forgotten.
    file::sweep_now(&shelf.0, now().plus(HOURS));
    assert!(entries().is_empty());
}

#[test]
fn directories_have_other_hidden_names_after_each_boot() {
    let shelf = Shelf::new();
    let files = || shelf.files_of(KEY, URL, "MCH-COL-1");
    let (one, other) = (files(), files());
    let name = one.directory_name(b"boot 1", 1000, 1);
    assert_eq!(other.directory_name(b"boot 1", 1000, 1), name);
    assert_ne!(other.directory_name(b"boot 2", 1000, 1), name);
    // It is that of the system, the same for all.
    let boot_id = boot_id().unwrap();
    assert_eq!(boot_id.len(), 36);
    assert!(!boot_id.contains(&b'\n'));
}

#[test]
fn files_that_were_forgotten_for_hours_are_removed() {
    let shelf = Shelf::new();
    let (mine, other) = (shelf.user(), shelf.user_of(KEY, URL, "MCH-COL-2"));
    publish(&mine, 1);
    publish(&other, 1);
    let stranger = shelf.0.join("pay88-notes");
    // Its leader died before it wrote anything.
    let alone = shelf.0.join(format!("pay88-{}.lock", "0".repeat(32)));
    fs::write(&alone, b"").unwrap();
    fs::write(&stranger, b"x").unwrap();
    let lock = |path: PathBuf| PathBuf::from(format!("{}.lock", path.display()));
    let lock_in_use = lock(other.path().unwrap());
    say_written(&mine, BootTime(now().0 - HOURS.as_millis() as u64));
    for path in [&mine.path().unwrap(), &stranger, &alone, &lock_in_use] {
        date_back(path);
    }
    file::sweep_now(&shelf.0, now());
    let mut left: Vec<_> = fs::read_dir(&shelf.0)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    left.sort();
    let mut expected = vec![other.path().unwrap(), lock_in_use, stranger];
    expected.sort();
    assert_eq!(left, expected);
    publish(&mine, 2);
    assert_eq!(token(&shelf.user()), Some(2));
}

#[test]
fn a_disk_a_public_directory_and_none_at_all_are_refused_with_the_reason() {
    let shelf = Shelf::new();
    let open = shelf.0.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    for (path, reason) in [
        (PathBuf::from("/etc"), "tmpfs"),
        (open, "anybody"),
        (shelf.0.join("missing"), "No such file"),
    ] {
        let error = Directories::new(Some(path), None)
            .find(0, &|_| Ok(String::new()), true)
            .unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
