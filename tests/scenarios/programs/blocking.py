"""Scenario steps through pay88.TokenManager, on threads where several are at once. See ../README.md."""

import concurrent.futures
import json
import logging
import sys
import threading
import urllib.parse

import pay88

EVENTS = []


class Step:
    """The fields of a step."""

    def __init__(self, line):
        self._fields = urllib.parse.parse_qsl(line.rstrip("\n"), keep_blank_values=True, strict_parsing=True)
        self._single = dict(self._fields)

    def __getitem__(self, name):
        return self._single[name]

    def get(self, name):
        return self._single.get(name)

    def below(self, prefix):
        """What is named below it: `option.timeout`."""
        return [(name[len(prefix) :], value) for name, value in self._fields if name.startswith(prefix)]

    @property
    def timeout(self):
        return None if self.get("timeout") is None else float(self["timeout"])

    @property
    def call(self):
        """The arguments of make_request."""
        return {
            "endpoint": self["endpoint"],
            "method": self["method"],
            "data": self.get("body"),
            "headers": dict(self.below("header.")),
            "params": self.below("param."),
            "timeout": self.timeout,
            "safe_to_repeat": self.get("safe_to_repeat") == "true",
        }


def told(error):
    names = ("code", "message", "hint", "outcome", "http_status", "retry_after", "retryable", "attempt")
    return {"error": {name: getattr(error, name) for name in names}}


def token(pair):
    names = ("access_token", "session_id", "expires_in", "valid_for")
    return None if pair is None else {name: getattr(pair, name) for name in names}


def response(answer):
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.text}


def simple(step, managers, kind):
    """The steps in which nothing waits."""
    if step["do"] == "new":
        managers.append(kind(**dict(step.below("option."))))
        return managers[-1].manager_id
    if step["do"] == "events":
        return list(EVENTS)
    manager = managers[int(step["manager"])]
    if step["do"] == "peek_token":
        return token(manager.peek_token())
    if step["do"] == "invalidate":
        return manager.invalidate()
    if step["do"] == "rotate":
        return manager.rotate(step["api_key"], keep_old=step["keep_old"] == "true")
    if step["do"] == "close":
        return manager.close()
    if step["do"] == "stats":
        return manager.stats()
    raise LookupError(step["do"])


def take_events():
    handler = logging.Handler()
    handler.emit = lambda record: EVENTS.append(record.pay88)
    logger = logging.getLogger("pay88")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    pay88.log_events()


def result_of(step, managers, start):
    start.wait()
    try:
        if step["do"] == "get_token":
            return {"ok": token(managers[int(step["manager"])].get_token(step.timeout))}
        if step["do"] == "request":
            return {"ok": response(managers[int(step["manager"])].make_request(**step.call))}
        return {"ok": simple(step, managers, pay88.TokenManager)}
    except pay88.Pay88Error as error:
        return told(error)


def main():
    take_events()
    managers = []
    for line in sys.stdin:
        step = Step(line)
        times = int(step["at_once"])
        start = threading.Barrier(times)
        with concurrent.futures.ThreadPoolExecutor(times) as pool:
            together = [pool.submit(result_of, step, managers, start) for _ in range(times)]
        print(json.dumps([one.result() for one in together]), flush=True)


if __name__ == "__main__":
    main()
