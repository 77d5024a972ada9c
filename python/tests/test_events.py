"""log_events, and that nothing happens unless it is called."""

import json

import pytest
from serving import ask_until_all_answered, serving

from conftest import ROOT

LOGGED = """
import json, logging, sys, threading, time, pay88

names = []

class Told(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.pay88["name"], record.pay88["manager_id"] == tm.manager_id, flush=True)
        self.format(record)
        names.append(record.pay88["name"])

def until(name):
    limit = time.monotonic() + 30
    while name not in names and time.monotonic() < limit:
        time.sleep(0.01)

logging.getLogger().addHandler(Told())
logging.getLogger().setLevel({level})
tm = pay88.TokenManager()
{begin}
before = threading.active_count()
pay88.log_events()
pay88.log_events()
assert threading.active_count() == before + 1
tm.get_token()
tm.invalidate()
try:
    tm.make_request("/api/echo", safe_to_repeat=False)
except pay88.Pay88Error as error:
    pass
{end}
"""


def run(sandbox, level="logging.DEBUG", begin="", end="", *flags):
    sandbox.fault({"path": "/api/echo"}, "cut_before_answer", times=None)
    return sandbox.run(LOGGED.format(level=level, begin=begin, end=end), *flags)


def test_events_go_to_logging_while_the_program_runs(sandbox):
    status, out, err = run(sandbox, end="until('call_failed'); print('end', flush=True)")
    assert (status, err) == (0, "")
    told = out.splitlines()
    assert told[0] == "INFO token_issued True"
    assert told[1] == "INFO token_invalidated True"
    assert "WARNING call_failed True" in told
    assert told[-1] == "end"


def test_what_is_left_is_logged_at_exit(sandbox):
    status, out, err = run(sandbox, begin="import pay88._events; pay88._events._PAUSE = 3600", end="")
    assert (status, err) == (0, "")
    assert "WARNING call_failed True" in out.splitlines()


def test_a_level_that_is_not_wanted_is_not_logged(sandbox):
    status, out, err = run(sandbox, level="logging.WARNING")
    assert (status, err) == (0, "")
    assert "token_issued" not in out
    assert "WARNING call_failed True" in out.splitlines()


def test_nothing_is_logged_or_started_unless_asked(sandbox):
    program = """
import logging, sys, threading, pay88
logging.basicConfig(level=logging.DEBUG)
tm = pay88.TokenManager()
tm.make_request("/api/echo")
print(threading.active_count())
"""
    assert sandbox.run(program) == (0, "1\n", "")


def test_a_forked_child_asks_for_itself(sandbox):
    program = """
import logging, os, sys, threading, pay88
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
pay88.log_events()
child = os.fork()
if child == 0:
    assert threading.active_count() == 1
    pay88.log_events()
    pay88.TokenManager().get_token()
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, err) == (0, "")
    told = out.splitlines()
    assert len(told) == 2
    assert told[0].startswith("token_issued of manager 1: ")
    assert told[1] == "0"


FORKED = """
import ctypes, logging, os, sys, time, pay88

names = []

class Told(logging.Handler):
    def emit(self, record):
        os.write(1, f"{os.getpid() == child_of} {record.pay88['name']}\\n".encode())
        names.append(record.pay88["name"])

def until_told(number):
    limit = time.monotonic() + 30
    while len(names) < number and time.monotonic() < limit:
        time.sleep(0.01)

child_of = 0
logging.getLogger("pay88").addHandler(Told())
logging.getLogger("pay88").setLevel("INFO")
pay88.log_events()
tm = pay88.TokenManager()
if %(used_before)s:
    tm.get_token()
    until_told(1)
# As uWSGI does it: none of what is registered with os.register_at_fork runs.
fork = {"os": os.fork, "libc": ctypes.PyDLL(None).fork}[%(fork)r]
child = fork()
if child == 0:
    child_of = os.getpid()
    names.clear()
    %(call)s
    until_told(%(number)d)
    # What must not come has as much time as three looks of the logger take.
    time.sleep(0.3)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""

CALLS = {
    "get_token": "tm.invalidate(); tm.get_token()",
    "make_request": "tm.make_request('/api/echo')",
    "asyncio": "import asyncio; asyncio.run(pay88.AsyncTokenManager().get_token())",
    "rotate": "tm.rotate(os.environ['EIGHTY_EIGHT_PAY_API_KEY'] + '_2')",
}


