"""make_request and what it returns."""

import urllib.parse

import pytest

import pay88
from charges import CHARGE, CHARGES


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
    with pytest.raises(exception, match=complaint):
        tm.make_request(**{"endpoint": "/api/echo", "method": "POST", **arguments})
    assert sandbox.control("GET", "/log") == []


def test_a_closed_manager_sends_nothing(tm, sandbox):
    tm.close()
    with pytest.raises(pay88.ConfigInvalidError):
        tm.make_request("/api/echo")
    with pytest.raises(ValueError, match="closed"):
        tm.get_token()
    assert tm.closed
    assert sandbox.control("GET", "/log") == []
