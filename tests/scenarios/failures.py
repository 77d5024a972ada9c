"""No token: what callers are told, how often 88Pay is asked, and how long a failure is remembered."""

from vocabulary import (
    CHARGES,
    OTHER_AUTHORITY,
    OTHER_KEY,
    THIRD_KEY,
    accept,
    answer,
    between,
    charge,
    containing,
    events,
    fault,
    get_token,
    invalidate,
    new,
    peek_token,
    rotate,
    scenario,
    seen,
    stats,
    suspend,
    switches,
)

# What the token endpoint answers, and what becomes of it.
REFUSALS = (
    ("401", answer(401), {"error": "credentials_rejected", "retryable": False, "retry_after": between(0, 5)}),
    ("403", answer(403), {"error": "access_denied", "retryable": False, "retry_after": between(0, 5)}),
    ("429", answer(429), {"error": "rate_limited", "retryable": True, "retry_after": between(45, 60)}),
    (
        "429 with Retry-After",
        answer(429, [("Retry-After", "30")]),
        {"error": "rate_limited", "retryable": True, "retry_after": between(15, 30)},
    ),
    (
        "429 with retry_after in its body",
        answer(429, body={"retry_after": 40}),
        {"error": "rate_limited", "retryable": True, "retry_after": between(25, 40)},
    ),
)
for what, action, told in REFUSALS:
    told = {"outcome": "not_sent", "http_status": int(what[:3]), "attempt": 1, **told}
    scenario(
        f"a {what} at the token endpoint is told to all who wait, and remembered",
        fault("token", action, times=None),
        new(),
        get_token(at_once=200, **told),
        seen(tokens_requested=1),
        get_token(**told),
        charge(**told),
        peek_token(gives=None),
        seen(tokens_requested=1, tokens_issued=0, paths=[]),
        stats(refreshes_failed=1, tokens_issued=0),
        events(("token_failed", {"code": told["error"], "attempt": 1}), ("call_failed", {"path": CHARGES})),
    )

for status, told in (
    (401, "credentials_rejected"),
    (403, "access_denied"),
    (429, "rate_limited"),
    (405, "bad_response"),
):
    scenario(
        f"status and 88Pay's own words are told of a {status} at the token endpoint",
        fault("token", answer(status, body={"message": "Hoy no\n"}), times=None),
        new(),
        get_token(error=told, http_status=status, message=containing(f"({status}: Hoy no).")),
    )

scenario(
    "an unknown key is credentials_rejected",
    new(api_key=OTHER_KEY),
    get_token(error="credentials_rejected", outcome="not_sent", http_status=401),
)

scenario(
    "a suspended merchant is access_denied",
    suspend(),
    new(),
    get_token(error="access_denied", outcome="not_sent", http_status=403),
)

scenario(
    "the budget refuses here, before anybody is asked, and says when to come back",
    new(tokens_per_minute="1"),
    fault("token", answer(500)),
    get_token(error="bad_response", outcome="not_sent", http_status=500),
    # What is remembered of the old key does not hold the new one.
    accept(OTHER_KEY),
    rotate(OTHER_KEY, keep_old=False),
    get_token(error="rate_limited", outcome="not_sent", http_status=None, retryable=True, retry_after=between(45, 62)),
    charge(error="rate_limited", outcome="not_sent", retry_after=between(45, 62)),
    seen(tokens_requested=1, paths=[]),
    stats(budget_left_minute=0, budget_left_hour=99),
)

# Faults that may pass are asked about once more at once, the others are not.
for what, action, told, asked in (
    ("500", answer(500), {"error": "bad_response", "http_status": 500}, 1),
    ("503", answer(503), {"error": "bad_response", "http_status": 503}, 2),
    ("cut answer", "cut_before_answer", {"error": "connection_failed", "http_status": None}, 2),
    ("answer that is no HTTP", "garbage", {"error": "bad_response", "http_status": None}, 1),
    ("redirect", answer(302, [("Location", "/api/echo")]), {"error": "bad_response", "http_status": 302}, 1),
):
    scenario(
        f"a token request that meets a {what} fails alike for all who wait",
        # All are there before the answer is.
        switches(token_delay=1),
        fault("token", action, times=None),
        new(),
        get_token(at_once=20, outcome="not_sent", attempt=1, **told),
        seen(tokens_requested=asked, paths=[]),
    )

