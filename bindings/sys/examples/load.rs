//! Loads libpay88 from each of the directories given, all at the same moment, as bindings of several languages would,
//! and prints the version, the number of a manager of its own, and that of the one for the credentials of the environment.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;

use pay88_sys::{Library, Manager};

fn main() -> ExitCode {
    let directories: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let barrier = Barrier::new(directories.len());
    let load = &|number: usize| {
        barrier.wait();
        managers(&directories[number], number)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..directories.len())
            .map(|number| scope.spawn(move || load(number)))
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let mut status = ExitCode::SUCCESS;
    for result in results {
        match result {
            Ok(Ok(line)) => println!("{line}"),
            Ok(Err(error)) => {
                eprintln!("{error}");
                status = ExitCode::FAILURE;
            }
            Err(_) => status = ExitCode::FAILURE,
        }
    }
    status
}

fn managers(
    directory: &std::path::Path,
    number: usize,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let library = Library::load(directory)?;
    let mut config = library.config()?;
    let shared = Manager::new(&config)?;
    config.set("merchant_id", &format!("MCH-COL-{number}"))?;
    let own = Manager::new(&config)?;
    Ok(format!(
        "version {} own {} shared {}",
        library.version(),
        own.id(),
        shared.id()
    ))
}
