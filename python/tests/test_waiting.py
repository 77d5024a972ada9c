"""Waits let other threads run, and end with Ctrl-C and with time."""

import signal
import subprocess
import sys
import threading
import time

import pytest

import pay88
from charges import CHARGE, CHARGES


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
            tm.get_token(timeout=1)
        except pay88.Pay88Error as error:
            errors.append(error.code)

    thread = threading.Thread(target=get)
    # Counted from before the start, after which the thread may have run first.
    longest, before = 0.0, time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(0.001)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    longest = max(longest, time.monotonic() - before)
    assert errors == ["timeout"]
    # Had it kept the GIL, this thread would have stood still for the whole second.
    assert longest < 0.5, longest


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
import sys, time, pay88
tm = pay88.TokenManager()
print("waiting", flush=True)
try:
    {call}
except KeyboardInterrupt as interrupt:
    print(time.clock_gettime(time.CLOCK_MONOTONIC), interrupt.__cause__.code, interrupt.__cause__.outcome)
"""


@pytest.mark.parametrize(
    ("call", "slow_part", "outcome"),
    [
        ("tm.get_token()", "token", "not_sent"),
        (f"tm.make_request({CHARGES!r}, 'POST', json={CHARGE!r})", "calls", "unknown"),
    ],
)
def test_ctrl_c_ends_a_wait_and_says_whether_the_request_can_have_arrived(sandbox, call, slow_part, outcome, capsys):
    sandbox.fault(slow_part, {"delay": {"seconds": 20}}, times=None)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(call=call)],
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(1)
        pressed = time.clock_gettime(time.CLOCK_MONOTONIC)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err) == (0, "")
    ended, code, told = out.split()
    took = float(ended) - pressed
    with capsys.disabled():
        print(f"\nCtrl-C during {slow_part}: the call ended after {took * 1000:.0f} ms")
    assert (code, told) == ("canceled", outcome)
    assert took < 2
