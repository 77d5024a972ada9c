"""gunicorn with an application of a test."""

import concurrent.futures
import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def serving(application, directory, environment, *flags):
    """Gives a function that asks the application, which answers, for what it says. It is ended whatever happens."""
    (directory / "shop.py").write_text(application)
    # gunicorn gets the socket, so that nobody else takes its port before.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*bound.getsockname())
        place = f"fd://{bound.fileno()}"
        command = [sys.executable, "-m", "gunicorn", *flags, "-b", place, "--no-control-socket", "shop:application"]
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True, pass_fds=[bound.fileno()]
        )

    def ask(_=None):
        with _OPENER.open(f"http://{address}/", timeout=30) as answer:
            return answer.read().decode()

    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                ask()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield ask
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        finally:
            process.kill()
            process.communicate()


def ask_until_all_answered(ask, workers, worker_of):
    """The last answer of each worker. The application has to take its time, so that no worker answers all."""
    answers, deadline = {}, time.monotonic() + 30
    with concurrent.futures.ThreadPoolExecutor(4 * workers) as pool:
        while len(answers) < workers:
            assert time.monotonic() < deadline, answers
            for answer in pool.map(ask, range(8 * workers)):
                answers[worker_of(answer)] = answer
    return answers
