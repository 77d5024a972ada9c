"""A sandbox for the tests: the one that `pay88 sandbox --exec -- pytest` has started, or one of their own (the command
is found as PAY88_COMMAND or in the build directory). Every test starts with an empty one and new credentials."""

import http.server
import itertools
import json
import os
import pathlib
import shlex
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

import charges
import pay88

ROOT = pathlib.Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)


class Sandbox:
    """The control port, and credentials that no other test has used: managers live as long as the process."""

    def __init__(self, environment):
        self.base_url = environment["EIGHTY_EIGHT_PAY_BASE_URL"]
        self.ca_bundle = environment["EIGHTY_EIGHT_PAY_CA_BUNDLE"]
        self.merchant_id = environment["EIGHTY_EIGHT_PAY_MERCHANT_ID"]
        self.share = environment["EIGHTY_EIGHT_PAY_SHARE"]
        self._control = environment["PAY88_SANDBOX_CONTROL"]
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.api_key = None

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._control + path, data=data, method=method)
        with self._opener.open(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def new_key(self):
        key = f"sk_test_sandbox_python_{os.getpid()}_{next(_numbers)}"
        self.control("POST", "/keys", {"merchant_id": self.merchant_id, "key": key})
        return key

    def fault(self, on, action, times=1):
        self.control("POST", "/faults", {"on": on, "times": times, "action": action})

    @property
    def options(self):
        return {
            "api_key": self.api_key,
            "merchant_id": self.merchant_id,
            "base_url": self.base_url,
            "ca_bundle": self.ca_bundle,
            "share": self.share,
        }

    @property
    def environment(self):
        """For a process of its own, with this package."""
        inherited = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        package = str(pathlib.Path(pay88.__file__).resolve().parents[1])
        own = {f"EIGHTY_EIGHT_PAY_{name.upper()}": value for name, value in self.options.items()}
        own["PAY88_SANDBOX_CONTROL"] = self._control
        return {**inherited, "PYTHONPATH": os.pathsep.join((package, str(ROOT / "python" / "tests"))), **own}

    def manager(self, **options):
        return pay88.TokenManager(**{**self.options, **options})

    def async_manager(self, **options):
        return pay88.AsyncTokenManager(**{**self.options, **options})

    def wait_for(self, target, number=1):
        charges.wait_for(self._control, target, number)

    def tokens_issued(self):
        return self.control("GET", "/counters")["tokens_issued"]

    def run(self, program, *flags, timeout=60):
        """Runs a Python program in a process of its own, with these credentials; gives its exit status and outputs."""
        command = [sys.executable, *flags, "-c", program]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout, done.stderr


def _variables(text):
    words = shlex.split(text)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _command():
    named = os.environ.get("PAY88_COMMAND")
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "pay88"
    return named or str(built)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In the gate (`.ci/run`) every test has to run: one that is left out fails there."""
    report = (yield).get_result()
    if report.skipped and "PAY88_TEST_NOTHING_SKIPPED" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"left out, where nothing may be: {call.excinfo.value}"


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory):
    if "PAY88_SANDBOX_CONTROL" in os.environ:
        yield Sandbox(os.environ)
        return
    directory = tmp_path_factory.mktemp("sandbox")
    ready = directory / "ready"
    process = subprocess.Popen(
        [_command(), "sandbox", "--ca", directory / "ca.pem", "--ready-file", ready], stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, "the sandbox does not start"
            time.sleep(0.02)
        yield Sandbox(_variables(ready.read_text()))
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def sandbox(running_sandbox):
    running_sandbox.control("POST", "/reset")
    running_sandbox.api_key = running_sandbox.new_key()
    yield running_sandbox
    running_sandbox.control("DELETE", "/faults")


@pytest.fixture
def tm(sandbox):
    with sandbox.manager() as manager:
        yield manager


@pytest.fixture
def elsewhere():
    """Another origin: records the headers of what it is asked, and redirects nobody."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", seen
    server.shutdown()
    server.server_close()
