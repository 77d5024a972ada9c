//! Where a request may go: the base URL, the endpoint below it, and the headers beside it.
//!
//! Promises: a target from [`BaseUrl::target`] stays on the origin of the base URL and is not the token endpoint.
//! That is decided after URL parsing and percent-decoding. [`check_headers`] passes nothing that could displace the
//! credential or break the message. Never sends anything.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use crate::config::shown::escaped;
use crate::error::{Error, Result};

/// The documented hosts ("Environment configuration").
pub(crate) const SANDBOX_HOST: &str = "api-sandbox.88pay.io";
pub(crate) const PRODUCTION_HOST: &str = "api.88pay.io";

/// `POST {base}/api/auth/token` ("Generate token").
pub(crate) const TOKEN_PATH: &str = "/api/auth/token";

/// The longest endpoint with its query, in bytes: what common servers take.
const MAX_TARGET: usize = 8192;

/// A normalised base URL: lower-case host, no default port, no trailing slash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct BaseUrl {
    text: String,
    https: bool,
    host: String,
    port: u16,
    /// The path before every endpoint, without a slash at its end; usually empty.
    prefix: String,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<BaseUrl> {
        let hint = "Use https://api-sandbox.88pay.io or https://api.88pay.io.";
        let invalid = |why: &str| Error::invalid(format!("The base_url {why}."), hint);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(invalid("is blank"));
        }
        if trimmed.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
            return Err(invalid("holds characters that no URL has"));
        }
        let url = Url::parse(trimmed).map_err(|error| invalid(&format!("is no URL: {error}")))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(invalid("is neither https nor http")),
        };
        // The parser takes any number of slashes. A person reads `https:///x` as a URL without a host.
        let after_scheme = &trimmed[url.scheme().len()..];
        if !after_scheme.starts_with("://") || after_scheme.starts_with(":///") {
            return Err(invalid(
                "does not have exactly two slashes after its scheme",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "holds a user name or password, which 88Pay does not use",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("holds a query or fragment"));
        }
        let (host, loopback) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), name == "localhost"),
            Some(Host::Ipv4(address)) => (address.to_string(), address.is_loopback()),
            Some(Host::Ipv6(address)) => (address.to_string(), address.is_loopback()),
            None => return Err(invalid("names no host")),
        };
        if !https && !loopback {
            return Err(Error::invalid(
                "The base_url is http, and its host is not this machine.",
                "88Pay is reached over https only; http is for a stand-in on localhost.",
            ));
        }
        let port = url
            .port_or_known_default()
            .ok_or_else(|| invalid("names no port"))?;
        if port == 0 {
            return Err(invalid("names port 0"));
        }
        let prefix = url.path().trim_end_matches('/').to_owned();
        // Checked as it was typed, because the parser has already resolved dot segments.
        let typed = after_scheme[3..]
            .find('/')
            .map_or("", |slash| &after_scheme[3 + slash..]);
        if hides(typed.trim_end_matches('/')) {
            return Err(invalid("has a path that can be read as another path"));
        }
        let text = format!("{}{prefix}", url.origin().ascii_serialization());
        Ok(BaseUrl {
            text,
            https,
            host,
            port,
            prefix,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Lower case; an IPv6 address without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The token endpoint, as a request target.
    pub(crate) fn token_target(&self) -> Target {
        let path = format!("{}{TOKEN_PATH}", self.prefix);
        Target {
            path_len: path.len(),
            text: path,
            api_path: TOKEN_PATH.to_owned(),
        }
    }

    /// Checks a URL as the endpoint that it leads to.
    #[cfg(feature = "reqwest")]
    pub(crate) fn check_url(&self, url: &Url) -> Result<()> {
        let mut url = url.clone();
        url.set_fragment(None);
        let Some(endpoint) = url.as_str().strip_prefix(&self.text) else {
            return Err(Error::refused(
                "The URL does not begin with the base URL.",
                "The token goes to 88Pay only: send this request without it.",
            ));
        };
        self.target(endpoint, &[]).map(drop)
    }

    /// The request target of an endpoint such as `/api/balance?id=MCH-COL-29ZTP4`, with `params` added to its query.
    pub(crate) fn target(&self, endpoint: &str, params: &[(String, String)]) -> Result<Target> {
        let refuse = |why: &str| {
            // The query may have data of a customer.
            let path = endpoint.split(['?', '#']).next().unwrap_or_default();
            let shown = escaped(path, 60);
            Error::refused(
                format!("The endpoint `{shown}` {why}."),
                "Give the path below the base URL, such as /api/transactions/charges.",
            )
        };
        if !endpoint.starts_with('/') {
            return Err(refuse("does not start with a single /"));
        }
        if endpoint.len() > MAX_TARGET {
            return Err(refuse("is too long"));
        }
        if let Some(bad) = endpoint
            .bytes()
            .find(|b| !b.is_ascii_graphic() || b"\\#\"<>^`{|}".contains(b))
        {
            return Err(refuse(&format!(
                "holds the byte 0x{bad:02x}, which must be percent-encoded"
            )));
        }
        let (path, query) = match endpoint.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (endpoint, None),
        };
        if hides(path) {
            return Err(refuse("has a path that a server may read as another one"));
        }
        // The parser that everybody else uses decides last: it must give the same origin, and the very path that was
        // checked.
        let mut url =
            Url::parse(&format!("{}{endpoint}", self.text)).map_err(|_| refuse("makes no URL"))?;
        let whole_path = format!("{}{path}", self.prefix);
        if url.scheme() != self.scheme()
            || url.port_or_known_default() != Some(self.port)
            || url.host_str().map(|host| host.trim_matches(['[', ']'])) != Some(self.host.as_str())
            || !url.username().is_empty()
            || url.password().is_some()
            || url.path() != whole_path
        {
            return Err(refuse("leads away from the base URL"));
        }
        if is_token_path(path) || (!self.prefix.is_empty() && is_token_path(&whole_path)) {
            return Err(Error::refused(
                "The endpoint is the token endpoint.",
                "Use get_token: it counts the tokens and shares them.",
            ));
        }
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        let mut text = whole_path;
        let path_len = text.len();
        if let Some(query) = url
            .query()
            .filter(|_| query.is_some() || !params.is_empty())
        {
            text.push('?');
            text.push_str(query);
        }
        if text.len() > MAX_TARGET {
            return Err(refuse("is too long with its parameters"));
        }
        Ok(Target {
            text,
            path_len,
            api_path: path.to_owned(),
        })
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A checked request target: path and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    text: String,
    path_len: usize,
    api_path: String,
}

impl Target {
    /// As it is written in the request line.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Without the query.
    pub(crate) fn path(&self) -> &str {
        &self.text[..self.path_len]
    }

    /// Without the query and without the base URL's own path.
    pub(crate) fn api_path(&self) -> &str {
        &self.api_path
    }
}

/// Whether a path can be read as another one than is written: it has empty or dot segments (also encoded), encoded
/// slashes, backslashes, NULs or bad escapes.
fn hides(path: &str) -> bool {
    let mut segments = path.split('/');
    segments.next();
    let mut rest = segments.peekable();
    while let Some(segment) = rest.next() {
        let last = rest.peek().is_none();
        let Some(plain) = percent_decode(segment) else {
            return true;
        };
        let name = plain.split(|b| *b == b';').next().unwrap_or_default();
        if (segment.is_empty() && !last) || name == b"." || name == b".." {
            return true;
        }
        if plain
            .iter()
            .any(|b| matches!(b, b'/' | b'\\' | 0..=31 | 127))
        {
            return true;
        }
    }
    false
}

/// Whether a server, however lenient, could take `path` for the token endpoint.
fn is_token_path(path: &str) -> bool {
    let Some(plain) = percent_decode(path) else {
        return true;
    };
    // Some servers decode a path twice that was encoded twice.
    let plain = percent_decode(&String::from_utf8_lossy(&plain)).unwrap_or(plain);
    let plain = String::from_utf8_lossy(&plain);
    let mut from_the_end = plain
        .rsplit(['/', '\\'])
        .map(|segment| {
            segment
                .split([';', '?', '#'])
                .next()
                .unwrap_or_default()
                .trim()
        })
        .filter(|segment| !segment.is_empty() && *segment != ".");
    TOKEN_PATH
        .rsplit('/')
        .filter(|segment| !segment.is_empty())
        .all(|token| {
            from_the_end
                .next()
                .is_some_and(|segment| segment.eq_ignore_ascii_case(token))
        })
}

/// `None` where a `%` is not followed by two hexadecimal digits.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        plain.push(if b == b'%' {
            digit(bytes.next()?)? << 4 | digit(bytes.next()?)?
        } else {
            b
        });
    }
    Some(plain)
}

