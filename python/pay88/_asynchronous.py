"""The manager whose calls are awaited, on any event loop that has add_reader: asyncio's own on Unix, and uvloop.

The library's threads never enter the interpreter. They put results into a queue, and one descriptor for each loop wakes
the loop.
"""

from __future__ import annotations

from itertools import count
from os import register_at_fork

from . import _native
from ._error import forked
from ._request import arguments
from ._response import Response, given_up
from ._stats import WithStats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from typing import Any

    from typing_extensions import Unpack

    from ._error import Outcome
    from ._request import NoOthers, Params

# Seconds within which the library has ended a call that was canceled, busy machines included.
_END_OF_CANCELED = 1


class AsyncTokenManager(WithStats):
    """The same as TokenManager, for asyncio: get_token and make_request are awaited.

    It shares the token with all TokenManagers of the same credentials. It belongs to no loop: any number of loops and
    threads may use it at once.

    If a task is canceled, other tasks that wait for the same token go on. If the task was making a call, the
    CancelledError has the error of the call as its __cause__, and the outcome of that error says whether 88Pay can have
    received the call. asyncio.timeout() and asyncio.wait_for() raise a TimeoutError with that CancelledError as its own
    __cause__. The argument timeout is simpler: the TimedOutError has the outcome itself.

    In a forked child, calls that the parent has begun end with ForkedError at once. They go on in the parent.
    """

    __slots__ = ()

    async def get_token(self, timeout: float | None = None) -> _native.Token:
        """Returns the token. If there is a valid one in the cache, it returns at once.

        Otherwise it waits for a new one, at most timeout seconds; without timeout, for the manager's own time (30).
        However many tasks wait, one token is asked for. Raises Pay88Error.
        """
        return await get_token(self, timeout)

    async def make_request(
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

        The arguments are those of TokenManager.make_request.
        """
        prepared = arguments(method, endpoint, json, data, headers, params, timeout, safe_to_repeat, others)
        return Response(await _of_running_loop().result_of(self._start_send, prepared, "unknown", safe_to_repeat))

    async def __aenter__(self) -> AsyncTokenManager:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.close()


async def get_token(manager: _native.Manager, timeout: float | None = None) -> _native.Token:
    """A manager's token, of either kind of manager."""
    cached = manager._cached(timeout)
    if cached is not None:
        return cached
    # One object for all who waited.
    return manager._same(await _of_running_loop().result_of(manager._start_token, timeout, "not_sent", True))


class _Completions:
    """Brings results from the library's queue to the tasks of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue = _native.Completions()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        loop.add_reader(self._queue.fileno(), self._on_complete)

    async def result_of(
        self, start: Callable[..., _native.Call], argument: Any, outcome_if_forked: Outcome, retryable_if_forked: bool
    ) -> Any:
        number = next(self._numbers)
        future = self._waiting[number] = self._loop.create_future()
        try:
            call = start(self._queue, number, argument)
            try:
                result = await future
            except BaseException as error:
                call.cancel()
                if outcome_if_forked == "unknown" and isinstance(error, _canceled_error()):
                    error.__cause__ = await self._end_of_canceled(number)
                raise
        finally:
            del self._waiting[number]
        if result is None:
            raise forked(outcome_if_forked, retryable_if_forked)
        # Not the future's exception: a task that was canceled meanwhile would leave that one unseen, which asyncio
        # reports.
        if isinstance(result, BaseException):
            raise result
        return result

    async def _end_of_canceled(self, number: int) -> BaseException:
        """What became of a call whose task was canceled. It arrives soon, because the library ends a canceled call at
        once.
        """
        from asyncio import wait

        future = self._waiting[number]
        if future.cancelled():
            future = self._waiting[number] = self._loop.create_future()
        await wait((future,), timeout=_END_OF_CANCELED)
        return given_up(future.result() if future.done() else None, "unknown")

    def _on_complete(self) -> None:
        for number, result in self._queue.take():
            future = self._waiting.get(number)
            if future is None:
                continue
            if future.cancelled():
                # Its task is still to be told, and will ask what became of the call.
                future = self._waiting[number] = self._loop.create_future()
            if not future.done():
                future.set_result(result)

    def leave_to_the_parent(self) -> None:
        """Called in a forked child, where these results never arrive. The loop goes on watching the descriptor, which
        is the parent's. To remove it would remove it from the parent's loop too, because both share one.
        """
        for future in self._waiting.values():
            try:
                if not future.done():
                    future.set_result(None)
            except RuntimeError:
                # A loop that was closed, or of a thread that is no more.
                pass


_of_loops: dict[asyncio.AbstractEventLoop, _Completions] = {}


def _forked() -> None:
    inherited = list(_of_loops.values())
    _of_loops.clear()
    for completions in inherited:
        completions.leave_to_the_parent()


register_at_fork(after_in_child=_forked)


def _of_running_loop() -> _Completions:
    """What brings the results of the running loop."""
    loop = _running_loop()
    completions = _of_loops.get(loop)
    if completions is None:
        for known in list(_of_loops):
            if known.is_closed():
                # Pending calls of a loop that was closed end unseen.
                _of_loops.pop(known, None)
        completions = _of_loops[loop] = _Completions(loop)
    return completions


def _canceled_error() -> type[BaseException]:
    from asyncio import CancelledError

    return CancelledError


_get_running_loop: Callable[[], asyncio.AbstractEventLoop] | None = None


def _running_loop() -> asyncio.AbstractEventLoop:
    # Imported by the first call that needs it, and not by each: an import statement takes long, also of what is there.
    global _get_running_loop
    if _get_running_loop is None:
        from asyncio import get_running_loop

        _get_running_loop = get_running_loop
    return _get_running_loop()
