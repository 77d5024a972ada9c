from collections.abc import Iterator
from os import PathLike
from typing import Literal, final, overload

from typing_extensions import Self, TypeAlias, disjoint_base

from ._request import Arguments

__all__ = ["BlockingManager", "Call", "Completions", "Events", "Manager", "Response", "Token", "version"]

version: str

_Key: TypeAlias = Literal["access_token", "expires_in", "session_id"]

@final
class Token:
    """An access token and the session ID that belongs to it. It never changes, and stays readable after it has
    ended.

    dict(token) has the names of 88Pay's answer. That dictionary holds the secrets; repr() and str() of the token
    do not show them.
    """

    @property
    def access_token(self) -> str:
        """The access token, for `Authorization: Bearer …`. A secret."""
    @property
    def session_id(self) -> str:
        """The session ID, for `x-session-id`. A secret."""
    @property
    def expires_in(self) -> int:
        """The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token."""
    @property
    def valid_for(self) -> float:
        """For how many seconds the library will still hand the token out; 0.0 when that time is over."""
    @overload
    def __getitem__(self, key: Literal["access_token", "session_id"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["expires_in"], /) -> int: ...
    @overload
    def __getitem__(self, key: _Key, /) -> str | int: ...
    def keys(self) -> list[_Key]:
        """The names by which its parts can be read, as in token["expires_in"]."""
    def __iter__(self) -> Iterator[_Key]: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Response:
    """An answer of any HTTP status."""

    @property
    def status_code(self) -> int: ...
    @property
    def content(self) -> bytes: ...
    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Pairs of a name, in lower case, and a value."""
    def raise_for_status(self) -> None:
        """Raises `http_error` if the status is 400 or above."""

@final
class Call:
    """An asynchronous call. It is canceled if this object is dropped."""

    def cancel(self) -> None:
        """Cancels the call, unless its result is there already. Never waits. Does nothing in a forked child: the call goes on
        in the process that began it.
        """

@final
class Completions:
    """Receives the results of calls for one event loop."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """A descriptor that is readable when a result has arrived."""
    def take(self) -> list[tuple[int, Token | Response | Exception]]:
        """The results that have arrived: for each, the number of the call, and a token, a response or an exception."""

@final
class Events:
    """A queue of the events of all managers of this process."""

    def __new__(cls, capacity: int) -> Self: ...
    def next(self) -> str | None:
        """The next event as JSON, or None if there is none. Never waits."""

@disjoint_base
class Manager:
    """A handle of the process's manager for one set of credentials."""

    def __new__(
        cls,
        api_key: str | None = None,
        merchant_id: str | None = None,
        base_url: str | None = None,
        *,
        previous_api_key: str | None = None,
        timeout: float | str | None = None,
        connect_timeout: float | str | None = None,
        ca_bundle: str | bytes | PathLike[str] | PathLike[bytes] | None = None,
        proxy: str | None = None,
        share: str | None = None,
        safety_margin: float | str | None = None,
        tokens_per_minute: int | str | None = None,
        tokens_per_hour: int | str | None = None,
        max_response_bytes: int | str | None = None,
        idle_timeout: float | str | None = None,
        max_connections: int | str | None = None,
        user_agent_suffix: str | None = None,
    ) -> Self: ...
    @property
    def manager_id(self) -> int:
        """The number of the manager behind this object. Equal numbers mean the same manager of this process."""
    @property
    def base_url(self) -> str:
        """The base URL, normalised."""
    @property
    def merchant_id(self) -> str:
        """The merchant ID."""
    @property
    def closed(self) -> bool:
        """Whether this object was closed."""
    def peek_token(self) -> Token | None:
        """Returns the cached token, or None if there is no valid one. Never waits."""
    def invalidate(self, token: Token | None = None) -> bool:
        """Drops the cached token, for example because another program has revoked it. Returns whether there was one.

        With a token, the cached token is dropped only if it is that one. Raises RateLimitedError if tokens were
        dropped too often lately.
        """
    def rotate(self, api_key: str, keep_old: bool = True) -> None:
        """Replaces the API key, for everything in the process that uses this manager.

        With `keep_old` the old key is used for up to 24 hours while 88Pay does not accept the new one.
        """
    def close(self) -> None:
        """Ends the pending calls of this object with CanceledError, and refuses later ones. Never waits.

        Other objects of the same manager are not affected.
        """
    def _stats_json(self) -> str: ...
    def _cached(self, timeout: float | None) -> Token | None: ...
    def _same(self, token: Token) -> Token: ...
    def _start_token(self, completions: Completions, number: int, timeout: float | None) -> Call: ...
    def _start_send(self, completions: Completions, number: int, arguments: Arguments) -> Call: ...

class BlockingManager(Manager):
    """A manager whose calls run on the caller's thread."""

    def get_token(self, timeout: float | None = None) -> Token:
        """Returns the token. If there is a valid one in the cache, it returns at once.

        Otherwise it waits for a new one, at most `timeout` seconds; without `timeout`, for the manager's own time
        (30). However many threads wait, one token is asked for. Raises Pay88Error.
        """
    def _send(self, arguments: Arguments) -> Response: ...
