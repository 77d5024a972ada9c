"""Authentication for httpx, in Client and in AsyncClient (on asyncio).

>>> client = httpx.Client(auth=pay88.adapters.httpx.Pay88Auth(pay88.TokenManager()))
>>> client = httpx.AsyncClient(auth=pay88.adapters.httpx.Pay88Auth(pay88.AsyncTokenManager()))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import httpx

from .._asynchronous import AsyncTokenManager, get_token
from .._manager import TokenManager
from ._pair import attach, belongs_to, renewed, renewed_async


class Pay88Auth(httpx.Auth):
    """Attaches a manager's token to requests for its origin; other requests are left as they are.

    A Client needs a TokenManager, an AsyncClient takes either kind. A request whose body is a stream is not repeated. Leave
    follow_redirects off, as it is by default: httpx would take the session ID, though not the token, along to other hosts.
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
        attach(request.headers, token)
        response = yield request
        if response.status_code == 401 and _can_be_repeated(request):
            new = renewed(manager, token)
            if new is not None:
                response.read()
                attach(request.headers, new)
                yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        manager = self._manager
        if not belongs_to(manager, str(request.url)):
            yield request
            return
        token = await get_token(manager)
        attach(request.headers, token)
        response = yield request
        if response.status_code == 401 and _can_be_repeated(request):
            new = await renewed_async(manager, token)
            if new is not None:
                await response.aread()
                attach(request.headers, new)
                yield request


def _can_be_repeated(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
