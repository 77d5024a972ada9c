"""Green threads: gevent and eventlet, and gunicorn's workers."""

import concurrent.futures
import json
import time

import pytest
from serving import serving

from charges import CHARGES, TOKEN

AT_ONCE = 20

GREEN = """
import {kind}
{patch}
import threading, time
import pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager()
statuses, beats = [], []

def charge():
    statuses.append(tm.make_request(CHARGES, "POST", json=CHARGE).status_code)

def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.05)

threading.Thread(target=beat, daemon=True).start()
threads = [threading.Thread(target=charge) for _ in range({at_once})]
start = time.monotonic()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.monotonic() - start
longest = max(later - earlier for earlier, later in zip(beats, beats[1:]))
print(statuses == [200] * {at_once}, took < {limit}, longest < 1.8)
"""

KINDS = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "eventlet.monkey_patch()",
}


@pytest.mark.parametrize("kind", KINDS)
def test_green_threads_wait_side_by_side(sandbox, kind):
    sandbox.fault("token", {"delay": {"seconds": 2}})
    sandbox.fault("calls", {"delay": {"seconds": 2}}, times=None)
    program = GREEN.format(kind=kind, patch=KINDS[kind], at_once=AT_ONCE, limit=15)
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, out.split()) == (0, ["True"] * 3), out + err
    assert sandbox.tokens_issued() == 1


GIVEN_UP = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, pay88
tm = pay88.TokenManager()
with gevent.Timeout(0.3, False):
    tm.get_token()
    print("not given up")
try:
    tm.get_token(timeout=0.3)
except pay88.TimedOutError as error:
    print(error.code)
other = gevent.spawn(tm.get_token)
gevent.sleep(0.1)
other.kill()
print(other.successful(), tm.get_token().expires_in)
"""


def test_a_green_thread_that_gives_up_leaves_the_others(sandbox):
    sandbox.fault("token", {"delay": {"seconds": 2}})
    assert sandbox.run(GIVEN_UP) == (0, "timeout\nTrue 60\n", "")
    assert sandbox.tokens_issued() == 1


GIVEN_UP_IN_A_CHARGE = """
import {kind}
{patch}
import pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager()
tm.get_token()
try:
    with {kind}.Timeout(2):
        tm.make_request(CHARGES, "POST", json=CHARGE)
except {kind}.Timeout as given_up:
    print(given_up.__cause__.code, given_up.__cause__.outcome)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_charge_that_a_green_thread_gives_up_says_whether_it_can_have_arrived(sandbox, kind):
    sandbox.fault("calls", {"delay": {"seconds": 20}})
    program = GIVEN_UP_IN_A_CHARGE.format(kind=kind, patch=KINDS[kind])
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, out, err) == (0, "canceled unknown\n", "")


GIVEN_UP_AS_THE_ANSWER_COMES = """
import {kind}
{patch}
import json
import pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager()
tm.get_token()
causes = []

class GivenUp(BaseException):
    pass

def charge():
    try:
        tm.make_request(CHARGES, "POST", json=CHARGE)
    except GivenUp as given_up:
        causes.append(given_up.__cause__)

green = {kind}.spawn(charge)
{kind}.sleep(0)
# The other green threads stand still until the answer is there.
while not tm.stats()["calls_answered_422"]:
    {sleep}(0.01)
{sleep}(0.2)
{kind}.kill(green, GivenUp)
while not causes:
    {kind}.sleep(0.01)
(cause,) = causes
print(type(cause).__name__, cause.outcome, cause.response.status_code, cause.response.json()["message"])
"""
SLEEPS = {
    "gevent": 'gevent.monkey.get_original("time", "sleep")',
    "eventlet": 'eventlet.patcher.original("time").sleep',
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_as_its_green_thread_gives_up_is_not_lost(sandbox, kind):
    sandbox.fault("calls", {"answer": {"status": 422, "body": '{"status":"Error","code":422,"message":"No"}'}})
    program = GIVEN_UP_AS_THE_ANSWER_COMES.format(kind=kind, patch=KINDS[kind], sleep=SLEEPS[kind])
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, out, err) == (0, "CanceledError answered 422 No\n", "")


