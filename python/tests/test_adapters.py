"""Tokens of a manager in requests, httpx and aiohttp."""

import asyncio
import concurrent.futures
import copy
import http.server
import io
import json
import pickle
import select
import socket
import ssl
import threading
import traceback
import urllib.parse

import aiohttp
import httpx
import pytest
import requests
import rich.console
import rich.traceback
import sentry_sdk

import pay88.adapters.aiohttp
import pay88.adapters.httpx
import pay88.adapters.requests
from charges import CHARGE, CHARGES

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Clients:
    """One way to call: makes many calls at once, and gives statuses and bodies."""

    trust_env = False
    proxy = None
    at_once = 200

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.tls = ssl.create_default_context(cafile=sandbox.ca_bundle)

    def call_once(self, method, url, **arguments):
        (answer,) = self.call(1, method, url, **arguments)
        return answer


class Requests(Clients):
    def call(self, times, method, url, json=None, data=None, redirects=False, strict=False):
        session = requests.Session()
        session.trust_env = self.trust_env
        session.auth = pay88.adapters.requests.Pay88Auth(self.sandbox.manager())
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=times))
        others = {"verify": self.sandbox.ca_bundle, "proxies": {"https": self.proxy}, "timeout": 30}

        def one(_):
            answer = session.request(method, url, json=json, data=data, allow_redirects=redirects, **others)
            if strict:
                answer.raise_for_status()
            return answer.status_code, answer.text

        with concurrent.futures.ThreadPoolExecutor(times) as pool:
            return list(pool.map(one, range(times)))


class Httpx(Clients):
    manager = "manager"
    transport = httpx.HTTPTransport
    # httpx looks at all of its connections for each call.
    at_once = 50

    def options(self, times):
        # httpcore may close a connection that it has just given to a call, once that was idle for five seconds.
        limits = httpx.Limits(max_connections=times, keepalive_expiry=None)
        options = {"verify": self.tls, "trust_env": self.trust_env, "timeout": 30, "limits": limits}
        if self.proxy:
            options["mounts"] = {"all://": self.transport(verify=self.tls, proxy=httpx.Proxy(self.proxy))}
        return {**options, "auth": pay88.adapters.httpx.Pay88Auth(getattr(self.sandbox, self.manager)())}

    def call(self, times, method, url, json=None, data=None, redirects=False, strict=False):
        with httpx.Client(**self.options(times)) as client:

            def one(_):
                answer = client.request(method, url, json=json, content=data, follow_redirects=redirects)
                if strict:
                    answer.raise_for_status()
                return answer.status_code, answer.text

            with concurrent.futures.ThreadPoolExecutor(times) as pool:
                return list(pool.map(one, range(times)))


class HttpxAsync(Httpx):
    manager = "async_manager"
    transport = httpx.AsyncHTTPTransport

    def call(self, times, method, url, json=None, data=None, redirects=False, strict=False):
        async def main():
            async with httpx.AsyncClient(**self.options(times)) as client:

                async def one():
                    answer = await client.request(method, url, json=json, content=data, follow_redirects=redirects)
                    if strict:
                        answer.raise_for_status()
                    return answer.status_code, answer.text

                return await asyncio.gather(*(one() for _ in range(times)))

        return asyncio.run(main())


class HttpxAsyncWithABlockingManager(HttpxAsync):
    manager = "manager"


class Copying(httpx.HTTPTransport):
    """Works on a copy of the headers, as OpenTelemetry's instrumentation does below the authentication."""

    def handle_request(self, request):
        request.headers = httpx.Headers(request.headers)
        request.headers["traceparent"] = TRACE
        return super().handle_request(request)


class CopyingAsync(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request):
        request.headers = httpx.Headers(request.headers)
        request.headers["traceparent"] = TRACE
        return await super().handle_async_request(request)


class HttpxInstrumented(Httpx):
    transport = Copying

    def options(self, times):
        options = super().options(times)
        own = {name: options[name] for name in ("verify", "limits", "trust_env")}
        return {**options, "transport": self.transport(**own)}


class HttpxAsyncInstrumented(HttpxInstrumented, HttpxAsync):
    transport = CopyingAsync


class Aiohttp(Clients):
    def call(self, times, method, url, json=None, data=None, redirects=False, strict=False):
        async def main():
            middleware = pay88.adapters.aiohttp.Pay88Middleware(self.sandbox.async_manager())
            connector = aiohttp.TCPConnector(ssl=self.tls, limit=times)
            options = {"middlewares": (middleware,), "trust_env": self.trust_env, "raise_for_status": strict}
            async with aiohttp.ClientSession(connector=connector, **options) as session:

                async def one():
                    others = {"allow_redirects": redirects, "proxy": self.proxy}
                    async with session.request(method, url, json=json, data=data, **others) as answer:
                        return answer.status, await answer.text()

                return await asyncio.gather(*(one() for _ in range(times)))

        return asyncio.run(main())


