"""Tokens of a manager in requests, httpx and aiohttp."""

import asyncio
import concurrent.futures
import http.server
import ssl
import threading
import urllib.parse

import aiohttp
import httpx
import pytest
import requests

import pay88.adapters.aiohttp
import pay88.adapters.httpx
import pay88.adapters.requests
from charges import CHARGE, CHARGES

AT_ONCE = 200


class Clients:
    """One way to call: makes many calls at once, and gives statuses and bodies."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.tls = ssl.create_default_context(cafile=sandbox.ca_bundle)

    def call_once(self, method, url, **arguments):
        (answer,) = self.call(1, method, url, **arguments)
        return answer


class Requests(Clients):
    def call(self, times, method, url, json=None, data=None, redirects=False):
        session = requests.Session()
        session.trust_env = False
        session.verify = self.sandbox.ca_bundle
        session.auth = pay88.adapters.requests.Pay88Auth(self.sandbox.manager())
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=times))

        def one(_):
            answer = session.request(method, url, json=json, data=data, timeout=30, allow_redirects=redirects)
            return answer.status_code, answer.text

        with concurrent.futures.ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))


class Httpx(Clients):
    def call(self, times, method, url, json=None, data=None):
        auth = pay88.adapters.httpx.Pay88Auth(self.sandbox.manager())
        limits = httpx.Limits(max_connections=times)
        with httpx.Client(auth=auth, verify=self.tls, trust_env=False, timeout=30, limits=limits) as client:

            def one(_):
                answer = client.request(method, url, json=json, content=data)
                return answer.status_code, answer.text

            with concurrent.futures.ThreadPoolExecutor(times) as pool:
                return list(pool.map(one, range(times)))


class HttpxAsync(Clients):
    manager = "async_manager"

    def call(self, times, method, url, json=None, data=None):
        async def main():
            auth = pay88.adapters.httpx.Pay88Auth(getattr(self.sandbox, self.manager)())
            limits = httpx.Limits(max_connections=times)
            async with httpx.AsyncClient(
                auth=auth, verify=self.tls, trust_env=False, timeout=30, limits=limits
            ) as client:
                answers = await asyncio.gather(
                    *(client.request(method, url, json=json, content=data) for _ in range(times))
                )
            return [(answer.status_code, answer.text) for answer in answers]

        return asyncio.run(main())


class HttpxAsyncWithABlockingManager(HttpxAsync):
    manager = "manager"


class Aiohttp(Clients):
    def call(self, times, method, url, json=None, data=None, redirects=False):
        async def main():
            middleware = pay88.adapters.aiohttp.Pay88Middleware(self.sandbox.async_manager())
            connector = aiohttp.TCPConnector(ssl=self.tls, limit=times)
            async with aiohttp.ClientSession(connector=connector, middlewares=(middleware,)) as session:

                async def one():
                    answering = session.request(method, url, json=json, data=data, allow_redirects=redirects)
                    async with answering as answer:
                        return answer.status, await answer.text()

                return await asyncio.gather(*(one() for _ in range(times)))

        return asyncio.run(main())


@pytest.fixture(params=[Requests, Httpx, HttpxAsync, HttpxAsyncWithABlockingManager, Aiohttp])
def clients(request, sandbox):
    return request.param(sandbox)


def test_a_charge_works(clients, sandbox):
    status, text = clients.call_once("POST", sandbox.base_url + CHARGES, json=CHARGE)
    assert status == 200, text
    assert len(sandbox.control("GET", "/charges")) == 1


def test_many_rejected_calls_at_once_make_one_refresh(clients, sandbox):
    sandbox.manager().get_token()
    sandbox.control("POST", "/revoke")
    answers = clients.call(AT_ONCE, "POST", sandbox.base_url + "/api/echo", json={"order": 42})
    assert [status for status, _ in answers] == [200] * AT_ONCE
    assert all("42" in text for _, text in answers)
    assert sandbox.tokens_issued() == 2


def test_a_call_that_is_rejected_again_is_not_repeated_for_ever(clients, sandbox):
    sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 401}}, times=None)
    assert clients.call_once("GET", sandbox.base_url + "/api/echo")[0] == 401
    # The token has just been replaced, so that a second replacement is refused, and the 401 is the answer.
    assert clients.call_once("GET", sandbox.base_url + "/api/echo")[0] == 401
    assert sandbox.tokens_issued() == 2
    assert sum(entry["target"] == "/api/echo" for entry in sandbox.control("GET", "/log")) == 3


def test_a_body_that_is_a_stream_is_not_repeated(clients, sandbox):
    sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 401}})

    def blocks():
        yield b"{}"

    async def blocks_awaited():
        yield b"{}"

    stream = blocks_awaited() if isinstance(clients, (HttpxAsync, Aiohttp)) else blocks()
    assert clients.call_once("POST", sandbox.base_url + "/api/echo", data=stream)[0] == 401
    assert sandbox.tokens_issued() == 1


@pytest.fixture
def elsewhere():
    """Another origin: records the headers of what it is asked, and redirects nobody."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append({name.lower() for name in self.headers})
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


def test_another_origin_never_sees_the_pair(clients, sandbox, elsewhere):
    url, seen = elsewhere
    sandbox.manager().get_token()
    assert clients.call_once("GET", url)[0] == 200
    assert len(seen) == 1
    assert not seen[0] & {"authorization", "x-session-id"}


@pytest.mark.parametrize("kind", [Requests, Aiohttp])
@pytest.mark.parametrize("rejected_first", [False, True])
def test_a_redirect_to_another_origin_does_not_take_the_pair_along(sandbox, elsewhere, kind, rejected_first):
    url, seen = elsewhere
    if rejected_first:
        sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 401}})
    sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 302, "headers": [["Location", url]]}})
    assert kind(sandbox).call_once("GET", sandbox.base_url + "/api/echo", redirects=True)[0] == 200
    assert len(seen) == 1
    assert not seen[0] & {"authorization", "x-session-id"}


def test_an_origin_is_scheme_host_and_port(sandbox):
    from pay88.adapters._pair import belongs_to

    tm = pay88.TokenManager("sk_test_sandbox_origins", "MCH-COL-1", "https://API-sandbox.88pay.io:443/")
    for same in (
        "https://api-sandbox.88pay.io/x",
        "HTTPS://api-sandbox.88pay.io:443",
        "https://user@api-sandbox.88pay.io/",
    ):
        assert belongs_to(tm, same)
    for other in (
        "http://api-sandbox.88pay.io/",
        "https://api-sandbox.88pay.io:444/",
        "https://api-sandbox.88pay.io.evil.example/",
        "https://api-sandbox.88pay.io@evil.example/",
        "https://evil.example/?https://api-sandbox.88pay.io/",
        "//api-sandbox.88pay.io/",
        "",
    ):
        assert not belongs_to(tm, other)


def test_an_httpx_client_says_which_manager_it_needs(sandbox):
    auth = pay88.adapters.httpx.Pay88Auth(sandbox.async_manager())
    with httpx.Client(auth=auth, trust_env=False) as client, pytest.raises(TypeError, match="TokenManager"):
        client.get(sandbox.base_url)
    assert urllib.parse.urlsplit(sandbox.base_url).scheme == "https"
