#!/usr/bin/env python3
"""32 processes in six languages that share what the default shares: one token request when all begin at the same moment
with nothing cached, then one for each renewal while they go on calling in real time, and nobody ever waits for it.

    tests/scenarios/stress.py [--debug] [--start]

Needs what run.py needs, and uses its programs. Takes three and a half minutes, or a few seconds with --start, which shows
the start only. Every step has an end.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import secrets
import tempfile
import threading
import time

import run

# How many processes of each program.
PROCESSES = {"rust": 6, "c": 6, "python": 4, "asyncio": 4, "node": 4, "php": 4, "go": 4}
CHARGE = {
    "flow": "PAYIN", "method_code": "NEQUI", "method_category": "WALLET", "amount": 50000, "currency": "COP",
    "country": "COL", "description": "Order 7", "customer_id": "c-7", "notification_url": "https://shop.example/hook",
}  # fmt: skip
# A token of 60 s is renewed after 47: these hold four renewals, and are over long before the fifth.
SECONDS = 200
RENEWALS = 4
# The time between two calls of the slowest process, in seconds; every other one is a little faster, down to half of it.
SLOWEST_PACE = 1.3
# How long the sandbox takes for a token, in seconds: at the start, so that all wait for the first; then so that a call that
# waits is seen, while a renewal is over before the token's last 3 s are.
START_DELAY = 0.5
RENEWAL_DELAY = 1.5


def told(program, do, **arguments):
    """The result of a step."""
    (result,) = json.loads(program.ask({"do": do, "manager": "0", "at_once": "1", **arguments}))
    assert "ok" in result, result
    return result["ok"]


def charge(program):
    """The status of a call."""
    body = json.dumps(CHARGE)
    return told(program, "request", method="POST", endpoint="/api/transactions/charges", body=body)["status"]


def begin(program, everybody):
    """What a process gets, and what it says of itself afterwards."""
    told(program, "new")
    everybody.wait(run.START_LIMIT)
    pair = told(program, "get_token")
    status = charge(program)
    return (pair["access_token"], pair["session_id"]), status, told(program, "stats")


def steady(program, pace, end):
    """When each call of a process until then began and ended."""
    calls, due = [], time.monotonic()
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        begun = time.monotonic()
        status = charge(program)
        assert status == 200, status
        calls.append((begun, time.monotonic()))
        due += pace
    return calls


class Lateness:
    """How late this machine is, from now on. Each processor is looked at by itself, since one may stand still alone."""

    PAUSE, LATE = 0.02, 0.1

    def __init__(self):
        self._late = []
        for processor in os.sched_getaffinity(0):
            threading.Thread(target=self._watch, args=(processor,), daemon=True).start()

    def _watch(self, processor):
        # Of this thread alone.
        os.sched_setaffinity(0, {processor})
        while True:
            begun = time.monotonic()
            time.sleep(self.PAUSE)
            ended = time.monotonic()
            if ended - begun - self.PAUSE > self.LATE:
                self._late.append((begun, ended))

    def within(self, begun, ended):
        """The seconds of that time in which a processor stood still."""
        return sum(max(0, min(ended, until) - max(begun, since)) for since, until in self._late)


def forget(paths):
    """Removes what the processes shared."""
    for path in paths:
        pathlib.Path(path).unlink()
        pathlib.Path(f"{path}.lock").unlink()


class Stress:
    """The processes, and the sandbox that they call."""

    def __init__(self, stack, target, kind):
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pay88-stress-")))
        self.sandbox = run.Sandbox(target / kind / "pay88", directory)
        stack.callback(self.sandbox.stop)
        number = secrets.token_hex(8)
        key, merchant = f"sk_test_sandbox_{number}", f"MCH-COL-{number.upper()}"
        self.sandbox.control("POST", "/keys", {"merchant_id": merchant, "key": key})
        settings = {
            "API_KEY": key, "MERCHANT_ID": merchant, "BASE_URL": self.sandbox.base_url,
            "CA_BUNDLE": str(self.sandbox.authority),
        }  # fmt: skip
        environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        environment["PYTHONPATH"] = str(run.ROOT / "python")
        environment.update({f"EIGHTY_EIGHT_PAY_{name}": value for name, value in settings.items()})

        self._shared = set()
        stack.callback(forget, self._shared)
        commands = run.languages(target, kind)
        self.programs = []
        for language in (language for language, count in PROCESSES.items() for _ in range(count)):
            program = run.Program(commands[language], environment, directory / f"errors-{len(self.programs)}")
            stack.callback(program.stop)
            self.programs.append(program)
        assert len(self.programs) == 32
        self._pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(len(self.programs)))

    def start(self):
        """All begin at the same moment."""
        self.sandbox.control("POST", "/switches", {"token_delay": START_DELAY})
        begun = time.monotonic()
        everybody = threading.Barrier(len(self.programs))
        pairs, statuses, first = zip(*self._pool.map(lambda program: begin(program, everybody), self.programs))
        self._shared.update(filter(None, (stats["share_path"] for stats in first)))
        counted = self.sandbox.counted()
        print(
            f"stress: {len(self.programs)} processes, {counted['tokens_requested']} token request, "
            f"{time.monotonic() - begun:.1f} s",
            flush=True,
        )
        shares = {(stats["share"], stats["share_path"], stats["share_degraded"]) for stats in first}
        assert shares == {("host", next(iter(self._shared), "one path"), None)}, shares
        assert set(statuses) == {200}, statuses
        assert len(set(pairs)) == 1, "not one token"
        assert (counted["tokens_requested"], counted["unauthorized"]) == (1, 0), counted
        return first

    def go_on(self, first):
        """They call through the renewals."""
        self.sandbox.control("POST", "/switches", {"token_delay": RENEWAL_DELAY})
        paces = [SLOWEST_PACE * (1 - number / 64) for number in range(len(self.programs))]
        end = time.monotonic() + SECONDS
        lateness = Lateness()
        calls = list(self._pool.map(lambda program, pace: steady(program, pace, end), self.programs, paces))
        took = [ended - begun for of_one in calls for begun, ended in of_one]
        last = [told(program, "stats") for program in self.programs]
        counted = self.sandbox.counted()
        print(
            f"stress: {len(took)} calls in {SECONDS} s, {counted['tokens_requested']} token requests since the start, "
            f"{counted['unauthorized']} calls answered 401, the slowest took {1000 * max(took):.0f} ms",
            flush=True,
        )
        assert min(map(len, calls)) > SECONDS / 2, "a process did not call about once a second"
        waited = [after["waits"] - before["waits"] for before, after in zip(first, last)]
        assert waited == [0] * len(last), f"calls waited for a renewal: {waited}"
        for begun, ended in (call for of_one in calls for call in of_one):
            late = lateness.within(begun, ended)
            assert ended - begun - late < RENEWAL_DELAY, (
                f"a call took {ended - begun:.1f} s, and the machine stood still {late:.1f} s"
            )
        # One that is answered 401 is sent again by the library.
        assert all(stats["calls_repeated"] == stats["calls_failed"] == 0 for stats in last), last
        assert counted["unauthorized"] == 0, counted
        tokens = counted["tokens_requested"], counted["tokens_issued"], sum(stats["tokens_issued"] for stats in last)
        assert tokens == (1 + RENEWALS,) * 3, tokens
        assert len(counted["paths"]) == len(last) + len(took), "the sandbox did not see every call once"


def main():
    parser = argparse.ArgumentParser(description="Processes in six languages that need one token together.")
    parser.add_argument("--debug", action="store_true", help="with what was built by build.sh --debug")
    parser.add_argument("--start", action="store_true", help="only the start, without the renewals")
    given = parser.parse_args()
    kind = "debug" if given.debug else "release"
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", run.ROOT / "target")).resolve()
    run.build(target, kind)
    with contextlib.ExitStack() as stack:
        stress = Stress(stack, target, kind)
        first = stress.start()
        if not given.start:
            stress.go_on(first)
        for program in stress.programs:
            program.end()


if __name__ == "__main__":
    main()
