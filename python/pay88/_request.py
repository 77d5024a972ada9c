"""From what Python programs pass to make_request to what is sent. Whatever is refused here was not sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    Params = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]
    Arguments = tuple[str, str, "bytes | None", list[tuple[str, str]], list[tuple[str, str]], "float | None", bool]

# Arguments of requests, httpx and their kin that would weaken a promise or have another name here.
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


def arguments(
    method: str,
    endpoint: str,
    json: Any,
    data: bytes | bytearray | memoryview | str | None,
    headers: Mapping[str, str] | None,
    params: Params | None,
    timeout: float | None,
    safe_to_repeat: bool,
    others: dict[str, Any],
) -> Arguments:
    for name in others:
        reason = _NOT_HERE.get(name, "There is no such argument.")
        raise TypeError(f"make_request() does not take {name!r}: {reason}")
    for name, text in (("method", method), ("endpoint", endpoint)):
        if not isinstance(text, str):
            raise TypeError(f"The argument {name} must be a string, not {_type(text)}.")
    if not isinstance(safe_to_repeat, bool):
        raise TypeError(f"The argument safe_to_repeat must be True or False, not {_type(safe_to_repeat)}.")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
        raise TypeError(
            f"The argument timeout must be a number of seconds for the whole call, not {_type(timeout)}; "
            "the time for connecting is the option connect_timeout."
        )
    return method, endpoint, _body(json, data), _headers(headers), _params(params), timeout, safe_to_repeat


def _body(json: Any, data: bytes | bytearray | memoryview | str | None) -> bytes | None:
    if json is not None:
        if data is not None:
            raise TypeError("Pass json or data, not both.")
        from json import dumps

        return dumps(json, allow_nan=False).encode()
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"The argument data must be bytes or a string, not {_type(data)}; pass what is to be JSON as json.")


def _headers(headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    if not isinstance(headers, Mapping):
        raise TypeError(f"The argument headers must be a mapping, not {_type(headers)}.")
    pairs = list(headers.items())
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"The name of a header must be a string, not {_type(name)}.")
        if not isinstance(value, str):
            # Not shown: it may be a secret.
            raise TypeError(f"The header {name!r} must be a string, not {_type(value)}.")
    return pairs


def _params(params: Params | None) -> list[tuple[str, str]]:
    if params is None:
        return []
    if isinstance(params, (str, bytes)):
        raise TypeError(
            "The argument params must be a mapping or pairs; a query that is ready belongs to the endpoint."
        )
    pairs = []
    for name, value in params.items() if isinstance(params, Mapping) else params:
        if not isinstance(name, str):
            raise TypeError(f"The name of a parameter must be a string, not {_type(name)}.")
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is not None:
                pairs.append((name, str(one)))
    return pairs


def _type(value: object) -> str:
    return type(value).__name__
