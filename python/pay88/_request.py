"""Turns the arguments of make_request into what is sent. A call that is refused here was not sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ._error import ConfigInvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from decimal import Decimal
    from typing import Any, Union

    from typing_extensions import TypedDict

    Params = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]
    Arguments = tuple[str, str, "bytes | None", list[tuple[str, str]], list[tuple[str, str]], "float | None", bool]

    class NoOthers(TypedDict):
        """The keywords that make_request takes besides those it names, for type checkers: none."""


# Arguments of requests, httpx and similar clients that would weaken a promise, or that have another name here.
_NOT_HERE = {
    "verify": "Certificates are always verified; to trust another authority, set the option ca_bundle.",
    "cert": "88Pay does not ask for client certificates; leave it out.",
    "allow_redirects": "Redirects are never followed, since they could carry the token elsewhere; look at the answer's "
    "Location.",
    "auth": "The manager authenticates the call itself; leave it out.",
    "proxies": "Set the option proxy, or HTTPS_PROXY in the environment.",
    "stream": "Answers are read to their end, up to the option max_response_bytes; leave it out.",
    "cookies": "88Pay uses no cookies and none are kept; leave it out.",
    "files": "Encode the body yourself, and pass it as data with a Content-Type header.",
    "hooks": "Look at the response that is returned; pay88.log_events() tells what happens inside.",
    "content": "Pass it as data.",
}
_NOT_HERE["follow_redirects"] = _NOT_HERE["allow_redirects"]
_NOT_HERE["proxy"] = _NOT_HERE["proxies"]
_NAMES = ("endpoint", "method", "json", "data", "headers", "params", "timeout", "safe_to_repeat")


def arguments(
    method: str,
    endpoint: str,
    json: Any,
    data: bytes | bytearray | memoryview | str | None,
    headers: Mapping[str, str] | None,
    params: Params | None,
    timeout: float | None,
    safe_to_repeat: bool,
    others: Mapping[str, object],
) -> Arguments:
    for name in others:
        raise _unknown(name)
    for name, text in (("method", method), ("endpoint", endpoint)):
        if not isinstance(text, str):
            raise ConfigInvalidError(f"The argument {name} must be a string, not {_type(text)}.")
    if not isinstance(safe_to_repeat, bool):
        raise ConfigInvalidError(f"The argument safe_to_repeat must be True or False, not {_type(safe_to_repeat)}.")
    return method, endpoint, _body(json, data), _headers(headers), _params(params), timeout, safe_to_repeat


def _unknown(name: str) -> ConfigInvalidError:
    hint = _NOT_HERE.get(name)
    if hint is None:
        from difflib import get_close_matches

        near = get_close_matches(name, _NAMES, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There is no such argument; there are {', '.join(_NAMES)}."
    return ConfigInvalidError(f"make_request() does not take {name!r}.", hint=hint)


def _body(json: Any, data: bytes | bytearray | memoryview | str | None) -> bytes | None:
    if json is not None:
        if data is not None:
            raise ConfigInvalidError("Both json and data are given.", hint="Pass json or data, not both.")
        return _encoded("json", _as_json(json))
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return _encoded("data", data)
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise ConfigInvalidError(
        f"The argument data must be bytes or a string, not {_type(data)}.", hint="Pass what is to be JSON as json."
    )


def _encoded(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # The text is not shown, because it may be a secret. It has surrogates, as text has that was made of bytes which
        # are not UTF-8.
        raise ConfigInvalidError(f"The argument {name} holds text that cannot be UTF-8.") from None


def _as_json(value: Any) -> str:
    """The value as JSON. A Decimal becomes a number with its own digits, a float one with the digits of its repr."""
    from json import dumps

    decimals: list[str] = []
    mark = ""

    def instead(other: object) -> str:
        # json can replace an object only by one that it knows. So a text stands for a Decimal until everything is
        # encoded. It is random, so it is in nothing that the caller passed.
        nonlocal mark
        from decimal import Decimal

        if not isinstance(other, Decimal):
            raise TypeError(f"Object of type {_type(other)} is not JSON serializable")
        if not mark:
            from uuid import uuid4

            mark = uuid4().hex
        decimals.append(_digits(other))
        return mark

    try:
        text = dumps(value, allow_nan=False, default=instead)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigInvalidError):
            raise
        raise ConfigInvalidError(
            f"The argument json cannot be sent as JSON: {error}.",
            hint="Use dictionaries, lists, strings, numbers, Decimal, True, False and None.",
        ) from None
    if not decimals:
        return text
    # The Decimals are in the order of the text.
    before, *parts = text.split(f'"{mark}"')
    return before + "".join(number + part for number, part in zip(decimals, parts))


def _digits(number: Decimal) -> str:
    from decimal import Decimal

    if not number.is_finite():
        raise ConfigInvalidError("A number that is infinite or not a number cannot be sent.")
    # For a finite number this is valid JSON too: 10.00, 1E+3.
    return Decimal.__str__(number)


def _headers(headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    if not isinstance(headers, Mapping):
        raise ConfigInvalidError(f"The argument headers must be a mapping, not {_type(headers)}.")
    pairs = list(headers.items())
    for name, value in pairs:
        if not isinstance(name, str):
            raise ConfigInvalidError(f"The name of a header must be a string, not {_type(name)}.")
        if not isinstance(value, str):
            # Not shown: it may be a secret.
            raise ConfigInvalidError(f"The header {name!r} must be a string, not {_type(value)}.")
    return pairs


def _params(params: Params | None) -> list[tuple[str, str]]:
    if params is None:
        return []
    if isinstance(params, (str, bytes)):
        raise ConfigInvalidError(
            "The argument params must be a mapping or pairs.", hint="A query that is ready belongs to the endpoint."
        )
    pairs = []
    for name, value in params.items() if isinstance(params, Mapping) else params:
        if not isinstance(name, str):
            raise ConfigInvalidError(f"The name of a parameter must be a string, not {_type(name)}.")
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is not None:
                pairs.append((name, _param(name, one)))
    return pairs


def _param(name: str, value: object) -> str:
    """The text of a parameter: the value itself, never Python's way to print it."""
    from decimal import Decimal
    from enum import Enum

    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        _digits(Decimal(value))
        return float.__repr__(value)
    if isinstance(value, Decimal):
        return _digits(value)
    raise ConfigInvalidError(
        f"The parameter {name!r} must be a string, a number or True or False, not {_type(value)}.",
        hint="Pass the text that is to be sent, as a string.",
    )


def _type(value: object) -> str:
    return type(value).__name__
