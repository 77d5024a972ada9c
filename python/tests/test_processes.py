"""Processes of a host: one token for all workers, and forks in the middle of everything, with nothing set."""

import concurrent.futures
import json
import os
import pathlib
import pwd
import time

import pytest
from serving import serving

WORKERS = 8

APPLICATION = """
import json, os
import pay88
from charges import CHARGE, CHARGES
tm, later = pay88.TokenManager(), pay88.TokenManager(os.environ["LATER_KEY"])
# Before the workers are forked.
assert tm.make_request(CHARGES, "POST", json=CHARGE).status_code == 200
before = tm.stats()

def application(environ, start_response):
    statuses = [manager.make_request(CHARGES, "POST", json=CHARGE).status_code for manager in (tm, later)]
    shares = [[stats[name] for name in ("share", "share_path", "share_degraded")] for stats in (before, later.stats())]
    body = json.dumps({"worker": os.getpid(), "user": os.geteuid(), "statuses": statuses, "shares": shares})
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body.encode()]
"""


@pytest.fixture
def by_default(sandbox):
    """The environment of a process that says nothing of sharing, and the paths of what is shared then."""
    environment = sandbox.environment
    del environment["EIGHTY_EIGHT_PAY_SHARE"]
    paths = set()
    yield environment, paths
    for path in paths:
        pathlib.Path(path).unlink()
        pathlib.Path(f"{path}.lock").unlink()


@pytest.mark.parametrize("user", [None, "www-data"])
def test_all_workers_of_gunicorn_have_one_token(sandbox, by_default, tmp_path, user):
    if user and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    environment, paths = by_default
    environment["LATER_KEY"] = sandbox.new_key()
    flags = ["-w", str(WORKERS), "--preload"]
    if user:
        tmp_path.chmod(0o755)
        flags += ["--user", user, "--group", user]
    # So that no worker answers all.
    sandbox.fault("calls", {"delay": {"seconds": 0.1}}, times=None)
    answers, deadline = {}, time.monotonic() + 30
    with serving(APPLICATION, tmp_path, environment, *flags) as ask, concurrent.futures.ThreadPoolExecutor(16) as pool:
        while len(answers) < WORKERS:
            assert time.monotonic() < deadline, answers
            for answer in map(json.loads, pool.map(ask, range(32))):
                answers[answer["worker"]] = answer
                paths.update(path for _, path, _ in answer["shares"])
    own = os.geteuid()
    uid = pwd.getpwnam(user).pw_uid if user else own
    for answer in answers.values():
        assert (answer["statuses"], answer["user"]) == ([200, 200], uid)
        shares = [(share, pathlib.Path(path).parent.name, why) for share, path, why in answer["shares"]]
        assert shares == [("host", f"pay88-{own}", None), ("host", f"pay88-{uid}", None)]
    assert len(paths) == 2
    # That of the master, which the workers inherit, and one for the key that only they use.
    assert sandbox.tokens_issued() == 2


FORKS = """
import multiprocessing, os, sys, threading, time
import pay88
from charges import CHARGE, CHARGES

TIMES, LIMIT = 200, 30
LIMITS = {"tokens_per_minute": 1000, "tokens_per_hour": 10000}
tm = pay88.TokenManager(**LIMITS)
over, failed = threading.Event(), []

def charge():
    return tm.make_request(CHARGES, "POST", json=CHARGE).status_code

def child():
    own = pay88.TokenManager(**LIMITS)
    statuses = [charge(), own.make_request("/api/echo").status_code]
    sys.exit(0 if statuses == [200, 200] else 1)

def charges():
    while not over.is_set():
        try:
            status = charge()
        except pay88.Pay88Error as error:
            status = repr(error)
        if status != 200:
            failed.append(status)

def descriptors():
    return len(os.listdir("/proc/self/fd"))

context = multiprocessing.get_context("fork")
threads = [threading.Thread(target=charges) for _ in range(4)]
for thread in threads:
    thread.start()
time.sleep(1)
before = descriptors()
for number in range(TIMES):
    # Falls into every phase of a token's second.
    time.sleep(number * 37 % 60 / 1000)
    process = context.Process(target=child)
    process.start()
    process.join(LIMIT)
    if process.exitcode != 0:
        failed.append(f"child {number}: {process.exitcode}")
        process.kill()
        break
    process.close()
over.set()
for thread in threads:
    thread.join()
after = descriptors()
print(number + 1, failed, f"{before} to {after} descriptors" if after > before + 4 else "")
"""


def test_forks_with_calls_and_refreshes_in_flight_hurt_neither_parent_nor_child(sandbox):
    # A token is used for a second, and a third of that second a refresh is under way.
    switches = {"expires_in": 11, "tokens_per_minute": 0, "tokens_per_hour": 0, "token_delay": 0.3}
    usual = sandbox.control("GET", "/switches")
    sandbox.control("POST", "/switches", switches)
    begun = time.monotonic()
    try:
        assert sandbox.run(FORKS, "-W", "ignore", timeout=120) == (0, "200 [] \n", "")
    finally:
        sandbox.control("POST", "/switches", {name: usual[name] for name in switches})
    took = time.monotonic() - begun
    counters = sandbox.control("GET", "/counters")
    assert (counters["unauthorized"], counters["tokens_refused"]) == (0, {})
    # A token is renewed after 0.9 s; the request of a child that ends in the middle of it is made once more.
    assert counters["tokens_issued"] <= 2 * took + 5