scenario(
    "a token request whose answer is cut once is sent again, and nobody notices",
    fault("token", "cut_before_answer"),
    new(),
    get_token(at_once=20, token=1),
    seen(tokens_requested=2),
)


def _data(**changed):
    whole = {"access_token": "a.b.c", "session_id": "sess_1", "expires_in": 60, **changed}
    data = {name: value for name, value in whole.items() if value is not None}
    return {"status": "Success", "code": 200, "message": "m", "data": data}


for what, body in (
    ("is no JSON", "<html>"),
    ("has no data", {"status": "Success"}),
    ("has no session ID", _data(session_id=None)),
    ("has a token that is no text", _data(access_token=7)),
    ("has a token that can stand in no header", _data(access_token="a\r\nb")),
    ("has a life that is none", _data(expires_in="soon")),
    ("has a life that is too short", _data(expires_in=10)),
):
    scenario(
        f"an answer to the token request that {what} is no token",
        fault("token", answer(200, body=body), times=None),
        new(),
        charge(error="bad_response", outcome="not_sent", http_status=200, attempt=1),
        peek_token(gives=None),
        seen(tokens_requested=1, paths=[]),
    )

scenario(
    "an endless answer to the token request is no token",
    fault("token", {"huge_body": {"bytes": 100 << 20}}, times=None),
    new(),
    get_token(error="bad_response", outcome="not_sent", took=between(0, 10)),
)

scenario(
    "waiting for a token ends in time, and nothing was sent",
    fault("token", "stall", times=None),
    new(),
    get_token(timeout=1.5, error="timeout", outcome="not_sent", retryable=True, took=between(1.49, 10)),
    charge(timeout=1.5, error="timeout", outcome="not_sent", retryable=True, took=between(1.49, 10)),
    seen(tokens_requested=1, paths=[]),
)

scenario(
    "nobody answers where the address leads",
    new(base_url="https://127.0.0.1:1"),
    get_token(error="connection_failed", outcome="not_sent", retryable=True, http_status=None),
)

scenario(
    "a server that is not certified is not talked to",
    new(ca_bundle=OTHER_AUTHORITY),
    get_token(error="tls_failed", outcome="not_sent", retryable=False, message=containing("certificate")),
    seen(tokens_requested=0, tls_handshakes=0),
)

TOKEN_ANSWER = '{"message":"m","data":{"access_token":"a.b.c","session_id":"sess_1","expires_in":%s}}'
for what, body, expires_in in (
    ("whose life is a fraction of nothing", TOKEN_ANSWER % "60.0", 60),
    ("whose life is such a text", TOKEN_ANSWER % '"60.0"', 60),
    ("whose life is two hours", TOKEN_ANSWER % "7200", 3600),
    ("whose life is a day", TOKEN_ANSWER % "86400", 3600),
    ("that begins with a byte-order mark", "\ufeff" + TOKEN_ANSWER % "60", 60),
    ("with half a character", TOKEN_ANSWER.replace('"m"', '"m\\ud83d"') % "60", 60),
):
    scenario(
        f"an answer to the token request {what} is read, and a life counts as an hour at most",
        fault("token", answer(200, body=body)),
        new(),
        get_token(token=1, expires_in=expires_in),
        seen(tokens_requested=1),
    )

scenario(
    "after two new keys that are not accepted yet the one that works is still used",
    new(),
    get_token(token=1),
    rotate(OTHER_KEY),
    rotate(THIRD_KEY),
    invalidate(gives=True),
    get_token(token=2),
    seen(tokens_issued=2, tokens_requested=3),
    events(
        "token_issued",
        "key_rotated",
        "key_rotated",
        "token_invalidated",
        "token_issued",
        ("key_fallback", {"attempt": 2}),
    ),
)
