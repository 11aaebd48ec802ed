"""Time is that of the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from math import inf

import pytest

from modd.stores.server_clock import ServerClock
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store, until

pytestmark = pytest.mark.anyio


def shifted(clock: Callable[[], float], seconds: float) -> float:
    return clock() + seconds


class Local:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def test_the_clock_goes_by_the_latest_time_that_was_seen_and_never_back() -> None:
    # NA-9
    local = Local()
    clock = ServerClock(local)
    assert clock() == -inf
    clock.see(100.0)
    local.now += 3
    assert clock() == 103.0
    clock.see(102.5)
    assert clock() == 103.0
    clock.see(104.0)
    local.now += 1
    assert clock() == 105.0


async def test_the_server_is_asked_for_its_time_once_a_minute() -> None:
    # NA-9
    local, asked = Local(), list[float]()

    async def ask() -> float:
        asked.append(local.now)
        return 1000.0 + local.now + len(asked)

    clock = ServerClock(local)
    for _ in range(8):
        await clock.refresh(ask)
        local.now += 20
    assert asked == [5.0, 65.0, 125.0]
    assert clock() == 1000.0 + local.now + 3


async def test_a_wall_clock_that_is_a_day_off_ends_nothing_early_and_nothing_late(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # NA-9
    wall = time.time
    async with open_store(nats_server) as store:
        for day in (86_400, -86_400):
            monkeypatch.setattr(time, "time", partial(shifted, wall, day))
            async with open_store(nats_server, store.name) as other:
                assert abs(other.clock() - wall()) < 30
                assert await other.locks.acquire(f"{day}", 0.5, "other")
                assert not await store.locks.acquire(f"{day}", 9, "me")
                await until(partial(store.locks.acquire, f"{day}", 9, "me"))
                assert not await other.locks.renew(f"{day}", 9, "other")
