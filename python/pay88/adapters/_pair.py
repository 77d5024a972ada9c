"""What all adapters do: decide who may see the token, write it to a request, and have a new one after a 401."""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from .. import _native
from .._asynchronous import get_token
from .._error import Pay88Error
from .._manager import TokenManager

_PORTS = {"https": 443, "http": 80}
AUTHORIZATION = "Authorization"
SESSION = "x-session-id"


def belongs_to(manager: _native.Manager, url: str) -> bool:
    """Whether a URL has the manager's origin: scheme, host and port."""
    return _origin(url) == _origin(manager.base_url)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def attach(headers: MutableMapping[str, str], token: _native.Token) -> None:
    headers[AUTHORIZATION] = f"Bearer {token.access_token}"
    headers[SESSION] = token.session_id


def renewed(manager: TokenManager, rejected: _native.Token) -> _native.Token | None:
    """The token after the rejected one; None if there is none now, and the 401 is all that can be told."""
    try:
        # Does nothing if another request has dropped it already.
        manager.invalidate(rejected)
        return manager.get_token()
    except Pay88Error:
        return None


async def renewed_async(manager: _native.Manager, rejected: _native.Token) -> _native.Token | None:
    """As renewed, on an event loop."""
    try:
        manager.invalidate(rejected)
        return await get_token(manager)
    except Pay88Error:
        return None
