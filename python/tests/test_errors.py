"""What is raised, and that nothing gives a secret away."""

import asyncio
import copy
import ctypes
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import traceback

import pytest

import pay88
from conftest import ROOT
from pay88._error import CLASSES


class Text(ctypes.Structure):
    """A pay88_str."""

    _fields_ = (("data", ctypes.c_char_p), ("len", ctypes.c_size_t))

    def __str__(self):
        return self.data[: self.len].decode()


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


@pytest.mark.parametrize("code", [*CLASSES, "code_of_a_later_release"])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_copying_and_pickling(again, code):
    error = CLASSES.get(code, pay88.Pay88Error)(code, "It took too long.", "Wait.", "unknown", 503, 2.5, True, 3)
    twin = again(error)
    assert type(twin) is type(error)
    assert isinstance(twin, pay88.Pay88Error)
    assert (vars(twin), twin.args, twin.outcome, twin.attempt, str(twin), repr(twin)) == (
        {},
        error.args,
        "unknown",
        3,
        str(error),
        repr(error),
    )


def test_every_code_of_the_library_has_a_class():
    library = ctypes.CDLL(os.path.join(os.path.dirname(pay88.__file__), "libpay88.so.0"))
    library.pay88_status_name.restype = Text
    library.pay88_status_name.argtypes = [ctypes.c_int]
    header = (ROOT / "include" / "pay88.h").read_text()
    numbers = [int(number) for number in re.findall(r"^  PAY88_[A-Z_]+ = ([1-9]\d\d),$", header, re.MULTILINE)]
    assert {str(library.pay88_status_name(number)) for number in numbers} == set(CLASSES)


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
        raise CLASSES[code](code, "What happened.", "What to do.", "not_sent", None, None, False, None)


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
        lambda: pickle.dumps(answer),
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
