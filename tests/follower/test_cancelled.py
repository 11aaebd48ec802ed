"""A follower that is cancelled anywhere loses nothing and does nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modd.stores import MemoryStore, SqliteStore
from tests.follower.cut import cut_at
from tests.follower.shop import Pay, Place, Refill, Shop

pytestmark = pytest.mark.anyio

ORDERS = ("7", "8")


async def prepare(shop: Shop) -> None:
    """Have two orders that are paid, of which one is not in stock."""
    await shop.send(Refill("tea", 1), *map(Place, ORDERS), *map(Pay, ORDERS))


async def check(shop: Shop) -> None:
    """Check that each order has one end."""
    seen = sorted([tuple(await shop.seen(order)) for order in ORDERS])
    assert seen == [("Placed", "Paid", "Cancelled"), ("Placed", "Paid", "Shipped")]
    assert await shop.pieces() == 0
    assert await shop.store.documents("modd due fulfilment").items() == []
    assert (await shop.store.queue("follower commands").stats()).ready == 0


async def try_points(first: int, stride: int, create: Callable[[int], Any]) -> int:
    """Cancel at every n-th point from the first one; return the number of the last."""
    point, was_cut = first, True
    while was_cut:
        async with create(point) as store:
            shop = Shop(store)
            await prepare(shop)
            was_cut = await cut_at(point, shop.follower.catch_up())
            await shop.follower.catch_up()
            await check(shop)
        point += stride
    return point


@pytest.mark.costly
@pytest.mark.parametrize("first", [1, 2, 3, 4])
async def test_a_follower_cancelled_at_any_point_goes_on_from_there_in_memory(first: int) -> None:  # WM-53
    assert await try_points(first, 4, lambda _: MemoryStore()) > 30


@pytest.mark.costly
async def test_a_follower_cancelled_at_some_points_goes_on_from_there_in_a_file(tmp_path: Path) -> None:  # WM-53
    assert await try_points(5, 29, lambda point: SqliteStore(tmp_path / f"{point}.db")) > 40


@pytest.mark.slow
async def test_a_follower_cancelled_at_many_points_goes_on_from_there_in_a_file(tmp_path: Path) -> None:  # WM-53
    assert await try_points(1, 3, lambda point: SqliteStore(tmp_path / f"{point}.db")) > 40
