#!/usr/bin/env python3
"""Runs every condition of conditions.py in every face of the library, at sandboxes of its own, over TLS.

    tests/environment/run.py [--debug] [--face NAME]... [--only WORDS] [--jobs N]

Needs root, and what `make build` has built (with --debug: python/build.sh, node/build.sh, php/build.sh and go/build.sh,
each with --debug). CARGO_TARGET_DIR is honoured. Everything has an end. What is printed holds no key, token or session ID.
"""

import argparse
import concurrent.futures
import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import queue
import re
import resource
import secrets
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import conditions as table

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "scenarios"))

from run import MismatchError, Sandbox, php  # noqa: E402  (the scenarios' own)

# A step's last moment, in seconds: more than the library's own 30.
LIMIT = 45
# Where the programs find their two descriptors: above all that a condition closes, below each limit.
STEPS, ANSWERS = 3, 4
CHARGE = json.dumps(
    {
        "flow": "PAYIN",
        "method_code": "CARDS",
        "method_category": "CARD",
        "amount": 50000,
        "currency": "COP",
        "country": "COL",
        "description": "Order 1001",
        "customer_id": "customer-1",
        "notification_url": "https://example.com/notify",
        "return_url": "https://example.com/return",
    }
)
# Locks the whole of each file, as everybody of its group can who never had a key, until its input ends.
HOLDER = """
import fcntl, glob, struct, sys
held = [open(path, "r+b") for path in glob.glob("/dev/shm/*/*.lock*")]
for file in held:
    # F_OFD_SETLKW: it waits for a leader that is about to let go.
    fcntl.fcntl(file, 38, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print(len(held), flush=True)
sys.stdin.read()
"""
# A lock that is held in silence delays a refresh by this much at the most, in seconds, and ten times that in a test.
PROMISED = 2
PROBLEMS_OF_THE_SYSTEM = ("connection_failed", "config_invalid", "internal", "tls_failed")


class Place:
    """What the runs of one worker share: a sandbox and a directory."""

    def __init__(self, built, kind, directory):
        directory.mkdir(mode=0o755)
        self.directory = directory
        self.built = built
        self.sandbox = Sandbox(built / "pay88", directory)
        authorities = directory / "authorities"
        authorities.mkdir()
        # As c_rehash names them; any name of this form is read.
        shutil.copy(self.sandbox.authority, authorities / "00000000.0")
        for path in (self.sandbox.authority, authorities / "00000000.0"):
            path.chmod(0o644)
        self.commands = {
            "c": [built / "environment" / "face"],
            "python": [sys.executable, HERE / "programs" / "face.py"],
            "node": [shutil.which("node") or "node", HERE / "programs" / "face.mjs"],
            "php": [*php(built.parent, kind), HERE / "programs" / "face.php"],
            "go": [built / "environment" / "face_go"],
            "command": [built / "pay88"],
        }


