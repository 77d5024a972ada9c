"""A shop: it charges customers by 88Pay, and never charges one twice."""

from __future__ import annotations

import pay88


class DeclinedError(Exception):
    """88Pay does not make this charge. The customer may try again."""


class InDoubtError(Exception):
    """The charge may have been made. Somebody has to look it up before anything is sent again."""


class Shop:
    def __init__(self, manager: pay88.TokenManager) -> None:
        self._manager = manager
        self.paid: dict[str, str] = {}

    def pay(self, order: str, amount: int) -> str:
        """Charges an order, and returns the reference of the charge."""
        if order in self.paid:
            return self.paid[order]
        charge = {
            "flow": "PAYIN",
            "method_code": "NEQUI",
            "amount": amount,
            "currency": "COP",
            "country": "COL",
            "description": order,
        }
        try:
            answer = self._manager.make_request("/api/transactions/charges", method="POST", json=charge)
        except pay88.Pay88Error as error:
            raise InDoubtError(order) if error.outcome == "unknown" else DeclinedError(error.hint) from error
        if not answer.ok:
            raise DeclinedError(answer.json()["message"])
        self.paid[order] = answer.json()["data"]["reference"]
        return self.paid[order]
