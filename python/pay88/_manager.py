"""The manager whose calls block."""

from __future__ import annotations

from . import _native
from ._request import arguments
from ._response import Response
from ._stats import WithStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from typing_extensions import Unpack

    from ._request import NoOthers, Params


class TokenManager(_native.BlockingManager, WithStats):
    """Holds 88Pay's token and makes authenticated calls.

    TokenManager(api_key=None, merchant_id=None, base_url=None, **options): an option that you do not pass comes from
    the environment, from EIGHTY_EIGHT_PAY_ and the option's name in capitals. Objects with the same credentials share
    one token in the whole process. Unless share is "process", they also share it with all processes of this user on
    this host. Any number of threads may use an object at once, and green threads of gevent and eventlet too.
    """

    __slots__ = ()

    def make_request(
        self,
        endpoint: str,
        method: str = "GET",
        json: Any = None,
        data: bytes | bytearray | memoryview | str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        timeout: float | None = None,
        safe_to_repeat: bool = False,
        **others: Unpack[NoOthers],
    ) -> Response:
        """Makes an authenticated call and returns the answer, whatever its status.

        endpoint        a path below the base URL
        json or data    the body. It is sent as application/json unless a header says otherwise. In json a Decimal is a
                        number with its own digits: Decimal("10.00") is sent as 10.00
        params          for the query: strings, numbers, True and False (sent as true and false), and enums, whose value
                        is sent. None leaves a parameter out, a list repeats it
        timeout         seconds for the whole call, including the wait for a token. Without it, the option "timeout"
        safe_to_repeat  True says that sending the call twice does no harm, so that it is repeated after a fault. Never
                        for a charge

        Other arguments, such as those of HTTP clients, are refused with the reason.
        Raises Pay88Error. Its outcome says whether the request can have reached 88Pay.
        """
        return Response(
            self._send(arguments(method, endpoint, json, data, headers, params, timeout, safe_to_repeat, others))
        )

    def __enter__(self) -> TokenManager:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
