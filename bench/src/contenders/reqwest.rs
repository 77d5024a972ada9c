//! The contenders that make charges with reqwest: its blocking client, and its asynchronous one.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::in_tasks::{AT_A_TIME, run_in_tasks};
use super::tls;
use crate::job::{Failure, Job, TIMEOUT, user_agent};

/// reqwest's own blocking client, which hands each call over to a thread with a runtime.
pub(crate) fn blocking(job: &Job) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let client = reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls::settings(job, &[b"http/1.1"])?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(user_agent())
        .timeout(TIMEOUT)
        .build()?;
    let job = job.clone();
    let (url, bearer) = (job.url(), format!("Bearer {}", job.access_token));
    Ok(move |times| {
        for _ in 0..times {
            let answer = client
                .post(&url)
                .header("authorization", &bearer)
                .header("x-session-id", &job.session_id)
                .header("content-type", "application/json")
                .body(job.body.clone())
                .send()?;
            let status = answer.status().as_u16();
            job.check(status, &answer.bytes()?)?;
        }
        Ok(())
    })
}

/// reqwest's asynchronous client.
#[derive(Clone)]
pub(crate) struct Client {
    client: reqwest::Client,
    job: Arc<Job>,
    url: Arc<str>,
    bearer: Arc<str>,
}

impl Client {
    pub(crate) fn new(job: &Job, protocols: &[&[u8]]) -> Result<Client, Failure> {
        Ok(Client {
            client: reqwest::Client::builder()
                .tls_backend_preconfigured(tls::settings(job, protocols)?)
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

/// reqwest driven on the caller's thread by a runtime that runs during calls only.
pub(crate) fn inline(job: &Job) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::new(job, &[b"http/1.1"])?;
    Ok(move |times| {
        for _ in 0..times {
            runtime.block_on(client.charge())?;
        }
        Ok(())
    })
}

/// Charges that are awaited by tasks.
pub(crate) fn in_tasks(runtime: &Runtime, client: &Client, times: u64) -> Result<(), Failure> {
    run_in_tasks(runtime, || {
        let client = client.clone();
        async move {
            for _ in 0..times / AT_A_TIME {
                client.charge().await?;
            }
            Ok(())
        }
    })
}
