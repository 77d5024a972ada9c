"""What is raised, and that nothing gives a secret away."""

import copy
import json
import pickle
import traceback

import pytest

import pay88


def test_a_wrong_key_is_credentials_rejected_with_a_hint(sandbox):
    tm = sandbox.manager(api_key="sk_test_sandbox_not_known_here")
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.get_token()
    error = caught.value
    assert (error.code, error.http_status, error.outcome, error.retryable) == (
        "credentials_rejected",
        401,
        "not_sent",
        False,
    )
    assert error.message and error.hint and error.attempt == 1
    assert str(error) == f"{error.code}: {error.message} {error.hint}"


def test_a_used_up_limit_says_when_to_come_back(sandbox):
    sandbox.fault("token", {"answer": {"status": 429, "headers": [["Retry-After", "7"]]}})
    with pytest.raises(pay88.Pay88Error) as caught:
        sandbox.manager().get_token()
    assert caught.value.code == "rate_limited"
    assert 5 < caught.value.retry_after <= 7


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying_and_pickling(again):
    error = pay88.Pay88Error("timeout", "It took too long.", "Wait.", "unknown", 503, 2.5, True, 3)
    twin = again(error)
    assert type(twin) is pay88.Pay88Error
    assert vars(twin) == vars(error) and twin.args == error.args and str(twin) == str(error)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"api_key": ""}, "key"),
        ({"api_key": "pk_wrong_prefix"}, "sk_test_"),
        ({"merchant_id": "12345"}, "MCH-"),
        ({"base_url": "http://api.example"}, "https"),
        ({"no_such_option": "1"}, "no_such_option"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(sandbox, options, complaint):
    with pytest.raises(pay88.Pay88Error) as caught:
        sandbox.manager(**options)
    assert caught.value.code == "config_invalid"
    assert complaint in str(caught.value)


def test_an_option_of_a_wrong_type_is_named_without_its_value(sandbox):
    with pytest.raises(TypeError, match="option api_key") as caught:
        sandbox.manager(api_key=[sandbox.api_key])
    assert sandbox.api_key not in str(caught.value)
    with pytest.raises(TypeError, match="option timeout"):
        sandbox.manager(timeout=True)


def test_no_secret_is_in_anything_that_is_printed_or_pickled(sandbox):
    tm = sandbox.manager()
    token = tm.get_token()
    answer = tm.make_request("/api/echo")
    printed = [str(thing) + repr(thing) + format(thing) for thing in (tm, token, answer, answer.headers)]
    printed += [json.dumps(tm.stats()), repr(vars(type(tm))), repr(dir(token))]
    for fail in (
        lambda: tm.make_request("//evil.example"),
        lambda: tm.make_request("/api/echo", headers={"Authorization": token.access_token}),
        lambda: token["token"],
        lambda: sandbox.manager(api_key=sandbox.api_key, no_such_option=sandbox.api_key),
        lambda: sandbox.manager(api_key=sandbox.api_key, base_url="https://api.88pay.io"),
        lambda: pickle.dumps(tm),
        lambda: pickle.dumps(token),
        lambda: copy.copy(tm),
    ):
        with pytest.raises(Exception) as caught:
            fail()
        trace = traceback.TracebackException.from_exception(caught.value, capture_locals=False)
        printed += ["".join(trace.format()), str(caught.value), repr(caught.value)]
        if isinstance(caught.value, pay88.Pay88Error):
            printed.append(pickle.dumps(caught.value).decode("latin-1"))
    text = "\n".join(printed)
    assert tm.merchant_id in text
    for secret in (sandbox.api_key.removeprefix("sk_test_"), token.access_token, token.session_id):
        for start in range(len(secret) - 11):
            assert secret[start : start + 12] not in text
