//! Makes the Rust declarations of the C ABI from `include/pay88.h`, so that no second copy of the signatures exists.

mod header;

use std::path::Path;
use std::process::ExitCode;

/// Cargo runs this in the directory of the package. The path of that directory must not be compiled in: Cargo uses a build script
/// again for a copy of the sources elsewhere, such as the one in an sdist.
const HEADER: &str = "../../include/pay88.h";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed={HEADER}");
    println!("cargo:rerun-if-changed=build");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{HEADER}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let text = std::fs::read_to_string(HEADER).map_err(|error| error.to_string())?;
    let target = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    std::fs::write(
        Path::new(&target).join("abi.rs"),
        header::declarations(&text)?,
    )
    .map_err(|error| error.to_string())
}
