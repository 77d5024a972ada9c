"""What importing the package costs and does not do."""

import subprocess
import sys
import time

ABSENT = ("asyncio", "inspect", "dataclasses", "socket", "ssl", "logging", "requests", "httpx", "aiohttp", "gevent")


def test_importing_starts_no_thread_opens_no_socket_and_loads_little(sandbox):
    program = f"""
import os, sys
before, threads = set(os.listdir("/proc/self/fd")), os.listdir("/proc/self/task")
import pay88
print(sorted(name for name in {ABSENT} if name in sys.modules))
print(set(os.listdir("/proc/self/fd")) == before, os.listdir("/proc/self/task") == threads)
"""
    assert sandbox.run(program, "-S") == (0, "[]\nTrue True\n", "")


def test_importing_is_quick(sandbox, capsys):
    def quickest(program):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-S", "-c", program], env=sandbox.environment, check=True, timeout=30)
            times.append(time.perf_counter() - start)
        return min(times)

    took = (quickest("import pay88") - quickest("")) * 1000
    with capsys.disabled():
        print(f"\nimport pay88: {took:.1f} ms over a bare interpreter (the aim is 15)")
    assert took < 150
