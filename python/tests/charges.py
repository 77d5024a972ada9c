"""A charge that the sandbox accepts."""

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
