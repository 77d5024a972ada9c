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
    """An access token and the session ID that belongs to it. Never changes, and stays readable after its end. dict(token) is
    as 88Pay's answer has it; it holds the secrets, which repr() and str() of the token do not show."""

    @property
    def access_token(self) -> str:
        """The access token, for `Authorization: Bearer …`. A secret."""
    @property
    def session_id(self) -> str:
        """The session ID, for `x-session-id`. A secret."""
    @property
    def expires_in(self) -> int:
        """The life in seconds that 88Pay gave it, counted on 88Pay's side."""
    @property
    def valid_for(self) -> float:
        """How many seconds the library will still hand it out; 0.0 when that is over."""
    @overload
    def __getitem__(self, key: Literal["access_token", "session_id"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["expires_in"], /) -> int: ...
    @overload
    def __getitem__(self, key: _Key, /) -> str | int: ...
    def keys(self) -> list[_Key]:
        """The names that it can be asked for by."""
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
        """Names in lower case, and values, as pairs."""
    def raise_for_status(self) -> None:
        """Raises `http_error` if the status is 400 or above."""

@final
class Call:
    """An asynchronous call; without this object it is canceled."""

    def cancel(self) -> None:
        """Ends it soon, unless its result is there already. Never waits."""

@final
class Completions:
    """Where the results for one event loop arrive."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """A descriptor that is readable when something has arrived."""
    def take(self) -> list[tuple[int, Token | Response | Exception]]:
        """What has arrived: the numbers of calls, each with a token, a response or an exception."""

@final
class Events:
    """A queue of the events of all managers of this process."""

    def __new__(cls, capacity: int) -> Self: ...
    def next(self) -> str | None:
        """The next event as JSON, if one is there. Never waits."""

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
        user_agent_suffix: str | None = None,
    ) -> Self: ...
    @property
    def manager_id(self) -> int:
        """The number of the manager behind this object: equal numbers mean the same manager of this process."""
    @property
    def base_url(self) -> str:
        """The normalised base URL."""
    @property
    def merchant_id(self) -> str:
        """The merchant ID."""
    @property
    def closed(self) -> bool:
        """Whether this object was closed."""
    def peek_token(self) -> Token | None:
        """The cached token, or None if there is none that is valid. Never waits."""
    def invalidate(self, token: Token | None = None) -> bool:
        """Drops the cached token, for example when another program has revoked it; says whether there was one. With a token,
        only if it is still that one. Raises RateLimitedError if that was done too often lately."""
    def rotate(self, api_key: str, keep_old: bool = True) -> None:
        """Replaces the API key, for all who use this manager in the process. With `keep_old` the old key is used for up to 24
        hours while 88Pay does not accept the new one."""
    def close(self) -> None:
        """Ends the pending calls of this object with CanceledError and refuses later ones. Other objects of the same manager
        go on. Never waits."""
    def _stats_json(self) -> str: ...
    def _cached(self, timeout: float | None) -> Token | None: ...
    def _same(self, token: Token) -> Token: ...
    def _start_token(self, completions: Completions, number: int, timeout: float | None) -> Call: ...
    def _start_send(self, completions: Completions, number: int, arguments: Arguments) -> Call: ...

class BlockingManager(Manager):
    """A manager whose calls run on the caller's thread."""

    def get_token(self, timeout: float | None = None) -> Token:
        """The token: the cached one at once, else it waits for a new one, at most `timeout` seconds (unless given the
        manager's own, 30). However many threads wait, one token is asked for. Raises Pay88Error."""
    def _send(self, arguments: Arguments) -> Response: ...
