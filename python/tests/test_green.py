"""Green threads: gevent and eventlet, and gunicorn's workers."""

import concurrent.futures
import time

import pytest
from serving import serving

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
print(statuses == [200] * {at_once}, took < {limit}, longest < 0.9)
"""

KINDS = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "eventlet.monkey_patch()",
}


@pytest.mark.parametrize("kind", KINDS)
def test_green_threads_wait_side_by_side(sandbox, kind):
    sandbox.fault("token", {"delay": {"seconds": 1}})
    sandbox.fault("calls", {"delay": {"seconds": 1}}, times=None)
    program = GREEN.format(kind=kind, patch=KINDS[kind], at_once=AT_ONCE, limit=8)
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