HTTPX = [Httpx, HttpxAsync, HttpxAsyncWithABlockingManager, HttpxInstrumented, HttpxAsyncInstrumented]


@pytest.fixture(params=[Requests, *HTTPX, Aiohttp])
def clients(request, sandbox):
    return request.param(sandbox)


def test_a_charge_works(clients, sandbox):
    status, text = clients.call_once("POST", sandbox.base_url + CHARGES, json=CHARGE)
    assert status == 200, text
    assert len(sandbox.control("GET", "/charges")) == 1


def test_many_rejected_calls_at_once_make_one_refresh(clients, sandbox):
    sandbox.manager().get_token()
    sandbox.control("POST", "/revoke")
    answers = clients.call(clients.at_once, "POST", sandbox.base_url + "/api/echo", json={"order": 42})
    assert [status for status, _ in answers] == [200] * clients.at_once
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


def test_another_origin_never_sees_the_pair(clients, sandbox, elsewhere):
    url, seen = elsewhere
    sandbox.manager().get_token()
    assert clients.call_once("GET", url)[0] == 200
    assert len(seen) == 1
    assert not seen[0].keys() & {"authorization", "x-session-id"}


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("rejected_first", [False, True])
def test_a_redirect_to_another_origin_does_not_take_the_pair_along(clients, sandbox, elsewhere, rejected_first, status):
    url, seen = elsewhere
    if rejected_first:
        sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 401}})
    sandbox.fault({"path": "/api/echo"}, {"answer": {"status": status, "headers": [["Location", url]]}})
    assert clients.call_once("GET", sandbox.base_url + "/api/echo", redirects=True)[0] == 200
    assert len(seen) == 1
    assert not seen[0].keys() & {"authorization", "x-session-id"}
    assert sandbox.tokens_issued() == 1 + rejected_first


def test_a_redirect_within_the_origin_drops_no_token(clients, sandbox):
    location = [["Location", sandbox.base_url + "/api/echo?redirected"]]
    sandbox.fault({"path": "/api/echo"}, {"answer": {"status": 307, "headers": location}})
    status, _ = clients.call_once("POST", sandbox.base_url + "/api/echo", redirects=True)
    # aiohttp asks the middleware for each request; with the others the second one has no pair.
    assert status == (200 if isinstance(clients, Aiohttp) else 401)
    assert sandbox.tokens_issued() == 1


