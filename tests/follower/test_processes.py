"""Followers in several processes on one file: each event is done once, also if processes are killed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.stores import SqliteStore
from tests.follower.program import start
from tests.follower.shop import Refill, Shop

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STOCK = 1000


async def check(path: Path, orders: Iterable[int]) -> None:
    """Check that each order was shipped once, and has taken one piece of the stock."""
    orders = [*orders]
    async with SqliteStore(path) as store:
        shop = Shop(store, lease=1)
        await shop.follower.catch_up()
        ends = {order: (await shop.seen(str(order))).count("Shipped") for order in orders}
        assert ends == dict.fromkeys(orders, 1)
        assert await shop.pieces() == STOCK - len(orders)
        assert await shop.follower.stuck(shop.flow) == []
        assert await store.queue("follower commands").dead() == []


async def refilled(path: Path) -> None:
    async with SqliteStore(path) as store:
        await Shop(store).send(Refill("tea", STOCK))


async def test_two_processes_do_each_event_once(tmp_path: Path, anyio_backend: str) -> None:  # WM-54
    path = tmp_path / "events.db"
    await refilled(path)
    processes = [start(path, anyio_backend, 20, first) for first in (0, 100)]
    for process in processes:
        await anyio.to_thread.run_sync(process.communicate, None, 300)
        assert process.returncode == 0
    await check(path, [*range(20), *range(100, 120)])


async def test_processes_that_are_killed_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, anyio_backend: str
) -> None:  # WM-53
    path, placed = tmp_path / "events.db", list[int]()
    await refilled(path)
    for number in range(4):
        process: Any = start(path, anyio_backend, 1000, 1000 * number)
        for _ in range(3 + number):
            line = await anyio.to_thread.run_sync(process.stdout.readline)
            placed.append(int(line))
        process.kill()
        rest, _ = await anyio.to_thread.run_sync(process.communicate, None, 300)
        placed += map(int, rest.split())
    async with SqliteStore(path) as store:
        bodies = [event.body async for event in store.events.read_all()]
    paid = [int(body.split(b'"order":"')[1].split(b'"')[0]) for body in bodies if b'"Paid"' in body]
    assert {*placed} <= {*paid}
    await check_killed(path, paid)


async def check_killed(path: Path, paid: Iterable[int]) -> None:
    """Check each order that was paid; one that was only placed has a piece of the stock, too."""
    async with SqliteStore(path) as store:
        shop = Shop(store, lease=1)
        await shop.follower.catch_up()
        for order in paid:
            assert (await shop.seen(str(order))).count("Shipped") == 1
        names = [event.body async for event in store.events.read_all()]
        counts = {kind: sum(f'"{kind}"'.encode() in name for name in names) for kind in ("Placed", "Reserved")}
        assert counts["Placed"] == counts["Reserved"] == STOCK - await shop.pieces()
        assert await shop.follower.stuck(shop.flow) == []