GIVEN_UP_TWICE = """
import {kind}
{patch}
import os
import pay88
from charges import CHARGE, CHARGES, wait_for
tm = pay88.TokenManager()
calls = {{"token": tm.get_token, "charge": lambda: tm.make_request(CHARGES, "POST", json=CHARGE)}}
causes = []

class GivenUp(BaseException):
    pass

def call():
    try:
        calls["{call}"]()
    except GivenUp as given_up:
        causes.append(given_up.__cause__)

green = {kind}.spawn(call)
wait_for(os.environ["PAY88_SANDBOX_CONTROL"], "{target}")
{kind}.kill(green, GivenUp)
{kind}.kill(green, GivenUp)
while not causes:
    {kind}.sleep(0.01)
print(causes[0].code, causes[0].outcome)
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("call", "target", "outcome"), [("token", TOKEN, "not_sent"), ("charge", CHARGES, "unknown")])
def test_a_green_thread_that_does_not_wait_for_the_end_of_its_call_is_told_too(sandbox, kind, call, target, outcome):
    sandbox.fault({"path": target}, {"delay": {"seconds": 20}})
    program = GIVEN_UP_TWICE.format(kind=kind, patch=KINDS[kind], call=call, target=target)
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, out, err) == (0, f"canceled {outcome}\n", "")


APPLICATION = """
import pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager()

def application(environ, start_response):
    answer = tm.make_request(CHARGES, "POST", json=CHARGE)
    start_response(f"{answer.status_code} Answered", [("Content-Length", "0")])
    return []
"""


@pytest.mark.parametrize(
    "worker",
    [["-k", "gevent"], ["-k", "gthread", "--threads", str(AT_ONCE)], ["-k", "gevent", "--preload"]],
    ids=["gevent", "gthread", "gevent-preload"],
)
def test_gunicorn_makes_slow_charges_side_by_side(sandbox, tmp_path, worker):
    with serving(APPLICATION, tmp_path, sandbox.environment, "-w", "1", *worker) as ask:
        sandbox.fault("calls", {"delay": {"seconds": 2}}, times=None)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            start = time.monotonic()
            assert list(pool.map(ask, range(AT_ONCE))) == [""] * AT_ONCE
            took = time.monotonic() - start
    assert 2 <= took < 6, took
    assert sandbox.tokens_issued() == 1


FORKED = """
import {kind}
{patch}
import json, os, signal, sys, threading, time
import pay88
from charges import CHARGE, CHARGES, TOKEN, wait_for
tm = pay88.TokenManager()
ended = {{}}

def end_with(name, call):
    try:
        ended[name] = call()
    except pay88.Pay88Error as error:
        ended[name] = [error.code, error.outcome, error.retryable]

calls = {{
    "token": lambda: tm.get_token().expires_in,
    "charge": lambda: tm.make_request(CHARGES, "POST", json=CHARGE).status_code,
    "safe": lambda: tm.make_request(CHARGES, "POST", json=CHARGE, safe_to_repeat=True).status_code,
}}
threads = [threading.Thread(target=end_with, args=call) for call in calls.items()]
for thread in threads:
    thread.start()
wait_for(os.environ["PAY88_SANDBOX_CONTROL"], TOKEN)
child = os.fork()
if child == 0:
    signal.alarm(20)
# Not joined: to the child's threading they are gone.
while len(ended) < len(calls):
    time.sleep(0.05)
if child == 0:
    print(json.dumps(["child", ended, tm.get_token().expires_in]), flush=True)
    os._exit(0)
print(json.dumps(["parent", ended, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_green_threads_of_a_child_wait_for_that_its_parent_has_begun_ends_with_forked(sandbox, kind):
    sandbox.fault("token", {"delay": {"seconds": 2}})
    status, out, err = sandbox.run(FORKED.format(kind=kind, patch=KINDS[kind]), "-W", "ignore", timeout=40)
    assert (status, len(out.splitlines())) == (0, 2), out + err
    child, parent = sorted(map(json.loads, out.splitlines()))
    told = {
        "token": ["forked", "not_sent", True],
        "charge": ["forked", "unknown", False],
        "safe": ["forked", "unknown", True],
    }
    assert child == ["child", told, 60]
    assert parent == ["parent", {"token": 60, "charge": 200, "safe": 200}, 0]
