//! How the library is found. A process can have one libpay88 only, so each case is one run of `examples/load.rs`.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};

mod support;

use support::{build_directory, directory, install};

fn load(directories: &[&Path]) -> Output {
    Command::new(build_directory().join("examples/load"))
        .args(directories)
        .env_clear()
        .env("EIGHTY_EIGHT_PAY_API_KEY", "sk_test_sandbox_sys")
        .env("EIGHTY_EIGHT_PAY_MERCHANT_ID", "MCH-COL-TEST-12345")
        .output()
        .unwrap()
}

/// What `load` complains about.
fn complaint(directory: &Path) -> String {
    let output = load(&[directory]);
    assert!(!output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let sentence = text.trim_end();
    assert!(
        sentence.ends_with('.') && !sentence.contains('\n'),
        "{text}"
    );
    sentence.to_owned()
}

/// Puts a library made of C into the directory, under the name that is looked for.
fn compile(directory: &Path, soname: &str, code: &str) {
    let source = directory.join("library.c");
    std::fs::write(&source, code).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(directory.join(pay88_sys::SONAME))
        .arg(format!("-Wl,-soname,{soname}"))
        .arg(&source)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn several_loads_of_several_files_at_once_give_the_same_manager() {
    let (first, second) = (directory("shared-1"), directory("shared-2"));
    install(&first);
    install(&second);
    for _ in 0..20 {
        let output = load(&[&first, &second, &first, &second]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (mut own, mut shared) = (HashSet::new(), HashSet::new());
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [
                "version",
                env!("CARGO_PKG_VERSION"),
                "own",
                id,
                "shared",
                same,
            ] = words[..]
            else {
                panic!("{text}");
            };
            own.insert(id.to_owned());
            shared.insert(same.to_owned());
        }
        // A second copy would count its managers from 1 again.
        assert_eq!((own.len(), shared.len()), (4, 1), "{text}");
    }
}

#[test]
fn another_major_version_is_refused() {
    let directory = directory("major");
    compile(
        &directory,
        pay88_sys::SONAME,
        "unsigned pay88_abi_version(void) { return 2u << 16; }",
    );
    let complaint = complaint(&directory);
    assert!(complaint.contains("ABI version 2.0, but 1."), "{complaint}");
}

#[test]
fn a_later_minor_version_is_taken_and_a_missing_function_of_it_named() {
    let directory = directory("minor");
    compile(
        &directory,
        pay88_sys::SONAME,
        "unsigned pay88_abi_version(void) { return (1u << 16) | 99; }",
    );
    let complaint = complaint(&directory);
    assert!(complaint.contains("has no function pay88_"), "{complaint}");
}

#[test]
fn a_missing_library_is_one_clear_sentence() {
    let directory = directory("missing");
    let complaint = complaint(&directory);
    assert!(
        complaint.starts_with("libpay88.so.0 is missing")
            && complaint.contains(directory.to_str().unwrap()),
        "{complaint}"
    );
}

#[test]
fn a_file_that_is_no_library_is_one_clear_sentence() {
    let directory = directory("garbage");
    std::fs::write(directory.join(pay88_sys::SONAME), "no library").unwrap();
    let complaint = complaint(&directory);
    assert!(complaint.contains("cannot be loaded"), "{complaint}");
}

#[test]
fn a_library_under_another_soname_is_refused_since_nobody_could_share_it() {
    let directory = directory("renamed");
    compile(
        &directory,
        "libpay88-1234.so.0",
        "unsigned pay88_abi_version(void) { return 1u << 16; }",
    );
    let complaint = complaint(&directory);
    assert!(complaint.contains("was renamed"), "{complaint}");
}

#[test]
fn the_directory_of_this_code_is_found() {
    let test = std::env::current_exe().unwrap().canonicalize().unwrap();
    assert_eq!(pay88_sys::own_directory().as_deref(), test.parent());
}
