"""Flows on a store: instances hear of events and rejections, and their commands are handled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.follower.shop import Pay, Place, Refill, Shop

pytestmark = pytest.mark.anyio


async def test_an_order_goes_through_the_flow(store: Any) -> None:  # WM-53, WM-66
    shop = Shop(store)
    await shop.follow(Refill("tea", 2), Place("7"))
    assert await shop.seen("7") == ("Placed",)
    assert await shop.pieces() == 1
    await shop.follow(Pay("7"))
    assert await shop.seen("7") == ("Placed", "Paid", "Shipped")


async def test_a_rejection_of_its_command_comes_to_the_flow(store: Any) -> None:  # WM-52
    shop = Shop(store)
    await shop.follow(Place("7"))
    assert await shop.seen("7") == ("Placed", "Cancelled")
    assert await store.outbox.claim(10, 30) == []
