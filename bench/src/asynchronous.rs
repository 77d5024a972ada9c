//! The contenders of asynchronous charges, [`AT_A_TIME`] of them under way at every moment.

use std::sync::Arc;

use pay88::{Request, TokenManager};
use tokio::runtime::Runtime;

use crate::blocking::{TIMEOUT, tls};
use crate::job::{CHARGE, Failure, Job, user_agent};

/// Charges under way at once.
const AT_A_TIME: u64 = 32;

/// As many as pay88's own runtime has.
const WORKERS: usize = 2;

/// Bare reqwest.
#[derive(Clone)]
pub(crate) struct Peer {
    client: reqwest::Client,
    job: Arc<Job>,
    url: Arc<str>,
    bearer: Arc<str>,
}

impl Peer {
    pub(crate) fn new(job: &Job, protocols: &[&[u8]]) -> Result<Peer, Failure> {
        Ok(Peer {
            client: reqwest::Client::builder()
                .tls_backend_preconfigured(tls(job, protocols)?)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(user_agent())
                .timeout(TIMEOUT)
                .build()?,
            job: Arc::new(job.clone()),
            url: job.url().into(),
            bearer: format!("Bearer {}", job.access_token).into(),
        })
    }

    pub(crate) async fn charge(&self) -> Result<(), Failure> {
        let answer = self
            .client
            .post(&*self.url)
            .header("authorization", &*self.bearer)
            .header("x-session-id", &self.job.session_id)
            .header("content-type", "application/json")
            .body(self.job.body.clone())
            .send()
            .await?;
        let status = answer.status().as_u16();
        self.job.check(status, &answer.bytes().await?)
    }
}

/// A runtime as a program that uses either library would have it.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()?)
}

/// Charges through bare reqwest, awaited by tasks.
pub(crate) fn reqwest(runtime: &Runtime, peer: &Peer, times: u64) -> Result<(), Failure> {
    in_tasks(runtime, || {
        let peer = peer.clone();
        async move {
            for _ in 0..times / AT_A_TIME {
                peer.charge().await?;
            }
            Ok(())
        }
    })
}

/// Charges through pay88, awaited by tasks of the same kind of runtime; the library has one of its own besides.
pub(crate) fn pay88(
    runtime: &Runtime,
    job: &Arc<Job>,
    manager: &TokenManager,
    times: u64,
) -> Result<(), Failure> {
    in_tasks(runtime, || {
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

fn in_tasks<F>(runtime: &Runtime, task: impl Fn() -> F) -> Result<(), Failure>
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
