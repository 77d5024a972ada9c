//! The contenders that make charges with pay88, blocking and asynchronous.

use std::sync::Arc;

use pay88::{Request, TokenManager};
use tokio::runtime::Runtime;

use super::in_tasks::{AT_A_TIME, run_in_tasks};
use crate::job::{CHARGE, Failure, Job};

/// pay88, as a program in Rust calls it.
pub(crate) fn pay88(job: &Job, manager: &TokenManager, times: u64) -> Result<(), Failure> {
    for _ in 0..times {
        let answer = manager.make_request(Request::post(CHARGE).body(job.body.clone()))?;
        job.check(answer.status(), answer.body())?;
    }
    Ok(())
}

/// Charges through pay88, awaited by tasks of the same kind of runtime; the library has one of its own besides.
pub(crate) fn pay88_in_tasks(
    runtime: &Runtime,
    job: &Arc<Job>,
    manager: &TokenManager,
    times: u64,
) -> Result<(), Failure> {
    run_in_tasks(runtime, || {
        let (job, manager) = (job.clone(), manager.clone());
        async move {
            for _ in 0..times / AT_A_TIME {
                let request = Request::post(CHARGE).body(job.body.clone());
                let answer = manager.make_request_async(request).await?;
                job.check(answer.status(), answer.body())?;
            }
            Ok(())
        }
    })
}
