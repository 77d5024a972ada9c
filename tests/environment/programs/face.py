"""The steps of ../README.md in Python: `face.py IN OUT`, two descriptors, so that the standard streams may be closed."""

import json
import logging
import os
import sys
import time

import pay88

CHARGE = {
    "flow": "PAYIN",
    "method_code": "CARDS",
    "method_category": "CARD",
    "amount": 50000,
    "currency": "COP",
    "country": "COL",
    "description": "Order 1001",
    "customer_id": "customer-1",
    "notification_url": "https://example.com/notify",
    "return_url": "https://example.com/return",
}


EVENTS = []


def take_events():
    handler = logging.Handler()
    handler.emit = lambda record: EVENTS.append(record.pay88)
    logger = logging.getLogger("pay88")
    logger.propagate = False
    logger.addHandler(handler)
    pay88.log_events()


def degraded():
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for event in EVENTS:
            if event["name"] == "share_degraded":
                return event["fields"]["reason"]
        time.sleep(0.02)
    return None


def done(words, managers):
    if words[0] == "new":
        managers.append(pay88.TokenManager(**dict(word.split("=", 1) for word in words[1:])))
        return managers[-1].manager_id
    if words[0] == "listen":
        return take_events()
    if words[0] == "open":
        os.close(os.open("/dev/null", os.O_RDONLY))
        return None
    if words[0] == "degraded":
        return degraded()
    manager = managers[int(words[1])]
    if words[0] == "token":
        return manager.get_token().expires_in
    return manager.make_request("/api/transactions/charges", method="POST", json=CHARGE).status_code


def main():
    managers = []
    with open(int(sys.argv[1]), closefd=False) as steps:
        for line in steps:
            try:
                result = {"ok": done(line.split(), managers)}
            except pay88.Pay88Error as error:
                result = {name: getattr(error, name) for name in ("code", "outcome", "message", "hint")}
            except OSError as error:
                result = {"code": "of_the_system", "message": str(error)}
            os.write(int(sys.argv[2]), json.dumps(result).encode() + b"\n")


main()
