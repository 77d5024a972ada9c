"""Passes the events of the library to the logging module. Nothing runs unless a program asks for it."""

from __future__ import annotations

import os

from . import _native

_PAUSE = 0.1
# The process that logs, and how many events may wait in it and in the children that are forked from it.
_logging_in = 0
_capacity = 0


def log_events(capacity: int = 1000) -> None:
    """Logs the events of all managers of this process to logging.getLogger("pay88") from now on.

    Normal events have the level INFO, faults have WARNING. Each record has the whole event, a dictionary, as the
    attribute "pay88". It has no secret.

    This starts a daemon thread, which logs every 0.1 s. Events that are left are logged at exit. At most capacity
    events wait for the thread; those beyond that are dropped and counted. Further calls of this function do nothing. A
    process that is forked later, such as a worker of gunicorn's --preload, logs too: its first call of pay88 starts a
    thread of its own.
    """
    global _logging_in, _capacity
    if _logging_in == os.getpid():
        return
    # All imports are here: a thread that imports while another one forks leaves a locked module to the child.
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
    """The compiled part calls this at the first call in a child of a process that logs, however the child was forked.
    uWSGI, for example, does not run what is registered with os.register_at_fork.
    """
    try:
        log_events(_capacity)
    except Exception:
        # A call that makes a payment must not fail because nothing can be logged, for example because there is no
        # thread.
        import logging

        logging.getLogger("pay88").exception("pay88 cannot log its events in this process.")
