"""What cannot be meant is refused with the reason, and nothing is sent for it."""

from vocabulary import (
    AUTHORITY,
    BASE_URL,
    DIRECTORY,
    MERCHANT,
    OTHER_AUTHORITY,
    containing,
    new,
    request,
    scenario,
    seen,
)

REFUSED = {"error": "refused", "outcome": "not_sent", "retryable": False, "http_status": None, "attempt": None}
INVALID = {**REFUSED, "error": "config_invalid"}

scenario(
    "an option that does not exist is named",
    new(no_such_option="1", error="config_invalid", message=containing("no_such_option")),
    seen(tokens_requested=0, connections_accepted=0),
)

BAD_VALUES = {
    "api_key": ["", "pk_test_a1b2c3d4e5f6g7h8", "sk_test_"],
    "merchant_id": ["", "12345"],
    "base_url": ["http://api.88pay.io", "api.88pay.io", "https://user:password@pay.example", "ftp://pay.example"],
    "previous_api_key": ["pk_test_a1b2c3d4e5f6g7h8"],
    "timeout": ["soon", "0", "-1", "3601"],
    "connect_timeout": ["soon", "0", "3601"],
    "ca_bundle": ["/no/such/file.pem"],
    "share": ["everybody", "host:relative"],
    "safety_margin": ["1", "soon"],
    "tokens_per_minute": ["0", "1.5", "many"],
    "tokens_per_hour": ["0", "-1"],
    "max_response_bytes": ["10", "a lot"],
    "idle_timeout": ["-1", "soon"],
    "max_connections": ["0", "10001", "2.5"],
    "user_agent_suffix": ["a\nb"],
}
scenario(
    "an option whose value cannot be used is named",
    *(
        new(**{name: value}, error="config_invalid", message=containing(name))
        for name, values in BAD_VALUES.items()
        for value in values
    ),
    # Which is not used on loopback, where the sandbox is.
    new(
        base_url="https://pay.example", proxy="ftp://proxy.example", error="config_invalid", message=containing("proxy")
    ),
    seen(tokens_requested=0, connections_accepted=0),
)

# A NUL ends a text of C, and a name that has one must not become the name before it.
scenario(
    "a NUL ends no text: it is refused, shown or sent as what it is",
    new(**{"timeout\0x": "5"}, error="config_invalid", message=containing("\\u{0}x`")),
    *(
        new(**{name: value}, error="config_invalid", message=containing(name))
        for name, value in {
            "api_key": "sk_test_a1b2c3d4e5f6g7h8\0",
            "merchant_id": f"{MERCHANT}\0",
            "base_url": f"{BASE_URL}\0",
            "previous_api_key": "sk_test_a1b2c3d4e5f6g7h8\0x",
            "timeout": "5\0",
            "ca_bundle": f"{AUTHORITY}\0",
            "share": f"host:{DIRECTORY}\0",
            "safety_margin": "10\0",
            "tokens_per_hour": "100\0",
            "max_connections": "8\0",
            "user_agent_suffix": "shop/1\0",
        }.items()
    ),
    new(
        base_url="https://pay.example",
        proxy="http://proxy.example:1\0",
        error="config_invalid",
        message=containing("proxy"),
    ),
    seen(tokens_requested=0, connections_accepted=0),
    new(wanted=1),
    request("/api/echo\0", message=containing("`/api/echo\\u{0}`"), **REFUSED),
    request("/api/echo", "GET\0", **INVALID),
    request("/api/echo", with_headers=[("x-session-id\0", "a")], message=containing("`x-session-id\\u{0}`"), **REFUSED),
    request("/api/echo", with_headers=[("x-a", "a\0b")], **REFUSED),
    seen(tokens_requested=0, connections_accepted=0),
    request(
        "/api/echo",
        "POST",
        "a\0b",
        params=[("a\0b", "c\0d")],
        status=200,
        body={"data": {"target": "/api/echo?a%00b=c%00d", "body": "a\0b"}},
    ),
)

scenario(
    "an option that the handles of a manager must agree on is named where they do not",
    new(wanted=1),
    new(ca_bundle=OTHER_AUTHORITY, error="config_invalid", message=containing("ca_bundle")),
    new(share=f"host:{DIRECTORY}", error="config_invalid", message=containing("share")),
    new(max_connections="2", error="config_invalid", message=containing("max_connections")),
    new(wanted=1, timeout="7", user_agent_suffix="other/1"),
)

scenario(
    "a live key is not sent without TLS",
    new(
        api_key="sk_live_a1b2c3d4e5f6g7h8",
        base_url="http://127.0.0.1:9",
        error="config_invalid",
        message=containing("https"),
    ),
)

ENDPOINTS = (
    "//evil.example/api",
    "\\\\evil.example\\api",
    "/\\evil.example",
    "@evil.example/api",
    ":x@evil.example",
    ".evil.example",
    "https://evil.example/api",
    "HTTPS:evil.example",
    BASE_URL + "/api/echo",
    "/api/\r\nHost: evil.example",
    "/api/echo HTTP/1.1\r\nX: y",
    "/a/../b",
    "/a//b",
    "/%2e%2e/b",
    "/a%zz",
    "/a b",
    "/a\tb",
    "api/echo",
    "",
    "/api/auth/token",
    "/API/auth/token/",
    "/api/auth/%74oken",
    "/api/auth/token?x=1",
    "/" + "a" * 9000,
)
scenario(
    "an endpoint that would endanger the token is refused, and nothing is sent",
    new(),
    *(request(endpoint, method, **REFUSED) for endpoint in ENDPOINTS for method in ("GET", "POST")),
    seen(tokens_requested=0, connections_accepted=0),
)

HEADERS = (
    ("Authorization", "Bearer mine"),
    ("AUTHORIZATION", ""),
    ("x-session-id", "s"),
    ("x_session_id", "s"),
    ("X-API-Key", "k"),
    ("x-merchant-id", MERCHANT),
    ("Host", "evil.example"),
    ("Content-Length", "0"),
    ("Transfer-Encoding", "chunked"),
    ("Connection", "close"),
    ("Keep-Alive", "5"),
    ("Upgrade", "h2c"),
    ("Expect", "100-continue"),
    ("TE", "trailers"),
    ("Trailer", "x"),
    ("Proxy-Authorization", "Basic x"),
    ("Proxy-Anything", "x"),
    ("", "x"),
    ("x y", "x"),
    ("Authorization:", "x"),
    ("x\r\ny", "x"),
    ("x-ok", "a\r\nAuthorization: Bearer x"),
    ("x-ok", "a\nb"),
    ("x-ok", "a\x7f"),
)
scenario(
    "a header of the credential or of the connection is refused, and nothing is sent",
    new(),
    *(request("/api/echo", with_headers=[header], **REFUSED) for header in HEADERS),
    seen(tokens_requested=0, connections_accepted=0),
)

scenario(
    "a method or a time that cannot be meant is invalid, and nothing is sent",
    new(),
    *(request("/api/echo", method, **INVALID) for method in ("", "CONNECT", "TRACE", "GET /x", "X" * 33)),
    request("/api/echo", timeout=3601, **INVALID),
    seen(tokens_requested=0, connections_accepted=0),
)
