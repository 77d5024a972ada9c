"""The class of 88Pay's documentation ("Token Caching Strategy", Python), as it stands there."""
# ruff: noqa: UP006, UP035

import time
from typing import Dict, Optional

import requests


# fmt: off
class TokenManager:
    def __init__(self, api_key: str, merchant_id: str, base_url: str):
        self.api_key = api_key
        self.merchant_id = merchant_id
        self.base_url = base_url
        self.cache: Optional[Dict] = None
        self.expires_at: Optional[float] = None

    def get_token(self) -> Dict:
        """Get cached token or generate new one"""
        # Return cached token if valid (10s safety margin)
        if self.cache and time.time() < self.expires_at - 10:
            return self.cache
        # Generate new token
        response = requests.post(
            f"{self.base_url}/api/auth/token",
            headers={
                "x-api-key": self.api_key,
                "x-merchant-id": self.merchant_id
            }
        )
        response.raise_for_status()
        data = response.json()["data"]
        # Cache with 50s TTL
        self.cache = data
        self.expires_at = time.time() + 50
        return data

    def make_request(self, endpoint: str, method: str = "GET", **kwargs) -> requests.Response:
        """Make authenticated request to 88Pay API"""
        token_data = self.get_token()
        headers = kwargs.get("headers", {})
        headers.update({
            "Authorization": f"Bearer {token_data['access_token']}",
            "x-session-id": token_data["session_id"],
            "Content-Type": "application/json"
        })
        return requests.request(
            method,
            f"{self.base_url}{endpoint}",
            headers=headers,
            **kwargs
        )
