#!/usr/bin/env python3
"""One manager and one token in a process, whatever copies of the library its parts bring, loaded at the same moment.

    pay88 sandbox --exec -- tests/one_manager/test.py [--debug]

Needs what python/build.sh, node/build.sh, php/build.sh and go/build.sh have built (with --debug: php/build.sh --debug).
Each case is many processes, since what is at stake is a race.
"""

import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "one_manager"
TIMES = 20
COPIES = 4
# A loader that hangs ends the test.
LIMIT = 60

# In every part: its own manager, which a second library would number like another part's, then that of all.
PYTHON = """
import importlib, json, threading
start = threading.Barrier({copies})
parts = []

def load(number):
    start.wait()
    pay88 = importlib.import_module(f"pay88_{{number}}")
    own = pay88.TokenManager(merchant_id=f"MCH-COL-{{number}}")
    tm = pay88.TokenManager()
    parts.append([own.manager_id, tm.manager_id, hash(tm.get_token().access_token)])

threads = [threading.Thread(target=load, args=(number,)) for number in range({copies})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(parts))
"""

NODE = """
const { Worker } = require('node:worker_threads');
const code = `
const { parentPort, workerData } = require('node:worker_threads');
// The addon is there, and has looked for no library yet.
const addon = require(workerData.copy + '/native/pay88.' + process.platform + '-' + process.arch + '.node');
parentPort.postMessage('ready');
while (Atomics.load(workerData.start, 0) === 0);
addon.version();
const { TokenManager } = require(workerData.copy);
const own = new TokenManager({ merchantId: 'MCH-COL-' + workerData.number });
const tm = new TokenManager();
tm.getToken().then((token) => parentPort.postMessage([own.managerId, tm.managerId, token.access_token.slice(-8)]));`;
const start = new Int32Array(new SharedArrayBuffer(4));
const parts = [];
let ready = 0;
const copies = process.argv.slice(1);
for (const [number, copy] of copies.entries()) {
  const worker = new Worker(code, { eval: true, workerData: { start, number, copy } });
  worker.on('error', (error) => { throw error; });
  worker.on('message', (message) => {
    if (message !== 'ready') return parts.push(message);
    if (++ready < copies.length) return;
    Atomics.store(start, 0, 1);
  });
}
process.on('exit', () => console.log(JSON.stringify(parts)));
"""

PYTHON_ALONE = "import pay88\ntm = pay88.TokenManager()\ntm.get_token()\nprint(tm.manager_id, flush=True)"

# The library in Go brings a copy of its own, and is loaded at the same moment.
GO = """
import ctypes, threading
go = ctypes.CDLL({library!r})
go.Number.restype = ctypes.c_ulonglong
start = threading.Barrier(2)

def load():
    start.wait()
    print(go.Number(), flush=True)

thread = threading.Thread(target=load)
thread.start()
start.wait()
import pay88
tm = pay88.TokenManager()
tm.get_token()
print(tm.manager_id, flush=True)
thread.join()
"""


