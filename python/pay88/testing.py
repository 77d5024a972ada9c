"""For a shop's own tests: a sandbox that plays 88Pay, and what a test asks of it.

With pytest there is nothing to set up but the command `pay88`, because the fixtures come with the package:

    def test_a_customer_pays(pay88_sandbox, pay88_manager):
        Shop(pay88_manager).pay(50_000)
        assert pay88_sandbox.charges()[0]["body"]["amount"] == 50_000

pay88_sandbox   a Merchant: the sandbox, as a merchant sees it that this test has to itself. The sandbox runs as long as the
                tests do (with xdist, one for each worker). While a test uses it, the EIGHTY_EIGHT_PAY_ variables
                lead to it, and to nothing else
pay88_manager   a TokenManager of this merchant, which is closed when the test ends

Elsewhere, `with Sandbox.start() as sandbox: merchant = sandbox.merchant()` gives the same.

This module starts the command `pay88`. It is the file that PAY88_COMMAND names, or the one beside this package, in the
scripts of this Python, or in PATH. Under `pay88 sandbox --exec -- pytest` nothing is started: the tests use that sandbox.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sysconfig
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from ._asynchronous import AsyncTokenManager
from ._manager import TokenManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Merchant", "Sandbox", "SandboxError"]

_PREFIX = "EIGHTY_EIGHT_PAY_"
_CONTROL = "PAY88_SANDBOX_CONTROL"
_COMMAND = "PAY88_COMMAND"
# What leads to a sandbox. With plain http it has no CA_BUNDLE.
_VARIABLES = (_CONTROL, *(_PREFIX + name for name in ("BASE_URL", "SHARE", "CA_BUNDLE")))
# The sandbox ends when the command that it runs does. This one ends with the process that holds the other end of its
# standard input, however that process ends. A part that is not set is an empty line.
_REPORT = "".join(f'printf "%s\\n" "${{{name}-}}"; ' for name in _VARIABLES) + "exec cat >/dev/null"
# A machine may be busy. Whatever takes longer hangs.
_PATIENCE = 60.0


class SandboxError(RuntimeError):
    """The sandbox cannot be started, does not answer, or refuses what a test asks of it."""


class Sandbox:
    """A running sandbox. It belongs to this process, and ends with it at the latest. Any number of threads may use it.

    Sandbox.start() starts one, Sandbox.given() is the one that the environment names.
    """

    def __init__(self, variables: Mapping[str, str], process: subprocess.Popen[str] | None = None) -> None:
        """The sandbox that these variables lead to: those that `pay88 sandbox` prints."""
        missing = [name for name in _VARIABLES[:2] if not variables.get(name)]
        if missing:
            raise SandboxError(
                f"No sandbox is named: {missing[0]} is not set. `pay88 sandbox --exec --` sets all it needs."
            )
        self.control_url = variables[_CONTROL]
        self.base_url = variables[_PREFIX + "BASE_URL"]
        self.share = variables.get(_PREFIX + "SHARE") or "process"
        self.ca_bundle = variables.get(_PREFIX + "CA_BUNDLE") or None
        self._process = process
        # It is on this machine, so no proxy is asked.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @classmethod
    def given(cls) -> Sandbox | None:
        """The sandbox that started this program, by `pay88 sandbox --exec`, or that its environment names."""
        return cls(os.environ) if os.environ.get(_CONTROL) else None

    @classmethod
    def start(cls, *options: str) -> Sandbox:
        """Starts one, with these options of `pay88 sandbox`, such as "--voids-old".

        Raises SandboxError if there is no command pay88, or if it does not start.
        """
        command = [_command(), "sandbox", *options, "--exec", "--", "sh", "-c", _REPORT]
        try:
            # Ctrl-C in a terminal is for the tests: they still need the sandbox while they end.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
                # What the machine sets is not the sandbox's.
                env={name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)},
            )
        except OSError as error:
            raise SandboxError(f"{command[0]} cannot be run: {error}. Set {_COMMAND} to the command pay88.") from error
        assert process.stdout is not None
        hangs = threading.Timer(_PATIENCE, process.kill)
        hangs.start()
        try:
            lines = [process.stdout.readline().rstrip("\n") for _ in _VARIABLES]
        except BaseException:
            _end(process)
            raise
        finally:
            hangs.cancel()
        if not lines[0]:
            _end(process)
            raise SandboxError(
                f"{command[0]} does not start a sandbox (exit status {process.returncode}). Standard error says why."
            )
        return cls(dict(zip(_VARIABLES, lines)), process)

    def stop(self) -> None:
        """Ends the sandbox if this object has started it. In a forked child it does nothing."""
        if self._process is not None:
            _end(self._process)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def merchant(self) -> Merchant:
        """A merchant and a key that nobody has used: with no token, count, charge or fault of another test."""
        made = self.control("POST", "/keys", {})
        return Merchant(self, made["merchant_id"], made["key"])

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Asks the control port, which docs/sandbox.md describes, and gives its answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = json.loads(error.read()).get("message")
            raise SandboxError(f"The sandbox refuses {method} {path}: {said}") from None
        except OSError as error:
            raise SandboxError(f"No sandbox answers at {self.control_url}: {error}. It may have ended.") from None


class Merchant:
    """The sandbox as one merchant sees it. Tests that have one each may run side by side.

    Managers for it are made with manager() and async_manager(), or from options or environment.
    """

    def __init__(self, sandbox: Sandbox, merchant_id: str, api_key: str) -> None:
        self.sandbox = sandbox
        self.merchant_id = merchant_id
        self.api_key = api_key

    def __repr__(self) -> str:
        return f"<pay88.testing.Merchant {self.merchant_id}>"

    @property
    def options(self) -> dict[str, Any]:
        """What a manager needs to reach the sandbox as this merchant."""
        options = {
            "api_key": self.api_key,
            "merchant_id": self.merchant_id,
            "base_url": self.sandbox.base_url,
            "share": self.sandbox.share,
            "ca_bundle": self.sandbox.ca_bundle,
        }
        return {name: value for name, value in options.items() if value is not None}

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables, for a program of its own."""
        return {_PREFIX + name.upper(): value for name, value in self.options.items()}

    def manager(self, **options: Any) -> TokenManager:
        """A manager of this merchant, with more options than those. Close it, or use it with `with`."""
        return TokenManager(**{**self.options, **options})

    def async_manager(self, **options: Any) -> AsyncTokenManager:
        """The same for asyncio."""
        return AsyncTokenManager(**{**self.options, **options})

    def fault(self, on: str, action: str | int | Mapping[str, Any], times: int | None = 1) -> None:
        """Lets coming requests of this merchant meet a fault.

        on      "token" for token requests, "calls" for all others, "any", or a path such as "/api/balance"
        action  an HTTP status, or an action of docs/sandbox.md: "cut_before_answer", {"delay": {"seconds": 0.5}}
        times   how many requests meet it; None for all until clear_faults()
        """
        if isinstance(action, int):
            body = {"status": "Error", "code": action, "message": "Fault"}
            headers = [["Content-Type", "application/json"]]
            action = {"answer": {"status": action, "headers": headers, "body": body}}
        fault = {
            "on": {"path": on} if on.startswith("/") else on,
            "times": times,
            "action": action,
            "merchant_id": self.merchant_id,
        }
        self.sandbox.control("POST", "/faults", fault)

    def clear_faults(self) -> None:
        """Removes the faults of this merchant that have not happened yet."""
        self.sandbox.control("DELETE", self._mine("/faults"))

    def charges(self) -> list[dict[str, Any]]:
        """The charges that were made, oldest first: "reference", "body", and "same_body", which is how many were made from
        an equal body. A charge whose answer was lost is there too."""
        charges: list[dict[str, Any]] = self.sandbox.control("GET", self._mine("/charges"))
        return charges

    def counters(self) -> dict[str, Any]:
        """What happened so far, in numbers: docs/sandbox.md names them."""
        counters: dict[str, Any] = self.sandbox.control("GET", self._mine("/counters"))
        return counters

    def tokens_issued(self) -> int:
        """How many tokens were issued."""
        return int(self.counters()["tokens_issued"])

    def log(self) -> list[dict[str, Any]]:
        """The requests, oldest first: "method", "target", "status" and more; secrets are masked."""
        log: list[dict[str, Any]] = self.sandbox.control("GET", self._mine("/log"))
        return log

    def advance(self, seconds: float) -> None:
        """Moves the sandbox's clock of this merchant forward: its tokens expire there, its limits are free again. pay88
        goes by the clocks of this machine, so it uses its token on until the sandbox refuses it."""
        body = {"seconds": seconds, "merchant_id": self.merchant_id}
        self.sandbox.control("POST", "/clock/advance", body)

    def revoke(self) -> None:
        """Makes every token so far invalid, so that the next call is answered 401 and pay88 asks for another token."""
        self.sandbox.control("POST", self._mine("/revoke"))

    def suspend(self, suspended: bool = True) -> None:
        """Suspends the merchant, so that token requests are answered 403; False ends that."""
        self.sandbox.control("POST", "/suspend", {"merchant_id": self.merchant_id, "suspended": suspended})

    def _mine(self, path: str) -> str:
        return f"{path}?merchant_id={urllib.parse.quote(self.merchant_id, safe='')}"


def _command() -> str:
    named = os.environ.get(_COMMAND)
    if named:
        return named
    for directory in (str(pathlib.Path(__file__).parent), sysconfig.get_path("scripts"), None):
        found = shutil.which("pay88", path=directory)
        if found:
            return found
    raise SandboxError(
        "The command pay88, which has the sandbox in it, is not found: neither beside this package, nor in the scripts of "
        f"this Python, nor in PATH. Install it, or set {_COMMAND} to it; or run the tests under `pay88 sandbox --exec --`."
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Lets it end by itself, so that it removes its files."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    # A child that was forked meanwhile may hold the other end of its input as well.
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
