//! The real library for the tests of this crate.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of this test's build: `…/debug`.
pub(crate) fn build_directory() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_path_buf()
}

/// An empty directory for one test.
pub(crate) fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Puts the library into the directory.
pub(crate) fn install(directory: &Path) {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "pay88-c"])
        .args(
            build_directory()
                .ends_with("release")
                .then_some("--release"),
        )
        .arg("--target-dir")
        .arg(build_directory().parent().unwrap())
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::copy(
        build_directory().join("libpay88_c.so"),
        directory.join(pay88_sys::SONAME),
    )
    .unwrap();
}
