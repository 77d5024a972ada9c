"""The client for the payment provider 88Pay.

>>> import pay88
>>> tm = pay88.TokenManager()      # or TokenManager(api_key, merchant_id, base_url)
>>> r = tm.make_request("/api/transactions/charges", method="POST", json={...})
>>> r.raise_for_status()
>>> r.json()["data"]["reference"]
"""

from ._error import Pay88Error
from ._manager import TokenManager
from ._native import Token, version as __version__
from ._response import Headers, Response

__all__ = ["Headers", "Pay88Error", "Response", "Token", "TokenManager"]
