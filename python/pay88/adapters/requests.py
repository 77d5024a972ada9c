"""Authentication for requests 2.28 or later.

>>> session = requests.Session()
>>> session.auth = pay88.adapters.requests.Pay88Auth(pay88.TokenManager())
"""

from __future__ import annotations

from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from .. import _native
from .._manager import TokenManager
from ._pair import AUTHORIZATION, SESSION, belongs_to, detach, renewed, value_of


class Pay88Auth(AuthBase):
    """Adds a manager's token to requests for its origin. Other requests are left unchanged.

    A request whose body is a stream is not repeated. A redirect is followed without the token and the session ID,
    wherever it leads. Hooks and errors do not show them.
    """

    def __init__(self, manager: TokenManager) -> None:
        self._manager = manager

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        if belongs_to(self._manager, r.url or ""):
            token = self._manager.get_token()
            _attach(r, token)
            r.register_hook("response", partial(self._answered, token))  # type: ignore[no-untyped-call]
        return r

    def _answered(self, token: _native.Token, response: Response, **kwargs: Any) -> Response:
        request = response.request
        if not isinstance(request.headers.get(AUTHORIZATION), _Value):
            # A redirect that was followed: it has the hooks of the first request.
            return response
        # requests copies the headers of a request to the one that follows a redirect.
        detach(request.headers)
        if response.status_code == 401:
            return self._repeated(token, response, kwargs)
        return response

    def _repeated(self, token: _native.Token, response: Response, kwargs: dict[str, Any]) -> Response:
        if not isinstance(response.request.body, (bytes, str, type(None))):
            return response
        new = renewed(self._manager, token)
        if new is None:
            return response
        # Read to its end, so that its connection can be used again.
        _ = response.content
        response.close()
        request = response.request.copy()
        _attach(request, new)
        again: Response = response.connection.send(request, **kwargs)
        detach(request.headers)
        again.history.append(response)
        again.request = request
        return again


class _Value(str):
    """A header of the pair that the connection alone can read: http.client asks for its bytes by encode(). To all
    others, and in copies and pickles, it is the text "<hidden>".
    """

    __slots__ = ("_name", "_token")

    _name: str
    _token: _native.Token

    def __new__(cls, name: str, token: _native.Token) -> _Value:
        value = super().__new__(cls, "<hidden>")
        value._name = name
        value._token = token
        return value

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return value_of(self._name, self._token).encode(encoding, errors)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def _attach(request: PreparedRequest, token: _native.Token) -> None:
    for name in (AUTHORIZATION, SESSION):
        request.headers[name] = _Value(name, token)
