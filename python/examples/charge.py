"""Makes one charge with the credentials of the environment and prints its status and reference."""

import sys

import pay88

try:
    with pay88.TokenManager() as tm:
        answer = tm.make_request(
            "/api/transactions/charges",
            method="POST",
            json={
                "flow": "PAYIN",
                "method_code": "NEQUI",
                "method_category": "WALLET",
                "amount": 50000,
                "currency": "COP",
                "country": "COL",
                "description": "An order",
                "customer_id": "customer-1",
                "notification_url": "https://shop.example/notify",
            },
        )
        print(answer.status_code, answer.raise_for_status().json()["data"]["reference"])
except pay88.Pay88Error as error:
    sys.exit(f"{error} (outcome: {error.outcome})")
