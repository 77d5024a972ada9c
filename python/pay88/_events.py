"""Events of the library for the logging module. Nothing runs unless a program asks for it."""

from __future__ import annotations

import os

from . import _native

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
    # All that is needed, here: a thread that imports while another one forks leaves a locked module to the child.
    import atexit
    import json
    import logging
    import threading
    import time

    events = _native.Events(capacity)
    logger = logging.getLogger("pay88")
    process = _logging_in = os.getpid()

    def log_waiting() -> None:
        # A forked child has neither the thread nor the right to this queue, which it may have inherited locked.
        while process == os.getpid() and (text := events.next()) is not None:
            event = json.loads(text)
            level = logging.INFO if event["name"] in _QUIET else logging.WARNING
            fields = " ".join(f"{name}={value}" for name, value in event["fields"].items())
            message = "%s of manager %d: %s"
            logger.log(level, message, event["name"], event["manager_id"], fields, extra={"pay88": event})

    def keep_logging() -> None:
        while True:
            log_waiting()
            time.sleep(_PAUSE)

    threading.Thread(target=keep_logging, name="pay88-events", daemon=True).start()
    atexit.register(log_waiting)
