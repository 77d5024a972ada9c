"""Authentication for aiohttp 3.12 or later.

>>> middleware = pay88.adapters.aiohttp.Pay88Middleware(pay88.AsyncTokenManager())
>>> session = aiohttp.ClientSession(middlewares=(middleware,))
"""

from __future__ import annotations

from aiohttp import BytesPayload, ClientHandlerType, ClientRequest, ClientResponse

from .._asynchronous import AsyncTokenManager
from ._pair import attach, belongs_to, renewed_async


class Pay88Middleware:
    """Attaches a manager's token to requests for its origin, redirected ones included; others are left as they are.

    A request whose body is a stream is not repeated.
    """

    def __init__(self, manager: AsyncTokenManager) -> None:
        self._manager = manager

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if not belongs_to(self._manager, str(request.url)):
            return await handler(request)
        token = await self._manager.get_token()
        attach(request.headers, token)
        response = await handler(request)
        if response.status == 401 and (not request.body or isinstance(request.body, BytesPayload)):
            new = await renewed_async(self._manager, token)
            if new is not None:
                response.release()
                attach(request.headers, new)
                response = await handler(request)
        return response
