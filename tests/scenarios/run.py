#!/usr/bin/env python3
"""Runs every scenario in every language, each in a process of its own, at sandboxes of its own, over TLS.

    tests/scenarios/run.py [--debug] [--language NAME]... [--only WORDS] [--jobs N]

Needs what `make build` has built (with --debug: python/build.sh, node/build.sh, php/build.sh and
go/build.sh, each with --debug).
CARGO_TARGET_DIR is honoured. Every step has an end. What is printed holds no key, token or session ID. README.md says what a
program has to do.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import queue
import re
import secrets
import selectors
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import calls
import failures
import input as bad_input
import tokens
import wire

import vocabulary as words

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# A step's last moment, in seconds: more than the library's own 30.
LIMIT = 45
START_LIMIT = 30
# For what comes later than its step.
LATER = 5


class MismatchError(Exception):
    """Something is not as the scenario says."""


def languages(target, kind):
    """The command of each language's program."""
    built = target / kind
    return {
        "rust": [built / "examples" / "scenario"],
        "rust async": [built / "examples" / "scenario", "async"],
        "c": [built / "examples" / "scenario_c"],
        "c async": [built / "examples" / "scenario_c", "async"],
        "python": [sys.executable, HERE / "programs" / "blocking.py"],
        "asyncio": [sys.executable, HERE / "programs" / "asynchronous.py"],
        "node": [shutil.which("node") or "node", HERE / "programs" / "node.mjs"],
        "php": [*php(target, kind), HERE / "programs" / "scenario.php"],
        "go": [built / "examples" / "scenario_go"],
    }


def php(target, kind):
    """PHP with the extension, and with nothing of this machine's settings."""
    api = subprocess.run([ROOT / "php" / "api.sh"], check=True, capture_output=True, text=True).stdout.strip()
    extension = target / "php" / (api if kind == "release" else f"{api}-debug") / "pay88.so"
    return ["php", "-n", "-d", f"extension={extension}"]


def build(target, kind):
    """The programs that have to be compiled."""

    def run(*command):
        subprocess.run([str(word) for word in command], cwd=ROOT, check=True)

    release = ["--release"] if kind == "release" else []
    run("cargo", "build", "--quiet", "--locked", *release, "--package", "pay88", "--example", "scenario")
    built = target / kind
    run("bindings/c/link.sh", built)
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-Iinclude"]
    link = [f"-L{built}", f"-Wl,-rpath,{built}", "-lpay88"]
    # It may be running for another suite.
    new = built / "examples" / f"scenario_c.{os.getpid()}"
    run("cc", *flags, HERE / "programs" / "scenario.c", "-o", new, *link)
    new.replace(built / "examples" / "scenario_c")
    new = built / "examples" / f"scenario_go.{os.getpid()}"
    run("go", "build", "-C", "go", "-o", new, HERE / "programs" / "scenario.go")
    new.replace(built / "examples" / "scenario_go")


