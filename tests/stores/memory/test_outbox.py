"""The outbox in memory: the promises of the port, and what is its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Item, LeaseLost, Outbox
from modd.stores import MemoryOutbox
from modd.testing.conformance import OutboxConformance

pytestmark = pytest.mark.anyio


class TestMemoryOutbox(OutboxConformance):
    """The suite of the port."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Outbox]:
        yield MemoryOutbox()


async def test_a_delay_in_an_outbox_says_where_it_belongs() -> None:
    with pytest.raises(InvalidOption, match=r"^delay=5.*: an outbox publishes at once; .* into a queue"):
        await MemoryOutbox().put(Item(b"secret", delay=5))


async def test_a_claim_is_good_until_somebody_else_claims() -> None:
    outbox = MemoryOutbox()
    await outbox.put(b"1", b"2", b"3")
    first, second, third = await outbox.claim(9, 1)
    await anyio.sleep(2)
    await outbox.ack(first)
    [claim] = await outbox.claim(1, 1)
    assert (claim.body, claim.attempt) == (b"2", 2)
    for lost in (second, third):
        with pytest.raises(LeaseLost):
            await outbox.ack(lost)


async def test_what_is_passed_on_is_forgotten() -> None:
    outbox = MemoryOutbox()
    for _ in range(3):
        await outbox.put(Item(b"", id="a"), b"")
        await outbox.ack(*await outbox.claim(9, 1))
    assert not outbox._items and not outbox._claimed


async def test_a_cancelled_call_does_nothing_to_an_outbox() -> None:
    outbox = MemoryOutbox()
    await outbox.put(b"1", b"2")
    claims = await outbox.claim(1, 60)
    for call in (outbox.put(b"3"), outbox.ack(*claims), outbox.release(*claims), outbox.claim(9, 60), outbox.wait(60)):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await call
        assert scope.cancelled_caught
    await outbox.ack(*claims)
    assert [claim.body for claim in await outbox.claim(9, 60)] == [b"2"]
