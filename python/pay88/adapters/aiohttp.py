"""Authentication for aiohttp 3.12 or later.

>>> middleware = pay88.adapters.aiohttp.Pay88Middleware(pay88.AsyncTokenManager())
>>> session = aiohttp.ClientSession(middlewares=(middleware,))
"""

from __future__ import annotations

from aiohttp import BytesPayload, ClientHandlerType, ClientRequest, ClientResponse

from .. import _native
from .._asynchronous import AsyncTokenManager
from ._pair import AUTHORIZATION, SESSION, belongs_to, detach, renewed_async, value_of


class Pay88Middleware:
    """Adds a manager's token to requests for its origin, redirected ones included. Other requests are left unchanged.

    A request whose body is a stream is not repeated. What a response or an error shows of its request is without the
    token and the session ID.
    """

    def __init__(self, manager: AsyncTokenManager) -> None:
        self._manager = manager

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if not belongs_to(self._manager, str(request.url)):
            return await handler(request)
        token = await self._manager.get_token()
        response = await _sent(request, handler, token)
        if response.status == 401 and (not request.body or isinstance(request.body, BytesPayload)):
            new = await renewed_async(self._manager, token)
            if new is not None:
                response.release()
                response = await _sent(request, handler, new)
        return response


async def _sent(request: ClientRequest, handler: ClientHandlerType, token: _native.Token) -> ClientResponse:
    try:
        for name in (AUTHORIZATION, SESSION):
            request.headers[name] = value_of(name, token)
        return await handler(request)
    finally:
        # A response's request_info, which its errors print, looks at these very headers.
        detach(request.headers)
