//! Writes `include/pay88.h` from the sources of `bindings/c`; with `--check` only compares.
//!
//! Never touches any other file.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(argument: Option<&str>) -> Result<(), String> {
    let check = match argument {
        None => false,
        Some("--check") => true,
        Some(_) => return Err("usage: pay88-header [--check]".to_owned()),
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = here.join("..");
    let target = here.join("../../../include/pay88.h");
    let config = cbindgen::Config::from_file(source.join("cbindgen.toml"))?;
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_crate(&source)
        .generate()
        .map_err(|error| error.to_string())?
        .write(&mut made);
    if std::fs::read(&target).is_ok_and(|old| old == made) {
        return Ok(());
    }
    if check {
        return Err(
            "include/pay88.h is out of date. Mend it with: cargo run -p pay88-header".to_owned(),
        );
    }
    std::fs::write(&target, made)
        .map_err(|error| format!("include/pay88.h cannot be written: {error}"))
}
