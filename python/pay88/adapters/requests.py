"""Authentication for requests.

>>> session = requests.Session()
>>> session.auth = pay88.adapters.requests.Pay88Auth(pay88.TokenManager())
"""

from __future__ import annotations

from functools import partial
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from .._manager import TokenManager
from .._native import Token
from ._pair import AUTHORIZATION, SESSION, attach, belongs_to, renewed


class Pay88Auth(AuthBase):
    """Attaches a manager's token to requests for its origin; other requests are left as they are.

    A redirect that leads elsewhere is followed without the pair. A request whose body is a stream is not repeated.
    """

    def __init__(self, manager: TokenManager) -> None:
        self._manager = manager

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        if belongs_to(self._manager, r.url or ""):
            token = self._manager.get_token()
            attach(r.headers, token)
            r.register_hook("response", partial(self._answered, token))  # type: ignore[no-untyped-call]
        return r

    def _answered(self, token: Token, response: Response, **kwargs: Any) -> Response:
        request = response.request
        if response.status_code == 401:
            response = self._repeated(token, response, kwargs)
        if response.is_redirect and not self._stays(response):
            # requests copies the headers of the first request to the next one.
            for name in (AUTHORIZATION, SESSION):
                request.headers.pop(name, None)
        return response

    def _repeated(self, token: Token, response: Response, kwargs: dict[str, Any]) -> Response:
        if not isinstance(response.request.body, (bytes, str, type(None))):
            return response
        new = renewed(self._manager, token)
        if new is None:
            return response
        # Read to its end, so that its connection can be used again.
        _ = response.content
        response.close()
        request = response.request.copy()
        attach(request.headers, new)
        again: Response = response.connection.send(request, **kwargs)
        again.history.append(response)
        again.request = request
        return again

    def _stays(self, response: Response) -> bool:
        from urllib.parse import urljoin

        return belongs_to(self._manager, urljoin(response.url, response.headers["location"]))
