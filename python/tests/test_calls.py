"""make_request and what it returns."""

import asyncio
import copy
import decimal
import enum
import json
import pickle
import urllib.parse

import pytest

import pay88
from charges import CHARGE, CHARGES


class Coin(enum.Enum):
    PESO = "COP"
    ONE = 1
    ODD = (1, 2)


class Text(str, enum.Enum):
    PESO = "COP"


class Number(enum.IntEnum):
    TWO = 2


CYCLE: list = []
CYCLE.append(CYCLE)


def test_a_charge_works(tm, sandbox):
    answer = tm.make_request(CHARGES, method="POST", json=CHARGE)
    assert (answer.status_code, answer.ok) == (200, True)
    assert answer.json()["data"]["reference"]
    assert answer.json()["data"]["amount"] == 50000
    assert answer.text.encode() == answer.content
    assert answer.headers["content-type"] == answer.headers["Content-Type"]
    assert "application/json" in answer.headers["Content-Type"]
    assert answer.raise_for_status() is answer
    assert len(sandbox.control("GET", "/charges")) == 1


def test_an_answer_of_any_status_is_an_answer_until_it_is_asked_to_raise(tm):
    answer = tm.make_request(CHARGES, method="POST", json={**CHARGE, "currency": "no currency"})
    assert answer.status_code in (400, 422) and not answer.ok
    assert answer.json()["status"] == "Error"
    with pytest.raises(pay88.Pay88Error) as caught:
        answer.raise_for_status()
    assert caught.value.code == "http_error"
    assert caught.value.http_status == answer.status_code
    assert caught.value.outcome == "answered"


def test_body_parameters_and_headers_arrive_as_they_were_given(tm):
    headers = {"X-Order": "42"}
    answer = tm.make_request(
        "/api/echo",
        "PUT",
        data="ñ",
        headers=headers,
        params={"a": 1, "b": ["x y", "&"], "none": None},
    )
    assert headers == {"X-Order": "42"}
    seen = answer.raise_for_status().json()["data"]
    assert seen["method"] == "PUT"
    assert seen["body"] == "ñ"
    assert seen["headers"]["x-order"] == "42"
    assert seen["headers"]["content-type"] == "application/json"
    path, _, query = seen["target"].partition("?")
    assert path == "/api/echo"
    assert urllib.parse.parse_qsl(query) == [("a", "1"), ("b", "x y"), ("b", "&")]


@pytest.mark.parametrize(
    "endpoint",
    [
        "//evil.example/api",
        "@evil.example/api",
        ".evil.example",
        "\\\\evil.example\\api",
        "https://evil.example/api",
        "/api/\r\nHost: evil.example",
        "/api/auth/token",
    ],
)
def test_an_endpoint_that_would_endanger_the_token_is_refused(tm, sandbox, endpoint):
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.make_request(endpoint)
    assert (caught.value.code, caught.value.outcome) == ("refused", "not_sent")
    assert sandbox.control("GET", "/log") == []


def test_a_header_of_the_credential_is_refused(tm):
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.make_request("/api/echo", headers={"Authorization": "Bearer mine"})
    assert caught.value.code == "refused"


def test_a_charge_whose_answer_is_cut_is_sent_once_and_its_outcome_unknown(tm, sandbox):
    sandbox.fault("calls", "cut_before_answer")
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.make_request(CHARGES, "POST", json=CHARGE)
    assert (caught.value.code, caught.value.outcome, caught.value.retryable) == (
        "connection_failed",
        "unknown",
        False,
    )
    assert sum(entry["target"] == CHARGES for entry in sandbox.control("GET", "/log")) == 1


def test_a_call_that_is_safe_to_repeat_is_repeated(tm, sandbox):
    sandbox.fault("calls", "cut_before_answer")
    answer = tm.make_request(CHARGES, "POST", json=CHARGE, safe_to_repeat=True)
    assert answer.ok


