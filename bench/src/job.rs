//! The work that every contender of a charge does alike, told to its process in the environment.
//!
//! Rust and C read the same variables, so that no contender sends another head or body.

use std::error::Error;
use std::process::Command;
use std::time::Duration;

/// Why a measurement stopped.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// One charge, and the server that it goes to.
#[derive(Clone)]
pub(crate) struct Job {
    /// Scheme, host and port.
    pub(crate) base_url: String,
    pub(crate) api_key: String,
    /// pay88's option `share`.
    pub(crate) share: String,
    /// PEM file of the CA that the server's certificate is verified against.
    pub(crate) ca: String,
    pub(crate) access_token: String,
    pub(crate) session_id: String,
    pub(crate) body: String,
    /// The answer's body, for those that parse it.
    pub(crate) answer: String,
    /// Bytes of the answer's body: each contender checks that it got as many.
    pub(crate) answer_bytes: usize,
}

/// The path of a charge.
pub(crate) const CHARGE: &str = "/api/transactions/charges";

/// The path of a token.
pub(crate) const TOKEN: &str = "/api/auth/token";

/// What pay88 calls itself; its peers say the same.
pub(crate) fn user_agent() -> String {
    format!("pay88/{}", pay88::VERSION)
}

/// How long a call of any contender may take: pay88's default.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Credentials for the bench's own server, which takes any.
pub(crate) const API_KEY: &str = "sk_test_sandbox_benchmark0123456789";
pub(crate) const MERCHANT_ID: &str = "MCH-COL-BENCH1";

impl Job {
    /// The same, but for what the processes share.
    pub(crate) fn sharing(&self, share: &str) -> Job {
        Job {
            share: share.to_owned(),
            ..self.clone()
        }
    }

    /// Adds it to the environment of a contender.
    pub(crate) fn to_environment(&self, command: &mut Command) {
        command
            .env("BENCH_BASE_URL", &self.base_url)
            .env("BENCH_SHARE", &self.share)
            .env("BENCH_CA", &self.ca)
            .env("BENCH_ACCESS_TOKEN", &self.access_token)
            .env("BENCH_SESSION_ID", &self.session_id)
            .env("BENCH_BODY", &self.body)
            .env("BENCH_ANSWER", &self.answer)
            .env("BENCH_ANSWER_BYTES", self.answer_bytes.to_string())
            .env("BENCH_USER_AGENT", user_agent())
            .env("BENCH_API_KEY", &self.api_key)
            .env("BENCH_MERCHANT_ID", MERCHANT_ID)
            // The command has no other way to be told.
            .env("EIGHTY_EIGHT_PAY_API_KEY", &self.api_key)
            .env("EIGHTY_EIGHT_PAY_MERCHANT_ID", MERCHANT_ID)
            .env("EIGHTY_EIGHT_PAY_BASE_URL", &self.base_url)
            .env("EIGHTY_EIGHT_PAY_CA_BUNDLE", &self.ca)
            .env("EIGHTY_EIGHT_PAY_SHARE", &self.share)
            // The documented classes have no other way to trust the bench's CA.
            .env("REQUESTS_CA_BUNDLE", &self.ca)
            .env("NODE_EXTRA_CA_CERTS", &self.ca);
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command
                .env_remove(proxy)
                .env_remove(proxy.to_ascii_lowercase());
        }
    }

    /// As the benchmark told this contender.
    pub(crate) fn from_environment() -> Result<Job, Failure> {
        Ok(Job {
            base_url: std::env::var("BENCH_BASE_URL")?,
            api_key: std::env::var("BENCH_API_KEY")?,
            share: std::env::var("BENCH_SHARE")?,
            ca: std::env::var("BENCH_CA")?,
            access_token: std::env::var("BENCH_ACCESS_TOKEN")?,
            session_id: std::env::var("BENCH_SESSION_ID")?,
            body: std::env::var("BENCH_BODY")?,
            answer: std::env::var("BENCH_ANSWER")?,
            answer_bytes: std::env::var("BENCH_ANSWER_BYTES")?.parse()?,
        })
    }

    /// The address of a charge.
    pub(crate) fn url(&self) -> String {
        format!("{}{CHARGE}", self.base_url)
    }

    /// Fails unless the answer is the whole one.
    pub(crate) fn check(&self, status: u16, body: &[u8]) -> Result<(), Failure> {
        if status == 200 && body.len() == self.answer_bytes {
            return Ok(());
        }
        Err(format!("status {status} with {} bytes", body.len()).into())
    }
}
