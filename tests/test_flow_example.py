"""The example of a flow: run as a program, and its decisions without a loop, a store and a file."""

from __future__ import annotations

import pytest

from examples.orders_flow import (
    Cancel,
    ClosePayment,
    Confirm,
    OpenPayment,
    OrderPlaced,
    PaymentClosed,
    PaymentConfirmed,
    Release,
    Reserve,
    StockReserved,
    fulfilment,
)
from modd.aggregate import Rejected
from modd.flow import Timeout
from modd.testing import given
from tests.test_examples import printed

PLACED, RESERVED = OrderPlaced("7", "tea", 500), StockReserved("tea")


@pytest.mark.costly
def test_an_order_is_confirmed_sold_out_or_cancelled_because_it_is_not_paid() -> None:
    # WM-75
    assert [line.strip().partition("(")[0] for line in printed("examples/orders_flow.py")] == [
        "Ada orders the last tea:",
        "Delivered",
        "OrderPlaced",
        "StockReserved",
        "PaymentOpened",
        "Bob orders tea, too:",
        "OrderPlaced",
        "Rejected",
        "OrderCancelled",
        "Half an hour later, Ada has not paid:",
        "PaymentClosed",
        "StockReleased",
        "OrderCancelled",
        "Bob tries again, and pays:",
        "OrderPlaced",
        "StockReserved",
        "PaymentOpened",
        "PaymentConfirmed",
        "OrderConfirmed",
    ]


def test_goods_are_reserved_and_paid() -> None:
    # WM-50
    given(fulfilment).when(PLACED).then(Reserve("tea"))
    given(fulfilment, PLACED).when(RESERVED).then(OpenPayment("7", 500))
    given(fulfilment, PLACED).when(RESERVED).then_timeouts({"payment": 1800})
    given(fulfilment, PLACED, RESERVED).when(PaymentConfirmed("7")).then(Confirm("7"))


def test_an_order_that_is_not_paid_is_given_up() -> None:
    # WM-50
    given(fulfilment, PLACED).when(Rejected("Sold out.")).then(Cancel("7", "Sold out."))
    given(fulfilment, PLACED, RESERVED).when(Timeout("payment")).then(ClosePayment("7"))
    closed = given(fulfilment, PLACED, RESERVED, Timeout("payment")).when(PaymentClosed("7"))
    closed.then(Release("tea"), Cancel("7", "Not paid in time."))
    closed.then_ended()


def test_a_payment_in_the_moment_of_the_timeout_counts() -> None:
    # WM-56
    past = PLACED, RESERVED, Timeout("payment"), PaymentConfirmed("7")
    given(fulfilment, *past).when(Rejected("It is paid.")).then_nothing()