@pytest.mark.parametrize(
    ("arguments", "exception", "complaint"),
    [
        ({"json": {}, "data": b""}, TypeError, "not both"),
        ({"timeot": 1}, TypeError, r"'timeot'.*Did you mean timeout\?"),
        ({"JSON": {}}, TypeError, "no such argument; there are endpoint, method, json"),
        ({"json": {"amount": decimal.Decimal("NaN")}}, ValueError, "not a number"),
        ({"json": {"amount": decimal.Decimal("sNaN")}}, ValueError, "not a number"),
        ({"json": [decimal.Decimal("-Infinity")]}, ValueError, "infinite"),
        ({"json": {decimal.Decimal(1): 1}}, TypeError, "JSON"),
        ({"json": CYCLE}, ValueError, "JSON"),
        ({"params": {"a": b"1"}}, TypeError, "'a' must be a string.*not bytes"),
        ({"params": {"a": {"b": 1}}}, TypeError, "not dict"),
        ({"params": {"a": [["b"]]}}, TypeError, "not list"),
        ({"params": {"a": {1}}}, TypeError, "not set"),
        ({"params": {"a": object()}}, TypeError, "not object"),
        ({"params": {"a": Coin}}, TypeError, "not EnumType|not EnumMeta"),
        ({"params": {"a": Coin.ODD}}, TypeError, "not tuple"),
        ({"params": {"a": float("nan")}}, ValueError, "not a number"),
        ({"params": {"a": decimal.Decimal("inf")}}, ValueError, "infinite"),
        ({"params": {"a": "\udcff"}}, ValueError, "params holds text that cannot be UTF-8"),
        ({"endpoint": "/\udcff"}, ValueError, "endpoint holds text that cannot be UTF-8"),
        ({"headers": {"X-Order": "\udcff"}}, ValueError, "headers holds text that cannot be UTF-8"),
        ({"data": "\udcff"}, ValueError, "data holds text that cannot be UTF-8"),
        ({"timeout": "1"}, TypeError, "timeout must be a number"),
        ({"data": {"a": 1}}, TypeError, "data must be bytes or a string, not dict"),
        ({"json": float("nan")}, ValueError, "JSON"),
        ({"json": {"amount": float("inf")}}, ValueError, "JSON"),
        ({"json": {"amount": {1}}}, TypeError, "JSON"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"timeout": float("nan")}, ValueError, "timeout"),
        ({"timeout": (1, 2)}, TypeError, "connect_timeout"),
        ({"timeout": True}, TypeError, "timeout"),
        ({"headers": [("X-Order", "1")]}, TypeError, "headers must be a mapping"),
        ({"headers": {"X-Order": 1}}, TypeError, "'X-Order' must be a string, not int"),
        ({"headers": {b"X-Order": "1"}}, TypeError, "name of a header"),
        ({"headers": {"X-Order": "1\r\nX-Other: 2"}}, pay88.RefusedError, "X-Order|header"),
        ({"params": "a=1"}, TypeError, "params"),
        ({"params": {1: 2}}, TypeError, "name of a parameter"),
        ({"method": None}, TypeError, "method must be a string"),
        ({"endpoint": b"/api/echo"}, TypeError, "endpoint must be a string"),
        ({"safe_to_repeat": 1}, TypeError, "safe_to_repeat"),
        ({"verify": False}, TypeError, "ca_bundle"),
        ({"cert": "client.pem"}, TypeError, "client certificates"),
        ({"allow_redirects": True}, TypeError, "never followed"),
        ({"follow_redirects": True}, TypeError, "never followed"),
        ({"auth": ("user", "password")}, TypeError, "authenticates the call itself"),
        ({"proxies": {}}, TypeError, "option proxy"),
        ({"stream": True}, TypeError, "max_response_bytes"),
        ({"files": {}}, TypeError, "as data"),
        ({"no_such_argument": 1}, TypeError, "no such argument"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_with_the_reason(tm, sandbox, arguments, exception, complaint):
    call = {"endpoint": "/api/echo", "method": "POST", **arguments}
    for make in (tm.make_request, lambda **call: asyncio.run(sandbox.async_manager().make_request(**call))):
        with pytest.raises(exception, match=complaint) as caught:
            make(**call)
        assert isinstance(caught.value, pay88.Pay88Error)
        assert caught.value.outcome == "not_sent"
    assert sandbox.control("GET", "/log") == []


@pytest.mark.parametrize("timeout", [0, -1, 0.0, float("nan"), True, "1", decimal.Decimal(0)])
def test_a_time_that_is_none_is_refused_wherever_one_is_given(tm, sandbox, timeout):
    atm = sandbox.async_manager()
    for fail in (
        lambda: tm.get_token(timeout),
        lambda: tm.make_request("/api/echo", timeout=timeout),
        lambda: asyncio.run(atm.get_token(timeout)),
        lambda: asyncio.run(atm.make_request("/api/echo", timeout=timeout)),
    ):
        with pytest.raises(pay88.ConfigInvalidError, match="timeout"):
            fail()
    assert sandbox.control("GET", "/log") == []
    assert tm.get_token(decimal.Decimal(5)) is tm.get_token(5)


def test_parameters_are_sent_as_what_they_say(tm):
    params = {
        "a": Coin.PESO,
        "b": Text.PESO,
        "c": Number.TWO,
        "d": [Coin.ONE, None, True, False],
        "e": decimal.Decimal("10.00"),
        "f": 0.1,
    }
    seen = tm.make_request("/api/echo", params=params).json()["data"]
    sent = [
        ("a", "COP"),
        ("b", "COP"),
        ("c", "2"),
        ("d", "1"),
        ("d", "true"),
        ("d", "false"),
        ("e", "10.00"),
        ("f", "0.1"),
    ]
    assert urllib.parse.parse_qsl(seen["target"].partition("?")[2]) == sent


def test_a_decimal_is_sent_as_a_number_with_its_own_digits(tm):
    digits = ["10.00", "0.1", "123456789012345678901234567890.123456789", "-0", "1E+3", "1.5E-9", "0E-10"]
    numbers = ", ".join(digits)
    body = {
        "amounts": [decimal.Decimal(text) for text in digits],
        "other": ["10.00", 0.1, 7, None, decimal.Decimal("0.10")],
    }
    seen = tm.make_request("/api/echo", "POST", json=body).json()["data"]["body"]
    assert seen == f'{{"amounts": [{numbers}], "other": ["10.00", 0.1, 7, null, 0.10]}}'
    assert json.loads(seen, parse_float=decimal.Decimal)["amounts"][2] == decimal.Decimal(digits[2])


def test_a_response_survives_copying_and_pickling(tm, sandbox):
    odd = {"status": 422, "headers": [["X-Order", "ñ"], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]], "body": "no"}
    sandbox.fault("calls", {"answer": odd})
    answer = tm.make_request("/api/echo")
    fine = tm.make_request(CHARGES, "POST", json=CHARGE)
    again = [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
    for other in [make(one) for make in again for one in (answer, again[2](answer))]:
        assert (other.status_code, other.content, dict(other.headers)) == (422, b"no", dict(answer.headers))
        assert other.headers["set-cookie"] == "a=1, b=2"
        assert (other.ok, repr(other), other.text) == (False, repr(answer), "no")
        told = []
        for one in (other, other, answer):
            with pytest.raises(pay88.HttpError) as caught:
                one.raise_for_status()
            told.append(str(caught.value))
            assert caught.value.response is one
        assert len(set(told)) == 1
    for make in again:
        assert make(fine).raise_for_status().json() == fine.json()


def test_a_closed_manager_sends_nothing(tm, sandbox):
    tm.close()
    with pytest.raises(pay88.ConfigInvalidError):
        tm.make_request("/api/echo")
    with pytest.raises(ValueError, match="closed"):
        tm.get_token()
    assert tm.closed
    assert sandbox.control("GET", "/log") == []
