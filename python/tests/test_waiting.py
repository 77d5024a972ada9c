"""Waits let other threads run, and end with Ctrl-C and with time."""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import pay88
from charges import CHARGES, TOKEN


@pytest.fixture
def slow(sandbox):
    """Token requests are answered after 20 seconds."""
    sandbox.fault("token", {"delay": {"seconds": 20}}, times=None)
    return sandbox


def test_other_threads_run_while_one_waits(slow):
    tm = slow.manager()
    errors = []

    def get():
        try:
            tm.get_token(timeout=3)
        except pay88.Pay88Error as error:
            errors.append(error.code)

    thread = threading.Thread(target=get)
    turns = 0
    thread.start()
    while thread.is_alive():
        thread.join(0.001)
        turns += 1
    assert errors == ["timeout"]
    # Had it kept the GIL, this thread would have stood still, or have run once for each look for signals: every 50 ms.
    assert turns > 100, turns


@pytest.mark.parametrize("waiting", ["get_token", "make_request"])
def test_a_wait_ends_in_time(slow, waiting):
    tm = slow.manager()
    start = time.monotonic()
    with pytest.raises(pay88.Pay88Error) as caught:
        getattr(tm, waiting)(**({"endpoint": "/api/echo"} if waiting == "make_request" else {}), timeout=0.3)
    assert 0.25 < time.monotonic() - start < 2
    assert (caught.value.code, caught.value.outcome) == ("timeout", "not_sent")


def test_closing_ends_the_waits_of_other_threads(slow):
    tm = slow.manager()
    threading.Timer(0.3, tm.close).start()
    start = time.monotonic()
    with pytest.raises(pay88.Pay88Error) as caught:
        tm.get_token()
    assert caught.value.code == "canceled"
    assert time.monotonic() - start < 2


INTERRUPTED = """
import sys, threading, time, pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager()
{before}
print("waiting", flush=True)
try:
    {call}
except KeyboardInterrupt as interrupt:
    print(time.clock_gettime(time.CLOCK_MONOTONIC), interrupt.__cause__.code, interrupt.__cause__.outcome)
{after}
"""


def interrupt(program, environment, arrived):
    """Presses Ctrl-C when `arrived` has returned; gives the seconds until the program noticed, and what else it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "waiting\n"
        arrived()
        # It waits for the answer.
        time.sleep(0.3)
        pressed = time.clock_gettime(time.CLOCK_MONOTONIC)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    ended, *told = out.split()
    return float(ended) - pressed, told


@pytest.fixture
def deaf():
    """A port whose connections are never accepted, nor refused."""
    with socket.socket() as server, contextlib.ExitStack() as open_ones:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(8):
            filler = open_ones.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("phase", "call", "outcome"),
    [
        ("token", "tm.get_token()", "not_sent"),
        ("connecting", "tm.get_token()", "not_sent"),
        ("connecting", "tm.make_request(CHARGES, 'POST', json=CHARGE)", "not_sent"),
        ("calls", "tm.make_request(CHARGES, 'POST', json=CHARGE)", "unknown"),
    ],
)
def test_ctrl_c_ends_a_wait_and_says_whether_the_request_can_have_arrived(sandbox, deaf, phase, call, outcome, capsys):
    environment = sandbox.environment
    if phase == "connecting":
        environment["EIGHTY_EIGHT_PAY_BASE_URL"] = f"http://127.0.0.1:{deaf}"
        arrived = functools.partial(time.sleep, 1)
    else:
        sandbox.fault(phase, {"delay": {"seconds": 20}}, times=None)
        arrived = functools.partial(sandbox.wait_for, {"token": TOKEN, "calls": CHARGES}[phase])
    took, told = interrupt(INTERRUPTED.format(before="", call=call, after=""), environment, arrived)
    with capsys.disabled():
        print(f"\nCtrl-C, {phase}, {call.split('(')[0]}: ended after {took * 1000:.0f} ms (the aim is 200)")
    assert told == ["canceled", outcome]
    assert took < 2


STOPPED_IN_A_PAUSE = """
import json, os, resource, signal, pay88
from charges import CHARGE, CHARGES
tm = pay88.TokenManager(share="process")
# A user of its own, who may have no thread more, and perhaps not read Python's own modules.
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.25)
try:
    tm.make_request(CHARGES, "POST", json=CHARGE)
except KeyboardInterrupt as interrupt:
    print(interrupt.__cause__.outcome, interrupt.__cause__.response)
"""


def test_ctrl_c_says_what_became_of_a_call_that_gets_its_token_on_its_own_thread(sandbox):
    """Where no other can be had. The signal comes in the pause before the token is asked for once more."""
    if os.geteuid() != 0:
        pytest.skip("only root can become a user that may have no threads")
    sandbox.fault("token", {"answer": {"status": 503}})
    status, out, err = sandbox.run(STOPPED_IN_A_PAUSE)
    assert (status, err) == (0, "")
    # The charge goes out or not; who pressed the keys can tell.
    charged = len(sandbox.control("GET", "/charges"))
    assert (charged, out) in [(0, "not_sent None\n"), (1, "answered <pay88.Response [200]>\n")]


def test_ctrl_c_leaves_the_calls_of_other_threads(sandbox):
    sandbox.fault("calls", {"delay": {"seconds": 3}}, times=None)
    charge = "tm.make_request(CHARGES, 'POST', json=CHARGE)"
    before = f"other = threading.Thread(target=lambda: print({charge}.status_code))\nother.start()"
    program = INTERRUPTED.format(before=before, call=charge, after="other.join()")
    _, told = interrupt(program, sandbox.environment, functools.partial(sandbox.wait_for, CHARGES, 2))
    assert told == ["canceled", "unknown", "200"]


def test_ctrl_c_ends_an_event_loop_that_waits(sandbox):
    sandbox.fault("token", {"delay": {"seconds": 20}}, times=None)
    program = """
import asyncio, time, pay88
async def main():
    async with pay88.AsyncTokenManager() as atm:
        print("waiting", flush=True)
        await atm.get_token()
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print(time.clock_gettime(time.CLOCK_MONOTONIC))
"""
    took, told = interrupt(program, sandbox.environment, functools.partial(sandbox.wait_for, TOKEN))
    assert told == []
    assert took < 2


def test_a_handler_that_does_not_raise_does_not_end_a_wait(sandbox):
    sandbox.fault("token", {"delay": {"seconds": 3}})
    program = """
import signal, pay88
rung = []
signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
pay88.TokenManager().get_token()
# At its end the interpreter takes its handlers back: the next alarm would end it.
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(rung) > 3)
"""
    assert sandbox.run(program) == (0, "True\n", "")
