"""A token: asked for once, handed out from memory, replaced."""

from vocabulary import (
    DIRECTORY,
    KEY,
    OTHER_KEY,
    accept,
    answer,
    between,
    close,
    containing,
    events,
    fault,
    get_token,
    invalidate,
    new,
    peek_token,
    request,
    revoke,
    rotate,
    scenario,
    seen,
    stats,
    switches,
    wait,
)

scenario(
    "a token is asked for once and then handed out from memory",
    new(),
    peek_token(gives=None),
    get_token(token=1, expires_in=60, valid_for=between(40, 50)),
    get_token(token=1),
    peek_token(token=1, expires_in=60),
    get_token(token=1, timeout=5),
    seen(tokens_requested=1, tokens_issued=1, paths=[]),
    stats(tokens_issued=1, generation=1, refreshes_failed=0, budget_left_minute=9, budget_left_hour=99, hold=None),
    events(("token_issued", {"generation": 1, "attempt": 1, "expires_in": 60})),
)

scenario(
    "two hundred callers at once at an empty cache need one token",
    switches(token_delay=0.5),
    new(),
    get_token(at_once=200, token=1),
    seen(tokens_requested=1),
)

scenario(
    "fifty calls at once at an empty cache need one token",
    switches(token_delay=0.5),
    new(),
    request("/api/echo", at_once=50, status=200),
    seen(tokens_requested=1, calls=50),
)

scenario(
    "handles of the same credentials are one manager, and others are another",
    accept(OTHER_KEY),
    new(wanted=1),
    new(wanted=1, timeout="5"),
    new(wanted=2, api_key=OTHER_KEY),
    get_token(manager=0, token=1),
    get_token(manager=1, token=1),
    get_token(manager=2, token=2),
    seen(tokens_requested=2),
)

scenario(
    "what is not given comes from the environment",
    new(environment=True),
    get_token(token=1),
    new(),
    peek_token(manager=1, token=1),
)

scenario(
    "an invalidated token is replaced, but not as often as one likes",
    new(),
    invalidate(gives=False),
    get_token(token=1),
    invalidate(gives=True),
    peek_token(gives=None),
    invalidate(gives=False),
    get_token(token=2),
    invalidate(error="rate_limited", outcome="not_sent", http_status=None, retry_after=between(1, 10), retryable=True),
    get_token(token=2),
    seen(tokens_issued=2),
    events("token_issued", ("token_invalidated", {"generation": 1}), "token_issued"),
)

scenario(
    "a token that has ended is replaced, and a life too short for the margin is used to two seconds before its end",
    switches(expires_in=11),
    new(),
    get_token(token=1, expires_in=11, valid_for=between(5, 9)),
    wait(9.2),
    peek_token(gives=None),
    get_token(token=2),
    seen(tokens_issued=2),
    events(
        ("token_issued", {"expires_in": 11}), ("life_short", {"expires_in": 11}), "token_issued", ("life_short", {})
    ),
)

scenario(
    "a new key that is not accepted yet falls back to the old one",
    new(),
    get_token(token=1),
    rotate(OTHER_KEY),
    get_token(token=1),
    invalidate(gives=True),
    get_token(token=2),
    request("/api/echo", status=200),
    seen(tokens_requested=3, tokens_issued=2, tokens_refused={"401": 1}),
    events("token_issued", ("key_rotated", {"keep_old": True}), "token_invalidated", "token_issued", "key_fallback"),
)

scenario(
    "a new key without the old one is used alone, and the manager is found by it",
    new(wanted=1),
    rotate(OTHER_KEY, keep_old=False),
    get_token(error="credentials_rejected", outcome="not_sent", http_status=401, attempt=1),
    accept(OTHER_KEY),
    rotate(KEY, keep_old=False),
    rotate(OTHER_KEY, keep_old=False),
    get_token(token=1),
    new(wanted=1, api_key=OTHER_KEY),
    seen(tokens_requested=2),
)

scenario(
    "a previous key given at construction is fallen back to",
    new(api_key=OTHER_KEY, previous_api_key=KEY),
    get_token(token=1),
    seen(tokens_requested=2, tokens_issued=1),
)

scenario(
    "a closed handle refuses, and others of the same manager go on",
    new(),
    new(),
    close(0),
    close(0),
    get_token(manager=0, error="config_invalid", outcome="not_sent", message=containing("closed")),
    peek_token(manager=0, error="config_invalid", message=containing("closed")),
    request("/api/echo", manager=0, error="config_invalid", outcome="not_sent", message=containing("closed")),
    invalidate(manager=0, error="config_invalid"),
    rotate(OTHER_KEY, manager=0, error="config_invalid"),
    seen(tokens_requested=0, paths=[]),
    stats(manager=0, tokens_issued=0),
    get_token(manager=1, token=1),
    request("/api/echo", manager=1, status=200),
    seen(tokens_requested=1, paths=["/api/echo"]),
)

scenario(
    "processes of a host share a token, a failure and a dropped token, whatever their languages are",
    new(share=f"host:{DIRECTORY}"),
    new(second=True, share=f"host:{DIRECTORY}"),
    get_token(token=1),
    get_token(second=True, token=1),
    request("/api/echo", second=True, at_once=10, status=200),
    seen(tokens_requested=1),
    revoke(),
    request("/api/echo", second=True, at_once=10, status=200),
    get_token(second=True, token=2),
    # Which the other one learns with its next call, not before.
    request("/api/echo", at_once=10, status=200),
    get_token(token=2),
    seen(tokens_requested=2),
    stats(tokens_issued=1, share="host", share_degraded=None),
)

scenario(
    "a failure that one process of a host met is told to the others without asking again",
    fault("token", answer(429, [("Retry-After", "30")]), times=None),
    new(share=f"host:{DIRECTORY}"),
    new(second=True, share=f"host:{DIRECTORY}"),
    get_token(error="rate_limited", retry_after=between(20, 30)),
    get_token(second=True, error="rate_limited", retry_after=between(20, 30)),
    seen(tokens_requested=1),
)
