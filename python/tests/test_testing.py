"""pay88.testing and its fixtures: what a shop's own tests get."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

import pay88
from conftest import ROOT, _command
from pay88.testing import Sandbox, SandboxError
from test_readme import EXAMPLES

SHOP = ROOT / "python" / "examples" / "shop"
LIMIT = 120


@pytest.fixture
def merchant(running_sandbox):
    return Sandbox.given().merchant() if "PAY88_SANDBOX_CONTROL" in os.environ else _of(running_sandbox).merchant()


def _of(running):
    """The sandbox that the tests have started themselves."""
    return Sandbox({"PAY88_SANDBOX_CONTROL": running._control, **running.environment})


def environment(**more):
    """Without what leads to a sandbox, but with what starts one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EIGHTY_EIGHT_PAY_", "PAY88_"))}
    package = str(pathlib.Path(pay88.__file__).resolve().parents[1])
    return {**kept, "PYTHONPATH": package, "PAY88_COMMAND": _built(), **more}


def _built():
    """The command that has started these tests, or the one of the build directory."""
    return os.environ.get("PAY88_COMMAND") or _command()


def run(program, **more):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=LIMIT)


def run_pytest(directory, *arguments, **more):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pay88._pytest", "-p", "no:cacheprovider", *arguments, "."]
    return subprocess.run(
        command, cwd=directory, env=environment(**more), capture_output=True, text=True, timeout=LIMIT
    )


def test_merchants_do_not_disturb_each_other(merchant):
    other = merchant.sandbox.merchant()
    with merchant.manager() as mine, other.manager() as theirs:
        merchant.fault("calls", 418, times=None)
        assert [tm.make_request("/api/echo").status_code for tm in (mine, theirs)] == [418, 200]
        merchant.clear_faults()
        merchant.fault("/api/echo", {"answer": {"status": 409}})
        assert [mine.make_request("/api/echo").status_code for _ in range(2)] == [409, 200]
        merchant.fault("any", "cut_before_answer")
        with pytest.raises(pay88.Pay88Error) as lost:
            mine.make_request("/api/echo", method="POST")
        assert lost.value.outcome == "unknown"
        assert (merchant.tokens_issued(), other.tokens_issued()) == (1, 1)
        assert merchant.counters()["faults_played"] == 3
        assert [entry["status"] for entry in other.log()] == [200, 200]
        assert merchant.charges() == other.charges() == []


def test_tokens_end_are_revoked_and_refused_at_will(merchant):
    with merchant.manager() as tm:
        tm.get_token()
        merchant.advance(61)
        assert tm.make_request("/api/echo").status_code == 200
        assert merchant.tokens_issued() == 2
    other = merchant.sandbox.merchant()
    with other.manager() as tm:
        tm.get_token()
        other.revoke()
        assert tm.make_request("/api/echo").status_code == 200
        assert other.tokens_issued() == 2
    third = merchant.sandbox.merchant()
    third.suspend()
    with third.manager() as tm, pytest.raises(pay88.AccessDeniedError):
        tm.get_token()
    third.suspend(False)


def test_what_the_sandbox_refuses_is_told(merchant):
    with pytest.raises(SandboxError, match=r"explode.*cut_before_answer"):
        merchant.fault("calls", "explode")
    with pytest.raises(SandboxError, match="nobody"):
        merchant.fault("nobody", 503)
    assert merchant.api_key not in repr(merchant)


def runs(pid):
    """Not so if it has ended and nobody has waited for it, as where the first process of a container is none that does."""
    try:
        return pathlib.Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_sandbox_ends_with_the_program_that_started_it_however_it_ends():
    program = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pay88.testing import Sandbox
sandbox = Sandbox.start("--http", "--voids-old")
assert sandbox.control("GET", "/switches")["new_token_voids_old"] is True
assert sandbox.merchant().manager().get_token()
print(sandbox._process.pid, sandbox.share.split(":")[1], flush=True)
sys.stdin.read()
"""
    for end in (
        subprocess.Popen.kill,
        lambda child: child.send_signal(signal.SIGINT),
        lambda child: child.stdin.close(),
    ):
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with child:
            pid, directory = child.stdout.readline().split()
            assert runs(pid)
            end(child)
            child.wait(LIMIT)
            deadline = time.monotonic() + LIMIT
            # Its directory is the last that it removes.
            while runs(pid) or pathlib.Path(directory).exists():
                assert time.monotonic() < deadline, "the sandbox is still there"
                time.sleep(0.02)


def test_a_sandbox_stops_when_it_is_told_to():
    done = run("""
