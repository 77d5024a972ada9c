"""Support for green threads of gevent and eventlet, which are recognised by the socket module that they have
patched.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def waiter() -> Callable[[int], object] | None:
    """A function that waits until a descriptor is readable, or for a second, while other green threads run; None in a
    program without green threads. It waits no longer than a second, because nobody wakes a green thread that goes on in
    a forked child.
    """
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        from gevent import Timeout as GeventTimeout
        from gevent.socket import wait_read

        return _for_a_second(wait_read, GeventTimeout)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("socket"):
        from eventlet import Timeout as EventletTimeout
        from eventlet.hubs import trampoline

        return _for_a_second(lambda descriptor: trampoline(descriptor, read=True), EventletTimeout)
    return None


def _for_a_second(
    wait: Callable[[int], object], limit: Callable[[float, bool], AbstractContextManager[object]]
) -> Callable[[int], None]:
    def limited(descriptor: int) -> None:
        with limit(1, False):
            wait(descriptor)

    return limited
