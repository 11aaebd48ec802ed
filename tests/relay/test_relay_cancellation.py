"""A relay that is cancelled at each of its steps."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from tests.relay.places import Joined, Unsteady, bodies

pytestmark = pytest.mark.anyio

NUMBERS = [b"1", b"2", b"3"]


async def cancelled_after(steps: int, relay: Relay) -> bool:
    """Have it pass on a batch and cancel it after so many steps; whether that was before its end."""
    ended = False

    async def pass_on() -> None:
        nonlocal ended
        await relay.pass_on()
        ended = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on)
        for _ in range(steps):
            await checkpoint()
        tasks.cancel_scope.cancel()
    return not ended


@pytest.mark.parametrize("steps", range(10))
async def test_wherever_it_is_cancelled_nothing_is_lost_and_the_order_holds(steps: int) -> None:
    # ST-56
    outbox, queue = MemoryOutbox(), MemoryQueue()
    await outbox.put(*NUMBERS)
    relay = Relay(outbox, queue)
    cancelled = await cancelled_after(steps, relay)
    left = await relay.pass_on()  # at once: nothing is claimed any more
    assert left in ((0, 3) if cancelled else (0,))
    assert await bodies(queue) == NUMBERS
    assert await bodies(outbox) == []


@pytest.mark.parametrize("steps", range(10))
async def test_wherever_it_is_cancelled_a_transaction_is_done_or_not(steps: int) -> None:
    store = Joined()
    await store.outbox.put(*NUMBERS)
    cancelled = await cancelled_after(steps, Relay(store.outbox, store.queue))
    there, left = await bodies(store.queue), await bodies(store.outbox)
    assert (there, left) in (([], NUMBERS), (NUMBERS, []))
    assert cancelled or left == []


@pytest.mark.parametrize("method", ["claim", "put", "ack"])
async def test_a_place_that_ends_its_call_before_it_is_cancelled_is_left_in_order(method: str) -> None:
    outbox, queue = Shielded(MemoryOutbox()), Shielded(MemoryQueue())
    await outbox.place.put(*NUMBERS)
    outbox.slow = queue.slow = {method: 10}
    with anyio.move_on_after(5):
        await Relay(outbox, queue).pass_on()
    outbox.slow = queue.slow = {}
    await Relay(outbox, queue).pass_on()
    assert await bodies(queue.place) == NUMBERS
    assert await bodies(outbox.place) == []


class Shielded(Unsteady):
    """A place that finishes its calls before a cancellation gets through."""

    async def call(self, name: str, *given: Any) -> Any:
        with anyio.CancelScope(shield=True):
            return await super().call(name, *given)