import os
from pay88.testing import Sandbox, SandboxError
with Sandbox.start() as sandbox:
    pid = sandbox._process.pid
    child = os.fork()
    if child == 0:
        sandbox.stop()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sandbox.merchant()
assert not os.path.exists(f"/proc/{pid}") and not os.path.exists(sandbox.ca_bundle)
sandbox.stop()
try:
    sandbox.merchant()
except SandboxError as error:
    print(error)
""")
    assert done.returncode == 0, done
    assert done.stdout.startswith("No sandbox answers at http://127.0.0.1:"), done


def test_without_the_command_or_with_a_wrong_one_it_says_what_to_do(tmp_path):
    program = "from pay88.testing import Sandbox; Sandbox.start()"
    for named, path, said in [
        ("", tmp_path, "PAY88_COMMAND"),
        (str(tmp_path / "nothing"), tmp_path, "cannot be run"),
        (shutil.which("false"), tmp_path, "exit status 1"),
    ]:
        done = run(program, PAY88_COMMAND=named, PATH=str(path))
        assert done.returncode == 1, done
        assert "SandboxError" in done.stderr and said in done.stderr, done
    (tmp_path / "pay88").symlink_to(_built())
    done = run(program, PAY88_COMMAND="", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 0, done
    with pytest.raises(SandboxError, match="PAY88_SANDBOX_CONTROL is not set"):
        Sandbox({})


def test_pytest_is_imported_by_its_own_plugin_alone():
    done = run("import sys, pay88, pay88.testing; assert not [name for name in sys.modules if 'pytest' in name]")
    assert done.returncode == 0, done


def test_each_test_has_a_merchant_and_an_environment_of_its_own(tmp_path):
    (tmp_path / "test_fresh.py").write_text("""
import os
import pay88
import pytest

BEFORE = dict(os.environ)
seen = []

@pytest.mark.parametrize("number", range(3))
def test_fresh(number, pay88_sandbox, pay88_manager):
    assert pay88_sandbox.tokens_issued() == 0 and pay88_sandbox.log() == []
    assert pay88_manager.make_request("/api/echo").status_code == 200
    pay88_sandbox.fault("any", 503, times=None)
    with pay88.TokenManager() as by_environment:
        assert by_environment.manager_id == pay88_manager.manager_id
    assert "EIGHTY_EIGHT_PAY_PROXY" not in os.environ
    assert all(not manager.closed for manager in (pay88_manager,)) and all(manager.closed for manager in seen)
    seen.append(pay88_manager)

def test_nothing_is_left_behind():
    assert dict(os.environ, PYTEST_CURRENT_TEST="") == dict(BEFORE, PYTEST_CURRENT_TEST="")
    assert all(manager.closed for manager in seen) and len(seen) == 3
""")
    done = run_pytest(
        tmp_path, EIGHTY_EIGHT_PAY_PROXY="http://127.0.0.1:1", EIGHTY_EIGHT_PAY_API_KEY="sk_test_of_this_machine"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_tests_of_the_readme_pass(tmp_path):
    (tests,) = [code for code in EXAMPLES if "pay88_sandbox" in code]
    (tmp_path / "test_readme.py").write_text(tests)
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_the_example_shop_is_tested_by_the_kit(tmp_path, arguments):
    for file in SHOP.glob("*.py"):
        shutil.copy(file, tmp_path)
    done = run_pytest(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_workers_share_the_sandbox_that_they_are_given(tmp_path, merchant):
    for file in SHOP.glob("*.py"):
        shutil.copy(file, tmp_path)
    sandbox = merchant.sandbox
    given = {"PAY88_SANDBOX_CONTROL": sandbox.control_url, **merchant.environment}
    before = len(sandbox.control("GET", "/keys"))
    done = run_pytest(tmp_path, "-n", "2", **{**given, "PAY88_COMMAND": "/nonexistent"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(sandbox.control("GET", "/keys")) == before + 6