@pytest.mark.parametrize("fork", ["os", "libc"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("used_before", [False, True])
def test_a_child_of_a_process_that_logs_goes_on_with_it(sandbox, fork, call, used_before):
    expected = {
        "get_token": ["token_invalidated", "token_issued"] if used_before else ["token_issued"],
        # Through a manager of its own, which finds the token that the host has.
        "asyncio": ["token_shared"] if used_before else ["token_issued"],
        "rotate": ["key_rotated"],
    }.get(call, [] if used_before else ["token_issued"])
    program = FORKED % {"fork": fork, "call": CALLS[call], "used_before": used_before, "number": len(expected)}
    status, out, err = sandbox.run(program, "-W", "ignore")
    assert (status, err) == (0, "")
    told = out.splitlines()
    assert told[-1] == "0"
    of_child = [line.removeprefix("True ") for line in told if line.startswith("True ")]
    assert of_child == expected


APPLICATION = """
import json, logging, os
import pay88

class Told(logging.Handler):
    def emit(self, record):
        with open("log", "a") as log:
            log.write(json.dumps([os.getpid(), record.levelname, record.pay88["name"]]) + "\\n")

logging.getLogger("pay88").addHandler(Told())
logging.getLogger("pay88").setLevel("INFO")
pay88.log_events()
tm = pay88.TokenManager()

def application(environ, start_response):
    answer = tm.make_request("/api/refused")
    start_response(f"200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_the_workers_of_gunicorn_log(sandbox, tmp_path, preload):
    # So that no worker answers all.
    sandbox.fault("calls", {"delay": {"seconds": 0.1}}, times=None)
    with serving(APPLICATION, tmp_path, sandbox.environment, "-w", "2", *preload) as ask:
        workers = ask_until_all_answered(ask, 2, int)
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {worker for worker, _, _ in told} == workers.keys()
    assert {(level, name) for _, level, name in told} >= {("INFO", "token_issued"), ("WARNING", "call_failed")}


REFUSED = """
import asyncio, json, logging, sys, pay88

class Told(logging.Handler):
    def emit(self, record):
        fields = record.pay88["fields"]
        if record.pay88["name"] == "call_failed":
            print(record.levelname, fields["code"], fields["status"], fields["outcome"])

logging.getLogger("pay88").addHandler(Told())
pay88.log_events()
tm, atm = pay88.TokenManager(), pay88.AsyncTokenManager()
async def main():
    return await atm.make_request("/api/echo")
statuses = [tm.make_request("/api/echo").status_code, asyncio.run(main()).status_code]
counts = {name: count for name, count in tm.stats().items() if name.startswith("calls_answered_") and count}
print(statuses, counts, file=sys.stderr)
"""


@pytest.mark.parametrize("status", [403, 404, 422, 500])
def test_a_call_that_88pay_refuses_is_logged_and_counted(sandbox, status):
    sandbox.fault("calls", {"answer": {"status": status}}, times=None)
    ended, out, err = sandbox.run(REFUSED)
    assert (ended, out) == (0, f"WARNING http_error {status} answered\n" * 2)
    names = ["5xx"] if status == 500 else [status, "4xx"]
    assert err == f"{[status, status]} { ({f'calls_answered_{name}': 2 for name in names}) }\n"


def test_levels_are_those_of_the_one_table(sandbox):
    """The table is in the documents, which the core compares with its own."""
    rows = [
        row.split("|") for row in (ROOT / "docs" / "monitoring.md").read_text().splitlines() if row.startswith("| `")
    ]
    levels = {row[1].strip(" `"): row[2].strip().upper() for row in rows}
    assert (levels["token_shared"], levels["call_failed"]) == ("INFO", "WARNING")
    sandbox.fault({"path": "/api/echo"}, "cut_before_answer", times=None)
    program = """
import subprocess, sys
take = "import pay88; pay88.TokenManager().get_token()"
subprocess.run([sys.executable, "-c", take], check=True)
""" + LOGGED.format(level="logging.INFO", begin="", end="tm.rotate('sk_test_sandbox_levels')")
    status, out, err = sandbox.run(program)
    assert (status, err) == (0, "")
    told = [line.split()[:2] for line in out.splitlines()]
    assert told == [[levels[name], name] for _, name in told]
    assert {"token_shared", "token_invalidated", "call_failed", "key_rotated"} <= {name for _, name in told}
