"""The client for the payment provider 88Pay.

>>> import pay88
>>> tm = pay88.TokenManager()      # or TokenManager(api_key, merchant_id, base_url)
>>> r = tm.make_request("/api/transactions/charges", method="POST", json={...})
>>> r.raise_for_status()
>>> r.json()["data"]["reference"]

AsyncTokenManager is the same for asyncio. pay88.adapters authenticates requests of requests, httpx and aiohttp.
Importing pay88 starts no thread and opens no socket.
"""

try:
    from ._native import Token
    from ._native import version as __version__
except ModuleNotFoundError:
    raise ImportError(
        "pay88's compiled part for this Python and platform is missing; install pay88 again with pip, on Linux."
    ) from None

from ._asynchronous import AsyncTokenManager
from ._error import (
    AccessDeniedError,
    BadResponseError,
    CanceledError,
    ConfigInvalidError,
    ConnectionFailedError,
    CredentialsRejectedError,
    ForkedError,
    HttpError,
    InternalError,
    Pay88Error,
    RateLimitedError,
    RefusedError,
    TimedOutError,
    TlsFailedError,
)
from ._events import log_events
from ._manager import TokenManager
from ._response import Headers, Response

__all__ = [
    "AccessDeniedError",
    "AsyncTokenManager",
    "BadResponseError",
    "CanceledError",
    "ConfigInvalidError",
    "ConnectionFailedError",
    "CredentialsRejectedError",
    "ForkedError",
    "Headers",
    "HttpError",
    "InternalError",
    "Pay88Error",
    "RateLimitedError",
    "RefusedError",
    "Response",
    "TimedOutError",
    "TlsFailedError",
    "Token",
    "TokenManager",
    "__version__",
    "log_events",
]
