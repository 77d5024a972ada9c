//! The contender that makes blocking charges with ureq 3, over one kept connection, with the TLS library and provider of pay88.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::job::{Failure, Job, TIMEOUT, user_agent};

/// Makes charges on the caller's thread.
pub(crate) fn blocking(job: &Job) -> Result<impl FnMut(u64) -> Result<(), Failure>, Failure> {
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
