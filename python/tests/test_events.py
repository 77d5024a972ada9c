"""log_events, and that nothing happens unless it is called."""

LOGGED = """
import json, logging, sys, threading, time, pay88

class Told(logging.Handler):
    def emit(self, record):
        print(record.levelname, record.pay88["name"], record.pay88["manager_id"] == tm.manager_id, flush=True)
        self.format(record)

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
    status, out, err = run(sandbox, end="time.sleep(0.5); print('end', flush=True)")
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
    status, out, err = sandbox.run(program)
    assert (status, err) == (0, "")
    told = out.splitlines()
    assert len(told) == 2
    assert told[0].startswith("token_issued of manager 1: ")
    assert told[1] == "0"
