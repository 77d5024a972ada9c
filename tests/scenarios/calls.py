"""Calls: what arrives, what comes back, what is sent again, and what is known where no answer came."""

from vocabulary import (
    CHARGE,
    CHARGES,
    MERCHANT,
    answer,
    between,
    charge,
    containing,
    events,
    fault,
    get_token,
    new,
    request,
    revoke,
    scenario,
    seen,
    stats,
)

scenario(
    "a charge works",
    new(),
    charge(
        status=200,
        headers={"content-type": containing("application/json")},
        body={"status": "Success", "data": {"amount": 50000, "currency": "COP", "reference": containing("-")}},
    ),
    seen(charges_created=1, paths=[CHARGES]),
    stats(calls=1, calls_failed=0, calls_repeated=0),
    events("token_issued"),
)

scenario(
    "method, parameters, headers and body arrive as they were given",
    new(),
    request(
        "/api/echo?a=1",
        "PUT",
        '{"name":"señor"}',
        params=[("b", "x y"), ("b", "&"), ("ñ", "=")],
        with_headers=[("X-Order", "42"), ("User-Agent", "shop/1")],
        status=200,
        body={
            "data": {
                "method": "PUT",
                "target": "/api/echo?a=1&b=x+y&b=%26&%C3%B1=%3D",
                "headers": {"x-order": "42", "user-agent": "shop/1", "content-type": "application/json"},
                "body": '{"name":"señor"}',
            }
        },
    ),
    request(
        "/api/echo",
        "DELETE",
        "a,b",
        with_headers=[("Content-Type", "text/csv")],
        status=200,
        body={"data": {"method": "DELETE", "headers": {"content-type": "text/csv"}, "body": "a,b"}},
    ),
    request("/api/echo", "PATCH", "{}", status=200, body={"data": {"method": "PATCH"}}),
    request("/api/echo", "HEAD", status=200, body=""),
    request("/api/balance", "POST", params=[("id", MERCHANT)], status=200, body={"data": {"merchant_id": MERCHANT}}),
)

scenario(
    "the library names itself, with what the program adds",
    new(user_agent_suffix="my-shop/1.2"),
    request("/api/echo", body={"data": {"headers": {"user-agent": containing("pay88/", "my-shop/1.2")}}}),
)

STATUSES = (200, 201, 299, 300, 304, 400, 403, 404, 418, 422, 500, 501, 503, 599)
scenario(
    "an answer of any status is an answer, and a charge is not repeated for it",
    new(),
    *(request(f"/api/status/{status}", "POST", "{}", status=status) for status in STATUSES),
    seen(tokens_requested=1, paths=[f"/api/status/{status}" for status in STATUSES]),
    stats(calls=len(STATUSES), calls_failed=0, calls_repeated=0),
)

FAILED = [(status, f"/api/status/{status}") for status in (400, 403, 404, 418, 422, 429, 500, 599)]
scenario(
    "an answer of status 400 or above is told as an event and counted by its status",
    new(),
    request("/api/echo", status=200),
    request("/api/status/399", "POST", "{}", status=399),
    *(request(path, "POST", "{}", status=status) for status, path in FAILED if status != 429),
    fault("calls", answer(429, [("Retry-After", "31")])),
    request("/api/status/429", "POST", "{}", status=429),
    fault("calls", answer(401), times=2),
    request("/api/echo", status=401),
    stats(
        calls=11,
        calls_failed=0,
        calls_answered_401=1,
        calls_answered_403=1,
        calls_answered_404=1,
        calls_answered_422=1,
        calls_answered_429=1,
        calls_answered_4xx=7,
        calls_answered_5xx=2,
    ),
    events(
        "token_issued",
        *(
            (
                "call_failed",
                {
                    "method": "POST",
                    "path": path,
                    "code": "http_error",
                    "status": status,
                    "outcome": "answered",
                    "level": "warning",
                },
            )
            for status, path in (*(failed for failed in FAILED if failed[0] != 429), (429, "/api/status/429"))
        ),
        "token_invalidated",
        "call_repeated",
        ("token_issued", {"level": "info"}),
        ("call_failed", {"method": "GET", "path": "/api/echo", "status": 401, "code": "http_error"}),
    ),
)

scenario(
    "an answer without a body has an empty one",
    new(),
    *(request(f"/api/status/{status}", "POST", "{}", status=status, body="") for status in (204, 304)),
)

scenario(
    "a redirect is an answer and is not followed",
    new(),
    fault("calls", answer(302, [("Location", "/api/echo?elsewhere")])),
    request("/api/status/200", status=302, headers={"location": "/api/echo?elsewhere"}),
    seen(paths=["/api/status/200"]),
)

