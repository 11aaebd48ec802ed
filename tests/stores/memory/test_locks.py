"""The locks in memory: the promises of the port, and what they keep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Locks
from modd.stores import MemoryLocks
from modd.testing.conformance import LocksConformance

pytestmark = pytest.mark.anyio


class TestMemoryLocks(LocksConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Locks]:
        yield MemoryLocks()


# MI-32
async def test_a_lock_is_released_by_the_token_that_has_it_and_by_no_other() -> None:
    locks = MemoryLocks()
    assert await locks.acquire("a", 60, "first")
    assert not await locks.acquire("a", 60, "second")
    await anyio.sleep(60)
    assert await locks.acquire("a", 60, "second")
    await locks.release("a", "first")  # stale: it would free the lock of the second
    assert not await locks.acquire("a", 60, "first")
    await locks.release("a", "second")
    assert await locks.acquire("a", 60, "first")


async def test_locks_that_are_over_are_not_kept() -> None:
    locks = MemoryLocks()
    for number in range(1_000):
        assert await locks.acquire(str(number), 1, "me")
        await anyio.sleep(1)
    assert len(locks._tokens) == 1


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), True, None, "1"])
async def test_a_time_that_cannot_be_is_an_error(ttl: Any) -> None:
    with pytest.raises(InvalidOption, match=r"ttl=.*: give seconds, more than 0"):
        await MemoryLocks().acquire("a", ttl, "me")
