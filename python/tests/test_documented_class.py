"""What README.md says of the class in 88Pay's documentation and of pay88, side by side: each row of its table that is not a
measured figure has a test here. The class is the one that the benchmark runs, word for word as in the documentation."""

import contextlib
import importlib.util
import pathlib
import threading

import pytest
import requests

import pay88
from charges import CHARGE, CHARGES

DOCUMENTED = pathlib.Path(__file__).resolve().parents[2] / "bench" / "python" / "documented.py"


@pytest.fixture
def documented(sandbox, monkeypatch):
    """An object of the documented class, whose HTTP client trusts the sandbox."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", sandbox.ca_bundle)
    specification = importlib.util.spec_from_file_location("documented", DOCUMENTED)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.TokenManager(sandbox.api_key, sandbox.merchant_id, sandbox.base_url)


CLASS_PROGRAM = """
import os, runpy, sys
os.environ["REQUESTS_CA_BUNDLE"] = os.environ["EIGHTY_EIGHT_PAY_CA_BUNDLE"]
name = "EIGHTY_EIGHT_PAY_{{}}".format
TokenManager = runpy.run_path({documented!r})["TokenManager"]
TokenManager(*(os.environ[name(one)] for one in ("API_KEY", "MERCHANT_ID", "BASE_URL"))).get_token()
"""


def test_two_processes_of_the_class_need_two_tokens_and_of_pay88_one(sandbox):
    for _ in range(2):
        assert sandbox.run(CLASS_PROGRAM.format(documented=str(DOCUMENTED)))[0] == 0
    assert sandbox.tokens_issued() == 2
    for _ in range(2):
        assert sandbox.run("import pay88; pay88.TokenManager().get_token()")[0] == 0
    assert sandbox.tokens_issued() == 3


def at_once(times, work):
    threads = [threading.Thread(target=work) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_threads_that_find_no_token_ask_once_each_with_the_class_and_once_together_with_pay88(sandbox, documented):
    sandbox.fault("token", {"delay": {"seconds": 2}}, times=None)
    at_once(4, documented.get_token)
    assert sandbox.tokens_issued() == 4
    at_once(4, sandbox.manager().get_token)
    assert sandbox.tokens_issued() == 5


def test_a_token_request_without_an_answer_holds_the_class_and_ends_in_time_with_pay88(sandbox, documented):
    sandbox.fault("token", "stall", times=None)

    def wait():
        with contextlib.suppress(requests.RequestException):
            documented.get_token()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    with pytest.raises(pay88.TimedOutError) as caught:
        sandbox.manager(timeout=1).get_token()
    assert caught.value.outcome == "not_sent"
    waiting.join(3)
    assert waiting.is_alive()


def test_a_token_that_was_revoked_fails_a_call_of_the_class_and_is_replaced_by_pay88(sandbox, documented):
    tm = sandbox.manager()
    documented.get_token()
    tm.get_token()
    sandbox.control("POST", "/revoke")
    assert documented.make_request("/api/echo", "GET").status_code == 401
    assert tm.make_request("/api/echo").status_code == 200


@pytest.mark.parametrize("fault, outcome", [("cut_handshake", "not_sent"), ("cut_before_answer", "unknown")])
def test_whether_a_charge_arrived_is_told_by_pay88_alone(sandbox, documented, fault, outcome):
    documented.get_token()
    # Without kept connections, as the class: so both meet the fault.
    tm = sandbox.manager(idle_timeout=0)
    tm.get_token()
    sandbox.fault("any", fault, times=None)
    with pytest.raises(requests.ConnectionError):
        documented.make_request(CHARGES, "POST", json=CHARGE)
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.make_request(CHARGES, "POST", json=CHARGE, timeout=5)
    assert caught.value.outcome == outcome


def test_a_redirect_takes_the_session_id_elsewhere_with_the_class_and_is_an_answer_of_pay88(
    sandbox, documented, elsewhere
):
    address, asked = elsewhere
    sandbox.fault("calls", {"answer": {"status": 302, "headers": [["Location", address]]}}, times=None)
    documented.make_request("/api/echo", "GET")
    assert [one["x-session-id"] for one in asked] == [documented.cache["session_id"]]
    assert sandbox.manager().make_request("/api/echo").status_code == 302
    assert len(asked) == 1


def test_each_call_of_the_class_makes_a_connection_and_pay88_keeps_one(sandbox, documented):
    def connections(tm):
        before = sandbox.control("GET", "/counters")["connections_accepted"]
        for _ in range(3):
            assert tm.make_request("/api/echo", "GET").status_code == 200
        return sandbox.control("GET", "/counters")["connections_accepted"] - before

    assert connections(documented) == 4
    assert connections(sandbox.manager()) <= 1


def test_headers_are_an_error_of_the_class_and_are_sent_by_pay88(sandbox, documented):
    with pytest.raises(TypeError):
        documented.make_request("/api/echo", "GET", headers={"X-Order": "42"})
    echoed = sandbox.manager().make_request("/api/echo", headers={"X-Order": "42"}).json()
    assert "42" in str(echoed)


def test_the_object_shows_the_token_with_the_class_and_not_with_pay88(sandbox, documented):
    token = documented.get_token()["access_token"]
    assert token in str(vars(documented))
    tm = sandbox.manager()
    secret = tm.get_token().access_token
    assert secret not in repr(tm) + repr(tm.get_token()) + str(tm.stats())
