//! Asynchronous work as a program has it: a runtime, and tasks of which [`AT_A_TIME`] are under way at every moment.

use tokio::runtime::Runtime;

use crate::job::Failure;

/// Charges under way at once.
pub(crate) const AT_A_TIME: u64 = 32;

/// As many as pay88's own runtime has.
const WORKERS: usize = 2;

/// A runtime as a program that uses either library would have it.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?)
}

/// Runs a task as often as there are under way at once, until all have ended.
pub(crate) fn run_in_tasks<F>(runtime: &Runtime, task: impl Fn() -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    runtime.block_on(async {
        let tasks: Vec<_> = (0..AT_A_TIME).map(|_| tokio::spawn(task())).collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    })
}
