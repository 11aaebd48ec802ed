"""A relay whose outbox and target are in one store."""

from __future__ import annotations

from contextlib import suppress

import pytest

from modd.ports import SupportsTransactions
from modd.relay import Relay
from modd.stores import MemoryOutbox, MemoryQueue
from tests.relay.places import Joined, Refused, Unsteady, bodies

pytestmark = pytest.mark.anyio


async def test_what_is_put_and_what_is_acknowledged_is_one_transaction() -> None:
    store = Joined()
    await store.outbox.put(b"1", b"2", b"3")
    relay = Relay(store.outbox, store.queue, batch=2)
    assert [await relay.pass_on() for _ in range(3)] == [2, 1, 0]
    assert store.commits == 2
    assert await bodies(store.queue) == [b"1", b"2", b"3"]
    assert await bodies(store.outbox) == []


async def test_a_commit_that_fails_leaves_all_as_it_was() -> None:
    store = Joined()
    await store.outbox.put(b"1", b"2")
    relay = Relay(store.outbox, store.queue)
    store.down = True
    with pytest.raises(Refused):
        await relay.pass_on()
    assert await bodies(store.queue) == []
    store.down = False
    assert await relay.pass_on() == 2
    assert await bodies(store.queue) == [b"1", b"2"]


async def handled(queue: MemoryQueue) -> list[bytes]:
    """Claims and acks all that is in the queue, which so forgets the ids."""
    claims = await queue.claim(1_000, 60)
    await queue.ack(*claims)
    return [claim.body for claim in claims]


async def test_in_one_store_an_item_is_put_once_also_where_ids_are_forgotten() -> None:
    # ST-55
    store, seen = Joined(), list[bytes]()
    await store.outbox.put(b"1")
    relay = Relay(store.outbox, store.queue)
    for store.down in (True, True, False):
        with suppress(Refused):
            await relay.pass_on()
        seen += await handled(store.queue)
    assert seen == [b"1"]


async def test_in_two_stores_an_item_is_put_again_where_ids_are_forgotten() -> None:
    outbox, queue, seen = Unsteady(MemoryOutbox()), MemoryQueue(), list[bytes]()
    await outbox.place.put(b"1")
    relay = Relay(outbox, queue)
    for outbox.down in ({"ack"}, set[str]()):
        with suppress(Refused):
            await relay.pass_on()
        seen += await handled(queue)
    assert seen == [b"1", b"1"]


async def test_a_transaction_of_the_outbox_is_used_with_any_target() -> None:
    store, queue = Joined(), MemoryQueue()
    await store.outbox.put(b"1")
    assert await Relay(store.outbox, queue).pass_on() == 1
    assert store.commits == 1
    assert await bodies(queue) == [b"1"]


def test_an_outbox_without_transactions_is_no_less_an_outbox() -> None:
    assert not isinstance(MemoryOutbox(), SupportsTransactions)
    assert isinstance(Joined().outbox, SupportsTransactions)