class Sandbox:
    """A running sandbox and its control port."""

    def __init__(self, command, directory):
        ready = directory / "ready"
        self.authority = directory / "ca.pem"
        self._process = subprocess.Popen(
            [command, "sandbox", "--ca", self.authority, "--ready-file", ready], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + START_LIMIT
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise SystemExit("The sandbox does not start.")
            time.sleep(0.02)
        variables = dict(re.findall(r"^export (\w+)=(.*)$", ready.read_text(), re.MULTILINE))
        (self.base_url,) = shlex.split(variables["EIGHTY_EIGHT_PAY_BASE_URL"])
        (control,) = shlex.split(variables["PAY88_SANDBOX_CONTROL"])
        self._address = urllib.parse.urlsplit(control).netloc
        self._switches = self.control("GET", "/switches")

    def control(self, method, path, body=None):
        connection = http.client.HTTPConnection(self._address, timeout=10)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise MismatchError(f"the sandbox's control port answers {answer.status} to {method} {path}: {text!r}")
        return json.loads(text)

    def begin(self):
        """As it was at its start."""
        self.control("POST", "/reset")
        self.control("POST", "/switches", self._switches)

    def counted(self):
        paths = [entry["target"].partition("?")[0] for entry in self.control("GET", "/log")]
        return {**self.control("GET", "/counters"), "paths": [path for path in paths if path != "/api/auth/token"]}

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()


class Program:
    """A running program of a language."""

    def __init__(self, command, environment, errors):
        self._errors = errors
        with errors.open("wb") as written:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written, bufsize=0
            )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._read = b""

    def ask(self, form):
        """The results of a step, as text."""
        line = urllib.parse.urlencode(form, doseq=True, quote_via=urllib.parse.quote) + "\n"
        try:
            self._process.stdin.write(line.encode())
        except BrokenPipeError:
            raise MismatchError(f"the program has ended: {self._complaint()}") from None
        end = time.monotonic() + LIMIT
        while b"\n" not in self._read:
            if not self._selector.select(max(0, end - time.monotonic())):
                raise MismatchError(f"no answer within {LIMIT} s")
            block = os.read(self._process.stdout.fileno(), 1 << 16)
            if not block:
                raise MismatchError(f"the program has ended: {self._complaint()}")
            self._read += block
        answer, _, self._read = self._read.partition(b"\n")
        return answer.decode()

    def end(self):
        """Nothing is left to do: it ends by itself, and has nothing to complain about."""
        self._process.stdin.close()
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            raise MismatchError("the program does not end when its input does") from None
        complaint = self._complaint()
        if status != 0 or complaint:
            raise MismatchError(f"the program ended with status {status}: {complaint}")

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._selector.close()

    def _complaint(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        return self._errors.read_text(errors="replace").strip()


def new_key():
    return f"sk_test_sandbox_{secrets.token_hex(8)}"


class Run:
    """One scenario in one language."""

    def __init__(self, scenario, sandbox, other_authority, commands):
        self._scenario = scenario
        self._sandbox = sandbox
        self._commands = commands
        self._programs = {}
        # Distinct pairs, in the order in which they were seen.
        self._pairs = []
        self._directory = tempfile.mkdtemp(prefix="pay88-scenario-", dir="/dev/shm")
        self._places = {
            words.KEY: new_key(),
            words.OTHER_KEY: new_key(),
            words.THIRD_KEY: new_key(),
            words.MERCHANT: f"MCH-COL-{secrets.token_hex(6).upper()}",
            words.BASE_URL: sandbox.base_url,
            words.AUTHORITY: str(sandbox.authority),
            words.OTHER_AUTHORITY: str(other_authority),
            words.DIRECTORY: self._directory,
        }

    def __call__(self):
        try:
            self._sandbox.begin()
            self._tell(words.accept(words.KEY))
            for number, step in enumerate(self._scenario.steps, 1):
                try:
                    self._do(step)
                except MismatchError as mismatch:
                    raise MismatchError(f"step {number}, {self._named(step)}: {mismatch}") from None
            for program in self._programs.values():
                program.end()
        finally:
            for program in self._programs.values():
                program.stop()
            shutil.rmtree(self._directory)

    @staticmethod
    def _named(step):
        return step.do if isinstance(step, words.Ask) else type(step).__name__.lower()

    def _do(self, step):
        if isinstance(step, words.Ask):
            self._ask(step)
        elif isinstance(step, words.Control):
            self._tell(step)
        elif isinstance(step, words.Seen):
            self._see(self._filled(step.wanted))
        elif isinstance(step, words.Wait):
            time.sleep(step.seconds)

    def _see(self, wanted):
        """On a busy machine the sandbox reads a request later than its caller gives it up."""
        end = time.monotonic() + LATER
        while True:
            try:
                return compare("the sandbox", wanted, self._sandbox.counted())
            except MismatchError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.05)

    def _tell(self, step):
        self._sandbox.control(step.method, step.path, self._filled(step.body))

    def _ask(self, step):
        form = {"do": step.do, "at_once": str(step.at_once), **self._filled(step.arguments)}
        wanted = self._filled(step.wanted)
        end = time.monotonic() + (LATER if step.later else 0)
        while True:
            begun = time.monotonic()
            answer = self._program(step.second).ask(form)
            took = time.monotonic() - begun
            results = self._understood(step, answer)
            try:
                for result in results:
                    compare(step.do, *sides(wanted, result))
                break
            except MismatchError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.05)
        if step.took is not None and step.took != took:
            raise MismatchError(f"took {took:.2f} s, not {step.took.least} to {step.took.most}")

    def _program(self, second):
        if second not in self._programs:
            settings = {
                "API_KEY": self._places[words.KEY],
                "MERCHANT_ID": self._places[words.MERCHANT],
                "BASE_URL": self._places[words.BASE_URL],
                "CA_BUNDLE": self._places[words.AUTHORITY],
                # Only where the scenario says so.
                "SHARE": "process",
            }
            # Nothing of this machine's settings is to help or to hinder.
            environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
            environment["PYTHONPATH"] = str(ROOT / "python")
            environment.update({f"EIGHTY_EIGHT_PAY_{name}": value for name, value in settings.items()})
            errors = pathlib.Path(self._directory, f"errors-{int(second)}")
            self._programs[second] = Program(self._commands[second], environment, errors)
        return self._programs[second]

    def _understood(self, step, answer):
        """The results, tokens replaced by their numbers; what holds for all results of all scenarios is looked at here."""
        results = json.loads(answer)
        for result in results:
            pair = result.get("ok")
            if step.do in ("get_token", "peek_token") and pair is not None:
                secret = (pair.pop("access_token"), pair.pop("session_id"))
                if secret not in self._pairs:
                    if any(secret[0] == token or secret[1] == session for token, session in self._pairs):
                        raise MismatchError("a token came with the session ID of another one")
                    self._pairs.append(secret)
                pair["token"] = self._pairs.index(secret) + 1
        self._search(json.dumps(results))
        if len(results) != step.at_once:
            raise MismatchError(f"{len(results)} results, {step.at_once} wanted")
        errors = [result["error"] for result in results if "error" in result]
        for error in errors:
            sentences = [text for text in (error["message"], error["hint"]) if text.endswith((".", "!", "?"))]
            if len(error["message"]) < 10 or len(error["hint"]) < 5 or len(sentences) < 2:
                raise MismatchError(f"an error that does not help: {error}")
        # Times to come back are counted from the moment of each.
        alike = {(error["code"], re.sub(r"[\d.]+", "", error["message"]), error["attempt"]) for error in errors}
        if len(alike) > 1:
            raise MismatchError(f"those who waited together were told differently: {alike}")
        return results

    def _search(self, text):
        keys = [text for place, text in self._places.items() if "key" in place]
        for secret in (*keys, *(part for pair in self._pairs for part in pair)):
            if secret in text:
                raise MismatchError("the result shows a secret")

    def _filled(self, value):
        """Places that are for each run."""
        if isinstance(value, str):
            for place in re.findall(r"<key \d+>", value):
                self._places.setdefault(place, new_key())
            for place, text in self._places.items():
                value = value.replace(place, text)
        elif isinstance(value, (list, tuple)):
            value = [self._filled(one) for one in value]
        elif isinstance(value, dict):
            value = {name: self._filled(one) for name, one in value.items()}
        return value


