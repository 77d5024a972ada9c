//! The contenders of a blocking charge over one kept connection. None parses the answer; each reads it as a whole.

use std::sync::Arc;
use std::time::Duration;

use pay88::{Request, TokenManager};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::job::{CHARGE, Failure, Job, user_agent};

/// The time-out of every contender: pay88's default.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// pay88, as a program in Rust calls it.
pub(crate) fn pay88(job: &Job, manager: &TokenManager, times: u64) -> Result<(), Failure> {
    for _ in 0..times {
        let answer = manager.make_request(Request::post(CHARGE).body(job.body.clone()))?;
        job.check(answer.status(), answer.body())?;
    }
    Ok(())
}

/// ureq 3 with the same TLS library and provider.
pub(crate) fn ureq(job: &Job) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let roots = CertificateDer::pem_file_iter(&job.ca)?
        .map(|der| Ok(ureq::tls::Certificate::from_der(&der?).to_owned()))
        .collect::<Result<Vec<_>, Failure>>()?;
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(user_agent())
        // Limits by phase: a limit for the whole call costs ureq a thread a call, to look the name up with an end.
        .timeout_connect(Some(TIMEOUT))
        .timeout_send_request(Some(TIMEOUT))
        .timeout_send_body(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_recv_body(Some(TIMEOUT))
        .build()
        .into();
    let job = job.clone();
    let (url, bearer) = (job.url(), format!("Bearer {}", job.access_token));
    Ok(move |times| {
        for _ in 0..times {
            let mut answer = agent
                .post(&url)
                .header("authorization", &bearer)
                .header("x-session-id", &job.session_id)
                .header("content-type", "application/json")
                .send(&job.body)?;
            let body = answer.body_mut().read_to_vec()?;
            job.check(answer.status().as_u16(), &body)?;
        }
        Ok(())
    })
}

/// reqwest's own blocking client, which hands each call over to a thread with a runtime.
pub(crate) fn reqwest_blocking(
    job: &Job,
) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let client = reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls(job, &[b"http/1.1"])?)
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

/// reqwest driven on the caller's thread by a runtime that runs during calls only.
pub(crate) fn reqwest_inline(job: &Job) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let peer = crate::asynchronous::Peer::new(job, &[b"http/1.1"])?;
    Ok(move |times| {
        for _ in 0..times {
            runtime.block_on(peer.charge())?;
        }
        Ok(())
    })
}

/// The TLS settings of the peers: rustls with ring, verifying against the server's CA.
pub(crate) fn tls(job: &Job, protocols: &[&[u8]]) -> Result<rustls::ClientConfig, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&job.ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}