/// The header names that belong to the library or to the connection.
const REFUSED_HEADERS: &[&str] = &[
    "authorization",
    "x-session-id",
    "x-api-key",
    "x-merchant-id",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "expect",
    "te",
    "trailer",
];

/// The caller's headers, checked and parsed.
pub(crate) fn check_headers(headers: &[(String, String)]) -> Result<HeaderMap> {
    let mut checked = HeaderMap::with_capacity(headers.len() + 4);
    if headers.len() > 100
        || headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
            > 32 * 1024
    {
        return Err(Error::refused(
            "There are too many headers.",
            "At most 100 of them, of 32 KiB in all.",
        ));
    }
    for (name, value) in headers {
        let shown = || escaped(name, 40);
        let lower = name.to_ascii_lowercase();
        // Servers that pass headers on as variables (CGI and its successors) do not tell `_` from `-`.
        let hyphened = lower.replace('_', "-");
        if REFUSED_HEADERS.contains(&hyphened.as_str()) || hyphened.starts_with("proxy-") {
            return Err(Error::refused(
                format!("The header `{}` is not the caller's to set.", shown()),
                "Leave it out: the library sets what the call needs.",
            ));
        }
        let parsed = HeaderName::from_bytes(lower.as_bytes()).map_err(|_| {
            Error::refused(
                format!("The header name `{}` is not valid.", shown()),
                "Use letters, digits and hyphens.",
            )
        })?;
        let value = HeaderValue::from_str(value.trim_matches([' ', '\t'])).map_err(|_| {
            Error::refused(
                format!("The value of the header `{}` is not valid.", shown()),
                "Use visible ASCII characters, without line breaks.",
            )
        })?;
        checked.append(parsed, value);
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn base_urls_are_normalised() {
        for (text, normal) in [
            (
                "https://API-Sandbox.88Pay.io:443/",
                "https://api-sandbox.88pay.io",
            ),
            (" https://api.88pay.io\n", "https://api.88pay.io"),
            ("http://localhost:80", "http://localhost"),
            ("http://127.0.0.1:8080//", "http://127.0.0.1:8080"),
            ("https://[::1]:8443/mock/", "https://[::1]:8443/mock"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().as_str(), normal);
        }
        assert_eq!(BaseUrl::parse("https://[::1]:8443").unwrap().host(), "::1");
    }

    #[test]
    fn dangerous_base_urls_are_refused() {
        for text in [
            "",
            " ",
            "api.88pay.io",
            "ftp://api.88pay.io",
            "http://api.88pay.io",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "https://user:pass@api.88pay.io",
            "https://user@api.88pay.io",
            "https://api.88pay.io?x=1",
            "https://api.88pay.io#x",
            "https:api.88pay.io",
            "https://",
            "https:///x",
            "https://api.88pay.io\\@evil.example",
            "https://api.88 pay.io",
            "https://api.88pay.io/a//b",
            "https://api.88pay.io/%2e%2e",
            "https://api.88pay.io:0",
            "https://api.88pay.io:99999",
            "file:///etc/passwd",
            "http://[::2]",
            "http://10.0.0.1",
        ] {
            assert_eq!(
                BaseUrl::parse(text).map(|b| b.text).unwrap_err().code(),
                ErrorCode::ConfigInvalid,
                "{text}"
            );
        }
    }

    #[test]
    fn endpoints_keep_their_text() {
        let base = BaseUrl::parse("https://api.88pay.io/v9").unwrap();
        for (endpoint, target) in [
            ("/api/transactions/charges", "/v9/api/transactions/charges"),
            (
                "/api/balance?id=MCH-COL-1&x=%20",
                "/v9/api/balance?id=MCH-COL-1&x=%20",
            ),
            ("/api/refunds/a%20b/", "/v9/api/refunds/a%20b/"),
            ("/", "/v9/"),
            ("/api/auth/tokens", "/v9/api/auth/tokens"),
            (
                "/a?redirect=https://evil.example/",
                "/v9/a?redirect=https://evil.example/",
            ),
        ] {
            assert_eq!(base.target(endpoint, &[]).unwrap().as_str(), target);
        }
        let params = [("a b".to_owned(), "c&d=é".to_owned())];
        let target = base.target("/x?y=1", &params).unwrap();
        assert_eq!(target.as_str(), "/v9/x?y=1&a+b=c%26d%3D%C3%A9");
        assert_eq!((target.path(), target.api_path()), ("/v9/x", "/x"));
    }

    /// The forms by which a token could leak. The test over the network uses the same list.
    #[test]
    fn dangerous_endpoints_are_refused() {
        let base = BaseUrl::parse("https://api.88pay.io").unwrap();
        for endpoint in DANGEROUS_ENDPOINTS {
            let error = base.target(endpoint, &[]).expect_err(endpoint);
            assert_eq!(error.code(), ErrorCode::Refused, "{endpoint}");
        }
        assert!(DANGEROUS_ENDPOINTS.len() >= 40);
        assert!(
            base.target(&format!("/{}", "a".repeat(MAX_TARGET)), &[])
                .is_err()
        );
    }

    const DANGEROUS_ENDPOINTS: &[&str] = &[
        "",
        "api/x",
        "//evil.example",
        "//evil.example/api",
        "///evil.example",
        "@evil.example",
        ".evil.example",
        ":8443/",
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\\/evil.example",
        "https://evil.example/",
        "http://evil.example",
        "HTTPS://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "?x=1",
        "#x",
        "/x#y",
        "/a b",
        "/a\tb",
        "/a\r\nHost: evil.example",
        "/a\nb",
        "/a\0b",
        "/a\u{7f}",
        "/caf\u{e9}",
        "/\u{2215}evil",
        "/..",
        "/../x",
        "/a/../b",
        "/a/./b",
        "/./",
        "/%2e%2e/x",
        "/a/%2E%2e/b",
        "/.%2e/x",
        "/%2e/x",
        "/a//b",
        "/a%2fb",
        "/a%5cb",
        "/a%00b",
        "/a%0d%0ab",
        "/a%",
        "/a%g1",
        "/..;/x",
        "/a|b",
        "/a{b}",
        "/a\"b",
        "/a^b",
        "/a`b",
        "/<x>",
        "/api/auth/token",
        "/api/auth/token/",
        "/api/auth/token?x=1",
        "/API/Auth/TOKEN",
        "/api/auth/%74oken",
        "/api/%61uth/token",
        "/api/auth/%2574oken",
        "/api/auth/token;x=1",
        "/api/auth/token%3bx=1",
        "/api/auth/token%3fx=1",
        "/api/auth/token%23x",
        "/api/auth/token%20",
        "/v2/api/auth/token",
        " /api/x",
        "/api/x ",
    ];

    #[test]
    fn headers_that_belong_to_the_library_are_refused_in_any_case() {
        for name in [
            "Authorization",
            "AUTHORIZATION",
            "x-session-id",
            "X-Api-Key",
            "x_session_id",
            "X_Api-Key",
            "x-merchant-id",
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "Upgrade",
            "Expect",
            "TE",
            "Trailer",
            "Proxy-Authorization",
            "proxy-connection",
            "",
            " ",
            "a b",
            "a:b",
            "a\r\nb",
            "é",
            "x\0",
        ] {
            let error = check_headers(&[(name.to_owned(), "v".to_owned())]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Refused, "{name:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\0b", "\u{7f}"] {
            let error = check_headers(&[("x-ok".to_owned(), value.to_owned())]).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Refused, "{value:?}");
        }
        assert!(
            check_headers(&[("X-Request-Id".to_owned(), "7".to_owned())])
                .unwrap()
                .contains_key("x-request-id")
        );
    }
}
