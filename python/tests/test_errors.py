"""What is raised, and that nothing gives a secret away."""

import asyncio
import copy
import decimal
import fractions
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import traceback
import unittest.mock

import pytest

import pay88
from pay88._error import CLASSES


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


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "88Pay answered with status 404: Not here. Check the endpoint, and the ID in it."),
        (405, "88Pay answered with status 405: Not here. Check the method: this endpoint takes another one."),
        (422, "88Pay answered with status 422: Not here. Check the parameters against the documentation of this call."),
    ],
)
def test_a_status_is_told_with_88pays_words_in_sentences(tm, sandbox, status, told):
    body = {"status": "Error", "code": status, "message": "Not here"}
    sandbox.fault("calls", {"answer": {"status": status, "body": json.dumps(body)}})
    with pytest.raises(pay88.HttpError) as caught:
        tm.make_request("/api/echo").raise_for_status()
    assert str(caught.value) == f"http_error: {told}"
    assert (caught.value.http_status, caught.value.outcome) == (status, "answered")


AGAIN = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}


@pytest.mark.parametrize("again", AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("kind", CLASSES.values())
def test_an_error_is_made_from_a_message_and_survives_copying_and_pickling(again, kind):
    given = {"hint": "Wait.", "outcome": "unknown", "http_status": 503, "retry_after": 2.5, "attempt": 3}
    for error in (
        kind("It took too long"),
        kind("It took too long", **given),
        kind("It took too long", **given, retryable=True),
    ):
        twin = again(error)
        assert type(twin) is kind and isinstance(twin, pay88.Pay88Error)
        assert (vars(twin), twin.args, twin.code, str(twin), repr(twin)) == (
            vars(error),
            ("It took too long",),
            error.code,
            str(error),
            repr(error),
        )
    assert str(kind("It took too long")) == f"{kind.code}: It took too long"
    # Two sentences, whoever wrote the first one.
    assert str(error) == f"{kind.code}: It took too long. Wait."
    assert (error.outcome, error.http_status, error.retry_after, error.attempt, error.retryable) == (
        "unknown",
        503,
        2.5,
        3,
        True,
    )


def test_an_error_of_the_library_survives_copying_and_pickling(sandbox):
    sandbox.fault("token", {"answer": {"status": 429, "headers": [["Retry-After", "7"]]}})
    with pytest.raises(pay88.RateLimitedError) as caught:
        sandbox.manager().get_token()
    assert caught.value.args == (caught.value.message,)
    for again in AGAIN.values():
        twin = again(caught.value)
        assert type(twin) is pay88.RateLimitedError
        assert (vars(twin), str(twin)) == ({**vars(caught.value), "response": None}, str(caught.value))
    of_a_later_release = pay88.Pay88Error("It took too long.")
    of_a_later_release.code = "later"
    for again in AGAIN.values():
        assert str(again(of_a_later_release)) == "later: It took too long."


def test_an_error_in_a_mock_says_what_such_errors_say(tm):
    tm = unittest.mock.create_autospec(tm)
    tm.get_token.side_effect = pay88.RateLimitedError("Later.")
    with pytest.raises(pay88.RateLimitedError, match="rate_limited: Later") as caught:
        tm.get_token()
    assert (caught.value.outcome, caught.value.retryable, caught.value.retry_after) == ("not_sent", True, None)
    # Nothing is retryable of which it is not known that nothing was sent.
    for kind in CLASSES.values():
        assert not (kind("x").retryable and kind("x").outcome != "not_sent")
    assert pay88.TimedOutError("x").outcome == "unknown"
    assert pay88.HttpError("x").outcome == "answered"
    with pytest.raises(TypeError, match="code"):
        pay88.RateLimitedError("x", code="timeout")


def test_an_error_of_a_status_has_the_response(tm, sandbox):
    sandbox.fault("calls", {"answer": {"status": 422, "body": '{"status":"Error","code":422,"message":"No"}'}}, 2)
    answers = [
        tm.make_request("/api/echo"),
        asyncio.run(sandbox.async_manager().make_request("/api/echo")),
    ]
    for answer in answers:
        with pytest.raises(pay88.HttpError) as caught:
            answer.raise_for_status()
        assert caught.value.response is answer
        assert caught.value.response.json()["message"] == "No"
        assert caught.value.http_status == 422
        twin = pickle.loads(pickle.dumps(caught.value))
        assert (twin.response.status_code, twin.response.content) == (422, answer.content)
    assert pay88.RateLimitedError("x").response is None
    made = pay88.HttpError("x", response=answers[0])
    assert (made.http_status, made.response) == (422, answers[0])


@pytest.mark.parametrize(
    ("code", "base"),
    [
        ("config_invalid", ValueError),
        ("refused", ValueError),
        ("timeout", TimeoutError),
        ("credentials_rejected", PermissionError),
        ("access_denied", PermissionError),
        ("connection_failed", ConnectionError),
        ("tls_failed", ConnectionError),
    ],
)
def test_errors_are_caught_by_the_built_in_class_that_fits(code, base):
    with pytest.raises(base, match=r"What happened\. What to do\."):
        raise CLASSES[code]("What happened.", hint="What to do.")


def test_a_missing_library_or_extension_is_told_at_import_in_one_sentence(tmp_path):
    package = pathlib.Path(pay88.__file__).parent
    for left_out in ("libpay88.so.0", "_native.abi3.so"):
        copy_of = tmp_path / left_out / "pay88"
        shutil.copytree(package, copy_of, ignore=shutil.ignore_patterns(left_out))
        done = subprocess.run(
            [sys.executable, "-c", "import pay88"],
            env={"PYTHONPATH": str(copy_of.parent)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
        told = done.stderr.splitlines()[-1]
        assert told.startswith("ImportError: ")
        assert "install pay88 again" in told


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


@pytest.mark.parametrize("name", ["api_key", "ca_bundle", "timeout"])
@pytest.mark.parametrize("value", [["sk_test_secret"], {"sk_test_secret": 1}, True, "sk_test_secret\udcff", object()])
def test_an_option_of_a_wrong_type_is_named_without_its_value(sandbox, name, value):
    with pytest.raises(TypeError, match=f"option {name}") as caught:
        sandbox.manager(**{name: value})
    assert isinstance(caught.value, pay88.ConfigInvalidError)
    assert caught.value.outcome == "not_sent"
    assert "secret" not in str(caught.value)


def test_a_path_may_be_bytes_and_nothing_else_may(sandbox, tmp_path):
    path = pathlib.Path(shutil.copy(sandbox.ca_bundle, tmp_path / "ca ñ.pem"))
    for given in (path, str(path), os.fsencode(path)):
        # Other credentials, since the managers of a process's credentials have to agree on a bundle.
        assert sandbox.manager(api_key=sandbox.new_key(), ca_bundle=given).get_token()
    for given in (os.fsdecode(b"/tmp/\xff.pem"), b"/tmp/\xff.pem"):
        with pytest.raises(pay88.ConfigInvalidError, match="ca_bundle is not text in UTF-8"):
            sandbox.manager(ca_bundle=given)
    with pytest.raises(pay88.ConfigInvalidError, match="api_key is bytes"):
        sandbox.manager(api_key=sandbox.api_key.encode())
    with pytest.raises(pay88.ConfigInvalidError, match="api_key is bytes") as caught:
        sandbox.manager().rotate(b"sk_test_secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("face", ["TokenManager", "AsyncTokenManager"])
@pytest.mark.parametrize("option", ["ca_bundle", "base_url", "api_key", "proxy"])
def test_what_is_set_in_the_environment_and_is_not_utf8_is_refused(sandbox, face, option):
    variable = f"EIGHTY_EIGHT_PAY_{option.upper()}"
    program = f"""
import os, pay88
os.environb[b"{variable}"] = b"/tmp/secret-\\xff"
try:
    pay88.{face}()
except pay88.ConfigInvalidError as error:
    print(error)
"""
    status, out, err = sandbox.run(program)
    assert (status, err) == (0, "")
    assert variable in out and "UTF-8" in out and "secret" not in out


def test_a_closed_manager_holds_no_option(sandbox):
    """While the objects live on."""
    closed = [sandbox.manager(share="process"), sandbox.async_manager(share="process")]
    with pytest.raises(pay88.ConfigInvalidError, match="share"):
        sandbox.manager(share="host")
    for manager in closed:
        manager.close()
    assert sandbox.manager(share="host").manager_id != closed[0].manager_id


def test_a_time_that_is_too_long_is_told_in_seconds(sandbox):
    with pytest.raises(pay88.ConfigInvalidError, match="seconds"):
        sandbox.manager(timeout=30_000)
    with pytest.raises(pay88.ConfigInvalidError, match=r"3600|hour|seconds"):
        sandbox.manager().make_request("/api/echo", timeout=30_000)


def test_no_secret_is_in_anything_that_is_printed_or_pickled(sandbox):
    tm = sandbox.manager()
    token = tm.get_token()
    answer = tm.make_request("/api/echo")
    printed = [str(thing) + repr(thing) + format(thing) for thing in (tm, token, answer, answer.headers)]
    printed += [json.dumps(tm.stats()), repr(vars(type(tm))), repr(dir(token)), pickle.dumps(answer).decode("latin-1")]
    # Functions of their own, so that the secrets stand in no frame of this test that a traceback would show.
    secret_header = {"Authorization": token.access_token}
    for fail in (
        lambda: tm.make_request("//evil.example"),
        lambda: tm.make_request("/api/echo", headers={"Authorization": "mine"}),
        lambda: token["token"],
        lambda: sandbox.manager(no_such_option=1),
        lambda: sandbox.manager(base_url="https://api.88pay.io"),
        lambda: pickle.dumps(tm),
        lambda: pickle.dumps(token),
        lambda: copy.copy(tm),
        lambda: asyncio.run(sandbox.async_manager().make_request("//evil.example")),
        lambda: tm.make_request("/api/echo", headers=secret_header),
    ):
        with pytest.raises(Exception) as caught:
            fail()
        error = caught.value
        trace = traceback.TracebackException(type(error), error, error.__traceback__.tb_next, capture_locals=True)
        if "secret_header" not in fail.__code__.co_freevars:
            printed += trace.format()
        printed += [str(error), repr(error)]
        if isinstance(error, pay88.Pay88Error):
            printed.append(pickle.dumps(error).decode("latin-1"))
    text = "\n".join(printed)
    assert tm.merchant_id in text
    assert_none_of((sandbox.api_key.removeprefix("sk_test_"), token.access_token, token.session_id), text)


def test_no_secret_is_in_any_log(sandbox):
    """With everything logged that any library of the process logs, failures included."""
    program = """
import asyncio, logging, sys, time, pay88
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
logging.getLogger("pay88").addHandler(type("Whole", (logging.Handler,), {"emit": lambda self, r: print(vars(r))})())
pay88.log_events()
tm = pay88.TokenManager()
token = tm.get_token()
print("secrets", token.access_token, token.session_id, file=sys.stderr)
async def main():
    async with pay88.AsyncTokenManager() as atm:
        await atm.make_request("/api/echo")
        try:
            await atm.make_request("/api/cut", "POST", json={})
        except pay88.Pay88Error:
            logging.getLogger().exception("a call failed")
asyncio.run(main(), debug=True)
tm.invalidate()
tm.get_token()
tm.rotate("sk_test_sandbox_rotated_key_of_this_test")
"""
    sandbox.fault({"path": "/api/cut"}, "cut_before_answer", times=None)
    status, out, err = sandbox.run(program)
    assert status == 0, err
    marked, *secrets = err.split()
    assert (marked, len(secrets)) == ("secrets", 2), err
    for name in ("token_issued", "token_invalidated", "call_failed", "key_rotated"):
        assert name in out
    assert_none_of((sandbox.api_key.removeprefix("sk_test_"), "rotated_key_of_this_test", *secrets), out)


def assert_none_of(secrets, text):
    for secret in secrets:
        for start in range(len(secret) - 11):
            assert secret[start : start + 12] not in text


def test_an_interpreter_with_rights_of_its_own_says_why_the_environment_is_not_read(sandbox, tmp_path):
    """As after `setcap` on it, for a port below 1024; here by setgid, which has the same effect on root too."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another group")
    interpreter = shutil.copy(os.path.realpath(sys.executable), tmp_path / "python")
    os.chown(interpreter, -1, 65534)
    os.chmod(interpreter, 0o2755)
    environment = {**sandbox.environment, "PYTHONHOME": sys.base_prefix}
    program = "import pay88\ntry: pay88.TokenManager()\nexcept pay88.ConfigInvalidError as error: print(error)"
    done = subprocess.run([interpreter, "-c", program], env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert "EIGHTY_EIGHT_PAY_API_KEY is not read" in done.stdout and "setcap" in done.stdout


@pytest.mark.parametrize(
    "option", ["api_key", "merchant_id", "base_url", "ca_bundle", "timeout", "tokens_per_hour", "share"]
)
@pytest.mark.parametrize("blank", ["", " \t"])
def test_an_option_that_is_blank_is_not_taken_for_one_that_is_absent(sandbox, option, blank):
    with pytest.raises(pay88.ConfigInvalidError, match=option):
        sandbox.manager(**{option: blank})


def test_numbers_of_any_kind_are_options(sandbox):
    tm = sandbox.manager(timeout=decimal.Decimal("2.5"), tokens_per_hour=90, idle_timeout=fractions.Fraction(5, 1))
    assert tm.get_token()
