"""The sample of 88Pay's documentation, with only its class replaced by the import."""

USAGE = """
import os
from pay88 import TokenManager

# Initialize once (singleton pattern)
token_manager = TokenManager(
    os.getenv("EIGHTY_EIGHT_PAY_API_KEY"),
    os.getenv("EIGHTY_EIGHT_PAY_MERCHANT_ID"),
    os.getenv("EIGHTY_EIGHT_PAY_BASE_URL", "https://api-sandbox.88pay.io")
)

# Usage
payment = token_manager.make_request(
    "/api/transactions/charges",
    method="POST",
    json={"flow": "PAYIN", **CHARGE}
)
"""

# What the sample's own methods do with what get_token and make_request give.
USED = """
token_data = token_manager.get_token()
headers = {"Authorization": f"Bearer {token_data['access_token']}", "x-session-id": token_data["session_id"]}
payment.raise_for_status()
data = payment.json()["data"]
print(payment.status_code, len(headers), token_data["expires_in"], data["amount"])
"""


def test_the_documented_usage_works_with_the_class_replaced(sandbox):
    assert sandbox.run("from charges import CHARGE\n" + USAGE + USED) == (0, "200 2 60 50000\n", "")
    assert sandbox.tokens_issued() == 1
    assert len(sandbox.control("GET", "/charges")) == 1
