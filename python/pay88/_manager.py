"""The part of the manager that needs no speed: from what Python programs pass to what is sent."""

from __future__ import annotations

import json as _json
from collections.abc import Iterable, Mapping
from typing import Any

from . import _native
from ._response import Response


class TokenManager(_native.Manager):
    """Holds 88Pay's token and makes authenticated calls.

    TokenManager(api_key=None, merchant_id=None, base_url=None, **options): what is not given comes from the environment,
    EIGHTY_EIGHT_PAY_ and the option's name in capitals. Objects of the same credentials share one token, in the whole
    process. May be used by any number of threads at once.
    """

    __slots__ = ()

    def make_request(
        self,
        endpoint: str,
        method: str = "GET",
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        timeout: float | None = None,
        safe_to_repeat: bool = False,
    ) -> Response:
        """Makes an authenticated call and returns the answer, whatever its status.

        endpoint        a path below the base URL
        json or data    the body; sent as application/json unless a header says otherwise
        params          for the query; None leaves a parameter out, a list repeats it
        timeout         seconds for the whole call, waiting for a token included; the option "timeout" unless given
        safe_to_repeat  sending it twice does no harm, so that it is repeated after a fault; never for a charge

        Raises Pay88Error, whose outcome says whether the request can have reached 88Pay.
        """
        if json is not None:
            if data is not None:
                raise TypeError("Pass json or data, not both.")
            data = _json.dumps(json, allow_nan=False)
        if isinstance(data, str):
            data = data.encode()
        elif not (data is None or isinstance(data, bytes)):
            raise TypeError("The argument data must be bytes or a string; pass what is to be JSON as json.")
        return Response(
            self._send(
                method,
                endpoint,
                data,
                list((headers or {}).items()),
                _pairs(params),
                timeout,
                safe_to_repeat,
            )
        )

    def stats(self) -> dict[str, Any]:
        """What the manager has done so far, such as "tokens_issued" and "calls"; times in seconds."""
        return _json.loads(self._stats_json())

    def __enter__(self) -> TokenManager:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<pay88.TokenManager {self.manager_id} for {self.merchant_id} at {self.base_url}>"


def _pairs(params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None) -> list[tuple[str, str]]:
    pairs = []
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is not None:
                pairs.append((name, str(one)))
    return pairs
