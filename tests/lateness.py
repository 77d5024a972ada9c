#!/usr/bin/env python3
"""Prints by how many milliseconds this machine was late at most, from the start of this program until SIGTERM ends it.

Late is a thread that has a little work to do each tenth of a second, and is not given the processor. This program ends with
the one that started it, too.
"""

import os
import signal
import sys
import time

PAUSE, WORK = 0.1, 0.002


def main() -> None:
    worst = 0.0

    def tell(*_: object) -> None:
        print(round(worst * 1000), flush=True)
        sys.exit()

    signal.signal(signal.SIGTERM, tell)
    parent = os.getppid()
    while os.getppid() == parent:
        begun = time.monotonic()
        time.sleep(PAUSE)
        done = time.thread_time() + WORK
        while time.thread_time() < done:
            pass
        worst = max(worst, time.monotonic() - begun - PAUSE - WORK)


main()
