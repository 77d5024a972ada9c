//! Proxies: which one is used, and the CONNECT that opens the tunnel.
//!
//! Only `http://` proxies, only for https targets, never for loopback. A proxy sees the target's host and port and
//! nothing else. Its password is in no message and no `Debug` text.

use std::io::{Read, Write};
use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::answer_head::find_unreadable;
use super::deadline::Deadline;
use super::reactor::{Reactor, Watched};
use crate::exchange::{Failure, FailureKind};

/// The largest answer of a proxy to CONNECT.
const MAX_ANSWER: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// A proxy that is used. `Debug` shows only its host and port, because the header is marked sensitive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Proxy {
    /// Lower-case, IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Which proxy is used for `host`, if any: that of the option, otherwise that of `HTTPS_PROXY`, `https_proxy`,
    /// `ALL_PROXY` or `all_proxy`. `NO_PROXY` or `no_proxy` exempts hosts from the latter. An empty variable counts
    /// as none. An option that is set and empty means no proxy at all.
    ///
    /// # Errors
    /// A message that names the option or variable whose value is not an `http://` proxy, without its user info.
    pub(crate) fn decide(
        option: Option<&str>,
        env: impl Fn(&str) -> Option<String>,
        scheme: &str,
        host: &str,
    ) -> Result<Option<Proxy>, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback =
            bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if scheme != "https" || loopback {
            return Ok(None);
        }
        let first = |names: &[&'static str]| {
            names
                .iter()
                .find_map(|&name| Some((name, env(name).filter(|v| !v.trim().is_empty())?)))
        };
        let (name, value, exempt) = match option {
            Some(value) => ("proxy", value.to_owned(), String::new()),
            None => {
                let Some((name, value)) =
                    first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
                else {
                    return Ok(None);
                };
                let exempt = first(&["NO_PROXY", "no_proxy"]).map(|(_, v)| v);
                (name, value, exempt.unwrap_or_default())
            }
        };
        let value = value.trim();
        if value.is_empty() {
            return Ok(None);
        }
        let target: Uri = match bare.contains(':') {
            true => format!("https://[{bare}]/"),
            false => format!("https://{bare}/"),
        }
        .parse()
        .map_err(|_| format!("{name} cannot be applied to this host"))?;
        // First with a proxy that would do for every host: an exempt host needs no usable proxy.
        let exempting = Matcher::builder().https("http://proxy").no(exempt).build();
        if exempting.intercept(&target).is_none() {
            return Ok(None);
        }
        let scheme_of_proxy = value.split_once("://").map_or("http", |(scheme, _)| scheme);
        if !scheme_of_proxy.eq_ignore_ascii_case("http") {
            return Err(format!(
                "{name} is not an http:// proxy: only those are supported (by CONNECT)"
            ));
        }
        let unusable =
            || format!("{name} is not a proxy URL of the form http://[user:password@]host:port");
        let matcher = Matcher::builder().https(value.to_owned()).build();
        let found = matcher.intercept(&target).ok_or_else(unusable)?;
        let uri = found.uri();
        let host = uri.host().unwrap_or_default();
        // Uri takes a port that is not a number for no port.
        let has_port = uri.authority().is_some_and(|a| a.as_str() != host);
        if host.is_empty() || has_port != uri.port_u16().is_some() {
            return Err(unusable());
        }
        Ok(Some(Proxy {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(80),
            authorization: found.basic_auth().cloned(),
        }))
    }

    /// Its name in messages.
    pub(super) fn shown(&self) -> String {
        format!(
            "the proxy {}",
            super::request::authority(&self.host, self.port)
        )
    }

    /// Asks the proxy at the other end of `socket` for a tunnel to `target` (`host:port`).
    pub(super) async fn tunnel<R: Reactor>(
        &self,
        target: &str,
        watched: &Watched,
        deadline: &mut Deadline<'_, R>,
    ) -> Result<(), Failure> {
        let socket = watched.socket();
        deadline.enter("while the proxy opened the tunnel");
        let what = format!("{} opened no tunnel to {target}", self.shown());
        let fail = |why: &dyn std::fmt::Display| {
            Failure::before_sending(FailureKind::Connect, format!("{what}: {why}"))
        };
        let lost = |error| Failure::by_system(FailureKind::Connect, &what, &error);
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let mut left = &request[..];
        while !left.is_empty() {
            let write = || (&**socket).write(left);
            match deadline.finish(watched, write).await? {
                Ok(n) => left = &left[n..],
                Err(e) => return Err(lost(e)),
            }
        }
        let mut answer = Vec::new();
        loop {
            let mut chunk = [0; 1024];
            let read = || (&**socket).read(&mut chunk);
            match deadline.finish(watched, read).await? {
                Ok(0) => return Err(fail(&"it closed the connection")),
                Ok(n) => answer.extend_from_slice(&chunk[..n]),
                Err(e) => return Err(lost(e)),
            }
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut head = httparse::Response::new(&mut headers);
            match lenient().parse_response(&mut head, &answer) {
                Ok(httparse::Status::Complete(length)) => {
                    return match head.code {
                        // In TLS the client speaks first, so an answer with more than a head is not from a tunnel.
                        Some(200..=299) if length == answer.len() => Ok(()),
                        Some(200..=299) => Err(fail(&"it sent data before the TLS handshake")),
                        Some(407) => Err(fail(
                            &"407, it wants other credentials: put user and password into the proxy's URL",
                        )),
                        Some(code) => Err(fail(&format_args!("it answered {code}"))),
                        None => Err(fail(&"its answer has no status")),
                    };
                }
                Ok(httparse::Status::Partial) if answer.len() < MAX_ANSWER => {}
                Ok(httparse::Status::Partial) => return Err(fail(&"its answer is too long")),
                Err(e) => {
                    return Err(match find_unreadable(&answer) {
                        Some(header) => fail(&format_args!("its answer is not HTTP: {header}")),
                        None => fail(&format_args!("its answer is not HTTP: {e}")),
                    });
                }
            }
        }
    }
}

/// Accepts the headers that calls accept, too.
fn lenient() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    config
}