def sides(wanted, result):
    """What a result must be and what it is, in the same form."""
    if "error" in wanted:
        if "error" not in result:
            raise MismatchError(f"no error, but {result}")
        return wanted, {**result["error"], "error": result["error"]["code"]}
    if "error" in result:
        raise MismatchError(f"{result['error']}")
    return (wanted["gives"], result["ok"]) if "gives" in wanted else (wanted, result["ok"])


def compare(what, wanted, got):
    """Of objects only what is wanted is looked at; a body is read as JSON where an object is wanted."""
    if isinstance(wanted, dict):
        if isinstance(got, str):
            try:
                got = json.loads(got)
            except ValueError:
                raise MismatchError(f"{what} is no JSON: {got[:200]!r}") from None
        if not isinstance(got, dict):
            raise MismatchError(f"{what} is {got!r}, not an object")
        for name, value in wanted.items():
            if name not in got:
                raise MismatchError(f"{what} has no {name}")
            compare(f"{what}.{name}", value, got[name])
    elif isinstance(wanted, list):
        if not isinstance(got, list) or len(got) != len(wanted):
            raise MismatchError(f"{what} is {got!r}, not {wanted!r}")
        for number, (one, other) in enumerate(zip(wanted, got)):
            compare(f"{what}[{number}]", one, other)
    elif (type(wanted) is bool and type(got) is not bool) or wanted != got:
        raise MismatchError(f"{what} is {str(got)[:400]}, not {wanted!r}")


