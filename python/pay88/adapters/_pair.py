"""What all adapters do: decide which requests get the token, name its headers, and get a new token after a 401.

Promise: the pair (the token and the session ID) is in no variable and no attribute as text, because error reports show
those. An adapter keeps the token object, whose repr hides the pair, and reads the pair only where it is written to the
connection.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from .. import _native
from .._asynchronous import get_token
from .._error import Pay88Error
from .._manager import TokenManager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PORTS = {"https": 443, "http": 80}
AUTHORIZATION = "Authorization"
SESSION = "x-session-id"


def belongs_to(manager: _native.Manager, url: str) -> bool:
    """Whether a URL has the manager's origin: scheme, host and port."""
    return _origin(url) == _origin(manager.base_url)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def value_of(name: str, token: _native.Token) -> str:
    """The value of this header of the pair."""
    return token.session_id if name == SESSION else f"Bearer {token.access_token}"


def detach(headers: MutableMapping[str, Any]) -> None:
    """Removes the pair from a request's headers."""
    headers.pop(AUTHORIZATION, None)
    headers.pop(SESSION, None)


def renewed(manager: TokenManager, rejected: _native.Token) -> _native.Token | None:
    """The token after the rejected one; None if there is none now, so that the 401 is the answer."""
    try:
        # Does nothing if another request has dropped it already.
        manager.invalidate(rejected)
        return manager.get_token()
    except Pay88Error:
        return None


async def renewed_async(manager: _native.Manager, rejected: _native.Token) -> _native.Token | None:
    """The same as renewed, on an event loop."""
    try:
        manager.invalidate(rejected)
        return await get_token(manager)
    except Pay88Error:
        return None