def test_the_credentials_of_netrc_do_not_take_the_place_of_the_pair(clients, sandbox, elsewhere, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password of-netrc")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    clients.trust_env = True
    assert clients.call_once("GET", sandbox.base_url + "/api/echo")[0] == 200
    url, seen = elsewhere
    assert clients.call_once("GET", url)[0] == 200
    assert "x-session-id" not in seen[0]
    assert not seen[0].get("authorization", "").startswith("Bearer ")


@pytest.fixture
def proxy():
    """A proxy for CONNECT: records the heads of what it is asked."""
    heads = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self):
            heads.append(str(self.headers))
            host, port = self.path.rsplit(":", 1)
            with socket.create_connection((host, int(port)), 10) as server:
                self.send_response(200)
                self.end_headers()
                ends = {self.connection: server, server: self.connection}
                while True:
                    for one in select.select(list(ends), [], [], 10)[0]:
                        data = one.recv(65536)
                        if not data:
                            return
                        ends[one].sendall(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", heads
    server.shutdown()
    server.server_close()


def test_a_proxy_does_not_see_the_pair(clients, sandbox, proxy):
    clients.proxy, heads = proxy
    assert clients.call_once("POST", sandbox.base_url + CHARGES, json=CHARGE)[0] == 200
    assert len(heads) == 1
    assert "authorization" not in heads[0].lower() and "x-session-id" not in heads[0].lower()


def test_a_transport_that_is_mounted_sends_the_pair(sandbox):
    tls = ssl.create_default_context(cafile=sandbox.ca_bundle)
    auth = pay88.adapters.httpx.Pay88Auth(sandbox.manager())
    mounted = {sandbox.base_url: httpx.HTTPTransport(verify=tls)}
    with httpx.Client(auth=auth, mounts=mounted, trust_env=False) as client:
        assert client.get(sandbox.base_url + "/api/echo").status_code == 200


@pytest.mark.parametrize("kind", [HttpxInstrumented, HttpxAsyncInstrumented])
def test_what_an_instrumentation_adds_to_the_headers_is_sent_with_the_pair(sandbox, kind):
    assert kind(sandbox).call_once("GET", sandbox.base_url + "/api/echo")[0] == 200
    assert sandbox.tokens_issued() == 1
    (echoed,) = [entry for entry in sandbox.control("GET", "/log") if entry["target"] == "/api/echo"]
    assert "traceparent" in echoed["headers"]


def test_what_reads_the_headers_before_requests_sends_them_finds_text_without_the_pair(sandbox):
    read = []

    class Reading(requests.adapters.HTTPAdapter):
        def send(self, request, **others):
            read.append("".join(request.headers.values()))
            read.append(repr(pickle.loads(pickle.dumps(copy.deepcopy(request.headers)))))
            return super().send(request, **others)

    session = requests.Session()
    session.auth = pay88.adapters.requests.Pay88Auth(sandbox.manager())
    session.mount("https://", Reading())
    assert session.get(sandbox.base_url + "/api/echo", verify=sandbox.ca_bundle, timeout=30).status_code == 200
    token = sandbox.manager().get_token()
    text = "\n".join(read)
    assert text.count("<hidden>") == 4
    for secret in (token.access_token, token.session_id):
        assert secret[:20] not in text


def test_an_httpx_that_would_take_the_session_id_along_is_refused(sandbox, monkeypatch):
    def copying_what_is_sent(self, headers=None, encoding=None):
        usual(self, headers.raw if isinstance(headers, httpx.Headers) else headers, encoding)

    usual = httpx.Headers.__init__
    monkeypatch.setattr(httpx.Headers, "__init__", copying_what_is_sent)
    auth = pay88.adapters.httpx.Pay88Auth(sandbox.manager())
    with httpx.Client(auth=auth, trust_env=False) as client, pytest.raises(pay88.RefusedError, match="session ID"):
        client.get(sandbox.base_url + "/api/echo")
    assert [entry["target"] for entry in sandbox.control("GET", "/log")] == ["/api/auth/token"]


LOOP = {"answer": {"status": 302, "headers": [["Location", "/api/echo"]]}}


@pytest.mark.parametrize("fault", ["cut_before_answer", {"answer": {"status": 500}}, LOOP, 401])
def test_no_error_of_a_client_shows_the_pair(clients, sandbox, fault):
    if fault == 401:
        # The second request is the one that fails.
        sandbox.fault("calls", {"answer": {"status": 401}})
        fault = "cut_before_answer"
    sandbox.fault("calls", fault, times=None)
    token = sandbox.manager().get_token()
    shown = []
    for told in (told_by_logging, told_by_rich, told_by_sentry):
        with pytest.raises(Exception) as caught:
            clients.call_once("POST", sandbox.base_url + "/api/echo", json={"order": 42}, redirects=True, strict=True)
        shown.append(told(caught.value))
        shown += everything_of(caught.value)
    text = "\n".join(shown)
    assert "/api/echo" in text and "order" in text
    token = sandbox.manager().get_token()
    for secret in (token.access_token, token.session_id):
        assert secret[:20] not in text


def told_by_logging(error):
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def told_by_rich(error):
    console = rich.console.Console(width=200, file=io.StringIO())
    console.print(rich.traceback.Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
    return console.file.getvalue()


def told_by_sentry(error):
    reports = []

    class Kept(sentry_sdk.Transport):
        def capture_envelope(self, envelope):
            reports.append(json.dumps(envelope.get_event()))

    client = sentry_sdk.Client(
        dsn="http://key@127.0.0.1:9/1", transport=Kept, include_local_variables=True, event_scrubber=None
    )
    event, hint = sentry_sdk.utils.event_from_exception(error, client_options=client.options)
    client.capture_event(event, hint=hint)
    return "".join(reports)


def everything_of(error):
    """What a program can print of an error: itself, its attributes, and the headers of the requests that it names."""
    printed = [repr(error), str(error), repr(vars(error)), repr(error.args)]
    named = [error, getattr(error, "response", None), getattr(error, "request_info", None)]
    named += [getattr(each, "request", None) for each in named if not isinstance(each, httpx.RequestError)]
    named += list(getattr(error, "history", ()))
    named.append(getattr(error, "_request", None))
    for each in named:
        headers = getattr(each, "headers", None)
        if headers is not None:
            printed += [
                repr(headers),
                repr(dict(headers)),
                repr(list(headers.items())),
                repr(getattr(headers, "raw", "")),
            ]
            printed.append(repr(getattr(headers, "__dict__", "")))
    return printed


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