@dataclasses.dataclass
class Tally:
    """How a language did."""

    done: int = 0
    seconds: float = 0


def main():
    parser = argparse.ArgumentParser(description="Runs every scenario in every language.")
    parser.add_argument("--debug", action="store_true", help="with what was built by build.sh --debug")
    parser.add_argument("--language", action="append", help="this one; may be repeated")
    parser.add_argument("--only", default="", help="scenarios whose name has these words")
    parser.add_argument("--jobs", type=int, default=8, help="how many at a time, each at a sandbox of its own")
    given = parser.parse_args()

    kind = "debug" if given.debug else "release"
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    build(target, kind)
    known = languages(target, kind)
    chosen = given.language or list(known)
    order = list(known)
    jobs = queue.SimpleQueue()
    count = 0
    for scenario in words.SCENARIOS:
        for language in chosen:
            if given.only in scenario.name:
                # Two processes of one scenario speak two languages.
                second = order[(order.index(language) + 1) % len(order)]
                jobs.put((scenario, language, {False: known[language], True: known[second]}))
                count += 1
    if not count:
        raise SystemExit(f"No scenario has the words {given.only!r}.")

    tallies = {language: Tally() for language in chosen}
    lock = threading.Lock()
    failed = []

    def work(sandbox, other):
        while True:
            try:
                scenario, language, commands = jobs.get_nowait()
            except queue.Empty:
                return
            begun = time.monotonic()
            complaint = None
            try:
                Run(scenario, sandbox, other.authority, commands)()
            except MismatchError as mismatch:
                complaint = str(mismatch)
            # A program that answers no JSON, a sandbox that does not answer.
            except (OSError, ValueError) as failure:
                complaint = repr(failure)
            with lock:
                tallies[language].done += 1
                tallies[language].seconds += time.monotonic() - begun
                if complaint is not None:
                    failed.append((language, scenario.name))
                    print(f"FAILED in {language}: {scenario.name}\n    {complaint}", flush=True)

    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pay88-scenarios-") as directory:
        sandboxes = []
        try:
            for number in range(max(2, given.jobs)):
                own = pathlib.Path(directory, str(number))
                own.mkdir()
                sandboxes.append(Sandbox(target / kind / "pay88", own))
            with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
                pairs = zip(sandboxes, sandboxes[1:] + sandboxes[:1])
                for worker in [pool.submit(work, *pair) for _, pair in zip(range(given.jobs), pairs)]:
                    worker.result()
        finally:
            for sandbox in sandboxes:
                sandbox.stop()
    for language, tally in tallies.items():
        lost = sum(1 for one, _ in failed if one == language)
        print(f"{language:8} {tally.done:3} scenarios, {lost} failed, {tally.seconds:5.1f} s")
    print(f"scenarios: {count} runs in {time.monotonic() - begun:.0f} s, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    # The modules with the scenarios are imported for what they say.
    assert words.SCENARIOS and (tokens, failures, calls, bad_input, wire)
    sys.exit(main())
