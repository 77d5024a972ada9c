"""Answers of 88Pay, with the attributes that answers of requests and httpx have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import _native
from ._error import CanceledError, HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._error import Outcome


class Headers(Mapping[str, str]):
    """Headers by name; upper and lower case do not matter. Several values of one name are joined by a comma."""

    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[str, bytes]]) -> None:
        values: dict[str, str] = {}
        for name, raw in pairs:
            value = raw.decode("latin-1")
            values[name] = f"{values[name]}, {value}" if name in values else value
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


class _Kept:
    """The part of a response that a pickle keeps. It stands in for the compiled part's response."""

    __slots__ = ("_error", "content", "headers", "status_code")

    def __init__(self, response: _native.Response | _Kept) -> None:
        self.status_code: int = response.status_code
        self.content: bytes = response.content
        self.headers: list[tuple[str, bytes]] = response.headers
        self._error: HttpError | None = None
        try:
            response.raise_for_status()
        except HttpError as error:
            self._error = error.with_traceback(None)

    def raise_for_status(self) -> None:
        if self._error is not None:
            from copy import copy

            raise copy(self._error)


class Response:
    """An answer of any HTTP status. status_code, headers and content (bytes) are unchanged. It can be pickled and
    copied.
    """

    __slots__ = ("_headers", "_native", "content", "status_code")

    def __init__(self, native: _native.Response | _Kept) -> None:
        self._native = native
        self._headers: Headers | None = None
        self.status_code: int = native.status_code
        self.content: bytes = native.content

    @property
    def headers(self) -> Headers:
        """The headers by name; upper and lower case do not matter."""
        # Made when they are first read, which most programs never do.
        if self._headers is None:
            self._headers = Headers(self._native.headers)
        return self._headers

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    @property
    def text(self) -> str:
        """The content as text. Bytes that are not UTF-8 are replaced by U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self, **kwargs: Any) -> Any:
        """The content as JSON. The arguments are those of json.loads. Raises ValueError if the content is not JSON."""
        from json import loads

        return loads(self.content, **kwargs)

    def raise_for_status(self) -> Response:
        """Raises HttpError if the status is 400 or above; otherwise returns this response. The error has it as response."""
        try:
            self._native.raise_for_status()
        except HttpError as error:
            error.response = self
            raise
        return self

    def __reduce__(self) -> tuple[type[Response], tuple[_Kept]]:
        return type(self), (_Kept(self._native),)

    def __repr__(self) -> str:
        return f"<pay88.Response [{self.status_code}]>"


def given_up(result: object, outcome: Outcome) -> BaseException:
    """What became of a call whose caller gave up. It is the cause of the exception that the caller gets.

    result is the exception, the compiled part's response or the token with which the call ended all the same, or None.
    outcome is what is known about a call without an answer.
    """
    if isinstance(result, BaseException):
        return result
    if isinstance(result, _native.Response):
        message, hint = "The answer came as its caller gave up.", "It is the response of this error."
        return CanceledError(message, hint=hint, outcome="answered", response=Response(result))
    hint = "It is safe to repeat."
    if outcome == "unknown":
        hint = "It may have arrived: look the transaction up, do not repeat it."
    return CanceledError("The caller gave up while the call was pending.", hint=hint, outcome=outcome)
