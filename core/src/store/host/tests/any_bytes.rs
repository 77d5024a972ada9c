//! Whatever is in the files: nobody hangs or panics, and nobody believes what was not written.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;

/// What somebody does to a file.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Vec<u8>),
    Cut(usize),
    Extend(Vec<u8>),
    Overwrite(usize, Vec<u8>),
    Zero(usize, usize),
    Copy(usize, usize, usize),
    /// As it was one writing earlier, from there on.
    Tear(usize),
}

/// So many bytes at once: one choice, not one for each.
fn noise(length: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (any::<u64>(), length).prop_map(|(seed, length)| {
        let number = |at: u64| (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        (0..length as u64).map(|at| number(at) as u8).collect()
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    // Most of what matters is near the beginnings of the slots.
    let at = || {
        prop_oneof![
            0..200_usize,
            2000..2200_usize,
            4000..4200_usize,
            LARGE as usize - 100..LARGE as usize + 200,
            0..70_000_usize,
        ]
    };
    prop_oneof![
        vec(any::<u8>(), 0..200).prop_map(Edit::Replace),
        noise(60_000..70_000).prop_map(Edit::Replace),
        at().prop_map(Edit::Cut),
        noise(1..9000).prop_map(Edit::Extend),
        (at(), vec(any::<u8>(), 1..100)).prop_map(|(at, bytes)| Edit::Overwrite(at, bytes)),
        (at(), 1..5000_usize).prop_map(|(at, length)| Edit::Zero(at, length)),
        (at(), at(), 1..5000_usize).prop_map(|(from, to, length)| Edit::Copy(from, to, length)),
        at().prop_map(Edit::Tear),
    ]
}

fn apply(edit: &Edit, bytes: &mut Vec<u8>, earlier: &[u8]) {
    let end = bytes.len();
    match edit {
        Edit::Replace(other) => bytes.clone_from(other),
        Edit::Cut(length) => bytes.truncate(*length),
        Edit::Extend(more) => bytes.extend_from_slice(more),
        Edit::Overwrite(at, other) => {
            for (to, from) in bytes.iter_mut().skip(*at).zip(other) {
                *to = *from;
            }
        }
        Edit::Zero(at, length) => bytes
            .iter_mut()
            .skip(*at)
            .take(*length)
            .for_each(|b| *b = 0),
        Edit::Copy(from, to, length) => {
            let part: Vec<u8> = bytes.iter().skip(*from).take(*length).copied().collect();
            for (to, from) in bytes.iter_mut().skip(*to).zip(part) {
                *to = from;
            }
        }
        Edit::Tear(at) => {
            let at = (*at).min(end);
            for (to, from) in bytes.iter_mut().zip(earlier).skip(at) {
                *to = *from;
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 150, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() })]

    #[test]
    fn any_bytes_in_the_files_are_survived_and_either_true_or_the_minute_counts_as_spent(
        lengths in vec(prop_oneof![1..400_usize, 1500..4500_usize, 9000..30_000_usize], 1..5),
        edits in vec(edit(), 1..4),
        lock in vec(any::<u8>(), 0..300),
    ) {
        let shelf = Shelf::new();
        let user = shelf.user();
        let mut earlier = Vec::new();
        for (before, length) in lengths.iter().enumerate() {
            earlier = fs::read(shelf.record_path(&user)).unwrap_or_default();
            publish_long(&user, before as u64 + 1, *length);
        }
        let path = shelf.file();
        let mut bytes = fs::read(&path).unwrap();
        for edit in &edits {
            apply(edit, &mut bytes, &earlier);
        }
        fs::write(&path, &bytes).unwrap();
        fs::write(format!("{}.lock", path.display()), lock).unwrap();

        let begun = Instant::now();
        let newcomer = shelf.user();
        let other_format = bytes.len() >= 12 && &bytes[..8] == MAGIC && bytes[8..12] != MAJOR.to_le_bytes();
        // Nothing at all is found where a lost record could not be written anew yet.
        let found = read_until(&newcomer, |found| other_format || *found != HostRecord::default());
        match &found.common.issue {
            Some(issue) => {
                let id = issue.stamp.id as usize;
                prop_assert_eq!(&issue.grant, &long_issue(id as u64, lengths[id - 1]).grant);
                prop_assert_eq!(found.common.counts.taken.len(), id);
            }
            // A release that is not known has its name to itself.
            None if other_format => {}
            None => prop_assert_eq!(found.common.counts.taken.len(), 10),
        }
        // And it goes on for all.
        publish(&newcomer, 100);
        prop_assert_eq!(token(&shelf.user()), Some(100));
        prop_assert!(fs::metadata(newcomer.path().unwrap()).unwrap().len() <= FILE_SIZE);
        prop_assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
