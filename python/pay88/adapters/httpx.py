"""Authentication for httpx 0.23 or later, in Client and in AsyncClient (on asyncio).

>>> client = httpx.Client(auth=pay88.adapters.httpx.Pay88Auth(pay88.TokenManager()))
>>> client = httpx.AsyncClient(auth=pay88.adapters.httpx.Pay88Auth(pay88.AsyncTokenManager()))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager

import httpx

from .. import _native
from .._asynchronous import AsyncTokenManager, get_token
from .._error import RefusedError
from .._manager import TokenManager
from ._pair import AUTHORIZATION, SESSION, belongs_to, detach, renewed, renewed_async, value_of


class Pay88Auth(httpx.Auth):
    """Adds a manager's token to requests for its origin. Other requests are left unchanged.

    A Client needs a TokenManager; an AsyncClient takes either kind of manager. A request whose body is a stream is not
    repeated. A redirect is followed without the token and the session ID, wherever it leads. Only the client's
    transport sees them: hooks, errors and the request of a response are without them.
    """

    def __init__(self, manager: TokenManager | AsyncTokenManager) -> None:
        self._manager = manager

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        manager = self._manager
        if not isinstance(manager, TokenManager):
            raise TypeError("httpx.Client needs a TokenManager; AsyncTokenManager is for httpx.AsyncClient.")
        if not belongs_to(manager, str(request.url)):
            yield request
            return
        token = manager.get_token()
        with _pair_on(request, token):
            response = yield request
        if _rejects(response, request):
            new = renewed(manager, token)
            if new is not None:
                response.read()
                with _pair_on(request, new):
                    yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        manager = self._manager
        if not belongs_to(manager, str(request.url)):
            yield request
            return
        token = await get_token(manager)
        with _pair_on(request, token):
            response = yield request
        if _rejects(response, request):
            new = await renewed_async(manager, token)
            if new is not None:
                await response.aread()
                with _pair_on(request, new):
                    yield request


class _Headers(httpx.Headers):
    """Headers with the pair in what a transport reads of them, `raw`, and nowhere else. httpx copies the headers of a
    request to the one that follows a redirect, with the session ID: the copy is without it."""

    def __init__(self, others: httpx.Headers, token: _native.Token) -> None:
        super().__init__(others)
        self._token = token
        detach(self)
        if SESSION in httpx.Headers(self):
            raise RefusedError(
                f"httpx {httpx.__version__} would take the session ID along when it follows a redirect.",
                hint="Use a release of httpx that pay88 names, or TokenManager.make_request().",
            )

    def in_place_of(self, others: httpx.Headers) -> _Headers:
        """Other headers with the same pair."""
        return _Headers(httpx.Headers(others), self._token)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        pair = [(name.encode(), value_of(name, self._token).encode()) for name in (AUTHORIZATION, SESSION)]
        return [*super().raw, *pair]


class _Sending(httpx.Request):
    """A request while it is sent with the pair. Headers that are put in the place of its own meanwhile get the pair
    too: what lies between the client and its transport, such as the instrumentation of OpenTelemetry, puts a copy
    there.
    """

    @property
    def headers(self) -> _Headers:
        headers: _Headers = self.__dict__["headers"]
        return headers

    @headers.setter
    def headers(self, others: httpx.Headers) -> None:
        if not isinstance(others, _Headers):
            others = self.headers.in_place_of(others)
        self.__dict__["headers"] = others


@contextmanager
def _pair_on(request: httpx.Request, token: _native.Token) -> Iterator[None]:
    """Puts the pair on a request while it is sent."""
    kind, others = type(request), request.headers
    request.headers = _Headers(others, token)
    if kind is httpx.Request:
        request.__class__ = _Sending
    try:
        yield
    finally:
        request.__class__ = kind
        request.headers = others


def _rejects(response: httpx.Response, request: httpx.Request) -> bool:
    """Whether the token was rejected, and the request can be repeated. A redirect that was followed had none."""
    return response.status_code == 401 and response.request is request and isinstance(request.stream, httpx.ByteStream)
