"""The queue in memory: the promises of the port, its errors and its costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modd import InvalidOption, ModdError
from modd.ports import Item, LeaseLost, Queue, Stats
from modd.stores import MemoryQueue
from modd.testing.conformance import QueueConformance
from tests.steps import counted_calls

pytestmark = pytest.mark.anyio


class TestMemoryQueue(QueueConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Queue]:
        yield MemoryQueue()


async def test_a_lost_lease_says_what_to_do() -> None:
    queue = MemoryQueue()
    await queue.put(Item(b"secret", id="a"))
    [claim] = await queue.claim(1, 1)
    await queue.ack(claim)
    with pytest.raises(LeaseLost, match=r"^no lease on 'a': .*; claim with a longer lease, extend it") as lost:
        await queue.ack(claim)
    assert isinstance(lost.value, ModdError)
    assert "secret" not in str(lost.value)


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), True, None, "1"])
def test_a_delay_that_cannot_be_is_an_error(delay: Any) -> None:
    with pytest.raises(InvalidOption, match=r"delay=.*: give seconds, 0 or more"):
        Item(b"", delay=delay)


async def test_a_body_that_is_not_bytes_is_an_error_and_nothing_is_put() -> None:
    text: Any = "secret"
    queue = MemoryQueue()
    with pytest.raises(InvalidOption, match=r"body=<class 'str'>: give bytes"):
        await queue.put(b"1", text)
    assert await queue.stats() == Stats(ready=0, delayed=0, leased=0, dead=0)


async def test_a_cancelled_call_does_nothing() -> None:
    queue = MemoryQueue()
    await queue.put(b"1")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.claim(1, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await queue.put(b"2")
    assert [claim.body for claim in await queue.claim(9, 1)] == [b"1"]


@pytest.mark.unmeasured
@pytest.mark.costly
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_claim_is_as_much_work_in_a_long_queue_as_in_a_short_one(key: str | None) -> None:
    few, many = await work(key, 10), await work(key, 2_000)
    assert many < 2 * few


async def work(key: str | None, items: int) -> int:
    """How many calls are made to claim and settle ten items of a queue with so many of each kind."""
    queue = MemoryQueue()
    await queue.put(*[Item(b"", delay=3600) for _ in range(items)], *[Item(b"") for _ in range(items)])
    await queue.claim(items, 3600)
    await queue.put(*[Item(b"", key=key) for _ in range(items)])
    with counted_calls() as calls:
        for _ in range(10):
            await queue.ack(*await queue.claim(1, 60))
    return calls[0]


async def test_an_empty_queue_keeps_nothing() -> None:
    queue = MemoryQueue()
    for _ in range(100):
        await queue.put(*[Item(b"", key=key, delay=delay) for key in (None, "a", "b") for delay in (0, 1)])
        await anyio.sleep(1)
        while claims := await queue.claim(9, 1):
            await queue.ack(*claims)
    places, ready = queue._state.places, queue._state.places.ready
    parts = (places.items, places.delayed, places.leased, places.suspects, ready._lanes, ready._keyed)
    assert [len(each) for each in parts] == [0] * 6
