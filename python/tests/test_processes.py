"""Processes of a host: one token for all workers, and forks in the middle of everything, with nothing set."""

import concurrent.futures
import json
import os
import pathlib
import pwd
import time

import pytest
from serving import ask_until_all_answered, serving

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
    renewed = tm.stats()["tokens_issued"] - before["tokens_issued"]
    own = {"worker": os.getpid(), "user": os.geteuid(), "renewed": renewed}
    body = json.dumps({**own, "statuses": statuses, "shares": shares})
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


@pytest.fixture
def short_lived(sandbox):
    """Tokens that are used for a second, from a sandbox without limits."""
    switches = {"expires_in": 11, "tokens_per_minute": 0, "tokens_per_hour": 0}
    usual = sandbox.control("GET", "/switches")
    sandbox.control("POST", "/switches", switches)
    yield
    sandbox.control("POST", "/switches", {name: usual[name] for name in [*switches, "token_delay"]})


def flags_for(user, directory):
    """For gunicorn."""
    if user and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    flags = ["-w", str(WORKERS), "--preload"]
    if user:
        directory.chmod(0o755)
        flags += ["--user", user, "--group", user]
    return flags


@pytest.mark.parametrize("user", [None, "www-data"])
def test_all_workers_of_gunicorn_have_one_token(sandbox, by_default, tmp_path, user):
    flags = flags_for(user, tmp_path)
    environment, paths = by_default
    environment["LATER_KEY"] = sandbox.new_key()
    # So that no worker answers all.
    sandbox.fault("calls", {"delay": {"seconds": 0.1}}, times=None)
    with serving(APPLICATION, tmp_path, environment, *flags) as ask:
        answers = ask_until_all_answered(ask, WORKERS, lambda answer: json.loads(answer)["worker"])
    own = os.geteuid()
    uid = pwd.getpwnam(user).pw_uid if user else own
    for answer in map(json.loads, answers.values()):
        paths.update(path for _, path, _ in answer["shares"])
        assert (answer["statuses"], answer["user"]) == ([200, 200], uid)
        shares = [(share, pathlib.Path(path).parent.name, why) for share, path, why in answer["shares"]]
        assert shares == [("host", f"pay88-{own}", None), ("host", f"pay88-{uid}", None)]
    assert len(paths) == 2
    # That of the master, which the workers inherit, and one for the key that only they use.
    counters = sandbox.control("GET", "/counters")
    assert (counters["tokens_requested"], counters["tokens_issued"]) == (2, 2)


@pytest.mark.parametrize("user", [None, "www-data"])
def test_workers_of_gunicorn_renew_what_they_inherited_once_for_all_of_them(
    sandbox, by_default, short_lived, tmp_path, user
):
    flags = flags_for(user, tmp_path)
    environment, paths = by_default
    sandbox.control("POST", "/switches", {"expires_in": 14})
    environment["LATER_KEY"] = sandbox.new_key()
    environment["EIGHTY_EIGHT_PAY_TOKENS_PER_MINUTE"] = "1000"
    environment["EIGHTY_EIGHT_PAY_TOKENS_PER_HOUR"] = "10000"

    def requests_of_each_key():
        times = {}
        for entry in sandbox.control("GET", "/log"):
            if entry["target"].endswith("/token"):
                times.setdefault(entry["key"], []).append(entry["time"])
        return times

    answers = []
    with serving(APPLICATION, tmp_path, environment, *flags) as ask, concurrent.futures.ThreadPoolExecutor(4) as pool:
        before = requests_of_each_key()
        begun = time.monotonic()
        while time.monotonic() < begun + 15:
            answers += map(json.loads, pool.map(ask, range(8)))
        took = time.monotonic() - begun
        after = requests_of_each_key()
    for answer in answers:
        paths.update(path for _, path, _ in answer["shares"])
    assert {tuple(answer["statuses"]) for answer in answers} == {(200, 200)}
    assert len({answer["worker"] for answer in answers}) > 1
    renewed = {answer["worker"]: answer["renewed"] for answer in answers}
    print(f"{len(answers)} answers in {took:.1f} s; tokens had by each worker: {sorted(renewed.values())}")
    # The inherited manager, and that of the key which the master never used.
    assert (len(after), set(before)) == (2, set(after))
    for key, times in after.items():
        of_load = times[len(before[key]) :]
        # Each is renewed 3.6 s after it was asked for, whichever worker is the first to see that: never twice, and no sooner.
        assert all(later - earlier > 1 for earlier, later in zip(of_load, of_load[1:])), of_load
        assert 3 <= len(of_load) <= took / 3.6 + 2, of_load
    assert sum(renewed.values()) >= 3
    counters = sandbox.control("GET", "/counters")
    assert (counters["unauthorized"], counters["tokens_refused"]) == (0, {})
    assert counters["tokens_requested"] == counters["tokens_issued"]


FORKS = """
import multiprocessing, os, sys, threading, time
import pay88
from charges import CHARGE, CHARGES

TIMES, LIMIT = 200, 30
LIMITS = {"tokens_per_minute": 1000, "tokens_per_hour": 10000}
tm = pay88.TokenManager(**LIMITS)
over, failed, answered = threading.Event(), [], []

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
        (answered if status == 200 else failed).append(status)

def descriptors():
    return len(os.listdir("/proc/self/fd"))

context = multiprocessing.get_context("fork")
threads = [threading.Thread(target=charges) for _ in range(4)]
for thread in threads:
    thread.start()
while len(answered) < 40:
    time.sleep(0.01)
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


def test_forks_with_calls_and_refreshes_in_flight_hurt_neither_parent_nor_child(sandbox, short_lived):
    # A third of a token's second a refresh is under way.
    sandbox.control("POST", "/switches", {"token_delay": 0.3})
    begun = time.monotonic()
    assert sandbox.run(FORKS, "-W", "ignore", timeout=120) == (0, "200 [] \n", "")
    took = time.monotonic() - begun
    counters = sandbox.control("GET", "/counters")
    assert (counters["unauthorized"], counters["tokens_refused"]) == (0, {})
    # A token is renewed after 0.9 s; the request of a child that ends in the middle of it is made once more.
    assert counters["tokens_issued"] <= 2 * took + 5


DROPPED = """
import os
import pay88

tokens = pay88.TokenManager()
dropped = tokens.get_token()
assert tokens.invalidate()
child = os.fork()
if child == 0:
    another = tokens.get_token()
    os._exit(0 if another is not dropped and another.access_token != dropped.access_token else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), tokens.get_token() is not dropped)
"""


@pytest.mark.parametrize("share", ["process", None])
def test_a_child_does_not_get_the_object_of_the_token_that_was_dropped_before_the_fork(sandbox, monkeypatch, share):
    # Else in the directory of these tests.
    monkeypatch.setattr(sandbox, "share", share or sandbox.share)
    assert sandbox.run(DROPPED, "-W", "ignore", timeout=60) == (0, "0 True\n", "")
