"""Events of the library for the logging module. Nothing runs unless a program asks for it."""

from __future__ import annotations

import os

from . import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

_PAUSE = 0.1
_QUIET = ("token_issued", "token_invalidated", "key_rotated")
# The process that logs: a forked child asks for itself.
_logging_in = 0


def log_events(capacity: int = 1000) -> None:
    """Sends what happens in this process, to all managers, to logging.getLogger("pay88") from now on: tokens at level INFO,
    what went wrong at WARNING. Records have the whole event, a dictionary, as the attribute "pay88". No secret is in it.

    Starts a daemon thread that looks every 0.1 s; what is left is logged at exit. At most capacity events wait for it, and
    what comes beyond is counted. To be called by each process once; further calls do nothing.
    """
    global _logging_in
    if _logging_in == os.getpid():
        return
    import atexit
    import logging
    import threading

    events = _native.Events(capacity)
    logger = logging.getLogger("pay88")
    _logging_in = os.getpid()
    threading.Thread(target=_keep_logging, args=(events, logger), name="pay88-events", daemon=True).start()
    atexit.register(_log_waiting, events, logger)


def _keep_logging(events: _native.Events, logger: logging.Logger) -> None:
    from time import sleep

    while True:
        _log_waiting(events, logger)
        sleep(_PAUSE)


def _log_waiting(events: _native.Events, logger: logging.Logger) -> None:
    import logging
    from json import loads

    while (text := events.next()) is not None:
        event = loads(text)
        level = logging.INFO if event["name"] in _QUIET else logging.WARNING
        fields = " ".join(f"{name}={value}" for name, value in event["fields"].items())
        message = "%s of manager %d: %s"
        logger.log(level, message, event["name"], event["manager_id"], fields, extra={"pay88": event})
