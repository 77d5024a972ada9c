"""The shop's tests, for `pytest`, or `pytest -n 4` with xdist. The fixtures come with pay88, the sandbox with its command."""

import pytest

from shop import DeclinedError, InDoubtError, Shop


@pytest.fixture
def shop(pay88_manager):
    return Shop(pay88_manager)


def test_an_order_is_charged_once(shop, pay88_sandbox):
    reference = shop.pay("order-1", 50_000)
    assert shop.pay("order-1", 50_000) == reference
    assert [charge["body"]["amount"] for charge in pay88_sandbox.charges()] == [50_000]


def test_orders_share_one_token(shop, pay88_sandbox):
    for number in range(5):
        shop.pay(f"order-{number}", 1_000)
    assert pay88_sandbox.tokens_issued() == 1


def test_a_charge_whose_answer_is_lost_is_in_doubt(shop, pay88_sandbox):
    pay88_sandbox.fault("calls", "cut_before_answer")
    with pytest.raises(InDoubtError):
        shop.pay("order-1", 50_000)
    assert len(pay88_sandbox.charges()) == 1, "it was made"


def test_a_charge_that_88pay_refuses_is_declined(shop, pay88_sandbox):
    pay88_sandbox.fault("calls", 422)
    with pytest.raises(DeclinedError):
        shop.pay("order-1", 50_000)
    assert pay88_sandbox.charges() == []


def test_a_token_that_has_ended_is_replaced(shop, pay88_sandbox):
    shop.pay("order-1", 1_000)
    pay88_sandbox.advance(61)
    shop.pay("order-2", 2_000)
    assert len(pay88_sandbox.charges()) == 2
    assert pay88_sandbox.tokens_issued() == 2


def test_a_suspended_shop_says_why(shop, pay88_sandbox):
    pay88_sandbox.suspend()
    with pytest.raises(DeclinedError, match="suspended"):
        shop.pay("order-1", 50_000)
