"""Programs whose threads are green: gevent and eventlet, recognised by the socket module that they have patched."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def waiter() -> Callable[[int], object] | None:
    """What waits until a descriptor is readable while other green threads run; None in a program without them."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("socket"):
        from gevent.socket import wait_read

        return lambda descriptor: wait_read(descriptor)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched("socket"):
        from eventlet.hubs import trampoline

        return lambda descriptor: trampoline(descriptor, read=True)
    return None
