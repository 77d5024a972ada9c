"""A contender written in Python: as many operations as a line of its input says, then what they cost. See
src/contender.rs, whose counterpart this is.
"""

import os
import sys
import time

CHARGE = "/api/transactions/charges"
TIMEOUT = 30
AT_A_TIME = 32

BASE_URL = os.environ["BENCH_BASE_URL"]
URL = BASE_URL + CHARGE
CA = os.environ["BENCH_CA"]
BODY = os.environ["BENCH_BODY"].encode()
ANSWER_BYTES = int(os.environ["BENCH_ANSWER_BYTES"])
HEADERS = {
    "Authorization": "Bearer " + os.environ["BENCH_ACCESS_TOKEN"],
    "x-session-id": os.environ["BENCH_SESSION_ID"],
    "Content-Type": "application/json",
    "User-Agent": os.environ["BENCH_USER_AGENT"],
    "Accept": "*/*",
}


def serve(work):
    """Does the work until the input ends; a tenth of it before each measurement, so that what idled is awake."""
    if "BENCH_ONCE" in os.environ:
        work(1)
        print("answered", flush=True)
        return
    for line in sys.stdin:
        operations = int(line)
        work(operations // 10)
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        work(operations)
        wall, cpu = time.monotonic_ns() - wall, time.process_time_ns() - cpu
        print(wall, cpu, flush=True)


def check(status, body):
    if status != 200 or len(body) != ANSWER_BYTES:
        raise SystemExit(f"contender: status {status} with {len(body)} bytes")


def manager(of):
    import pay88

    credentials = os.environ["BENCH_API_KEY"], os.environ["BENCH_MERCHANT_ID"], BASE_URL
    return getattr(pay88, of)(*credentials, ca_bundle=CA, share=os.environ["BENCH_SHARE"])


def documented_manager():
    import documented

    return documented.TokenManager(os.environ["BENCH_API_KEY"], os.environ["BENCH_MERCHANT_ID"], BASE_URL)


def read_token(of):
    token = of.get_token()
    if token["access_token"] not in HEADERS["Authorization"]:
        raise SystemExit("contender: another token")

    def work(times):
        for _ in range(times):
            of.get_token()

    return work


def charge_with(send):
    """Charges one after the other; `send` makes one and gives its status and body."""

    def work(times):
        for _ in range(times):
            check(*send())

    return work


def charge_of(of):
    def send():
        answer = of.make_request(CHARGE, method="POST", data=BODY)
        return answer.status_code, answer.content

    return charge_with(send)


def charge_pycurl():
    import pycurl

    handle = pycurl.Curl()
    for option, value in [
        (pycurl.URL, URL),
        (pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in HEADERS.items()]),
        (pycurl.POSTFIELDS, BODY),
        (pycurl.CAINFO, CA),
        (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
        (pycurl.PROXY, ""),
        (pycurl.TIMEOUT, TIMEOUT),
        (pycurl.NOSIGNAL, 1),
    ]:
        handle.setopt(option, value)

    def send():
        body = handle.perform_rb()
        return handle.getinfo(pycurl.RESPONSE_CODE), body

    return charge_with(send)


def charge_httpx():
    import ssl

    import httpx

    client = httpx.Client(
        verify=ssl.create_default_context(cafile=CA), headers=HEADERS, timeout=TIMEOUT, trust_env=False
    )

    def send():
        answer = client.post(URL, content=BODY)
        return answer.status_code, answer.content

    return charge_with(send)


def charge_requests():
    import requests

    session = requests.Session()
    session.trust_env = False
    session.verify = CA

    def send():
        answer = session.post(URL, data=BODY, headers=HEADERS, timeout=TIMEOUT, allow_redirects=False)
        return answer.status_code, answer.content

    return charge_with(send)


def charge_asynchronously(at_a_time, open_client, send):
    """So many charges at a time, on uvloop."""
    import asyncio

    import uvloop

    async def some(client, times):
        for _ in range(times):
            check(*await send(client))

    async def work(client, times):
        await asyncio.gather(*(some(client, times // at_a_time) for _ in range(at_a_time)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def opened():
            return await open_client()

        async def closed():
            await client.__aexit__(None, None, None)

        client = runner.run(opened())
        serve(lambda times: runner.run(work(client, times)))
        runner.run(closed())


def asynchronously(at_a_time):
    async def open_client():
        return manager("AsyncTokenManager")

    async def send(client):
        answer = await client.make_request(CHARGE, method="POST", data=BODY)
        return answer.status_code, answer.content

    charge_asynchronously(at_a_time, open_client, send)


def asynchronously_aiohttp(at_a_time):
    import ssl

    import aiohttp

    async def open_client():
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=CA)),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
        )

    async def send(client):
        async with client.post(URL, data=BODY, headers=HEADERS, allow_redirects=False) as answer:
            return answer.status, await answer.read()

    charge_asynchronously(at_a_time, open_client, send)


def imports(module):
    """Each operation is the import of the module in an interpreter that has just been started."""
    import subprocess

    program = f"""
import time
wall, cpu = time.perf_counter_ns(), time.process_time_ns()
import {module}
print(time.perf_counter_ns() - wall, time.process_time_ns() - cpu)
"""

    def import_once():
        output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60).stdout
        return [int(number) for number in output.split()]

    for line in sys.stdin:
        import_once()
        costs = [import_once() for _ in range(int(line))]
        print(sum(wall for wall, _ in costs), sum(cpu for _, cpu in costs), flush=True)


def busy(of):
    """Reads the token 20 times a second until the input ends."""
    import select

    while not select.select([sys.stdin], [], [], 0.05)[0]:
        of.get_token()


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def memory(build):
    """The bytes that are resident after a charge and were not before anything was imported for it."""
    before = resident()
    charge_of(build())(1)
    print(resident() - before, flush=True)


def contend(name):
    if name == "token":
        serve(read_token(manager("TokenManager")))
    elif name == "token-documented":
        serve(read_token(documented_manager()))
    elif name == "charge":
        serve(charge_of(manager("TokenManager")))
    elif name == "charge-documented":
        serve(charge_of(documented_manager()))
    elif name == "charge-pycurl":
        serve(charge_pycurl())
    elif name == "charge-httpx":
        serve(charge_httpx())
    elif name == "charge-requests":
        serve(charge_requests())
    elif name == "async":
        asynchronously(AT_A_TIME)
    elif name == "async-aiohttp":
        asynchronously_aiohttp(AT_A_TIME)
    elif name == "async1":
        asynchronously(1)
    elif name == "async1-aiohttp":
        asynchronously_aiohttp(1)
    elif name == "busy":
        busy(manager("TokenManager"))
    elif name == "busy-documented":
        busy(documented_manager())
    elif name == "memory":
        memory(lambda: manager("TokenManager"))
    elif name == "memory-documented":
        memory(documented_manager)
    elif name.startswith("import-"):
        imports(name.removeprefix("import-"))
    else:
        raise SystemExit(f"contender: there is no contender {name}")


contend(sys.argv[1])