scenario(
    "a token that is revoked is replaced once for all calls that meet it, and they are repeated",
    new(),
    get_token(token=1),
    revoke(),
    request(CHARGES, "POST", CHARGE, at_once=50, status=200),
    get_token(token=2),
    seen(tokens_issued=2, charges_created=50),
)

scenario(
    "a path that always answers 401 gives that answer, and costs one token",
    new(),
    fault({"path": "/api/echo"}, answer(401), times=None),
    request("/api/echo", status=401),
    seen(tokens_requested=2, paths=["/api/echo"] * 2),
    *(request("/api/echo", status=401) for _ in range(5)),
    request("/api/status/200", status=200),
    seen(tokens_requested=2, paths=["/api/echo"] * 7 + ["/api/status/200"]),
    events(
        "token_issued",
        "token_invalidated",
        "call_repeated",
        "token_issued",
        *[("call_failed", {"code": "http_error", "status": 401, "outcome": "answered"})] * 6,
    ),
)

# Once bytes were written only a look-up can tell whether there is a charge.
for what, action, code, created in (
    ("cut before it is carried out", "cut_after_request", "connection_failed", 0),
    ("cut before its answer", "cut_before_answer", "connection_failed", 1),
    ("cut in the head of its answer", "cut_in_head", "connection_failed", 1),
    ("cut in the body of its answer", "cut_in_body", "bad_response", 1),
    ("answered with bytes that are no HTTP", "garbage", "bad_response", 0),
):
    scenario(
        f"a charge that is {what} has an unknown outcome and is sent once",
        new(),
        fault("calls", action, times=None),
        charge(error=code, outcome="unknown", retryable=False, attempt=None),
        seen(charges_created=created, paths=[CHARGES]),
        stats(calls_failed=1, calls_repeated=0),
        events("token_issued", ("call_failed", {"code": code, "outcome": "unknown", "path": CHARGES})),
    )

scenario(
    "a charge that finds no connection was not sent, and may be tried again",
    new(idle_timeout="0"),
    get_token(token=1),
    fault("any", "cut_handshake", times=3),
    charge(error="connection_failed", outcome="not_sent", retryable=True),
    seen(paths=[]),
    fault("any", "cut_handshake", times=1),
    charge(status=200),
    seen(charges_created=1, paths=[CHARGES]),
)

scenario(
    "a call that is marked safe to repeat, reads, or asks for the balance is repeated after a fault",
    new(),
    fault("calls", "cut_before_answer"),
    charge(safe_to_repeat=True, status=200),
    fault("calls", "cut_before_answer"),
    request("/api/echo", status=200),
    fault("calls", answer(503)),
    request("/api/balance", "POST", params=[("id", MERCHANT)], status=200),
    seen(charges_created=2, calls=6),
    stats(calls=3, calls_repeated=3, calls_failed=0),
    events("token_issued", *[("call_repeated", {})] * 3),
)

scenario(
    "a call that is safe to repeat and never gets an answer is unknown, but may be tried again",
    new(),
    fault("calls", "cut_before_answer", times=None),
    request("/api/echo", error="connection_failed", outcome="unknown", retryable=True),
    seen(paths=["/api/echo"] * 3),
)

scenario(
    "a charge that is told to come back is repeated after that time, if there is so much",
    new(),
    fault("calls", answer(429, [("Retry-After", "1")])),
    charge(status=200, took=between(1, 10)),
    fault("calls", answer(429, [("Retry-After", "31")])),
    charge(status=429, headers={"retry-after": "31"}, took=between(0, 10)),
    seen(charges_created=1, paths=[CHARGES] * 3),
)

scenario(
    "a call that gets no answer ends in time, and its outcome is unknown",
    new(),
    get_token(token=1),
    fault("calls", "stall", times=None),
    charge(timeout=2, error="timeout", outcome="unknown", retryable=False, took=between(1.99, 10)),
    request("/api/echo", timeout=2, error="timeout", outcome="unknown", retryable=True, took=between(1.99, 10)),
    seen(paths=[CHARGES, "/api/echo"]),
)

scenario(
    "an answer whose body stalls ends in time, by the manager's own timeout",
    new(timeout="3"),
    get_token(token=1),
    fault("calls", "stall_in_body", times=None),
    charge(error="timeout", outcome="unknown", retryable=False, took=between(2.99, 10)),
    seen(charges_created=1),
)

scenario(
    "an answer that is larger than is taken is a bad response with unknown outcome",
    new(max_response_bytes="2048"),
    request("/api/bytes/2048", status=200, body="x" * 2048),
    request("/api/bytes/2049", error="bad_response", outcome="unknown", message=containing("2048")),
)
