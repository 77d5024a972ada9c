"""A charge that the sandbox accepts, and when it has come there."""

import json
import time
import urllib.request

TOKEN = "/api/auth/token"
CHARGES = "/api/transactions/charges"

CHARGE = {
    "flow": "PAYIN",
    "method_code": "NEQUI",
    "method_category": "WALLET",
    "amount": 50000,
    "currency": "COP",
    "country": "COL",
    "description": "An order",
    "customer_id": "customer-1",
    "notification_url": "https://shop.example/notify",
}


def wait_for(control, target, number=1):
    """Until so many requests to `target` have come to the sandbox with that control port."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    limit = time.monotonic() + 30
    while True:
        with opener.open(f"{control}/log", timeout=10) as answer:
            came = [entry["target"] for entry in json.load(answer)].count(target)
        if came >= number:
            return
        assert time.monotonic() < limit, f"{came} of {number} requests to {target}"
        time.sleep(0.02)
