"""php-fpm behind nginx, as merchants run it: what its tests share."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "scenarios"))

from run import Sandbox  # noqa: E402  (the scenarios' own)

VERSION = subprocess.run(
    ["php-config", "--version"], check=True, capture_output=True, text=True, timeout=10
).stdout.rpartition(".")[0]
FPM = shutil.which(f"php-fpm{VERSION}", path=f"{os.environ['PATH']}:/usr/sbin")
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
USER = "www-data"
WORKERS = 8
AT_A_TIME = 8
# Whatever hangs has an end.
LIMIT = 60

# A charge for each number, and who made it.
CHARGE = """<?php
$tm = new Pay88\\TokenManager();
$answer = $tm->makeRequest('/api/transactions/charges', 'POST', [
    'flow' => 'PAYIN', 'method_code' => 'CARDS', 'amount' => 50000, 'currency' => 'COP', 'country' => 'COL',
    'description' => 'Order ' . $_GET['order'],
]);
header('Content-Type: application/json');
echo json_encode(['pid' => getmypid(), 'code' => $answer['code'], 'path' => $tm->stats()['share_path']]);
"""
NGINX_CONF = """
daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
{user}
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests 100000;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{
    listen unix:{directory}/nginx;
    location ~ ^/(?<pool>\\w+)/(?<script>\\w+)$ {{
      fastcgi_pass unix:{directory}/$pool.sock;
      fastcgi_param SCRIPT_FILENAME {directory}/$script.php;
      fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
    }}
  }}
}}
"""


class Connection(http.client.HTTPConnection):
    """To nginx, whose name cannot be taken by others as a port can."""

    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def until(what, condition, limit=LIMIT):
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(0.02)


def built():
    """Where the command and the extension are: what was built by php/build.sh, with --debug if that was said here."""
    debug = "--debug" in sys.argv
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    api = subprocess.run([ROOT / "php" / "api.sh"], check=True, capture_output=True, text=True).stdout.strip()
    return target / ("debug" if debug else "release"), target / "php" / (f"{api}-debug" if debug else api)


def main():
    unittest.main(argv=[one for one in sys.argv if one != "--debug"], verbosity=2)


class Web:
    """A web server with pools of PHP, and the sandbox that they call."""

    def __init__(self, stack):
        self.directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pay88-web-")))
        self.directory.chmod(0o755)
        self._stack = stack
        command, self.extension = built()
        self.sandbox = Sandbox(command / "pay88", self.directory)
        stack.callback(self.sandbox.stop)
        self.sandbox.authority.chmod(0o644)
        # One token lasts for a whole test, so that each further one is a fault.
        self.sandbox.control("POST", "/switches", {"expires_in": 3600})
        # Where other users may read them, whatever the tree is.
        for file in ("pay88.so", "libpay88.so.0"):
            shutil.copyfile(self.extension / file, self.directory / file)
        self.script("charge", CHARGE)
        self.shared = set()
        stack.callback(self._forget)
        self.master = None

    def _forget(self):
        """Removes what the processes shared."""
        for path in self.shared:
            for file in (path, f"{path}.lock"):
                pathlib.Path(file).unlink(missing_ok=True)

    def merchant(self):
        """Credentials that nobody has used."""
        number = secrets.token_hex(8)
        key, merchant = f"sk_test_sandbox_{number}", f"MCH-COL-{number.upper()}"
        self.sandbox.control("POST", "/keys", {"merchant_id": merchant, "key": key})
        return {
            "api_key": key, "merchant_id": merchant, "base_url": self.sandbox.base_url,
            "ca_bundle": str(self.sandbox.authority),
        }  # fmt: skip

    def script(self, name, code):
        (self.directory / f"{name}.php").write_text(code)

    def start(self, pools, ini=(), user=None, environment=(), extension=True):
        """Pools by name, each a list of settings; as root, or all as one user."""
        lines = ["[global]", f"error_log = {self.directory}/fpm.log", "process_control_timeout = 10s", "daemonize = no"]
        for name, settings in pools.items():
            lines += [f"[{name}]", f"listen = {self.directory}/{name}.sock", "listen.mode = 0666", "pm = static"]
            lines += [] if user else [f"user = {USER}", f"group = {USER}"]
            if not any(line.startswith("pm.max_children") for line in settings):
                lines.append(f"pm.max_children = {WORKERS}")
            # The queue of requests while there is no worker, as during a reload.
            lines += ["listen.backlog = 511", *settings]
        (self.directory / "fpm.conf").write_text("\n".join(lines) + "\n")
        own = [f"extension={self.directory}/pay88.so"] if extension else []
        own += ["zend_extension=opcache", "log_errors=On", *ini]
        (self.directory / "php.ini").write_text("\n".join(own) + "\n")
        as_user = []
        if user:
            account = pwd.getpwnam(user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        command = [*as_user, FPM, "-c", self.directory / "php.ini", "-y", self.directory / "fpm.conf"]
        out = self._stack.enter_context((self.directory / "fpm.out").open("a"))
        clean = {"PATH": os.environ["PATH"], "PHP_INI_SCAN_DIR": "", **dict(environment)}
        self.master = subprocess.Popen(
            [str(word) for word in command], env=clean, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        self._stack.callback(self._kill, self.master)
        configuration = self.directory / "nginx.conf"
        account = f"user {USER};"
        configuration.write_text(NGINX_CONF.format(directory=self.directory, user=account))
        nginx = subprocess.Popen([NGINX, "-e", "stderr", "-c", configuration], stdin=subprocess.DEVNULL)
        self._stack.callback(self._kill, nginx)
        until("a worker answers", self._answers)

    def _answers(self):
        if self.master.poll() is not None:
            raise AssertionError(f"php-fpm ended with {self.master.returncode}: {self.log()}")
        self.script("ready", "<?php echo 'ready';")
        pools = [path.stem for path in self.directory.glob("*.sock")]
        try:
            return pools and all(self.get(f"/{pool}/ready") == (200, "ready") for pool in pools)
        except OSError:
            return False

    @staticmethod
    def _kill(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def log(self):
        path = self.directory / "fpm.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def get(self, target):
        connection = Connection(self.directory / "nginx")
        with contextlib.closing(connection):
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def workers(self):
        """The processes below the master."""
        children = pathlib.Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def until_replaced(self, before):
        """After a reload."""
        until("the workers are replaced", lambda: len(self.workers()) == WORKERS and not self.workers() & before)

    def charges(self, first, last, pool="www", at_half=lambda: None):
        """Makes these orders, some at a time, and returns who made each; half of them before at_half is called."""
        numbers = iter(range(first, last))
        lock = threading.Lock()
        answers = []

        def work(end):
            connection = Connection(self.directory / "nginx")
            with contextlib.closing(connection):
                while True:
                    with lock:
                        number = next(numbers, None) if len(answers) < end else None
                    if number is None:
                        return
                    connection.request("GET", f"/{pool}/charge?order={number}")
                    answer = connection.getresponse()
                    text = answer.read().decode()
                    if answer.status != 200:
                        raise AssertionError(f"order {number}: {answer.status} {text}")
                    with lock:
                        answers.append(json.loads(text))

        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME + 1) as executor:
            for worker in [executor.submit(work, (last - first) // 2) for _ in range(AT_A_TIME)]:
                worker.result(LIMIT)
            rest = [executor.submit(work, last - first) for _ in range(AT_A_TIME)]
            executor.submit(at_half).result(LIMIT)
            for worker in rest:
                worker.result(LIMIT)
        self.shared.update(filter(None, (answer["path"] for answer in answers)))
        return answers

    def assert_charged(self, test, orders, answers, tokens=1):
        """Each order was charged once, for so many tokens."""
        counted = self.sandbox.counted()
        test.assertEqual({answer["code"] for answer in answers}, {200})
        test.assertEqual(len(answers), orders)
        created = self.sandbox.control("GET", "/charges")
        test.assertEqual(len(created), orders)
        test.assertEqual((counted["tokens_requested"], counted["unauthorized"]), (tokens, 0), counted)

    def stop(self, with_signal):
        """Ends php-fpm as a service manager does; nothing is left of it."""
        workers = self.workers()
        self.master.send_signal(with_signal)
        status = self.master.wait(15)
        until("the workers end", lambda: not any(alive(pid) for pid in workers))
        return status


def alive(pid):
    try:
        return "Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def own_memory(pid):
    """KiB that are resident and no code. Code is mapped 64 KiB at a time where it first runs, and is everybody's."""
    kilobytes = _kilobytes(f"/proc/{pid}/status")
    return kilobytes["VmRSS"] - kilobytes["RssFile"]


def resident_and_written(pid):
    """KiB that are resident, without the shared memory of opcache, and those of them that this process alone has written."""
    kilobytes = _kilobytes(f"/proc/{pid}/status")
    return kilobytes["VmRSS"] - kilobytes["RssShmem"], _kilobytes(f"/proc/{pid}/smaps_rollup")["Private_Dirty"]


def _kilobytes(path):
    text = pathlib.Path(path).read_text()
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s*(\d+) kB$", text, re.MULTILINE)}


def needs_release():
    if "--debug" in sys.argv:
        raise unittest.SkipTest("that is of what is shipped")


def needs_root():
    """In the gate (`.ci/run`) every test has to run."""
    if os.geteuid() != 0 or not FPM or not NGINX:
        if "PAY88_TEST_NOTHING_SKIPPED" in os.environ:
            raise AssertionError("php-fpm's tests need root, php-fpm and nginx")
        raise unittest.SkipTest("php-fpm's tests need root, php-fpm and nginx")
