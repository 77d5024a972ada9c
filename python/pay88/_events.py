"""Events of the library for the logging module. Nothing runs unless a program asks for it."""

from __future__ import annotations

import os

from . import _native

_PAUSE = 0.1
# The process that logs, and how many events may wait in it and in the children that are forked from it.
_logging_in = 0
_capacity = 0


def log_events(capacity: int = 1000) -> None:
    """Sends what happens, to all managers of this process, to logging.getLogger("pay88") from now on: at level INFO what
    belongs to the normal course, at WARNING what went wrong. Records have the whole event, a dictionary, as the attribute
    "pay88". No secret is in it.

    Starts a daemon thread that looks every 0.1 s; what is left is logged at exit. At most capacity events wait for it, and
    what comes beyond is counted. Further calls do nothing. A process that is forked later, such as a worker of gunicorn's
    --preload, logs too: its first call of pay88 starts a thread of its own.
    """
    global _logging_in, _capacity
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
    _capacity = capacity

    def log_waiting() -> None:
        # A forked child has neither the thread nor the right to this queue, which it may have inherited locked.
        while process == os.getpid() and (text := events.next()) is not None:
            event = json.loads(text)
            level = logging.WARNING if event["level"] == "warning" else logging.INFO
            fields = " ".join(f"{name}={value}" for name, value in event["fields"].items())
            message = "%s of manager %d: %s"
            logger.log(level, message, event["name"], event["manager_id"], fields, extra={"pay88": event})

    def keep_logging() -> None:
        while True:
            log_waiting()
            time.sleep(_PAUSE)

    threading.Thread(target=keep_logging, name="pay88-events", daemon=True).start()
    atexit.register(log_waiting)


def log_on() -> None:
    """Called by the compiled part at the first call in a child of a process that logs, however it was forked: uWSGI, for
    one, does not run what is registered with os.register_at_fork."""
    try:
        log_events(_capacity)
    except Exception:
        # A call that makes a payment is not to fail because nothing can be logged, for example for want of a thread.
        import logging

        logging.getLogger("pay88").exception("pay88 cannot log its events in this process.")