class OneManager(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="pay88-one-manager-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def environment(self, **more):
        """Credentials that no other process has used, and nothing of this machine's settings."""
        key = f"sk_test_sandbox_{secrets.token_hex(8)}"
        control("POST", "/keys", {"merchant_id": os.environ["EIGHTY_EIGHT_PAY_MERCHANT_ID"], "key": key})
        known = (
            "PATH",
            "LD_LIBRARY_PATH",
            *(f"EIGHTY_EIGHT_PAY_{name}" for name in ("MERCHANT_ID", "BASE_URL", "CA_BUNDLE")),
        )
        inherited = {name: os.environ[name] for name in known if name in os.environ}
        return {**inherited, "EIGHTY_EIGHT_PAY_API_KEY": key, "EIGHTY_EIGHT_PAY_SHARE": "process", **more}

    def run_once(self, command, **environment):
        """What it prints, and how many tokens were issued for it."""
        environment = self.environment(**environment)
        before = tokens_issued()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout, tokens_issued() - before

    def assert_one(self, printed, issued):
        parts = json.loads(printed)
        own, shared, token = (set(column) for column in zip(*parts))
        self.assertEqual((len(parts), len(own), len(shared), len(token), issued), (COPIES, COPIES, 1, 1, 1), printed)

    def leave_out(self, why):
        # In the gate (`.ci/run`) every test has to run.
        if "PAY88_TEST_NOTHING_SKIPPED" in os.environ:
            self.fail(why)
        self.skipTest(why)

    def libpython(self):
        found = pathlib.Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
        if found.suffix == ".a" or not found.exists():
            self.leave_out("this Python has no shared library to embed")
        return found

    def test_python_packages_of_several_directories_that_threads_import_at_the_same_moment(self):
        for number in range(COPIES):
            copy(ROOT / "python" / "pay88", self.directory / f"pay88_{number}")
        for _ in range(TIMES):
            command = [sys.executable, "-c", PYTHON.format(copies=COPIES)]
            self.assert_one(*self.run_once(command, PYTHONPATH=str(self.directory)))

    def test_npm_packages_of_several_directories_that_workers_require_at_the_same_moment(self):
        copies = [self.directory / str(number) for number in range(COPIES)]
        for directory in copies:
            for part in ("dist", "native"):
                copy(ROOT / "node" / part, directory / part)
            shutil.copyfile(ROOT / "node" / "package.json", directory / "package.json")
        for _ in range(TIMES):
            self.assert_one(*self.run_once(["node", "-e", NODE, *copies]))

    def test_a_c_program_and_the_python_that_it_embeds_which_load_their_files_at_the_same_moment(self):
        libpython = self.libpython()
        copy(ROOT / "python" / "pay88", self.directory / "python" / "pay88")
        own = self.directory / "own"
        own.mkdir()
        shutil.copyfile(ROOT / "python" / "pay88" / "libpay88.so.0", own / "libpay88.so.0")
        program = self.directory / "program"
        flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{ROOT / 'include'}"]
        compile_it = ["cc", *flags, HERE / "program.c", "-o", program, f"-Wl,-rpath,{own}", "-ldl"]
        subprocess.run(compile_it, check=True, timeout=LIMIT)
        for _ in range(TIMES):
            more = {"PYTHONPATH": str(self.directory / "python"), "PYTHONHOME": sys.base_prefix}
            printed, issued = self.run_once([program, libpython, PYTHON_ALONE], **more)
            self.assertEqual((digits(printed), issued), (["1", "1"], 1))

    def test_php_and_python_in_one_process_which_load_their_files_at_the_same_moment(self):
        libpython = self.libpython()
        version = said_by("php-config", "--version").rpartition(".")[0]
        libphp = pathlib.Path(f"/usr/lib/libphp{version}.so")
        if not libphp.exists():
            self.leave_out("there is no PHP to embed: install Debian's libphp-embed")
        copy(ROOT / "python" / "pay88", self.directory / "python" / "pay88")
        copy(extension(), self.directory / "php")
        settings = self.directory / "settings"
        settings.mkdir()
        (settings / "pay88.ini").write_text(f"extension={self.directory}/php/pay88.so\n")
        program = self.directory / "program"
        flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
        subprocess.run(["cc", *flags, HERE / "php.c", "-o", program, "-ldl"], check=True, timeout=LIMIT)
        php = "$tm = new Pay88\\TokenManager(); $tm->getToken(); echo $tm->managerId(), PHP_EOL;"
        for _ in range(TIMES):
            more = {"PYTHONPATH": str(self.directory / "python"), "PYTHONHOME": sys.base_prefix}
            more |= {"PHP_INI_SCAN_DIR": str(settings), "PHPRC": str(settings)}
            printed, issued = self.run_once([program, libphp, php, libpython, PYTHON_ALONE], **more)
            self.assertEqual((digits(printed), issued), (["1", "1"], 1))

    def test_a_library_in_go_beside_python_which_load_their_files_at_the_same_moment(self):
        copy(ROOT / "python" / "pay88", self.directory / "python" / "pay88")
        library = self.directory / "shared.so"
        build = ["go", "build", "-buildmode=c-shared", "-o", library, HERE / "shared.go"]
        subprocess.run(build, check=True, timeout=10 * LIMIT, cwd=ROOT / "go", env={**os.environ, "CGO_ENABLED": "1"})
        command = [sys.executable, "-c", GO.format(library=str(library))]
        for _ in range(TIMES):
            more = {"PYTHONPATH": str(self.directory / "python"), "LD_LIBRARY_PATH": ""}
            printed, issued = self.run_once(command, **more)
            self.assertEqual((digits(printed), issued), (["1", "1"], 1))


def digits(printed):
    """The numbers of managers, each of one digit. Two languages that print at once may print their ends of line last."""
    return sorted("".join(printed.split()))


def copy(source, target):
    """Files of its own: the loader knows one file by its inode, whatever its name is."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def extension():
    """Where php/build.sh has put PHP's extension and its library."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    return target / "php" / (said_by(ROOT / "php" / "api.sh") + ("-debug" if "--debug" in sys.argv else ""))


def said_by(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout.strip()


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["PAY88_SANDBOX_CONTROL"] + path, data=data, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


def tokens_issued():
    return control("GET", "/counters")["tokens_issued"]


if __name__ == "__main__":
    unittest.main(argv=[one for one in sys.argv if one != "--debug"])
