"""What type checkers must accept, and what they must refuse. Never run."""

from __future__ import annotations

import json
import pathlib
from decimal import Decimal
from typing import Any, Literal, Union

import aiohttp
import httpx
import requests
from typing_extensions import assert_type

import pay88
from pay88.adapters.aiohttp import Pay88Middleware
from pay88.adapters.httpx import Pay88Auth as HttpxAuth
from pay88.adapters.requests import Pay88Auth as RequestsAuth
from pay88.testing import Merchant, Sandbox


def blocking() -> None:
    with pay88.TokenManager("sk_test_sandbox_1", "MCH-COL-1", None, timeout=5, ca_bundle=pathlib.Path("ca.pem")) as tm:
        assert_type(tm, pay88.TokenManager)
        token = tm.get_token(timeout=1.5)
        assert_type(token, pay88.Token)
        assert_type(token.access_token, str)
        assert_type(token["session_id"], str)
        assert_type(token["expires_in"], int)
        token["other"]  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
        token.access_token = ""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        assert_type(tm.peek_token(), "pay88.Token | None")
        answer = tm.make_request("/api/balance", "POST", params={"id": tm.merchant_id}, headers={"X-Order": "1"})
        assert_type(answer, pay88.Response)
        assert_type(answer.status_code, int)
        assert_type(answer.headers["Content-Type"], str)
        assert_type(answer.raise_for_status().json(), Any)
        # mypy does not find the types of a dictionary in overloads; pyright does.
        assert_type(dict(token)["session_id"], Union[str, int])  # type: ignore[misc, assert-type]
        tm.make_request("/api/echo", json={"amount": Decimal("1.10")}, params={"a": [1, None, Decimal(2)], "b": "c"})
        tm.make_request("/api/echo", timeot=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        tm.make_request("/api/echo", verify=json)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        tm.make_request(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(tm.invalidate(token), bool)
        assert_type(tm.stats(), "dict[str, Any]")
        tm.rotate("sk_test_sandbox_2", keep_old=False)
    pay88.TokenManager(no_such_option=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    requests.get("https://api-sandbox.88pay.io/api/balance", auth=RequestsAuth(tm), timeout=5)
    httpx.Client(auth=HttpxAuth(tm))


async def awaited() -> None:
    async with pay88.AsyncTokenManager() as atm:
        assert_type(await atm.get_token(), pay88.Token)
        assert_type(await atm.make_request("/api/balance", method="POST"), pay88.Response)
        await atm.make_request("/api/echo", timeot=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        httpx.AsyncClient(auth=HttpxAuth(atm))
        aiohttp.ClientSession(middlewares=(Pay88Middleware(atm),))


def tested(merchant: Merchant) -> None:
    with Sandbox.start("--voids-old") as sandbox:
        assert_type(sandbox.merchant(), Merchant)
    assert_type(Sandbox.given(), "Sandbox | None")
    assert_type(merchant.manager(timeout=5), pay88.TokenManager)
    assert_type(merchant.async_manager(), pay88.AsyncTokenManager)
    assert_type(merchant.tokens_issued(), int)
    assert_type(merchant.charges(), "list[dict[str, Any]]")
    merchant.fault("calls", 503, times=None)
    merchant.fault("/api/balance", {"delay": {"seconds": 0.5}})
    merchant.fault(503, "calls")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    merchant.advance("61")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def made() -> None:
    pay88.RateLimitedError("x", retry_after=3, hint="Later.", outcome="not_sent")
    pay88.RateLimitedError("x", outcome="sent")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pay88.RateLimitedError("x", code="timeout")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def errors() -> None:
    try:
        blocking()
    except pay88.RateLimitedError as error:
        assert_type(error.retry_after, "float | None")
    except pay88.Pay88Error as error:
        assert_type(error.outcome, Literal["not_sent", "unknown", "answered"])
        if error.outcome == "unknwon":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
            pass
        if error.code == "rate_limted":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
            pass
        assert_type(error.response, "pay88.Response | None")
        assert_type(error.http_status, "int | None")