class Run:
    """One condition in one face."""

    def __init__(self, condition, face, place):
        self._condition, self._face, self._place = condition, face, place
        self._keys = [f"sk_test_sandbox_{secrets.token_hex(8)}" for _ in range(condition.merchants)]
        self._user = pwd.getpwnam(condition.user or "root")
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=place.directory))
        self._directory.chmod(0o755)
        self._merchant = f"MCH-COL-{secrets.token_hex(6).upper()}"
        self._known = {
            "KEY": self._keys[0],
            "MERCHANT": self._merchant,
            "BASE_URL": place.sandbox.base_url,
            "AUTHORITY_FILE": str(place.sandbox.authority),
            "AUTHORITY_DIRECTORY": str(place.directory / "authorities"),
        }

    def environment(self):
        named = {
            "API_KEY": "KEY",
            "MERCHANT_ID": "MERCHANT",
            "BASE_URL": "BASE_URL",
            "CA_BUNDLE": "AUTHORITY_FILE",
        }
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python"), "HOME": "/"}
        environment.update({f"{table.PREFIX}{name}": self._known[place] for name, place in named.items()})
        for name, value in self._condition.variables.items():
            if value is None:
                del environment[name]
            else:
                environment[name] = self._known.get(value, value)
        return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}

    def command(self, more, beside=None):
        """The face's program, as its user, with its streams."""
        words = [str(word) for word in (*self._place.commands[self._face], *more)]
        if self._condition.secure:
            owner = pwd.getpwnam("daemon")
            copy = self._directory / "secure"
            shutil.copy(words[0], copy)
            os.chown(copy, owner.pw_uid, owner.pw_gid)
            copy.chmod(0o4755)
            words[0] = str(copy)
        closed = "".join(f" {fd}>&-" for fd in self._condition.closed)
        return self._placed(words, self._condition.user, beside, closed)

    def _placed(self, words, user, beside, closed=""):
        """A command in a mount namespace, or in that of the process beside, as that user with the program's group."""
        before = "mount -t tmpfs -o size=64k,mode=1777 none /dev/shm\n"
        before += self._condition.before.replace("UID", str(self._user.pw_uid)).replace("GID", str(self._user.pw_gid)) + "\n"
        setpriv = f"setpriv --reuid {user} --regid {self._user.pw_gid} --clear-groups" if user else ""
        begin = ["unshare", "-m", "--propagation", "private"]
        if beside is not None:
            begin, before = ["nsenter", "-m", "-t", str(beside)], ""
        return [*begin, "sh", "-ec", f'{before}exec {setpriv} "$@"{closed}', "sh", *words]

    def __call__(self):
        sandbox = self._place.sandbox
        try:
            sandbox.begin()
            sandbox.control("POST", "/switches", {"expires_in": self._condition.expires_in})
            for key in self._keys:
                sandbox.control("POST", "/keys", {"merchant_id": self._merchant, "key": key})
            if self._face == "command":
                self._run_command()
            else:
                self._run_programs()
        finally:
            shutil.rmtree(self._directory)

    @contextlib.contextmanager
    def _locks_held(self, beside):
        """Somebody holds all locks, and the token is valid no more."""
        command = self._placed([sys.executable, "-c", HOLDER], self._condition.holder, beside)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            try:
                held = holder.stdout.readline().strip()
                if held != "1":
                    raise MismatchError(f"{held} files of locks")
                self._place.sandbox.control("POST", "/revoke")
                yield
            finally:
                holder.kill()

    def _in_time(self, begun):
        took = time.monotonic() - begun
        print(f"a lock that is held in silence costs a {self._face} process {took:.2f} s", flush=True)
        if took > 10 * PROMISED:
            raise MismatchError(f"{took:.1f} s beside a lock that is held in silence")

    # --- The command ---------------------------------------------------------------------------------------------

    def _run_command(self):
        if self._condition.holder is None:
            self._run_command_once(None, 1)
            return
        # Keeps the namespace.
        with subprocess.Popen(self._placed(["cat"], None, None), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
            try:
                keeper.stdin.write(b"\n")
                keeper.stdin.flush()
                keeper.stdout.readline()
                self._run_command_once(keeper.pid, 1)
                with self._locks_held(keeper.pid):
                    begun = time.monotonic()
                    self._run_command_once(keeper.pid, 2)
                    self._in_time(begun)
            finally:
                keeper.kill()

    def _run_command_once(self, beside, charges):
        limits = [f"prlimit --{name.lower()}={value}:" for name, value in self._condition.limits.items()]
        limit = " ".join(limits).split()
        command = self.command(["request", "POST", "/api/transactions/charges", "-d", CHARGE], beside)
        at = len(command) - command[::-1].index("sh")
        command[at:at] = limit
        done = subprocess.run(
            command, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False
        )
        created = self._place.sandbox.counted()["charges_created"]
        told = done.stderr.decode(errors="replace")
        wanted = self._condition.wanted
        if isinstance(wanted, table.Refused):
            if done.returncode != 1 or wanted.words not in told or wanted.code not in told or created:
                raise MismatchError(f"status {done.returncode}, {created} charges: {told}")
        elif done.returncode != 0 or created != charges:
            raise MismatchError(f"status {done.returncode}, {created} charges: {told}")

    # --- Programs ------------------------------------------------------------------------------------------------

    def _run_programs(self):
        condition = self._condition
        programs = []
        try:
            for _ in range(condition.processes):
                beside = programs[0].process.pid if programs else None
                programs.append(Program(self.command([STEPS, ANSWERS], beside), self.environment()))
                programs[-1].limit(condition.limits)
                if condition.holder or condition.listens:
                    programs[-1].ask("listen")
            refused = [self._visit(program) for program in programs]
            for program in programs:
                program.lift(condition.limits)
            if isinstance(condition.wanted, table.Refused):
                return
            self._run_again(programs)
            counted = self._place.sandbox.counted()
            charges = len(programs) * condition.merchants * 2 - sum(refused)
            if counted["charges_created"] != charges:
                raise MismatchError(f"{counted['charges_created']} charges, not {charges}")
            # Where something was refused for want of descriptors a token may have been asked for in vain.
            tokens = condition.merchants + (len(programs) if condition.holder else 0)
            if counted["tokens_issued"] != tokens and not any(refused):
                raise MismatchError(f"{counted['tokens_issued']} tokens, not {tokens}")
            for program in programs:
                # Node, PHP and Go themselves open what is closed.
                program.end(condition.most_descriptors, () if self._face in ("node", "php", "go") else condition.closed)
        finally:
            for program in programs:
                program.stop()

    def _run_again(self, programs):
        """Once the limits are lifted."""
        if self._condition.holder is None:
            for program in programs:
                self._visit(program, strict=True)
            return
        with self._locks_held(programs[0].process.pid):
            for program in programs:
                begun = time.monotonic()
                self._visit(program, strict=True)
                self._in_time(begun)
                told = program.ask("degraded")["ok"]
                if "holds the lock" not in str(told):
                    raise MismatchError(f"the event says {told}")

    def _visit(self, program, strict=False):
        """Builds the managers, gets tokens and makes charges; how many of those were refused, as the condition allows."""
        refused = 0
        for number, key in enumerate(self._keys):
            steps = ["token", "charge"]
            if len(program.managers) <= number:
                options = dict(self._condition.options)
                if len(self._keys) > 1:
                    options["api_key"] = key
                words = [name if value is None else f"{name}={self._known.get(value, value)}" for name, value in options.items()]
                built = program.ask(" ".join(["new", *words]))
                if self._is_refused(built, strict):
                    return refused + len(self._keys) - number
                program.managers.append(built)
            for step in steps:
                answer = program.ask(f"{step:5} {number}")
                if self._is_refused(answer, strict):
                    if isinstance(self._condition.wanted, table.Refused):
                        return 1
                    refused += 1
                    break
                if answer["ok"] != {"token": self._condition.expires_in, "charge": 200}[step]:
                    raise MismatchError(f"{step} gives {answer}")
        if isinstance(self._condition.wanted, table.Refused):
            raise MismatchError("nothing is refused")
        if not self._condition.limits or strict:
            # The program's own files are not hindered.
            opened = program.ask("open")
            if "ok" not in opened:
                raise MismatchError(f"the program cannot open a file: {opened}")
        return refused

    def _is_refused(self, answer, strict):
        if "ok" in answer:
            return False
        wanted = self._condition.wanted
        if isinstance(wanted, table.Refused):
            told = answer["message"] + answer["hint"]
            if answer["code"] != wanted.code or wanted.words not in told or answer["outcome"] != "not_sent":
                raise MismatchError(f"another error: {answer}")
            return True
        if wanted != table.SAYS_SO_OR_GOES_ON or strict:
            raise MismatchError(f"{answer}")
        hint = answer.get("hint", "")
        helps = hint and "report" not in hint
        if answer["code"] not in PROBLEMS_OF_THE_SYSTEM or answer["outcome"] != "not_sent" or not helps:
            raise MismatchError(f"an error that does not help: {answer}")
        return True


class Program:
    """A running program of a face."""

    def __init__(self, command, environment):
        self.managers = []
        steps, self._steps = os.pipe()
        self._answers, answers = os.pipe()

        def place():
            # High first: either may be where the other goes.
            high = [os.dup2(fd, number) for fd, number in ((steps, 200), (answers, 201))]
            os.dup2(high[0], STEPS)
            os.dup2(high[1], ANSWERS)
            os.closerange(5, 256)

        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            close_fds=False,
            preexec_fn=place,
        )
        os.close(steps)
        os.close(answers)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._read = b""

    def limit(self, limits):
        # Once it has started: what its interpreter opens by itself is not limited, and its namespace is there.
        if "ok" not in self.ask("open"):
            raise MismatchError("the program does not start")
        for name, value in limits.items():
            self._set_limit(name, value)

    def lift(self, limits):
        for name in limits:
            before = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
            self._set_limit(name, "unlimited" if before == resource.RLIM_INFINITY else before)

    def _set_limit(self, name, soft):
        # As its user: root may be without the right to do this to others.
        user = os.stat(f"/proc/{self.process.pid}").st_uid
        group = os.stat(f"/proc/{self.process.pid}").st_gid
        command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "prlimit"]
        subprocess.run([*command, f"--pid={self.process.pid}", f"--{name.lower()}={soft}:"], check=True, timeout=10)

    def ask(self, step):
        try:
            os.write(self._steps, f"{step}\n".encode())
        except BrokenPipeError:
            raise MismatchError(f"{step}: the program has ended: {self._complaint()}") from None
        end = time.monotonic() + LIMIT
        while b"\n" not in self._read:
            if not self._selector.select(max(0, end - time.monotonic())):
                raise MismatchError(f"{step}: no answer within {LIMIT} s")
            block = os.read(self._answers, 1 << 16)
            if not block:
                raise MismatchError(f"{step}: the program has ended: {self._complaint()}")
            self._read += block
        answer, _, self._read = self._read.partition(b"\n")
        return json.loads(answer)

    def end(self, most_descriptors, closed):
        descriptors = [int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd")]
        os.close(self._steps)
        self._steps = None
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            raise MismatchError("the program does not end when its input does") from None
        if status != 0 or self._said():
            raise MismatchError(f"the program ended: {self._complaint()}")
        if most_descriptors is not None and len(descriptors) > most_descriptors:
            raise MismatchError(f"{len(descriptors)} descriptors")
        if set(closed) & set(descriptors):
            raise MismatchError(f"something stands on the streams that were closed: {sorted(descriptors)}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self._selector.close()
        for fd in (self._steps, self._answers):
            if fd is not None:
                os.close(fd)
        self._errors.close()

    def _said(self):
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def _complaint(self):
        try:
            status = self.process.wait(2)
        except subprocess.TimeoutExpired:
            status = "none"
        return f"status {status}: {self._said()[-600:]}"


def build(built):
    """The programs that have to be compiled."""
    (built / "environment").mkdir(exist_ok=True)
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-Iinclude"]
    link = [f"-L{built}", f"-Wl,-rpath,{built}", "-lpay88"]
    for command in (
        ["bindings/c/link.sh", built],
        ["cc", *flags, HERE / "programs" / "face.c", "-o", built / "environment" / "face", *link],
        ["go", "build", "-C", "go", "-o", built / "environment" / "face_go", HERE / "programs" / "face.go"],
        ["cc", *flags, "-Itests/c", "tests/c/stack.c", "tests/c/support.c", "-o", built / "environment" / "stack", *link],
    ):
        subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


def options(built):
    """The names of the table of options, from the library itself."""

    class Text(ctypes.Structure):
        _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    library = ctypes.CDLL(str(built / "libpay88.so.0"))
    library.pay88_option_count.restype = ctypes.c_size_t
    library.pay88_option_name.restype = Text
    library.pay88_option_name.argtypes = [ctypes.c_size_t]
    texts = [library.pay88_option_name(index) for index in range(library.pay88_option_count())]
    return [ctypes.string_at(text.data, text.length).decode() for text in texts]


def small_stack(built):
    """Every call on a stack of the size that the header names."""
    (kilobytes,) = re.findall(r"needs (\d+) KiB of stack", (ROOT / "include" / "pay88.h").read_text())
    command = [built / "pay88", "sandbox", "--exec", "--", built / "environment" / "stack", kilobytes]
    subprocess.run([str(word) for word in command], timeout=100, check=True)


def main():
    parser = argparse.ArgumentParser(description="Runs every condition in every face of the library.")
    parser.add_argument("--debug", action="store_true", help="with what was built by build.sh --debug")
    parser.add_argument("--face", action="append", choices=table.ALL, help="this one; may be repeated")
    parser.add_argument("--only", default="", help="conditions whose name has these words")
    parser.add_argument("--jobs", type=int, default=4, help="how many at a time, each at a sandbox of its own")
    given = parser.parse_args()
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, timeout=10, check=False).returncode != 0:
        print("left out: the tests of the environment, which mount and run programs as other users, need root")
        return 1 if os.environ.get("PAY88_TEST_NOTHING_SKIPPED") else 0
    for name in [name for name in os.environ if re.match(r"(?i)((https?|all|no)_proxy|SSL_CERT_.*|EIGHTY_EIGHT_PAY_.*)$", name)]:
        del os.environ[name]

    kind = "debug" if given.debug else "release"
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / kind
    build(built)
    jobs = queue.SimpleQueue()
    count = 0
    for condition in table.conditions(options(built)):
        for face in condition.faces:
            if given.only in condition.name and (not given.face or face in given.face):
                jobs.put((condition, face))
                count += 1
    failed = []
    lock = threading.Lock()

    def work(place):
        while True:
            try:
                condition, face = jobs.get_nowait()
            except queue.Empty:
                return
            complaint = None
            try:
                Run(condition, face, place)()
            except MismatchError as mismatch:
                complaint = str(mismatch)
            # A program that answers no JSON, a sandbox that does not answer, a command that does not end.
            except (OSError, ValueError, subprocess.SubprocessError) as failure:
                complaint = repr(failure)
            if complaint is not None:
                with lock:
                    failed.append(condition.name)
                    print(f"FAILED in {face}: {condition.name}\n    {complaint}", flush=True)

    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pay88-environment-") as directory:
        pathlib.Path(directory).chmod(0o755)
        places = []
        try:
            for number in range(given.jobs):
                places.append(Place(built, kind, pathlib.Path(directory, str(number))))
            with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
                for worker in [pool.submit(work, place) for place in places]:
                    worker.result()
        finally:
            for place in places:
                place.sandbox.stop()
    if not given.only:
        small_stack(built)
    print(f"environment: {count} runs in {time.monotonic() - begun:.0f} s, {len(failed)} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
