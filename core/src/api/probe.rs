//! Tests the connection to 88Pay without any credential, for a diagnosis.
//!
//! It never costs a token, and never sends a key, a token or a session ID.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::call::request::Response;
use crate::config::Config;
use crate::config::link::open_link;
use crate::error::Result;
use crate::policy::errors::error_of;
use crate::transport::{Limits, Request};

/// The answer has no body to read.
const MAX_ANSWER: u64 = 64 * 1024;

impl Config {
    /// Tests whether 88Pay can be reached: sends `HEAD /` to the base URL, over the connection that calls would use.
    /// Gives the answer, whatever its status; its `Date` is the server's clock. It needs and sends no credentials. It
    /// takes at most twice the option `connect_timeout`.
    ///
    /// ```
    /// # mod doc { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/sandbox.rs")); }
    /// # let (_sandbox, config) = doc::config();
    /// let answer = config.probe()?;
    /// println!("88Pay answers with status {}", answer.status());
    /// # Ok::<(), pay88::Error>(())
    /// ```
    ///
    /// # Errors
    /// `connection_failed`, `tls_failed`, `timeout` or `bad_response` if 88Pay cannot be reached. `config_invalid` if
    /// an option of the connection cannot be used.
    pub fn probe(&self) -> Result<Response> {
        let base_url = self.base_url()?;
        let connect_timeout = self.connect_timeout()?;
        let link = open_link(
            &base_url,
            self.ca_bundle()?,
            self.system_roots(),
            self.proxy(&base_url)?,
            self.max_connections()?,
        )?;
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("pay88/", env!("CARGO_PKG_VERSION"))),
        );
        let request = Request {
            method: &Method::HEAD,
            target: "/",
            headers: &headers,
            body: Bytes::new(),
            keep_secret: false,
            repeatable: true,
            urgent: true,
            sent: &AtomicBool::new(false),
        };
        let limits = Limits {
            deadline: Instant::now() + 2 * connect_timeout,
            connect_timeout,
            idle_timeout: connect_timeout,
            max_response_bytes: MAX_ANSWER,
        };
        link.exchange(&request, &limits, None, &mut |_| {})
            .map(Response::of)
            .map_err(|failure| error_of("88Pay was not reached", failure))
    }
}
